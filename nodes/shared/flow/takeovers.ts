let happened = 0;

/** A consumer has its turn after another instance, which may have left work with others that nobody follows any more. */
export function tookOver(): void {
  happened++;
}

/** How often that has happened in this process. */
export function takeovers(): number {
  return happened;
}
