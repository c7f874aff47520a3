import type { Command, Failure } from '../shared/delivery';
import { formatDuration } from '../shared/duration';
import { FlowError, codeOf, isRetryable, messageOf } from '../shared/errors';
import type { ReceivedEvent } from './pubsub-subscription';

/** How the flow is doing with an event, as far as it can be told. */
export interface Progress {
  processingTime(): number;
  unfinishedNodes(): string[];
  /** The event is settled without the flow having finished: nothing that it still does counts. */
  abandon(): void;
}

export interface SettlementSettings {
  /** Events in the flow at once. */
  window: number;
  /** Milliseconds before each repetition; the last repeats. */
  backoff: number[];
  /** Deliveries after which an event is passed over, unless the others fail just the same. */
  maxDeliver: number;
  /** Milliseconds. */
  processingLimit: number;
}

export interface SettlementHost {
  /** Puts the event into the flow. */
  deliver(held: HeldEvent): void;
  /** Everything up to this replay id is finished. */
  position(replayId: string): void;
  /** There is room for more. */
  released(): void;
  log(level: 'warn' | 'error', text: string): void;
}

export const SETTLEMENT: SettlementSettings = {
  window: 100,
  backoff: [10_000, 30_000, 60_000, 300_000],
  maxDeliver: 5,
  processingLimit: 600_000,
};

/** Events finished behind one that isn't, at most: as many come again after a crash. */
const MOST_AHEAD = 10_000;

/** Errors that say nothing about the event: such a delivery doesn't count. Milliseconds until the next one. */
const INNOCENT: Record<string, number | undefined> = { NODE_CLOSED: 0, CLOSED: 0, NOT_WIRED: 5_000 };
/** One after the other they come with growing pauses: a node that stays closed must not keep the flow spinning. */
const LONGEST_INNOCENT = 1_000;

/** An event between its arrival and its settlement. */
export class HeldEvent {
  deliveries = 0;
  /** Deliveries in a row that failed for none of its faults. */
  innocent = 0;
  done = false;
  progress: Progress | undefined;
  /** It is in the flow, and what becomes of it there counts. */
  inFlow = false;
  /** Events that were finished before its first failure. */
  succeededBefore = 0;
  timer: NodeJS.Timeout | undefined;

  constructor(
    /** Its replay id alone once it is done. */
    public event: ReceivedEvent | { replayId: string },
    private readonly settlement: EventSettlement,
  ) {}

  finished(failure: Failure | undefined): void {
    if (!this.leaveFlow()) return;
    if (failure) this.settlement.fail(this, failure);
    else this.settlement.finish(this);
  }

  command({ action, delay }: Command): void {
    if (!this.inFlow || action === 'progress') return;
    this.progress?.abandon();
    if (action === 'ack') return this.finished(undefined);
    this.leaveFlow();
    this.settlement.refuse(this, action, delay);
  }

  leaveFlow(): boolean {
    const was = this.inFlow;
    this.inFlow = false;
    return was;
  }
}

/**
 * Settles every event of one subscription: an event that failed is delivered again after a while, and the position
 * moves on only behind events that are finished, with all before them.
 */
