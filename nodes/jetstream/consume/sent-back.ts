import { now } from '../../shared/async/clock';

/** How many messages that were sent back are known by the time at which they come again. */
const MOST = 100_000;

/** The messages, by stream sequence, that this node has sent back to come again after a while. */
export class SentBack {
  /** When each comes again, by now(). */
  private readonly dueAt = new Map<number, number>();

  /** Of them that have not come again, about. */
  get count(): number {
    return this.dueAt.size;
  }

  /** `delay` in milliseconds. */
  add(sequence: number, delay: number): void {
    if (delay > 0 && this.dueAt.size < MOST) this.dueAt.set(sequence, now() + delay);
  }

  arrived(sequence: number): void {
    this.dueAt.delete(sequence);
  }

  /** Those that aren't due yet, and when the first one is, ms epoch; the others are forgotten. */
  waiting(): { count: number; first: number } {
    const time = now();
    let first = Infinity;
    for (const [sequence, at] of this.dueAt) {
      if (at <= time) this.dueAt.delete(sequence);
      else first = Math.min(first, at);
    }
    return { count: this.dueAt.size, first: Date.now() + (first - time) };
  }
}
