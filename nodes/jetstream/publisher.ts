import { FlowError } from '../shared/errors';
import { closedError, type Connection } from './connection';
import type { MsgHdrs, NatsConnection } from './nats';
import { explainPublish } from './publish-errors';
import { serverAtLeast } from './stream';
import { checkPublishSubject } from './subjects';

export interface Outgoing {
  subject: string;
  data: Uint8Array | string;
  /** Several values under one name as an array. */
  headers: Record<string, string | string[]>;
  /** Makes a repeated publish inside the stream's duplicate window harmless. */
  msgId?: string;
}

/** What the stream said: `duplicate` means that it had the message already. */
export interface Published {
  stream: string;
  seq: number;
  duplicate: boolean;
}

const TIMEOUT = 5_000;

/** Publishes with at most `window` messages waiting for their PubAck; the rest wait their turn, in order. */
export class Publisher {
  private readonly stopping = new AbortController();
  private readonly waiting: { go: () => void; refuse: (error: FlowError) => void }[] = [];
  private inFlight = 0;

  constructor(
    private readonly connection: Connection,
    private readonly window: number,
  ) {}

  /** Messages handed in and not confirmed yet. */
  get pending(): number {
    return this.inFlight + this.waiting.length;
  }

  /**
   * Resolves with the PubAck. Waits for the connection if there is none. Throws FlowError: INVALID_SUBJECT,
   * NO_STREAM, STREAM_FULL, MESSAGE_TOO_LARGE, PERMISSION_DENIED, TIMEOUT, CLOSED.
   */
  async publish(outgoing: Outgoing): Promise<Published> {
    checkPublishSubject(outgoing.subject);
    await this.turn();
    try {
      const nc = await this.connection.ready(this.stopping.signal);
      if (this.stopping.signal.aborted) throw closedError();
      return await send(nc, this.connection.settings.domain, outgoing);
    } finally {
      this.leave();
    }
  }

  /** What hasn't been sent fails with CLOSED; what has is waited for by its own publish(). */
  stop(): void {
    this.stopping.abort();
    for (const { refuse } of this.waiting.splice(0)) refuse(closedError());
  }

  private async turn(): Promise<void> {
    if (this.stopping.signal.aborted) throw closedError();
    if (this.inFlight < this.window) this.inFlight++;
    else await new Promise<void>((go, refuse) => this.waiting.push({ go, refuse }));
  }

  /** The place goes to the next in line: nobody can slip in between. */
  private leave(): void {
    const next = this.waiting.shift();
    if (next) next.go();
    else this.inFlight--;
  }
}

async function send(nc: NatsConnection, domain: string | undefined, outgoing: Outgoing): Promise<Published> {
  const { subject, data, msgId } = outgoing;
  try {
    checkTtl(nc, outgoing.headers);
    // Waited for with headers or without: messages must not overtake each other.
    const nats = await import('./nats.js');
    const headers = messageHeaders(nats, outgoing.headers);
    const ack = await nc.jetstream(domain ? { domain } : {}).publish(subject, data, {
      timeout: TIMEOUT,
      ...(headers ? { headers } : {}),
      ...(msgId ? { msgID: msgId } : {}),
    });
    return { stream: ack.stream, seq: ack.seq, duplicate: ack.duplicate };
  } catch (error) {
    throw explainPublish(error, subject, data.length, domain);
  }
}

/** An older server stores the message for ever without a word. */
function checkTtl(nc: NatsConnection, headers: Outgoing['headers']): void {
  if (serverAtLeast(nc, 2, 11) || !Object.keys(headers).some((name) => name.toLowerCase() === 'nats-ttl'))
    return;
  throw new FlowError(
    'SERVER_TOO_OLD',
    `The header Nats-TTL needs nats-server 2.11 or newer; this is ${nc.info?.version ?? 'older'}: remove it, or limit the stream's age`,
    false,
  );
}

function messageHeaders(nats: typeof import('./nats.js'), record: Outgoing['headers']): MsgHdrs | undefined {
  const entries = Object.entries(record);
  if (entries.length === 0) return undefined;
  const headers = nats.headers();
  for (const [key, values] of entries) {
    for (const value of Array.isArray(values) ? values : [values]) headers.append(key, value);
  }
  return headers;
}
