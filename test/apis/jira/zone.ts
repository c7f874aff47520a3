/** Times of a place: what its clocks show, and what it means that they show it. */

const QUARTER = 900_000;
const formats = new Map<string, { format: Intl.DateTimeFormat; offsets: Map<number, number> }>();

/** How far a zone's clocks are ahead of UTC, in ms. Throws for a zone that there isn't. */
export function offsetAt(ms: number, timeZone: string): number {
  let zone = formats.get(timeZone);
  if (!zone) {
    const format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    formats.set(timeZone, (zone = { format, offsets: new Map() }));
  }
  const quarter = Math.floor(ms / QUARTER) * QUARTER;
  let offset = zone.offsets.get(quarter);
  if (offset === undefined) {
    const parts = Object.fromEntries(
      zone.format.formatToParts(quarter).map(({ type, value }) => [type, Number(value)]),
    ) as Record<'year' | 'month' | 'day' | 'hour' | 'minute' | 'second', number>;
    const shown = Date.UTC(parts.year, parts.month - 1, parts.day, parts.hour, parts.minute, parts.second);
    zone.offsets.set(quarter, (offset = shown - quarter));
  }
  return offset;
}

/** The moment at which the clocks show this (a UTC time that reads so): of two the first, of none that after the gap. */
export function momentOf(shown: number, timeZone: string): number {
  const before = shown - offsetAt(shown - 86_400_000, timeZone);
  if (before + offsetAt(before, timeZone) === shown) return before;
  const after = shown - offsetAt(shown + 86_400_000, timeZone);
  return after + offsetAt(after, timeZone) === shown ? after : before;
}

/** `2026-01-02T04:04:05.678+0100` */
export function zoned(ms: number, timeZone: string): string {
  const offset = offsetAt(ms, timeZone);
  const minutes = Math.abs(offset) / 60_000;
  const two = (n: number): string => String(Math.floor(n)).padStart(2, '0');
  const sign = offset < 0 ? '-' : '+';
  return `${new Date(ms + offset).toISOString().slice(0, 23)}${sign}${two(minutes / 60)}${two(minutes % 60)}`;
}
