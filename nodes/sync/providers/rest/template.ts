import { isoTime } from '../../engine/record';

export type Values = Readonly<Record<string, unknown>>;

const WHOLE = /^\{(\w+)\}$/;
const PART = /\{(\w+)(?:\|(\w+))?\}/g;

/**
 * Fills `{name}` and `{name|format}` in texts, however deep they stand. A text that is one `{name}` becomes the value
 * itself, also a list. Undefined where a name has no value; parts of lists and objects are left out then.
 */
export function fill(template: unknown, values: Values): unknown {
  const whole = typeof template === 'string' ? WHOLE.exec(template) : null;
  if (whole) return present(values[whole[1] ?? '']);
  if (typeof template === 'string') return fillText(template, values);
  if (Array.isArray(template))
    return template.map((part: unknown) => fill(part, values)).filter((part) => part !== undefined);
  if (typeof template !== 'object' || template === null) return template;
  const filled = Object.entries(template).map(([name, part]): [string, unknown] => [
    name,
    fill(part, values),
  ]);
  return Object.fromEntries(filled.filter(([, part]) => part !== undefined));
}

/** A path or URL: values are escaped; only those of several segments (not an id) keep their slashes. */
export function fillPath(template: string, values: Values): string {
  return template.replace(PART, (_whole, name: string, format?: string) => {
    const escaped = encodeURIComponent(textOf(values[name], format) ?? '');
    return name === 'id' ? escaped : escaped.replaceAll('%2F', '/');
  });
}

/** The names that a template needs. */
export function namesIn(template: unknown): string[] {
  return [...JSON.stringify(template).matchAll(PART)].map(([, name = '']) => name);
}

/** As `fill`, a text always. */
export function fillText(template: string, values: Values): string | undefined {
  let missing = false;
  const text = template.replace(PART, (_whole, name: string, format?: string) => {
    const value = textOf(values[name], format);
    missing ||= value === undefined;
    return value ?? '';
  });
  return missing ? undefined : text;
}

function present(value: unknown): unknown {
  return value === null || value === '' ? undefined : value;
}

function textOf(value: unknown, format: string | undefined): string | undefined {
  if (present(value) === undefined) return undefined;
  if (format === undefined) return Array.isArray(value) ? value.join(',') : String(value);
  const ms = Number(value);
  if (format === 'seconds') return String(Math.floor(ms / 1_000));
  // Whole seconds, which every API takes; a list that begins there begins no later.
  if (format === 'iso') return isoTime(Math.floor(ms / 1_000) * 1_000);
  return String(Math.floor(ms));
}
