import type { NatsConnection } from '../server/nats';
import { unlessClosed } from '../server/unless-closed';

/** Every 200 ms the server is asked whether it has read what was sent. */
const CONFIRM_AFTER = 200;
/** A right that is missing is tried again so often, in ms: nobody says when it is given back. */
const TRY_AGAIN = 2_000;
/** Words that are kept while none is taken. The messages of those before come again, and are settled anew. */
const KEPT = 10_000;

const PROGRESS = Buffer.from('+WPI');
const ACK = Buffer.from('+ACK');
const TERM = Buffer.from('+TERM');

/** What was said, in order: two lists, for there is one word or more for each message. */
class Words {
  readonly replies: string[] = [];
  readonly payloads: Uint8Array[] = [];

  get length(): number {
    return this.replies.length;
  }

  add(reply: string, payload: Uint8Array): void {
    this.replies.push(reply);
    this.payloads.push(payload);
  }

  /** The latest on each. */
  latest(): Map<string, Uint8Array> {
    const latest = new Map<string, Uint8Array>();
    this.replies.forEach((reply, index) => latest.set(reply, this.payloads[index] as Uint8Array));
    return latest;
  }

  dropFirst(count: number): void {
    this.replies.splice(0, count);
    this.payloads.splice(0, count);
  }

  publishTo(nc: NatsConnection): void {
    for (let at = 0; at < this.replies.length; at++)
      nc.publish(this.replies[at] as string, this.payloads[at]);
  }
}

/**
 * Sends acknowledgements, and sends them again after a reconnect until a PONG shows that the server has read
 * them: the client drops without a word what is published while disconnected. What is refused for want of a right is kept,
 * and said again once the server takes such a subject.
 */
export class Acks {
  /** What was said and is not confirmed yet, in order, behind `confirmed` that were. */
  private unconfirmed = new Words();
  private confirmed = 0;
  /** Said within this turn of the event loop. */
  private outgoing = new Words();
  private turn: NodeJS.Immediate | undefined;
  private timer: NodeJS.Timeout | undefined;
  private interrupted = false;
  /** The subject that was refused last, as long as none is known to be taken; and how many were. */
  private refusedReply: string | undefined;
  private refusals = 0;
  private trying: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(
    private readonly connected: () => NatsConnection | undefined,
    /** The server takes them again. */
    private readonly granted: () => void = () => undefined,
  ) {}

  ack(reply: string): void {
    this.say(reply, ACK);
  }

  term(reply: string): void {
    this.say(reply, TERM);
  }

  /** `delay` in ms; without one the server delivers again at once. */
  nak(reply: string, delay: number): void {
    this.say(reply, Buffer.from(delay > 0 ? `-NAK {"delay":${Math.round(delay * 1e6)}}` : '-NAK'));
  }

  /** Starts the ack wait anew. Not worth repeating: the next one comes in time. */
  progress(reply: string): void {
    this.publish(reply, PROGRESS);
  }

  /** The connection is lost: a PONG of the next one says nothing of what was sent before, until it is repeated. */
  interrupt(): void {
    this.interrupted = true;
  }

  /** The server refused what was said there. */
  refused(reply: string): void {
    this.refusedReply = reply;
    this.refusals++;
    this.tryAgain();
  }

  /** After a reconnect: the latest word on each. */
  repeat(): void {
    this.interrupted = false;
    this.outgoing = new Words();
    for (const [reply, payload] of this.unconfirmed.latest()) this.publish(reply, payload);
    this.sendOut();
    this.confirmSoon();
  }

  /** The consumer was made anew: there the same ack subjects mean other deliveries. */
  forget(): void {
    this.outgoing = new Words();
    this.confirmed += this.unconfirmed.length;
    this.unconfirmed = new Words();
  }

  /** Resolves when the server has read everything, or can't be reached. */
  async settle(): Promise<void> {
    this.closed = true;
    clearTimeout(this.trying);
    clearTimeout(this.timer);
    this.timer = undefined;
    const nc = this.connected();
    if (nc) await unlessClosed(nc, this.confirm());
  }

  private say(reply: string, payload: Uint8Array): void {
    this.unconfirmed.add(reply, payload);
    this.publish(reply, payload);
    this.confirmSoon();
  }

  /** The client writes to its socket once for all that is published within one turn of the event loop's callbacks. */
  private publish(reply: string, payload: Uint8Array): void {
    const nc = this.connected();
    if (!nc || nc.isClosed()) return;
    this.outgoing.add(reply, payload);
    this.turn ??= setImmediate(() => this.sendOut());
  }

  private sendOut(): void {
    clearImmediate(this.turn);
    this.turn = undefined;
    const nc = this.connected();
    const { outgoing } = this;
    if (outgoing.length === 0) return;
    this.outgoing = new Words();
    if (nc && !nc.isClosed()) outgoing.publishTo(nc);
  }

  private confirmSoon(): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      void this.confirm();
    }, CONFIRM_AFTER);
  }

  private async confirm(): Promise<void> {
    const nc = this.connected();
    this.sendOut();
    if (!nc || this.interrupted || this.unconfirmed.length === 0) return;
    const until = this.confirmed + this.unconfirmed.length;
    // Disconnected on the way: repeat() sends them again.
    if (!(await wasRead(nc))) return;
    if (this.refusedReply === undefined) this.dropUntil(until);
    else this.dropUntil(this.confirmed + Math.max(0, this.unconfirmed.length - KEPT));
  }

  private dropUntil(until: number): void {
    // Another confirmation, or forget(), may have been quicker.
    if (until <= this.confirmed) return;
    this.unconfirmed.dropFirst(until - this.confirmed);
    this.confirmed = until;
  }

  private tryAgain(): void {
    if (this.closed) return;
    this.trying ??= setTimeout(() => {
      void this.isTaken().then((taken) => {
        this.trying = undefined;
        if (!taken || this.closed) return this.tryAgain();
        this.refusedReply = undefined;
        this.repeat();
        this.granted();
      });
    }, TRY_AGAIN);
  }

  /** Of the subject that was refused: with what was said there, or with what changes nothing for a message that is settled. */
  private async isTaken(): Promise<boolean> {
    const nc = this.connected();
    const reply = this.refusedReply;
    if (!nc || nc.isClosed() || this.interrupted || reply === undefined) return false;
    const before = this.refusals;
    try {
      nc.publish(reply, this.unconfirmed.latest().get(reply) ?? PROGRESS);
    } catch {
      return false; // It is being closed.
    }
    return (await wasRead(nc)) && this.refusals === before;
  }
}

/** Whether the server has read all that was sent, and what it refused of that has been told. */
async function wasRead(nc: NatsConnection): Promise<boolean> {
  try {
    await nc.flush();
  } catch {
    return false;
  }
  // A refusal comes before the PONG, but takes a few more steps.
  await new Promise(setImmediate);
  return true;
}
