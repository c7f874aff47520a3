import { formatDuration } from '../duration';
import { FlowError, isFlowError, isOutage, isRetryable, messageOf } from '../errors';
import { FAILURE_CODES, type FailureRow, type InnocentCause } from '../failure-codes';
import { describeNode, type Command, type DeliveryOwner, type Failure, type Hold } from './delivery';
import type { Level } from '../log';
import type { Span } from '../tracing/tracer';
import { say } from '../say';

/** How the flow is doing with an attempt, as far as it can be told. */
export interface Progress {
  /** Milliseconds in the flow, without the time it was paused. */
  processingTime(): number;
  unfinishedNodes(): string[];
  /** A node holds it until something out of reach (the org) is back: nothing is done with it meanwhile. */
  readonly held?: boolean;
  /** Since when, epoch ms. */
  readonly heldSince?: number | undefined;
  /**
   * It is settled without the flow having finished: nothing that the flow still does counts. What was put together
   * with it fails with `failure`; without one it comes again, and that doesn't count as a try.
   */
  abandon(failure?: Failure): void;
}

/** How often something in flight was tried. */
export interface Tries {
  /** The failures of its own, the present one included. */
  failures: number;
  /** Failures in a row, before the present one, that were none of its own. */
  innocent: number;
}

export interface RetryPolicy {
  /** Failures of its own after which it is given up; 0 or less is no limit. */
  maxDeliver: number;
  /** Milliseconds before each repetition; the last repeats. */
  backoff: readonly number[];
  /** Milliseconds before a repetition where there is no backoff. */
  pause: number;
}

/** What becomes of what failed. Given back, it comes again after so many ms and that doesn't count as a try. */
export type Decision = { what: 'give back' | 'retry'; after: number } | { what: 'give up' };

/**
 * Milliseconds before what failed for nothing of its own comes again. One after the other the pauses grow by `step`,
 * doubled each time: a node that stays closed must not keep the flow spinning, nor an outage the server busy.
 */
const PAUSES: Record<InnocentCause, { first: number; step: number; longest: number }> = {
  stopped: { first: 0, step: 10, longest: 1_000 },
  // Also for the moment within a deploy in which the next node is not there.
  unwired: { first: 100, step: 100, longest: 5_000 },
  outage: { first: 2_000, step: 2_000, longest: 30_000 },
};

/** A code counts where it is of our own errors: those of others' nodes may mean anything. */
function innocentCause(error: unknown): InnocentCause | undefined {
  if (!isFlowError(error)) return undefined;
  const row = (FAILURE_CODES as Record<string, FailureRow | undefined>)[error.code];
  return row?.innocent ?? (isOutage(error) ? 'outage' : undefined);
}

/** A try is a failure of the flow's own: deploys, shutdowns and outages of others are not. */
export function decide(error: unknown, { failures, innocent }: Tries, policy: RetryPolicy): Decision {
  const cause = innocentCause(error);
  if (cause) {
    const { first, step, longest } = PAUSES[cause];
    return { what: 'give back', after: Math.min(longest, first + step * (2 ** innocent - 1)) };
  }
  const { maxDeliver, backoff, pause } = policy;
  if (!isRetryable(error) || (maxDeliver > 0 && failures >= maxDeliver)) return { what: 'give up' };
  return { what: 'retry', after: backoff[Math.min(failures, backoff.length) - 1] ?? pause };
}

/** A room's side of the settlement of what it has in flight. */
export interface Settler<T> {
  /** What it is called in sentences. */
  readonly noun: string;
  /** Which message it is, to begin a sentence with. */
  describe(item: T): string;
  tries(item: T): Tries;
  policy(item: T): RetryPolicy;
  /** Under which it is this process's, where it may come to be another's. */
  holdOf?(item: T): Hold | undefined;
  /** Until when what a dead process sent of it may still be carried out, by now(). */
  inheritedUntil?(item: T): number | undefined;
  /** The flow has finished it. */
  ack(item: T): void;
  /** The flow needs more time. */
  extend(item: T): void;
  /** It comes again after `delay` ms, and this delivery doesn't count. */
  giveBack(item: T, delay: number): void;
  /** It comes again after `delay` ms. */
  retry(item: T, delay: number): void;
  /** It doesn't come again. */
  giveUp(item: T, failure: Failure): void;
  log(level: Level, text: string): void;
}

/** Settles what failed. `asked`: the flow itself wanted it again, so nobody has to be told, and may have said when. */
export function settleFailed<T>(
  settler: Settler<T>,
  item: T,
  failure: Failure,
  asked?: { delay: number | undefined },
): void {
  const decision = decide(failure.error, settler.tries(item), settler.policy(item));
  if (decision.what === 'give up') return settler.giveUp(item, failure);
  const after = asked?.delay ?? decision.after;
  const tell = (level: Level, how: string, uncounted = ''): void => {
    const when = after > 0 ? say`in ${formatDuration(after)}` : say`at once`;
    const what = say`${settler.describe(item)} ${how}${where(failure)} and comes again ${when}${uncounted}`;
    settler.log(level, reasonFirst(failure.error, what));
  };
  if (decision.what === 'give back') {
    // No louder: at each deploy, and in each outage, it is many of them.
    tell('debug', say`was given back`, say`, uncounted`);
    return settler.giveBack(item, after);
  }
  if (!asked) tell('warn', say`failed`);
  settler.retry(item, after);
}

