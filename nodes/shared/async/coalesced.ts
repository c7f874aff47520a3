/**
 * At most one run of `work` is under way, and at most one more waits behind it: whoever calls shares the next run that
 * begins after the call. `work` must not reject.
 */
export function coalesced(work: () => Promise<void>): () => Promise<void> {
  let running = Promise.resolve();
  let next: Promise<void> | undefined;
  return () =>
    (next ??= running.then(() => {
      next = undefined;
      return (running = work());
    }));
}
