import { randomUUID } from 'node:crypto';
import { now } from './async/clock';
import { pause } from './async/pause';
import { readObject, type PositionStore } from './positions';

/** Of a lease's length: for how long its holder relies on a write, counted from when the write began. */
const RELIED_ON = 0.8;

/**
 * Makes one of many processes the one that does something. Whoever holds the lease writes to it three times a lease;
 * another takes it over when it has seen it unchanged for a whole lease, by its own clock: nobody's clock has to
 * agree with anybody else's. The holder gives up before that, when it could not write for most of a lease.
 */
export class Lease {
  private readonly owner = randomUUID();
  private writes = 0;
  private revision = 0;
  private validUntil = 0;
  /** What the store showed last, and since when, as far as is known here. */
  private seen = { revision: 0, at: 0 };
  /** After it was acquired: nobody else has held it since this one did. */
  continued = false;

  constructor(
    private readonly store: PositionStore,
    private readonly key: string,
    /** Milliseconds. */
    private readonly length: number,
    /** Between two looks; it may end sooner, when something has changed. */
    private readonly wait: typeof pause = pause,
  ) {}

  get held(): boolean {
    return this.left > 0;
  }

  /** Milliseconds for which it is held without another write; 0 or less: it isn't. */
  get left(): number {
    return this.validUntil - now();
  }

  /** Resolves when the lease is held; false when `signal` aborts. Throws what the store throws. */
  async acquire(signal: AbortSignal, waiting: () => void): Promise<boolean> {
    while (!signal.aborted) {
      const { value, revision } = (await this.store.get(this.key, signal)) ?? { value: '', revision: 0 };
      // Not before the answer: while it was on its way the holder may have begun to renew what it shows.
      const answered = now();
      if (revision !== this.seen.revision) this.seen = { revision, at: answered };
      const free = revision === 0 || this.isFree(value) || answered - this.seen.at >= this.length;
      const continued = readObject(value)?.by === this.owner;
      if (free && (await this.write(this.owner, revision, signal)) && this.held) {
        this.continued = continued;
        return true;
      }
      waiting();
      await this.wait(Math.min(1_000, this.length / 4), signal);
    }
    return false;
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
  }

  /** False where somebody else has written since `revision`. */
  private async write(owner: string, revision: number, signal: AbortSignal): Promise<boolean> {
    const began = now();
    const value = JSON.stringify({ owner, by: this.owner, n: ++this.writes });
    const written = await this.store.put(this.key, value, revision, signal);
    if (written === undefined) return false;
    this.revision = written;
    this.validUntil = owner === '' ? 0 : began + this.length * RELIED_ON;
    return true;
  }

  /** Given back, or this one's own, from a write that took too long or whose answer was lost. */
  private isFree(value: string): boolean {
    const owner = readObject(value)?.owner;
    return owner === '' || owner === this.owner;
  }
}
