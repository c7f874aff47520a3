import type { NatsConnection } from '../server/nats';
import { unlessClosed } from '../server/unless-closed';

/** Every 200 ms the server is asked whether it has read what was sent. */
const CONFIRM_AFTER = 200;

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
 * them: the client drops without a word what is published while disconnected.
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

  constructor(private readonly connected: () => NatsConnection | undefined) {}

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
    try {
      await nc.flush();
    } catch {
      return; // Disconnected on the way: repeat() sends them again.
    }
    // Another confirmation, or forget(), may have been quicker.
    if (until <= this.confirmed) return;
    this.unconfirmed.dropFirst(until - this.confirmed);
    this.confirmed = until;
  }
}
