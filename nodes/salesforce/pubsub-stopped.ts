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
