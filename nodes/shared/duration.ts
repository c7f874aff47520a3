import { FlowError } from './errors';
import { say } from './say';

const UNITS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * Milliseconds of a duration as people write it: "120s", "1m30s", "250ms", "1h", "2d"; a bare number is
 * seconds. Throws INVALID_DURATION, naming the setting.
 */
export function parseDuration(text: string | number, setting = 'duration'): number {
  const trimmed = String(text).trim();
  if (/^\d+(\.\d+)?$/.test(trimmed)) return Math.round(Number(trimmed) * 1_000);
  const parts = [...trimmed.matchAll(/(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*/gy)];
  if (parts.length === 0 || parts.reduce((length, part) => length + part[0].length, 0) !== trimmed.length) {
    throw new FlowError(
      'INVALID_DURATION',
      say`${setting}: "${text}" is not a duration; write for example 250ms, 10s, 1m30s, 1h or 2d`,
      false,
    );
  }
  return Math.round(parts.reduce((sum, part) => sum + Number(part[1]) * (UNITS[part[2] ?? ''] ?? 0), 0));
}

/** Milliseconds of each entry of a list such as "10s, 30s, 1m, 5m"; empty text is an empty list. */
export function parseDurations(text: string, setting = 'durations'): number[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => parseDuration(part, setting));
}

/** A duration for a status or a log line: "850ms", "12s", "3m 20s", "2h 5m". */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)}ms`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m ${seconds % 60}s`;
  const hours = Math.floor(minutes / 60);
  return minutes % 60 === 0 ? `${hours}h` : `${hours}h ${minutes % 60}m`;
}
