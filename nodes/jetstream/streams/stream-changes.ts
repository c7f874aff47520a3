import { formatDuration } from '../../shared/duration';
import { formatSize } from '../../shared/size';
import type { StreamConfig, StreamFeatures } from './stream';
import type { StoredStream } from './stream.settings';
import { covers } from './subjects';

/** What a node may ask of a stream; the name and what is not compared left out. */
export type StreamOption = Exclude<keyof StreamConfig, 'name'>;

/** Of which setting of a node each option is. */
export const SETTING_OF: Record<StreamOption, keyof StoredStream | keyof StreamFeatures> = {
  subjects: 'subjects',
  max_age: 'maxAge',
  max_bytes: 'maxBytes',
  max_msgs: 'maxMsgs',
  max_msgs_per_subject: 'maxMsgsPerSubject',
  max_msg_size: 'maxMsgSize',
  duplicate_window: 'duplicateWindow',
  compression: 'compression',
  allow_atomic: 'allowAtomic',
  allow_batched: 'allowBatched',
  allow_direct: 'allowDirect',
  retention: 'retention',
  discard: 'discard',
  storage: 'storage',
  num_replicas: 'replicas',
  deny_delete: 'denyDelete',
  deny_purge: 'denyPurge',
  allow_rollup_hdrs: 'allowRollup',
};

/** One option in words: durations as "1h", sizes as "2GiB", lists by commas; empty for no limit. */
export interface Difference {
  option: StreamOption;
  from: string;
  to: string;
}

/** What provisioning does to a stream that exists. */
export interface StreamPlan {
  /** The options to set, as the server has them. */
  update: Partial<StreamConfig>;
  changes: Difference[];
  /** Asked for, and not done: it would take something away from those who use the stream. */
  kept: Difference[];
}

type Value = StreamConfig[StreamOption];

type Reading = 'limit' | 'window' | 'freely' | 'never';

/** Larger limits and a longer window take nothing from anybody, and so do more ways to write and to read. */
const READINGS: Record<Exclude<StreamOption, 'subjects'>, Reading> = {
  max_age: 'limit',
  max_bytes: 'limit',
  max_msgs: 'limit',
  max_msgs_per_subject: 'limit',
  max_msg_size: 'limit',
  duplicate_window: 'window',
  compression: 'freely',
  allow_atomic: 'freely',
  allow_batched: 'freely',
  allow_direct: 'freely',
  retention: 'never',
  discard: 'never',
  storage: 'never',
  num_replicas: 'never',
  deny_delete: 'never',
  deny_purge: 'never',
  allow_rollup_hdrs: 'never',
};

/**
 * Compares the stream as it is with what a node asks for. Without `narrow` subjects are added and limits widened,
 * and all else stays; with it everything becomes as asked.
 */
export function planStream(existing: StreamConfig, wanted: StreamConfig, narrow: boolean): StreamPlan {
  const plan: StreamPlan = { update: {}, changes: [], kept: [] };
  for (const [option, value] of Object.entries(differences(existing, wanted)) as [StreamOption, Value][]) {
    const reached = narrow ? value : widened(option, existing, wanted);
    const changed = !same(existing[option], reached);
    if (changed) {
      Object.assign(plan.update, { [option]: reached });
      plan.changes.push(difference(option, existing[option], reached));
    }
    if (!satisfies(option, changed ? reached : existing[option], value))
      plan.kept.push(difference(option, changed ? reached : existing[option], value));
  }
  return plan;
}

/** The settings whose value is to change. An unset limit and -1 are the same, and so are absent and false. */
export function differences(existing: StreamConfig, wanted: StreamConfig): Partial<StreamConfig> {
  const { name: _name, ...options } = wanted;
  const changes = Object.entries(options).filter(
    ([option, value]) => value !== undefined && !same(existing[option as StreamOption], value),
  );
  return Object.fromEntries(changes);
}

/** Where the option of the stream may go on its way to what is asked for. */
function widened(option: StreamOption, existing: StreamConfig, wanted: StreamConfig): Value {
  const [current, value] = [existing[option], wanted[option]];
  if (option === 'subjects') return joined((current ?? []) as string[], value as string[]);
  switch (READINGS[option]) {
    case 'freely':
      return value;
    case 'limit':
      return limit(value) > limit(current) ? value : current;
    case 'window': {
      // A stream whose messages go earlier can't have it.
      const age = wanted.max_age === undefined ? existing.max_age : widened('max_age', existing, wanted);
      const fits = Number(value) <= limit(age);
      return fits && Number(value) > Number(current ?? 0) ? value : current;
    }
    case 'never':
      return current;
  }
}

/** Whether nothing of what was asked for is left out: subjects beyond those asked for are those of others. */
function satisfies(option: StreamOption, reached: unknown, value: unknown): boolean {
  if (option !== 'subjects') return same(reached, value);
  const subjects = (reached ?? []) as string[];
  return (value as string[]).every((each) => subjects.some((subject) => covers(subject, each)));
}

/** All subjects of both, without those that another one of them covers: a stream can't have both. */
function joined(current: string[], asked: string[]): string[] {
  const all = [...new Set([...current, ...asked])];
  return all.filter((each) => !all.some((other) => other !== each && covers(other, each)));
}

function limit(value: unknown): number {
  return typeof value === 'number' && value > 0 ? value : Infinity;
}

function same(a: unknown, b: unknown): boolean {
  if (!Array.isArray(a) && !Array.isArray(b)) return plain(a) === plain(b);
  const [left, right] = [(a ?? []) as string[], (b ?? []) as string[]];
  return left.length === right.length && left.every((item) => right.includes(item));
}

function plain(value: unknown): unknown {
  if (value === undefined || value === -1 || value === false || value === 'none') return 0;
  return value;
}

function difference(option: StreamOption, from: Value, to: Value): Difference {
  return { option, from: shown(option, from), to: shown(option, to) };
}

function shown(option: StreamOption, value: Value): string {
  if (Array.isArray(value)) return value.join(', ');
  if (option === 'subjects') return '';
  const reading = READINGS[option];
  if (reading === 'limit' && limit(value) === Infinity) return '';
  if (option === 'max_age' || option === 'duplicate_window')
    return formatDuration(Number(value ?? 0) / 1_000_000);
  if (option === 'max_bytes' || option === 'max_msg_size') return formatSize(Number(value));
  if (option === 'compression') return String(value ?? 'none');
  if (value === undefined || typeof value === 'boolean') return value === true ? 'on' : 'off';
  return String(value);
}
