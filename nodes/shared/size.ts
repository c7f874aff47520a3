import { FlowError } from './errors';
import { format, succeeds } from './settings/formats';
import { textOf } from './settings/kinds';
import type { Options, Setting } from './settings/settings';
import { say } from './say';

const UNITS: Record<string, number> = {
  '': 1,
  b: 1,
  k: 1e3,
  kb: 1e3,
  kib: 2 ** 10,
  m: 1e6,
  mb: 1e6,
  mib: 2 ** 20,
  g: 1e9,
  gb: 1e9,
  gib: 2 ** 30,
  t: 1e12,
  tb: 1e12,
  tib: 2 ** 40,
};

/** Bytes of a size as people write it: "2147483648", "2GiB", "512 MB"; -1 is no limit. */
export function parseSize(value: string | number, setting: string): number {
  const match = /^\s*(-1|\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(String(value));
  const unit = UNITS[match?.[2]?.toLowerCase() ?? ''];
  if (!match || unit === undefined) {
    throw new FlowError(
      'INVALID_SIZE',
      say`${setting}: "${value}" is not a size; write for example 1048576, 512MiB or 2GiB, or -1 for no limit`,
      false,
    );
  }
  return match[1] === '-1' ? -1 : Math.round(Number(match[1]) * unit);
}

/** Bytes, from "64MiB"; -1 is no limit. */
export function size(value: string, options: Options<number> = {}): Setting<number, string | number> {
  const { fault, check } = format('size', (text) => succeeds(() => parseSize(text, '')));
  return {
    ...options,
    kind: 'size',
    default: value,
    fault,
    parse: (stored, title) => parseSize(textOf(stored, title), title),
    check: (typed) => check(String(typed)),
  };
}

/** "2GiB", "64MiB", "1500 bytes": the largest unit that says it exactly. */
export function formatSize(bytes: number): string {
  const unit = (['TiB', 'GiB', 'MiB', 'KiB'] as const).find((each) => {
    const step = UNITS[each.toLowerCase()] ?? 1;
    return bytes >= step && bytes % step === 0;
  });
  return unit ? `${bytes / (UNITS[unit.toLowerCase()] ?? 1)}${unit}` : say`${bytes} bytes`;
}
