/** A longer time a timer takes for none at all. */
const LONGEST = 2 ** 31 - 1;

/** One waiter that others wake. A wake that nobody waits for is forgotten: look before waiting. */
export class Waker {
  private waiting: (() => void) | undefined;

  /** Resolves when woken, or after `ms`, or after 24 days: look whether it is time. */
  wait(ms?: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(() => this.wake(), Math.min(ms, LONGEST));
      this.waiting = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  wake(): void {
    const { waiting } = this;
    this.waiting = undefined;
    waiting?.();
  }
}
