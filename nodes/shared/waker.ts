/** One waiter that others wake. A wake that nobody waits for is forgotten: look before waiting. */
export class Waker {
  private waiting: (() => void) | undefined;

  /** Resolves when woken, or after `ms`. */
  wait(ms?: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(() => this.wake(), ms);
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
