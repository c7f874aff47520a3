import type { ApiBudget } from '../../../salesforce/org/budget';
import { now } from '../../../shared/async/clock';

/** Milliseconds from one call to the next. */
const GAP = 500;
/** Calls that may follow each other with no more than that between them. */
const BURST = 60;
/** Changes that follow each other within so many milliseconds are one row of them. */
const ROW = 500;
/** A row that doesn't end is read so often. */
const ROW_LONGEST = 5_000;
const DAY = 24 * 60 * 60_000;
/** Changes never wait longer than this, whatever is left; a budget that is spent holds everything anyway. */
const LONGEST = 60_000;

/**
 * Spreads the calls that changes cost over the day: as long as few are made they go at once, but a stream of them is
 * slowed so that what is left of the budget lasts. Changes that wait are read together.
 */
export class ReadPace {
  private tokens = BURST;
  private at = now();
  private lastCall = -Infinity;

  constructor(private readonly budget: ApiBudget) {}

  /** Milliseconds until the next call. */
  get wait(): number {
    this.refill();
    const gap = this.lastCall + GAP - now();
    return Math.max(0, gap, (1 - this.tokens) * this.interval);
  }

  called(): void {
    this.refill();
    this.lastCall = now();
    this.tokens = Math.max(0, this.tokens - 1);
  }

  private refill(): void {
    const time = now();
    this.tokens = Math.min(BURST, this.tokens + (time - this.at) / this.interval);
    this.at = time;
  }

  /** Milliseconds between calls so that what is left lasts a day. */
  private get interval(): number {
    const { usage, share } = this.budget;
    if (!usage) return 1;
    const left = Math.max(1, (usage.max * share) / 100 - usage.used);
    return Math.min(LONGEST, DAY / left);
  }
}

/**
 * Milliseconds until changes that have come, at these times by now(), are to be read: one that comes alone is read at
 * once, those of a row together when it has ended.
 */
export function untilGathered({
  before,
  first,
  last,
}: {
  before: number;
  first: number;
  last: number;
}): number {
  const alone = first === last && first - before >= ROW;
  return alone ? 0 : Math.min(last + ROW, first + ROW_LONGEST) - now();
}
