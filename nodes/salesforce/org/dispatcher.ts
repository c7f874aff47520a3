import { withTimeout } from '../../shared/async/timeout';
import { FlowError } from '../../shared/errors';
import { turnLost, type Hold } from '../../shared/flow/delivery';
import type { Unavailable } from './availability';
import type { OrgOutage } from './outage';
import { Halving, delay, type Item, type Retry } from './repeats';
import { say } from '../../shared/say';

/** Keeps the items that wait and decides which of them make the next request; it sends nothing itself. */
export interface Queue<I, Request> {
  /** The next request; undefined if nothing may go now or, where `onlyFull`, if more would still fit. */
  take(now: number, onlyFull: boolean): Request | undefined;
  /** When the first of the items that wait for their time may go; undefined if none does. */
  nextReady(now: number): number | undefined;
  /** These go before all that came later. */
  putBack(items: readonly I[]): void;
  /** Takes out everything that waits. */
  drain(): I[];
  /** Takes out those of them that wait. */
  withdraw(unwanted: (item: I) => boolean): I[];
}

/** Carries requests to the org and knows what its answers mean. */
export interface Carrier<Message, I, Request> {
  /** Asked before each request; a carrier that says no wakes the dispatcher when that has changed. */
  mayBegin(): boolean;
  /** Sends the request, and gives each item of it its result, or back to the dispatcher. Never rejects. */
  send(request: Request): Promise<void>;
  /** The items fail with this error, and their messages with them. */
  giveUp(items: readonly I[], error: FlowError): void;
  /** Answers those of the messages that are over. */
  settle(messages: Iterable<Message>): void;
}

export interface DispatcherOptions {
  /** Requests at once. */
  maxRequests: number;
  /** The most items of a request. */
  largest: number;
  /** While the org can't be used, messages wait (hold) or fail at once, retryable (fail). */
  onOutage: 'hold' | 'fail';
  retry: Retry;
}

interface Waiting<Result> {
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
  pause: () => () => void;
  /** Ends the pause of an outage; and that which the carrier has asked for. */
  resume: (() => void) | undefined;
  goOn: (() => void) | undefined;
  hold: Hold | undefined;
}

/**
 * Brings the messages of one node into the org with as few requests as waiting allows: an idle dispatcher sends at
 * once, and does not wait for the end of a moment that fills a request; while one is under way items gather, and
 * another one starts beside it only when it is full.
 *
 * - A message is *accepted* by `accept`, which queues its items; it is answered by the carrier (`answer`), once.
 * - An item *waits* in the queue until the pump takes it: not while the org is unavailable, nor before its time.
 * - It is *under way* from then until the carrier's `send` resolves, by when it has its result or waits again:
 *   `retryLater` (refused for a reason that passes), `lost` (nobody knows), `sendApart` (one may have spoilt it for
 *   the others), or `putBack`.
 * - It is *given up* by the carrier: when it was lost too often, when the node closes, when the message isn't this
 *   process's any more, or when the org becomes unavailable and messages are not to wait for it.
 *
 * While the org is unavailable the processing clocks of all messages stand still.
 */
export class Dispatcher<Message, I extends Item<Message>, Request, Result> {
  private readonly requests = new Map<Request, Promise<void>>();
  private readonly messages = new Map<Message, Waiting<Result>>();
  /** Under which messages are this process's, and how many. */
  private readonly holds = new Map<Hold, number>();
  private readonly stopListening: () => void;
  private readonly halving: Halving;
  /** Messages that have come since it was last looked what can be sent. */
  private arrived = 0;
  private tick: NodeJS.Immediate | undefined;
  private timer: NodeJS.Timeout | undefined;
  /** Nothing more is taken or sent. */
  closing = false;

  constructor(
    private readonly org: {
      availability: { readonly current: Unavailable | undefined };
      onChange(listener: () => void): () => void;
    },
    private readonly queue: Queue<I, Request>,
    private readonly carrier: Carrier<Message, I, Request>,
    private readonly options: DispatcherOptions,
    /** Told after anything that a status shows has changed. */
    private readonly changed: () => void,
  ) {
    this.halving = new Halving(options.largest);
    this.stopListening = org.onChange(() => this.availabilityChanged());
  }

