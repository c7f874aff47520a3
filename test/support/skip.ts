import type { TestContext } from 'node:test';

/** Skips a test on a machine that lacks what it needs, and says so. In CI that is a failure: nothing may lack there. */
export function unavailable(t: TestContext, reason: string): void {
  if (process.env.CI) throw new Error(`${reason} (in CI nothing may be skipped)`);
  t.skip(reason);
}
