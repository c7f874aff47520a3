import { childController, untilAborted } from './signals';
import { pause } from './pause';

/** One waiter that others wake. A wake that nobody waits for is forgotten: look before waiting. */
export class Waker {
  private waiting: AbortController | undefined;

  /** Resolves when woken, or after `ms`, or when `signal` aborts. */
  async wait(ms = Infinity, signal?: AbortSignal): Promise<void> {
    const waiting = signal ? childController(signal) : new AbortController();
    this.waiting = waiting;
    await (ms === Infinity ? untilAborted(waiting.signal) : pause(ms, waiting.signal));
    waiting.abort();
  }

  wake(): void {
    this.waiting?.abort();
  }
}
