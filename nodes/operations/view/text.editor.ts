import german from '../locales/de/operations.json';
import english from '../locales/en-US/operations.json';

export type Key = keyof typeof english;

/** A text of the tab in the editor's language. */
export function say(key: Key, values: Record<string, string | number> = {}): string {
  const catalog: Record<Key, string> = /^de\b/.test(RED.i18n.lang()) ? german : english;
  return catalog[key].replace(/__(\w+)__/g, (whole, name: string) => String(values[name] ?? whole));
}

/** A word of a state that may have no text (of a newer runtime): then as it is. */
export function word(key: string): string {
  return key in english ? say(key as Key) : key;
}

export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

const language = (): string => (/^de\b/.test(RED.i18n.lang()) ? 'de' : 'en-US');

export function number(value: number | null | undefined): string {
  return value == null ? '–' : value.toLocaleString(language());
}

/** The time, and the day where that isn't today. */
export function clock(ms: number): string {
  const date = new Date(ms);
  const today = date.toDateString() === new Date().toDateString();
  return date.toLocaleString(language(), {
    // As in the log.
    ...{ hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' },
    ...(today ? {} : { year: 'numeric', month: '2-digit', day: '2-digit' }),
  });
}

/** In the largest unit alone. */
export function span(ms: number): string {
  const steps: [Key, number][] = [
    ['days', 86_400_000],
    ['hours', 3_600_000],
    ['minutes', 60_000],
    ['seconds', 1_000],
  ];
  const [key, unit] = steps.find(([, size]) => ms >= size) ?? ['ms', 1];
  return say(key, { count: Math.floor(ms / unit) });
}

/** "Paused since 12:00:00 (3 min)". */
export function since(what: string, at: number | null): string {
  return at === null
    ? what
    : say('since', { what, time: clock(at), span: span(Math.max(0, Date.now() - at)) });
}
