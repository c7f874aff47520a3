import assert from 'node:assert/strict';
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';

/** What becomes of the call that was under way when the thing was stopped. */
export const ENDINGS = ['answers', 'fails', 'answers late'] as const;
export type Ending = (typeof ENDINGS)[number];

const LATE_MS = 100;
/** A thing that makes no further call for so long has none left to be stopped at. */
const QUIET_MS = 1_500;

/** Holds one call of what a thing depends on, the `at`th, until the thing is being stopped. */
export class Gates {
  private calls = 0;
  private open: () => void = () => undefined;
  private readonly opened = new Promise<void>((resolve) => (this.open = resolve));
  private tell: () => void = () => undefined;
  /** Resolves when the call that is to be held is under way. */
  readonly reached = new Promise<void>((resolve) => (this.tell = resolve));

  constructor(
    private readonly at: number,
    private readonly ending: Ending,
  ) {}

  /** Every call of `call` passes a gate: give it to a thing in the place of the call itself. */
  async pass<T>(call: () => T | Promise<T>): Promise<T> {
    if (++this.calls !== this.at) return await call();
    this.tell();
    await this.opened;
    if (this.ending === 'answers late') await pause(LATE_MS);
    if (this.ending === 'fails') throw new Error('the connection was lost');
    return await call();
  }

  /** The same object, but the methods named pass a gate. */
  wrap<T extends object>(target: T, ...methods: (keyof T)[]): T {
    return new Proxy(target, {
      get: (object, key) => {
        const value: unknown = Reflect.get(object, key, object);
        if (typeof value !== 'function') return value;
        const method = value.bind(object) as (...args: unknown[]) => unknown;
        if (!methods.includes(key as keyof T)) return method;
        return (...args: unknown[]) => this.pass(() => method(...args));
      },
    });
  }

  release(): void {
    this.open();
  }
}

/**
 * Starts a thing and stops it while one of its calls is under way, anew for each of its calls and each ending of
 * the call. `start` builds the thing upon the gates and gives back how to stop it; `most` limits how many calls are
 * tried, for a thing that never ends calling. The stop has to resolve within `limit` ms. Resolves to how many calls it was stopped at.
 */
export async function stopAtEach(
  start: (gates: Gates) => Promise<() => Promise<unknown>> | (() => Promise<unknown>),
  { most = 30, limit = 10_000 }: { most?: number; limit?: number } = {},
): Promise<number> {
  for (let at = 1; at <= most; at++) {
    for (const ending of ENDINGS) {
      const gates = new Gates(at, ending);
      const stop = await start(gates);
      const quiet = new AbortController();
      const reached = await Promise.race([
        gates.reached.then(() => true),
        pause(QUIET_MS, false, { signal: quiet.signal }).catch(() => false),
      ]);
      quiet.abort();
      const stopped = stop().then(() => true);
      await turn();
      gates.release();
      const bound = new AbortController();
      const ended = await Promise.race([
        stopped,
        pause(limit, false, { signal: bound.signal }).catch(() => false),
      ]);
      bound.abort();
      assert.ok(ended, `stopped at call ${at}, which ${ending}: the stop did not end within ${limit} ms`);
      if (!reached) return at - 1;
    }
  }
  return most;
}