/** The reason stands in front of `what` came of it: who shows a line of the log cuts its end. */
export function reasonFirst(error: unknown, what: string): string {
  return `${messageOf(error).replace(/[.\s]+$/, '')}. ${what}`;
}

/** ` in function "check"`, where it is known. */
export function where({ node }: Failure): string {
  return node ? say` in ${describeNode(node)}` : '';
}

/**
 * One go of the flow at something in flight, or at several that go through it together. It ends exactly once, by the
 * first of four: the flow has `finished` it, the flow gave a `command`, it is out of time, or it was withdrawn.
 */
export class Attempt<T> implements DeliveryOwner {
  ended = false;
  /** Nodes gather it for their requests: it waits for others like it. */
  isGathered = false;
  /** Set as soon as it is in the flow. */
  progress: Progress | undefined;
  /** Ends with it. */
  span: Span | undefined;

  constructor(
    readonly items: readonly T[],
    private readonly settler: Settler<T>,
    private readonly onEnd?: (attempt: Attempt<T>) => void,
    private readonly onGathering?: (attempt: Attempt<T>) => void,
  ) {}

  get noun(): string {
    return this.settler.noun;
  }

  get hold(): Hold | undefined {
    const [item] = this.items;
    return item && this.settler.holdOf?.(item);
  }

  get inheritedUntil(): number | undefined {
    const times = this.items.flatMap((item) => this.settler.inheritedUntil?.(item) ?? []);
    return times.length === 0 ? undefined : Math.max(...times);
  }

  finished(failure: Failure | undefined): void {
    if (failure) this.failed(failure);
    else this.succeeded();
  }

  succeeded(): void {
    if (this.end()) for (const item of this.items) this.settler.ack(item);
  }

  failed(failure: Failure, asked?: { delay: number | undefined }): void {
    if (this.end(failure.error))
      for (const item of this.items) settleFailed(this.settler, item, failure, asked);
  }

  command({ action, delay }: Command): void {
    if (this.ended) return;
    if (action === 'progress') {
      for (const item of this.items) this.settler.extend(item);
    } else if (action === 'ack') {
      this.progress?.abandon();
      this.succeeded();
    } else {
      const text = say`The flow refused the ${this.noun} (${action})`;
      const failure = { error: new FlowError('REFUSED', text, action === 'nak') };
      this.progress?.abandon(failure);
      this.failed(failure, { delay });
    }
  }

  gathering(now: boolean): void {
    if (this.ended || now === this.isGathered) return;
    this.isGathered = now;
    this.onGathering?.(this);
  }

  /** The node is being stopped: what the flow still does with it doesn't count any more. */
  withdraw(): void {
    if (this.end(this.span && stopped(this.noun))) this.progress?.abandon();
  }

  /** Ends it if it is in the flow for longer than `limit` ms; true if it was. */
  limit(limit: number): boolean {
    const { progress } = this;
    if (this.ended || !progress || progress.processingTime() <= limit) return false;
    const nodes = progress.unfinishedNodes();
    const unfinished = nodes.length > 0 ? say`; not finished: ${nodes.join(', ')}` : '';
    const text = say`The flow did not finish the ${this.noun} within ${formatDuration(limit)}${unfinished}`;
    const failure = { error: new FlowError('PROCESSING_LIMIT', text) };
    progress.abandon(failure);
    this.failed(failure);
    return true;
  }

  private end(error?: unknown): boolean {
    if (this.ended) return false;
    this.gathering(false);
    this.ended = true;
    this.span?.end(error);
    this.onEnd?.(this);
    return true;
  }
}

function stopped(noun: string): FlowError {
  return new FlowError(
    'NODE_CLOSED',
    say`The node was stopped while the ${noun} was in the flow; it comes again`,
  );
}

/** What the watch looks after. */
export interface Watched<T> {
  attempt: Attempt<T> | undefined;
  /** When its source was last told that it is being worked on, by performance.now(). */
  extendedAt: number;
}

/**
 * Extends whatever was not extended for longer than `extendAfter` ms, and ends what is in the flow for longer than
 * `processingLimit` ms, until the returned function is called. Looks five times within `shortest` ms, but neither
 * oftener than every 20 ms nor more rarely than every second.
 */
export function watch<T extends Watched<T>>(
  settler: Pick<Settler<T>, 'extend'>,
  items: () => Iterable<T>,
  {
    processingLimit,
    extendAfter,
    shortest,
  }: { processingLimit: number; extendAfter: number; shortest: number },
): () => void {
  const look = (): void => {
    const now = performance.now();
    for (const item of items()) {
      if (item.attempt?.limit(processingLimit)) continue;
      if (now - item.extendedAt > extendAfter) settler.extend(item);
    }
  };
  const timer = setInterval(look, Math.max(20, Math.min(1_000, shortest / 5)));
  return () => clearInterval(timer);
}
