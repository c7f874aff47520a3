import { setMaxListeners } from 'node:events';

/**
 * Calls the listener when the signal aborts, once; returns the way to stop listening. Any number may wait for one
 * signal: Node 20 takes more than ten for a leak, and says so in the log.
 */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  setMaxListeners(0, signal);
  signal.addEventListener('abort', listener, { once: true });
  return () => signal.removeEventListener('abort', listener);
}

/** What `unlessStopped` throws: nobody waits for the work any more. */
export class Stopped extends Error {}

/** As `work` ends, unless the signal comes first: then Stopped, and how the work ends is nobody's concern. */
export function unlessStopped<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(new Stopped());
    const forget = onAbort(signal, stop);
    void work.then(resolve, reject).finally(forget);
    if (signal.aborted) stop();
  });
}

/** Resolves when the signal aborts. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else onAbort(signal, resolve);
  });
}

/**
 * A controller that aborts when `signal` does, too. Whoever makes it aborts it in the end: until then `signal` holds
 * on to it. (AbortSignal.any is not in every Node 20, and in most of them it never lets go.)
 */
export function childController(signal: AbortSignal): AbortController {
  const child = new AbortController();
  if (signal.aborted) child.abort();
  else
    onAbort(
      child.signal,
      onAbort(signal, () => child.abort()),
    );
  return child;
}
