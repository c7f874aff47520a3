/**
 * Milliseconds by a clock that nobody sets: for every age, limit and pause. Its zero means nothing outside of this
 * process; where a date is meant, that is Date.
 */
export function now(): number {
  return performance.now();
}