export class EventSettlement {
  /** In the order they came, from the first that isn't finished. */
  private held: HeldEvent[] = [];
  private open = 0;
  private succeeded = 0;
  private stopped = false;
  private idle: (() => void) | undefined;
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly topic: string,
    private readonly settings: SettlementSettings,
    private readonly host: SettlementHost,
  ) {
    this.timer = setInterval(() => this.look(), Math.max(20, Math.min(1_000, settings.processingLimit / 5)));
  }

  /** Events that are not finished. */
  get size(): number {
    return this.open;
  }

  /** How many more events may come. */
  get room(): number {
    if (this.stopped) return 0;
    return Math.min(this.settings.window - this.open, MOST_AHEAD - this.held.length);
  }

  arrived(event: ReceivedEvent): void {
    const held = new HeldEvent(event, this);
    this.held.push(held);
    this.open++;
    if (event.error) this.giveUp(held, event.error);
    else this.deliver(held);
  }

  /** There is nothing up to this replay id that hasn't arrived. */
  passed(replayId: string): void {
    const held = new HeldEvent({ replayId }, this);
    held.done = true;
    this.held.push(held);
    this.advance();
  }

  finish(held: HeldEvent): void {
    this.succeeded++;
    this.settle(held);
  }

  fail(held: HeldEvent, { error, node }: Failure): void {
    const innocent = INNOCENT[codeOf(error)];
    if (innocent !== undefined) {
      held.deliveries--;
      const pause = Math.min(LONGEST_INNOCENT, 10 * (2 ** held.innocent++ - 1));
      return this.repeat(held, Math.max(innocent, pause));
    }
    held.innocent = 0;
    if (held.deliveries === 1) held.succeededBefore = this.succeeded;
    const where = node ? ` in ${node.type} ${node.name ? `"${node.name}"` : node.id}` : '';
    if (!isRetryable(error) || this.isHopeless(held)) return this.giveUp(held, error, where);
    const delay = this.backoff(held);
    this.host.log(
      'warn',
      `${this.describe(held)} failed${where} and comes again in ${formatDuration(delay)}: ${messageOf(error)}`,
    );
    this.repeat(held, delay);
  }

  /** What a jetstream-ack node asked for. */
  refuse(held: HeldEvent, action: 'nak' | 'term', delay: number | undefined): void {
    const error = new FlowError('REFUSED', `the flow refused it (${action})`);
    if (held.deliveries === 1) held.succeededBefore = this.succeeded;
    if (action === 'term' || this.isHopeless(held)) this.giveUp(held, error);
    else this.repeat(held, delay ?? this.backoff(held));
  }

  /** Takes no more, and gives the flow `grace` ms to finish; what it doesn't comes again after the next start. */
  async stop(grace: number): Promise<void> {
    this.stopped = true;
    clearInterval(this.timer);
    for (const held of this.held) clearTimeout(held.timer);
    const working = this.held.some((held) => held.inFlow);
    if (working) {
      let timer: NodeJS.Timeout | undefined;
      await Promise.race([
        new Promise<void>((resolve) => (this.idle = resolve)),
        new Promise<void>((resolve) => (timer = setTimeout(resolve, grace))),
      ]);
      clearTimeout(timer);
    }
    for (const held of this.held) if (held.leaveFlow()) held.progress?.abandon();
  }

  private deliver(held: HeldEvent): void {
    held.deliveries++;
    held.inFlow = true;
    try {
      this.host.deliver(held);
    } catch (error) {
      held.finished({ error });
    }
  }

  private repeat(held: HeldEvent, delay: number): void {
    if (this.stopped) return this.checkIdle();
    held.timer = setTimeout(() => this.deliver(held), delay);
  }

  /** Others succeed, so it is the event. Where everything fails, something behind the flow is out of order: wait. */
  private isHopeless(held: HeldEvent): boolean {
    return held.deliveries >= this.settings.maxDeliver && this.succeeded > held.succeededBefore;
  }

  private giveUp(held: HeldEvent, error: unknown, where = ''): void {
    this.host.log(
      'error',
      `${this.describe(held)} failed for good${where} and is passed over: ${messageOf(error)}`,
    );
    this.settle(held);
  }

  private settle(held: HeldEvent): void {
    held.done = true;
    held.event = { replayId: held.event.replayId };
    this.open--;
    this.advance();
    this.checkIdle();
    if (!this.stopped) this.host.released();
  }

  private advance(): void {
    let count = 0;
    while (this.held[count]?.done) count++;
    const last = this.held[count - 1];
    if (!last) return;
    this.held = this.held.slice(count);
    this.host.position(last.event.replayId);
  }

  private checkIdle(): void {
    if (this.idle && !this.held.some((held) => held.inFlow)) this.idle();
  }

  private backoff(held: HeldEvent): number {
    const { backoff } = this.settings;
    return backoff[Math.min(held.deliveries, backoff.length) - 1] ?? 0;
  }

  private describe(held: HeldEvent): string {
    const delivery = held.deliveries > 0 ? ` (delivery ${held.deliveries})` : '';
    return `The event ${held.event.replayId} of ${this.topic}${delivery}`;
  }

  private look(): void {
    for (const held of this.held) {
      const { progress, inFlow } = held;
      if (!inFlow || !progress || progress.processingTime() <= this.settings.processingLimit) continue;
      const nodes = progress.unfinishedNodes();
      const where = nodes.length > 0 ? `; not finished: ${nodes.join(', ')}` : '';
      const limit = formatDuration(this.settings.processingLimit);
      progress.abandon();
      held.finished({
        error: new FlowError('PROCESSING_LIMIT', `The flow did not finish the event within ${limit}${where}`),
      });
    }
  }
}
