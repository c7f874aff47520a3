import { getHeapStatistics } from 'node:v8';

/**
 * What a row takes until it is written: 5 kB while it waits (measured: its message, what the flow and its source know of
 * it, its write), and its lines in the file of the job and in the results.
 */
const ROW_BYTES = 8_192;
/** Messages that a durable may leave unacknowledged: no more are ever in the flow. */
const UNACKNOWLEDGED = 100_000;
/** As many as a quarter of the memory that the process may have has room for. */
export const MOST_ROWS = Math.min(
  UNACKNOWLEDGED,
  Math.floor(getHeapStatistics().heap_size_limit / 4 / ROW_BYTES),
);

/** Milliseconds between two looks at what has come. */
export const LOOK = 250;
/** Looks without anything new after which nothing more is waited for. */
const QUIET_LOOKS = 4;
/** Milliseconds after which it shows whether enough will have come in time, and in which all of it has to come. */
const SHOWS = 3_000;
const ENOUGH_WITHIN = 30_000;
const ALL_WITHIN = 60_000;
/** Messages after which it is known how many of them come this way. */
const TELLING = 2_000;
/** What is left of a backlog is worth another job sooner: one costs about six calls. */
const TAIL = 1 / 3;
const TAIL_WITHIN = 30_000;
/** Where too few have come after all, the next ones are not waited for, for so long; longer each time. */
const REST_FIRST = 30_000;
const REST_LONGEST = 1_800_000;

/** hold: more is on its way; job: what waits is enough; go: it isn't, and goes by collections. */
export type Verdict = 'hold' | 'job' | 'go';

/**
 * Decides when what waits is worth a Bulk job. How much is on its way its source tells with each message (`pending`):
 * where that promises enough, nothing is sent until it is there, or doesn't come after all.
 */
export class Backlog {
  private since: number | undefined;
  private restUntil = -Infinity;
  private rest = REST_FIRST;
  /** Rows that have come, ever; and what the source said was behind the last of them. */
  private received = 0;
  private pending = 0;
  private begun = { received: 0, pending: 0 };
  private seen = 0;
  private quiet = 0;
  /** When the last job was over. */
  private jobAt = -Infinity;

  constructor(
    private readonly size: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Rows from which on they go as a job. */
  get from(): number {
    return this.now() - this.jobAt < TAIL_WITHIN ? Math.ceil(this.size * TAIL) : this.size;
  }

  /** A job is over. */
  worked(): void {
    this.jobAt = this.now();
  }

  get holding(): boolean {
    return this.since !== undefined;
  }

  /** Rows have come that a job can take; `pending` messages are behind them, where the source tells. */
  arrived(rows: number, pending: number | undefined): void {
    this.received += rows;
    this.pending = pending ?? 0;
  }

  /** Whether it is worth being asked: cheap enough for each message. */
  mayMatter(waiting: number): boolean {
    return this.holding || waiting + this.pending >= this.from;
  }

  /** Asked as often as `LOOK` says. `waiting`: rows that a job could take now; `busy`: another job is under way. */
  look(waiting: number, busy: boolean): Verdict {
    if (this.received === this.seen) this.quiet++;
    else this.quiet = 0;
    this.seen = this.received;
    if (this.since === undefined && !this.mayBegin(waiting)) return this.withoutMore(waiting, busy);
    if (this.since === undefined) {
      this.since = this.now();
      this.quiet = 0;
      this.begun = { received: this.received, pending: this.pending };
    }
    if (this.expectsMore(waiting)) return 'hold';
    const verdict = this.withoutMore(waiting, busy);
    if (verdict === 'hold') return verdict;
    this.since = undefined;
    if (verdict === 'job') this.rest = REST_FIRST;
    else {
      this.restUntil = this.now() + this.rest;
      this.rest = Math.min(REST_LONGEST, 2 * this.rest);
    }
    return verdict;
  }

  private mayBegin(waiting: number): boolean {
    const { from } = this;
    return (
      from <= MOST_ROWS && this.pending > 0 && this.now() >= this.restUntil && waiting + this.pending >= from
    );
  }

  private withoutMore(waiting: number, busy: boolean): Verdict {
    if (waiting < this.from) return 'go';
    return busy ? 'hold' : 'job';
  }

  private expectsMore(waiting: number): boolean {
    const elapsed = this.now() - (this.since ?? 0);
    const coming = this.pending * this.share();
    // What doesn't fit into one job goes in halves, so that one is read while the other works.
    const most = waiting + coming > MOST_ROWS ? Math.max(this.from, MOST_ROWS / 2) : MOST_ROWS;
    if (this.pending === 0 || this.quiet >= QUIET_LOOKS || waiting >= most || elapsed > ALL_WITHIN)
      return false;
    const inTime = elapsed < SHOWS || (waiting / elapsed) * ENOUGH_WITHIN >= this.from;
    return waiting >= this.from || (inTime && waiting + coming >= this.from);
  }

  /** Rows for each message that the source has delivered since. */
  private share(): number {
    const delivered = this.begun.pending - this.pending;
    return delivered < TELLING ? 1 : (this.received - this.begun.received) / delivered;
  }
}
