/**
 * Lets a few work at a time, the others one after the other in the order in which they asked. Each piece of work
 * has a turn of the event loop to itself, so that nobody who asks again and again stops the process.
 */
export class Semaphore {
  private readonly waiting: (() => void)[] = [];

  constructor(private free: number) {}

  /** Somebody waits for a turn. */
  get contended(): boolean {
    return this.waiting.length > 0;
  }

  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.free > 0) this.free--;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    try {
      await new Promise(setImmediate);
      return await work();
    } finally {
      const next = this.waiting.shift();
      if (next) next();
      else this.free++;
    }
  }
}
