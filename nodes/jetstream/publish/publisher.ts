import { Fifo } from '../../shared/async/fifo';
import { FlowError } from '../../shared/errors';
import { turnLost, type Hold } from '../../shared/flow/delivery';
import { formatSize } from '../../shared/size';
import { closedError, type Connection } from '../server/connection';
import type { Msg, MsgHdrs, NatsConnection } from '../server/nats';
import { serverAtLeast } from '../streams/stream';
import { checkPublishSubject } from '../streams/subjects';
import { notStored, storedAs, type Published } from './pub-ack';
import { PubAcks } from './pub-acks';
import { headerLine, rawHeaders } from './raw-headers';
import { say } from '../../shared/say';

export interface Outgoing {
  subject: string;
  data: Uint8Array | string;
  /** Several values under one name as an array. */
  headers: Record<string, string | string[]>;
  /** Makes a repeated publish inside the stream's duplicate window harmless. */
  msgId?: string;
}

export interface PublisherSettings {
  /** Messages without a PubAck, at most. */
  window: number;
  /** Messages that wait to be sent, at most. */
  queue: number;
  /** Bytes of payload that wait, at most; one that is larger may wait alone. -1 or undefined: no limit. */
  queueBytes?: number | undefined;
  whenFull: 'hold' | 'fail';
}

/** Where a message comes from. */
export interface Sender {
  /** It stops sending by itself while its messages wait, so it may go beyond the queue under `hold`. */
  stops?: boolean;
  /** Called where its message has to wait; what it returns is called when the wait is over. */
  pause?: () => () => void;
  /** What isn't sent when it is over is not sent any more. */
  hold?: Hold | undefined;
}

interface Waiting {
  outgoing: Outgoing;
  resolve: (published: Published) => void;
  reject: (error: unknown) => void;
  resume: (() => void) | undefined;
  hold: Hold | undefined;
}

/**
 * Publishes in the order in which messages are handed in, with at most `window` of them waiting for their PubAck.
 * The others wait for their turn, and for the connection: `queue` at most, where `hold` counts on senders that
 * stop by themselves, and refuses those of all others.
 */
export class Publisher {
  private readonly stopping = new AbortController();
  private readonly queue = new Fifo<Waiting>();
  private queuedBytes = 0;
  private inFlight = 0;
  private connecting = false;
  private idle: (() => void) | undefined;

  /** `changed` is called whenever the number of those that wait is another one: it must be cheap. */
  constructor(
    private readonly connection: Connection,
    private readonly settings: PublisherSettings,
    private readonly changed: () => void = () => undefined,
  ) {}

  /** Messages that are not sent yet. */
  get waiting(): number {
    return this.queue.length;
  }

  /** Messages handed in and not confirmed yet. */
  get pending(): number {
    return this.inFlight + this.queue.length;
  }

  /**
   * Resolves with the PubAck. Throws FlowError: INVALID_SUBJECT, INVALID_HEADER, QUEUE_FULL, NO_STREAM, NO_PUBACK,
   * STREAM_FULL, MESSAGE_TOO_LARGE, PERMISSION_DENIED, TIMEOUT, CLOSED, TURN_LOST.
   */
  publish(outgoing: Outgoing, sender: Sender = {}): Promise<Published> {
    return new Promise((resolve, reject) => {
      checkPublishSubject(outgoing.subject);
      if (this.stopping.signal.aborted) throw closedError();
      const nc = this.connection.open;
      const message: Waiting = { outgoing, resolve, reject, resume: undefined, hold: sender.hold };
      if (nc && this.queue.length === 0 && this.inFlight < this.settings.window)
        return this.send(nc, message);
      const full = this.fullFor(outgoing);
      if (full !== undefined && !(this.settings.whenFull === 'hold' && sender.stops)) throw queueFull(full);
      message.resume = sender.pause?.();
      this.queuedBytes += outgoing.data.length;
      this.queue.push(message);
      this.changed();
      if (!nc) this.connect();
    });
  }

