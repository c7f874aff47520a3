/** The day, its time, and its offset. */
const ISO = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(Z|[+-]\d\d(?::?\d\d)?)?)?$/i;
/** The other way to write a time that is sure to name its zone: that of HTTP's headers. */
const RFC_5322 = /^(?:[a-z]{3}, )?\d{1,2} [a-z]{3} \d{4} \d\d:\d\d(?::\d\d)? (?:GMT|UTC|[+-]\d{4})$/i;

/**
 * Epoch ms of a time as text: ISO 8601 (with a space for its T and an offset as +0000 or +00, too) or as HTTP writes
 * it. One without an offset is UTC: JavaScript would read it as local, which depends on where Node-RED runs. NaN
 * for what is no time, as the 30th of February.
 */
export function parseTime(text: string): number {
  const match = ISO.exec(text.trim());
  if (!match) return RFC_5322.test(text.trim()) ? Date.parse(text) : NaN;
  const [, day = '', time = '00:00', offset = 'Z'] = match;
  if (!isDay(day)) return NaN;
  return Date.parse(`${day}T${time}${offset.replace(/^([+-]\d\d):?(\d\d)?$/, withColon).toUpperCase()}`);
}

const withColon = (_: string, hours: string, minutes = '00'): string => `${hours}:${minutes}`;

/** JavaScript counts on into the next month. */
function isDay(day: string): boolean {
  return day.slice(8) <= '28' || new Date(`${day}T00:00Z`).getUTCDate() === Number(day.slice(8));
}
