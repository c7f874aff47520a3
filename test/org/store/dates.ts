/** Dates as Salesforce keeps them: to the second, in UTC, so that their text sorts as they do. */

let lastSecond = -1;
let lastText = '';

/** "2026-01-31T12:00:00.000+0000": an org keeps no milliseconds in a record. */
export function dateTimeText(ms: number): string {
  const second = Math.floor(ms / 1000);
  if (second !== lastSecond) {
    lastSecond = second;
    lastText = `${new Date(second * 1000).toISOString().slice(0, 19)}.000+0000`;
  }
  return lastText;
}

const DATE = /^(\d{4})-(\d{2})-(\d{2})$/;
const DATE_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})$/;

/** Milliseconds of an ISO 8601 date-time with its zone, or undefined. */
export function parseDateTime(text: string): number | undefined {
  if (!DATE_TIME.test(text)) return undefined;
  const ms = Date.parse(text.replace(/([+-]\d{2})(\d{2})$/, '$1:$2'));
  return Number.isNaN(ms) ? undefined : ms;
}

/** The date part where the text is a real calendar date, alone or with a time. */
export function parseDate(text: string): string | undefined {
  const day = DATE_TIME.test(text) ? text.slice(0, 10) : text;
  if (!DATE.test(day)) return undefined;
  const ms = Date.parse(`${day}T00:00:00Z`);
  return Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 10) !== day ? undefined : day;
}

/** "09:30:00.000Z" out of a time of day with or without seconds and zone, or undefined. */
export function parseTime(text: string): string | undefined {
  const [, hours, minutes, seconds = '00', ms = ''] =
    /^(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,3}))?)?Z?$/.exec(text) ?? [];
  if (hours === undefined || minutes === undefined) return undefined;
  if (Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) > 59) return undefined;
  return `${hours}:${minutes}:${seconds}.${ms.padEnd(3, '0')}Z`;
}
