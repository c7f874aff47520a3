import { now } from '../../shared/async/clock';

export type Phase = 'waiting' | 'backfill' | 'live' | 'stopped' | 'failed';

/** How a collection is getting on, as the node says it. */
export interface Progress {
  sync_id: string;
  collection: string;
  phase: Phase;
  /** Records read: of the backfill, then of the changes since it ended. */
  done: number;
  /** How many the backfill has to read, as far as that is known. */
  total: number | null;
  /** Records read a second, over the last ten seconds. */
  rate: number;
  /** Milliseconds by which the stream is behind the API, as far as that is known. */
  lag: number | null;
  /** Messages published since this instance took the collection over. */
  published: number;
  /** Records that no stream would take, each with its own error in the log, and those that have no id. */
  refused: number;
  /** API calls since this instance took the collection over, where they are counted. */
  calls?: number;
  /** Why it is waiting, or has failed. */
  error?: Trouble;
}

export interface Trouble {
  code: string;
  message: string;
  /** Epoch ms, where that is known. */
  since?: number;
  /** Of an org: its OutageReason. */
  reason?: string;
  /** The connection that has it tells it itself. */
  told?: true;
}

const WINDOW = 10_000;

/** A rate over the last ten seconds. */
export class Rate {
  private readonly counts: { at: number; count: number }[] = [];

  add(count: number): void {
    this.counts.push({ at: now(), count });
  }

  get perSecond(): number {
    const time = now();
    while (this.counts[0] && this.counts[0].at < time - WINDOW) this.counts.shift();
    const first = this.counts[0];
    if (!first) return 0;
    const sum = this.counts.reduce((total, { count }) => total + count, 0);
    return Math.round((sum * 1_000) / Math.max(1_000, time - first.at));
  }
}

const EVERY = 1_000;

/** Tells progress at once where the phase or the error is another one, else once a second, ending with the latest. */
export class ProgressTeller {
  private told = '';
  private lastAt = -Infinity;
  private timer: NodeJS.Timeout | undefined;
  private latest: Progress | undefined;

  constructor(private readonly tell: (progress: Progress) => void) {}

  show(progress: Progress): void {
    this.latest = progress;
    const { phase, error } = progress;
    if (`${phase} ${error?.message}` !== this.told) return this.flush();
    this.timer ??= setTimeout(() => this.flush(), Math.max(0, this.lastAt + EVERY - now()));
  }

  stop(): void {
    clearTimeout(this.timer);
  }

  private flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (!this.latest) return;
    const { phase, error } = this.latest;
    this.told = `${phase} ${error?.message}`;
    this.lastAt = now();
    this.tell(this.latest);
  }
}
