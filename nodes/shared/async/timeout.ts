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
