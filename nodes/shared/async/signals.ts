/** What `unlessStopped` throws: nobody waits for the work any more. */
export class Stopped extends Error {}

/** As `work` ends, unless the signal comes first: then Stopped, and how the work ends is nobody's concern. */
export function unlessStopped<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(new Stopped());
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
    if (signal.aborted) stop();
  });
}

/** Resolves when the signal aborts. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/**
 * A controller that aborts when `signal` does, too. Whoever makes it aborts it in the end: until then `signal` holds
 * on to it. (AbortSignal.any is not in every Node 20, and in most of them it never lets go.)
 */
export function childController(signal: AbortSignal): AbortController {
  const child = new AbortController();
  if (signal.aborted) child.abort();
  else signal.addEventListener('abort', () => child.abort(), { once: true, signal: child.signal });
  return child;
}
