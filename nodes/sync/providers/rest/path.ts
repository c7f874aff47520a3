import { isoTime } from '../../engine/record';
import type { Match } from './declaration';

/** What stands at a path: "a.b", "" for all, "a[].b" for each of a list. Undefined where nothing does. */
export function at(value: unknown, path: string): unknown {
  if (path === '') return value;
  const [step = '', ...rest] = path.split('.');
  const remaining = rest.join('.');
  if (!step.endsWith('[]')) return at(field(value, step), remaining);
  const list = step === '[]' ? value : field(value, step.slice(0, -2));
  return Array.isArray(list) ? list.flatMap((each) => at(each, remaining)) : undefined;
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return (value as Record<string, unknown>)[name];
}

/** Whether everything is found where it should be. A path with dots may be one name, as those of headers are. */
export function matches(value: unknown, match: Match): boolean {
  return Object.entries(match).every(([path, expected]) => {
    const found = at(value, path) ?? null;
    if (expected === '*') return found !== null && found !== '';
    if (Array.isArray(expected)) return expected.includes(found);
    return found === expected;
  });
}

/** Epoch ms at "path|format" (seconds, ms, else ISO 8601); undefined where there is none. */
export function timeAt(value: unknown, pathAndFormat: string): number | undefined {
  const [path = '', format] = pathAndFormat.split('|');
  const found = at(value, path);
  return found === null || found === undefined || found === '' ? undefined : readTime(found, format);
}

export function readTime(found: unknown, format: string | undefined): number | undefined {
  if (format === 'seconds' || format === 'ms') {
    const ms = Number(found) * (format === 'seconds' ? 1_000 : 1);
    return Number.isFinite(ms) ? ms : undefined;
  }
  const iso = typeof found === 'string' ? isoTime(found) : undefined;
  return iso === undefined ? undefined : Date.parse(iso);
}
