import { inspect } from 'node:util';

/**
 * Waits until `condition` gives something truthy and returns it. A condition that throws counts as "not yet".
 * After `timeout` ms the error names `what` and the last value or error.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  { timeout = 10_000, interval = 20, what = condition.toString() } = {},
): Promise<Exclude<T, undefined | null | false | '' | 0>> {
  const deadline = Date.now() + timeout;
  for (;;) {
    let last: unknown;
    try {
      const value = await condition();
      if (value) return value as Exclude<T, undefined | null | false | '' | 0>;
      last = value;
    } catch (error) {
      last = error;
    }
    if (Date.now() >= deadline) {
      throw new Error(
        `waited ${timeout} ms for: ${what}; last: ${inspect(last, { depth: 4, maxStringLength: 500 })}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, interval));
  }
}
