/** Milliseconds of a Retry-After, by the clock of who sent it: seconds, or a date. (RFC 9110, 10.2.3) */
export function retryAfter(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  theirNow: number,
): number | undefined {
  const found = headers['retry-after'];
  if (typeof found !== 'string' || found.trim() === '') return undefined;
  const seconds = Number(found);
  const ms = Number.isNaN(seconds) ? Date.parse(found) - theirNow : seconds * 1_000;
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}
