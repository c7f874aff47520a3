import { onAbort } from './signals';

/** 24 days: a timer takes more than 24.8 for none at all. */
const LONGEST = 24 * 86_400_000;

/** Resolves after these milliseconds, however many, or when `signal` aborts. Even none take a turn of the event loop. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  let left = ms;
  do {
    await timer(Math.min(left, LONGEST), signal);
    left -= LONGEST;
  } while (left > 0 && !signal.aborted);
}

function timer(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timeout);
      forget();
      resolve();
    };
    const timeout = setTimeout(done, ms);
    const forget = onAbort(signal, done);
  });
}
