import { Fifo } from '../../shared/async/fifo';
import { withTimeout } from '../../shared/async/timeout';
import type { Failure } from '../../shared/flow/delivery';
import { isRetryable, messageOf } from '../../shared/errors';
import type { Level } from '../../shared/log';
import {
  Attempt,
  reasonFirst,
  watch,
  where,
  type RetryPolicy,
  type Settler,
  type Tries,
  type Watched,
} from '../../shared/flow/settlement';
import type { Coming, ReceivedEvent } from '../pubsub/subscription';
import { BytesInFlight, sizeInFlow } from './bytes-in-flight';
import { say } from '../../shared/say';

export interface SettlementSettings {
  /** Events in the flow at once, beside those that a node gathers for its requests. */
  window: number;
  /** What all of them may take in memory, about. The limit holds between events: a larger one passes alone. */
  maxBytes: number;
  /** Milliseconds before each repetition; the last repeats. */
  backoff: number[];
  /**
   * Failures after which an event is given up; 0 or less is no limit. Without a dead letter it would be lost, so it is
   * not given up while the others fail just the same.
   */
  maxDeliver: number;
  /** Milliseconds. */
  processingLimit: number;
}

export interface SettlementHandler {
  /** Puts the event into the flow, for the `deliveries`-th time of those that count. */
  deliver(attempt: EventAttempt, event: ReceivedEvent, deliveries: number): void;
  /** Everything up to this replay id is finished. */
  position(replayId: string): void;
  /** Keeps an event that is given up; rejects when it can't now. Undefined: it is passed over. */
  readonly deadLetter?:
    ((event: ReceivedEvent, failure: Failure, deliveries: number) => Promise<void>) | undefined;
  /** There is room for more. */
  released(): void;
  log(level: Level, text: string): void;
}

export const SETTLEMENT: SettlementSettings = {
  window: 1_000,
  maxBytes: 64 * 2 ** 20,
  backoff: [10_000, 30_000, 60_000, 300_000],
  maxDeliver: 5,
  processingLimit: 600_000,
};

/** Milliseconds before a dead letter that could not be stored is tried again. */
const STORING = { first: 1_000, longest: 30_000 };

const NONE: Coming = { events: 0, bytes: 0 };

/** Events finished behind one that isn't, at most: as many come again after a crash. */
const MOST_AHEAD = 10_000;

/** An event between its arrival and its settlement. */
interface InFlightEvent extends Watched<InFlightEvent> {
  /** In memory, about. */
  bytes: number;
  /** Its replay id alone once it is done. */
  event: ReceivedEvent | { replayId: string };
  /** Those that count, and the one under way. */
  deliveries: number;
  /** Deliveries in a row that failed for none of its faults. */
  innocent: number;
  done: boolean;
  /** Events that were finished before its first failure. */
  succeededBefore: number | undefined;
  timer: NodeJS.Timeout | undefined;
}

/** One delivery of an event. */
export type EventAttempt = Attempt<InFlightEvent>;

/**
 * Settles every event of one subscription: an event that failed is delivered again after a while, and the position
 * moves on only behind events that are finished, with all before them.
 */
export class EventSettlement implements Settler<InFlightEvent> {
  get noun(): string {
    return say`event`;
  }
  /** In the order they came, from the first that isn't finished. */
  private readonly inFlight = new Fifo<InFlightEvent>();
  private readonly bytes: BytesInFlight;
  private open = 0;
  private gathered = 0;
  private succeeded = 0;
  private stopped = false;
  private idle: (() => void) | undefined;
  private readonly unwatch: () => void;

  constructor(
    private readonly topic: string,
    private readonly settings: SettlementSettings,
    private readonly handler: SettlementHandler,
  ) {
    const { processingLimit, maxBytes } = settings;
    this.bytes = new BytesInFlight(maxBytes);
    // The org keeps its events whether anybody works on them or not: there is nothing to extend.
    this.unwatch = watch(this, () => this.inFlight, {
      processingLimit,
      extendAfter: Infinity,
      shortest: processingLimit,
    });
  }

  /** Events that are not finished. */
  get size(): number {
    return this.open;
  }

  /** How many more events may come, with those that are coming. */
  room({ events, bytes }: Coming = NONE): number {
    if (this.stopped) return 0;
    const { window } = this.settings;
    const places = Math.min(window - this.open + this.gathered, MOST_AHEAD - this.inFlight.length);
    return Math.min(places, this.bytes.room(events, sizeInFlow(bytes, events)));
  }

  arrived(event: ReceivedEvent): void {
    const item = inFlight(event, sizeInFlow(event.size));
    this.inFlight.push(item);
    this.open++;
    this.bytes.add(item.bytes);
    if (event.error) this.giveUp(item, { error: event.error });
    else this.deliver(item, event);
  }

  /** There is nothing up to this replay id that hasn't arrived. */
  passed(replayId: string): void {
    this.inFlight.push({ ...inFlight({ replayId }, 0), done: true });
    this.advance();
  }