  /** Requests without an answer. */
  get underWay(): Request[] {
    return [...this.requests.keys()];
  }

  /**
   * Takes a message, whose items `enqueue` queues, and gives its answer. Rejects with FlowError: where the node is
   * closed, the org is not to be waited for, or with what `enqueue` throws. `pause` stops the processing clock of
   * the message and gives the way to let it go on. What isn't sent when `hold` is over fails with TURN_LOST.
   */
  accept(pause: () => () => void, enqueue: () => Message, hold?: Hold): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.closing) throw closed();
      const { unavailable } = this;
      if (unavailable && this.options.onOutage === 'fail') throw unavailable;
      const message = enqueue();
      const resume = unavailable && pause();
      this.messages.set(message, { resolve, reject, pause, resume, goOn: undefined, hold });
      if (hold) this.holds.set(hold, (this.holds.get(hold) ?? 0) + 1);
      this.carrier.settle([message]);
      this.wake();
      // They need not wait for the others of their moment, which may be many.
      if (++this.arrived >= this.options.largest) this.beginFull();
    });
  }

  /** Answers the message with its result, or with what `resultOf` throws. The first answer counts. */
  answer(message: Message, resultOf: () => Result): void {
    const waiting = this.messages.get(message);
    if (!waiting) return;
    this.messages.delete(message);
    if (waiting.hold) this.letGo(waiting.hold);
    waiting.resume?.();
    waiting.goOn?.();
    waiting.goOn = undefined;
    try {
      waiting.resolve(resultOf());
    } catch (error) {
      waiting.reject(error);
    }
  }

  /** The processing clocks of the messages stand still until the returned function is called, or they are answered. */
  pause(messages: Iterable<Message>): () => void {
    const paused = [...messages].flatMap((message) => this.messages.get(message) ?? []);
    for (const waiting of paused) waiting.goOn ??= waiting.pause();
    return () => {
      for (const waiting of paused) {
        waiting.goOn?.();
        waiting.goOn = undefined;
      }
    };
  }

  /** Looks for what can be sent, a turn later: messages of the same moment go together. */
  wake(): void {
    if (this.closing) return;
    this.tick ??= setImmediate(() => {
      this.tick = undefined;
      this.pump();
    });
  }

  /** The items wait to be sent again, unless the node is closing or doesn't wait for an org that can't be used. */
  putBack(items: readonly I[], outage: FlowError | undefined = this.unavailable): void {
    if (this.closing) this.carrier.giveUp(items, closed());
    else if (outage && this.options.onOutage === 'fail') this.carrier.giveUp(items, outage);
    else this.queue.putBack(items);
  }

  /** The item was refused as often as it may be for reasons that pass. */
  isExhausted(item: I): boolean {
    return item.refusals >= this.options.retry.times;
  }

  /** Sends the items again after a pause, the same for all of them. */
  retryLater(items: readonly I[]): void {
    delay(items, this.options.retry);
    this.putBack(items);
  }

  /** Sends two halves apart from each other, after a pause. */
  retryApart(items: readonly I[]): void {
    this.halving.halve(items);
    this.retryLater(items);
  }

  /** Sends two halves apart from each other, so that in the end only the one that spoils a request fails. */
  sendApart(items: readonly I[]): void {
    this.halving.halve(items);
    this.putBack(items);
  }

  /**
   * The answer to the items was lost: they are sent again, taken apart once any of them was lost twice; who was lost
   * too often is given up. `counts` where the org may well be alive and choke on just this request.
   */
  lost(items: readonly I[], outage: OrgOutage, counts = true): void {
    const { spoilers, again } = this.halving.lost(items, counts);
    for (const item of spoilers) this.carrier.giveUp([item], failedRepeatedly(item.losses, outage));
    this.putBack(again, outage);
  }

  /**
   * Sends nothing more: what was not begun is given up, so that it is delivered again. Requests under way have
   * `limit` milliseconds to finish; gives those that have not.
   */
  async close(limit: number): Promise<Request[]> {
    this.closing = true;
    this.stopListening();
    clearTimeout(this.timer);
    clearImmediate(this.tick);
    this.carrier.giveUp(this.queue.drain(), closed());
    await withTimeout(limit, Promise.all(this.requests.values()));
    return this.underWay;
  }

  /** The request is over: the next one is on its way before the carrier hands on what became of this one. */
  over(request: Request): void {
    this.requests.delete(request);
    if (!this.closing) this.beginFull();
  }

  private beginFull(): void {
    this.begin(performance.now(), true);
  }

  private begin(now: number, onlyFull: boolean): void {
    this.arrived = 0;
    this.leaveLost();
    while (this.mayBegin()) {
      const request = this.queue.take(now, onlyFull || this.requests.size > 0);
      if (!request) break;
      this.requests.set(request, this.send(request));
    }
  }

  private pump(): void {
    clearTimeout(this.timer);
    // One time for the whole of it: what isn't ready for `take` must be found by `nextReady`.
    const now = performance.now();
    this.begin(now, false);
    this.changed();
    const idle = this.requests.size === 0 && !this.unavailable;
    const ready = idle ? this.queue.nextReady(now) : undefined;
    if (ready !== undefined) this.timer = setTimeout(() => this.pump(), Math.ceil(ready - now));
  }

  /** Whether all of them are still this process's to send. */
  isHeld(items: readonly I[]): boolean {
    if (this.holds.size === 0) return true;
    const lost = this.lostHolds();
    return lost.size === 0 || !items.some((item) => this.isUnder(item, lost));
  }

  /** All at once, so that none of a record's messages stays behind one that comes again. */
  private leaveLost(): void {
    const lost = this.lostHolds();
    if (lost.size === 0) return;
    const items = this.queue.withdraw((item) => this.isUnder(item, lost));
    if (items.length > 0) this.carrier.giveUp(items, turnLost());
  }

  private lostHolds(): Set<Hold> {
    return new Set([...this.holds.keys()].filter(({ held }) => !held));
  }

  private isUnder({ message }: I, holds: Set<Hold>): boolean {
    const hold = this.messages.get(message)?.hold;
    return hold !== undefined && holds.has(hold);
  }

  private letGo(hold: Hold): void {
    const count = (this.holds.get(hold) ?? 1) - 1;
    if (count > 0) this.holds.set(hold, count);
    else this.holds.delete(hold);
  }

  private mayBegin(): boolean {
    if (this.unavailable || this.requests.size >= this.options.maxRequests) return false;
    return this.carrier.mayBegin();
  }

  private async send(request: Request): Promise<void> {
    await this.carrier.send(request);
    this.requests.delete(request);
    this.wake();
  }

  /** Why the org can't be used just now. */
  private get unavailable(): FlowError | undefined {
    const { current } = this.org.availability;
    return current && new FlowError(current.code, current.message, true);
  }

  private availabilityChanged(): void {
    const { unavailable } = this;
    if (!unavailable) {
      for (const waiting of this.messages.values()) {
        waiting.resume?.();
        waiting.resume = undefined;
      }
      return this.wake();
    }
    if (this.options.onOutage === 'fail') this.carrier.giveUp(this.queue.drain(), unavailable);
    else for (const waiting of this.messages.values()) waiting.resume ??= waiting.pause();
    this.changed();
  }
}

/** The node was closed before the item was confirmed, which can be sent again. */
export function closed(): FlowError {
  return new FlowError(
    'NODE_CLOSED',
    say`The node was closed before the org confirmed the message; it is to be delivered again`,
    true,
  );
}

function failedRepeatedly(losses: number, outage: OrgOutage): FlowError {
  return new FlowError(
    'ORG_FAILED_REPEATEDLY',
    say`The org answers, but failed ${losses} times on this message: ${outage.message}`,
    true,
  );
}