  /** What waits, in words, where there is no place for this one. */
  private fullFor({ data }: Outgoing): string | undefined {
    const { queue, queueBytes = -1 } = this.settings;
    const { length } = this.queue;
    if (length >= queue) return say`${queue} messages`;
    const fits = queueBytes < 0 || length === 0 || this.queuedBytes + data.length <= queueBytes;
    return fits ? undefined : say`${length} messages with ${formatSize(queueBytes)}, the most,`;
  }

  /** What hasn't been sent fails with CLOSED; resolves when what has been sent has ended by its own publish(). */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.queuedBytes = 0;
    for (const { reject, resume } of this.queue.clear()) {
      resume?.();
      reject(closedError());
    }
    if (this.inFlight > 0) await new Promise<void>((resolve) => (this.idle = resolve));
  }

  private connect(): void {
    if (this.connecting) return;
    this.connecting = true;
    this.connection.ready(this.stopping.signal).then(
      () => {
        this.connecting = false;
        this.next();
      },
      () => undefined, // stopped
    );
  }

  /** Nobody can slip in between one that ends and the next in line: all of this happens at once. */
  private next(): void {
    const before = this.queue.length;
    while (this.queue.length > 0 && this.inFlight < this.settings.window) {
      const nc = this.connection.open;
      if (!nc) {
        this.connect();
        break;
      }
      const message = this.queue.shift() as Waiting;
      this.queuedBytes -= message.outgoing.data.length;
      message.resume?.();
      this.send(nc, message);
    }
    if (this.queue.length !== before) this.changed();
  }

  /** Hands it to the connection at once: what is sent later goes out later. */
  private send(nc: NatsConnection, { outgoing, resolve, reject, hold }: Waiting): void {
    if (hold?.held === false) return reject(turnLost());
    const { connection } = this;
    const { subject, data, headers, msgId } = outgoing;
    const failed = (error: unknown): void => {
      reject(notStored(nc, error, subject, data, connection.settings.domain));
      this.ended();
    };
    const answered = (answer: Msg): void => {
      let stored: Published;
      try {
        stored = storedAs(answer, subject);
      } catch (error) {
        return failed(error);
      }
      resolve(stored);
      this.ended();
    };
    this.inFlight++;
    try {
      checkTtl(nc, headers);
      const lines = messageHeaders(headers, msgId);
      PubAcks.of(connection, nc).request(subject, data, lines, answered, failed);
    } catch (error) {
      reject(error);
      // Not from within: many in a row would nest.
      queueMicrotask(() => this.ended());
    }
  }

  private ended(): void {
    this.inFlight--;
    this.next();
    if (this.inFlight === 0) this.idle?.();
  }
}

function queueFull(waiting: string): FlowError {
  return new FlowError(
    'QUEUE_FULL',
    say`${waiting} wait to be published already, and this one is not taken: send it again later, see why the server is slow or away, or raise the limit of the queue`,
  );
}

/** An older server stores the message for ever without a word. */
function checkTtl(nc: NatsConnection, headers: Outgoing['headers']): void {
  const limited = Object.keys(headers).some((name) => name.toLowerCase() === 'nats-ttl');
  if (!limited || serverAtLeast(nc, 2, 11)) return;
  throw new FlowError(
    'SERVER_TOO_OLD',
    say`The header Nats-TTL needs nats-server 2.11 or newer; this is ${nc.info?.version ?? say`older`}: remove it, or limit the stream's age`,
    false,
  );
}

function messageHeaders(headers: Outgoing['headers'], msgId: string | undefined): MsgHdrs | undefined {
  let lines = msgId ? headerLine('Nats-Msg-Id', msgId) : '';
  for (const [name, values] of Object.entries(headers))
    for (const value of [values].flat()) lines += headerLine(name, value);
  return lines === '' ? undefined : rawHeaders(lines);
}
