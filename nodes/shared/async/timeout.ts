import { pause } from './pause';

/**
 * Resolves when the work is done, or after `ms`; whatever is under way then goes on by itself, and how it ends is
 * nobody's concern. Rejects as the work does.
 */
export async function withTimeout(ms: number, work: Promise<unknown>): Promise<void> {
  const over = new AbortController();
  try {
    await Promise.race([work, pause(ms, over.signal)]);
  } finally {
    over.abort();
  }
}

/** As the work ends; rejects with what `late` gives where it hasn't ended after `ms`. How it ends then is nobody's concern. */
export function inTime<T>(ms: number, work: Promise<T>, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), ms);
    void work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
