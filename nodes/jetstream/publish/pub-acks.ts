import { randomBytes } from 'node:crypto';
import type { FlowError } from '../../shared/errors';
import type { Connection } from '../server/connection';
import type { Msg, MsgHdrs, NatsConnection } from '../server/nats';

/** What the client's own requests fail with, so that it is explained alike. */
function reason(code: 'TIMEOUT' | '503' | 'CONNECTION_CLOSED'): Error {
  return Object.assign(new Error(code), { code });
}

interface Waiting {
  subject: string;
  data: Uint8Array | string;
  headers: MsgHdrs | undefined;
  /** By performance.now(). */
  deadline: number;
  answered: (answer: Msg) => void;
  failed: (error: Error) => void;
}

const TIMEOUT = 5_000;
const LOOK = 250;
/** A turn of the event loop may have thousands, and the server nothing to do before it ends. */
const TOGETHER = 64;

const opened = new WeakMap<NatsConnection, PubAcks>();

/**
 * The answers to what is published over one connection. The client's request takes a timer, a stack trace and several
 * promises for each; here one subscription and one timer serve all of them (bench/publish.ts).
 */
export class PubAcks {
  private readonly waiting = new Map<number, Waiting>();
  private readonly inbox: string;
  private serial = 0;
  /** The last one that was handed to the client. */
  private sent = 0;
  private turn: NodeJS.Immediate | undefined;
  private timer: NodeJS.Timeout | undefined;

  private constructor(
    private readonly nc: NatsConnection,
    connection: Connection,
  ) {
    this.inbox = `${connection.settings.inboxPrefix || '_INBOX'}.${randomBytes(11).toString('hex')}`;
    nc.subscribe(`${this.inbox}.*`, {
      callback: (error, msg) => {
        if (!error) this.answered(msg);
      },
    });
    const forget = connection.listen({ refused: (error, subject) => this.refused(error, subject) });
    void nc.closed().then(() => {
      forget();
      this.fail(() => true, reason('CONNECTION_CLOSED'));
    });
  }

  static of(connection: Connection, nc: NatsConnection): PubAcks {
    let acks = opened.get(nc);
    if (!acks) opened.set(nc, (acks = new PubAcks(nc, connection)));
    return acks;
  }

  /**
   * Sends in order, within this turn of the event loop. Calls one of the two later: with whatever answers, or as the client's
   * request fails, after 5 s at the latest. (Promises for each message are what publishing costs most.)
   */
  request(
    subject: string,
    data: Uint8Array | string,
    headers: MsgHdrs | undefined,
    answered: (answer: Msg) => void,
    failed: (error: Error) => void,
  ): void {
    const deadline = performance.now() + TIMEOUT;
    this.waiting.set(++this.serial, { subject, data, headers, deadline, answered, failed });
    // The client writes to its socket once for all that is published together.
    this.turn ??= setImmediate(() => this.sendOut());
    if (this.serial - this.sent === TOGETHER) queueMicrotask(() => this.sendOut());
    this.timer ??= setInterval(() => this.look(), LOOK);
  }

  private sendOut(): void {
    this.turn = undefined;
    for (const last = this.serial; this.sent < last;) {
      const id = ++this.sent;
      const waiting = this.waiting.get(id);
      if (!waiting) continue;
      const { subject, data, headers } = waiting;
      waiting.data = '';
      try {
        this.nc.publish(subject, data, { reply: `${this.inbox}.${id}`, ...(headers && { headers }) });
      } catch (error) {
        this.waiting.delete(id);
        waiting.failed(error as Error);
      }
    }
  }

  private answered(msg: Msg): void {
    const id = Number(msg.subject.slice(this.inbox.length + 1));
    const waiting = this.waiting.get(id);
    if (!waiting) return;
    this.waiting.delete(id);
    if (msg.data.length === 0 && msg.headers?.code === 503) waiting.failed(reason('503'));
    else waiting.answered(msg);
  }

  private refused(error: FlowError, subject: string): void {
    const all = subject.startsWith(this.inbox);
    this.fail((waiting) => all || waiting.subject === subject, error);
  }

  /** They wait in the order of their deadlines. */
  private look(): void {
    const now = performance.now();
    for (const [id, waiting] of this.waiting) {
      if (waiting.deadline > now) return;
      this.waiting.delete(id);
      waiting.failed(reason('TIMEOUT'));
    }
    clearInterval(this.timer);
    this.timer = undefined;
  }

  private fail(which: (waiting: Waiting) => boolean, error: Error): void {
    // Each makes room for another, which is not sent yet.
    for (const [id, waiting] of [...this.waiting]) {
      if (!which(waiting) || !this.waiting.delete(id)) continue;
      waiting.failed(error);
    }
  }
}
