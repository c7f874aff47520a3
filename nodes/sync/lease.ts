import { randomUUID } from 'node:crypto';
import { pause } from '../jetstream/connection';
import type { Store } from './store';

/**
 * Makes one of many processes the runner of a sync. Whoever holds the lease writes to it three times a lease;
 * another takes it over when it has seen it unchanged for a whole lease, by its own clock: nobody's clock has to
 * agree with anybody else's. The holder gives up before that, when it could not write for most of a lease.
 */
export class Lease {
  private readonly owner = randomUUID();
  private writes = 0;
  private revision = 0;
  private validUntil = 0;

  constructor(
    private readonly store: Store,
    private readonly key: string,
    /** Milliseconds. */
    private readonly length: number,
  ) {}

  get held(): boolean {
    return performance.now() < this.validUntil;
  }

  /** Resolves when the lease is held; false when `signal` aborts. Throws what the store throws. */
  async acquire(signal: AbortSignal, waiting: () => void): Promise<boolean> {
    let seen = { revision: -1, at: 0 };
    for (;;) {
      if (signal.aborted) return false;
      const now = performance.now();
      const entry = await this.store.get(this.key, signal);
      if (entry?.revision !== seen.revision) seen = { revision: entry?.revision ?? 0, at: now };
      const free = !entry || isReleased(entry.value) || now - seen.at >= this.length;
      if (free && (await this.write(this.owner, entry?.revision ?? 0, signal))) return true;
      waiting();
      await pause(Math.min(1_000, this.length / 4), signal);
    }
  }

  /** Keeps it, until it is lost or `signal` aborts; calls `renewed` after each time. */
  async keep(signal: AbortSignal, renewed: () => Promise<void>): Promise<void> {
    while (!signal.aborted) {
      await pause(this.length / 3, signal);
      if (signal.aborted) return;
      try {
        if (!(await this.write(this.owner, this.revision, signal))) this.validUntil = 0;
        else await renewed();
      } catch {
        // The store is out of reach: the lease holds for as long as nobody can have taken it.
      }
      if (!this.held) return;
    }
  }

  /** The next one needn't wait. */
  async release(signal: AbortSignal): Promise<void> {
    if (!this.held) return;
    this.validUntil = 0;
    await this.write('', this.revision, signal).catch(() => false);
    this.validUntil = 0;
  }

  private async write(owner: string, revision: number, signal: AbortSignal): Promise<boolean> {
    const began = performance.now();
    const value = JSON.stringify({ owner, by: this.owner, n: ++this.writes });
    const written = await this.store.put(this.key, value, revision, signal);
    if (written === undefined) return false;
    this.revision = written;
    this.validUntil = began + this.length * 0.8;
    return true;
  }
}

function isReleased(value: string): boolean {
  return (JSON.parse(value) as { owner: string }).owner === '';
}