  describe({ event, deliveries }: InFlightEvent): string {
    return say`The event ${event.replayId} of ${this.topic}${deliveries > 0 ? say` (delivery ${deliveries})` : ''}`;
  }

  log(level: Level, text: string): void {
    this.handler.log(level, text);
  }

  tries({ deliveries, innocent }: InFlightEvent): Tries {
    return { failures: deliveries, innocent };
  }

  /** Others succeed, so it is the event. Where everything fails, something behind the flow is out of order: wait. */
  policy({ succeededBefore = this.succeeded }: InFlightEvent): RetryPolicy {
    const { backoff, maxDeliver } = this.settings;
    const limited = this.handler.deadLetter !== undefined || this.succeeded > succeededBefore;
    return { backoff, pause: 0, maxDeliver: limited ? maxDeliver : 0 };
  }

  ack(item: InFlightEvent): void {
    this.succeeded++;
    this.settle(item);
  }

  extend(): void {
    // The org doesn't wait for anything.
  }

  giveBack(item: InFlightEvent, delay: number): void {
    item.deliveries--;
    item.innocent++;
    this.repeat(item, delay);
  }

  retry(item: InFlightEvent, delay: number): void {
    item.innocent = 0;
    item.succeededBefore ??= this.succeeded;
    this.repeat(item, delay);
  }

  giveUp(item: InFlightEvent, failure: Failure): void {
    const why = isRetryable(failure.error) ? say`failed ${item.deliveries} times` : say`failed for good`;
    const what = `${this.describe(item)} ${why}${where(failure)}`;
    if (this.handler.deadLetter) return this.bury(item, failure, what, 0);
    this.handler.log('error', reasonFirst(failure.error, say`${what} and is passed over`));
    this.settle(item);
  }

  /** It stays in flight until its dead letter is stored. One that can never be holds nobody up. */
  private bury(item: InFlightEvent, failure: Failure, what: string, failures: number): void {
    this.handler.deadLetter?.(item.event as ReceivedEvent, failure, item.deliveries).then(
      () => {
        this.handler.log('warn', reasonFirst(failure.error, say`${what} and went to the dead letters`));
        this.settle(item);
      },
      (error: unknown) => {
        if (this.stopped) return;
        if (!isRetryable(error)) {
          const left = say`${what} and is passed over, as its dead letter can never be stored: the org has it for 72 hours`;
          this.handler.log('error', reasonFirst(error, left));
          return this.settle(item);
        }
        if (failures === 0)
          this.handler.log(
            'error',
            say`${what}, and its dead letter can't be stored yet: ${messageOf(error)}`,
          );
        const ms = Math.min(STORING.longest, STORING.first * 2 ** failures);
        item.timer = setTimeout(() => this.bury(item, failure, what, failures + 1), ms);
      },
    );
  }

  /** Takes no more, and gives the flow `grace` ms to finish; what it doesn't comes again after the next start. */
  async stop(grace: number): Promise<void> {
    this.stopped = true;
    this.unwatch();
    for (const { timer } of this.inFlight) clearTimeout(timer);
    if (this.isBusy()) await withTimeout(grace, new Promise<void>((resolve) => (this.idle = resolve)));
    for (const { attempt } of this.inFlight) attempt?.withdraw();
  }

  private deliver(item: InFlightEvent, event: ReceivedEvent): void {
    item.deliveries++;
    const attempt: EventAttempt = (item.attempt = new Attempt([item], this, undefined, (gathering) =>
      this.gathers(gathering),
    ));
    try {
      this.handler.deliver(attempt, event, item.deliveries);
    } catch (error) {
      attempt.failed({ error });
    }
  }

  /** Nodes gather it, or have gathered it. */
  private gathers({ isGathered }: EventAttempt): void {
    this.gathered += isGathered ? 1 : -1;
    if (isGathered && !this.stopped) this.handler.released();
  }

  private repeat(item: InFlightEvent, delay: number): void {
    if (this.stopped) return this.checkIdle();
    item.timer = setTimeout(() => this.deliver(item, item.event as ReceivedEvent), delay);
  }

  private settle(item: InFlightEvent): void {
    item.done = true;
    item.event = { replayId: item.event.replayId };
    item.attempt = undefined;
    this.open--;
    this.bytes.remove(item.bytes);
    this.advance();
    this.checkIdle();
    if (!this.stopped) this.handler.released();
  }

  private advance(): void {
    let last: InFlightEvent | undefined;
    while (this.inFlight.front?.done) last = this.inFlight.shift();
    if (last) this.handler.position(last.event.replayId);
  }

  private checkIdle(): void {
    if (this.idle && !this.isBusy()) this.idle();
  }

  /** Some event is in the flow. */
  private isBusy(): boolean {
    for (const { attempt } of this.inFlight) if (attempt?.ended === false) return true;
    return false;
  }
}

function inFlight(event: InFlightEvent['event'], bytes: number): InFlightEvent {
  return {
    event,
    bytes,
    deliveries: 0,
    innocent: 0,
    done: false,
    succeededBefore: undefined,
    attempt: undefined,
    extendedAt: 0,
    timer: undefined,
  };
}
