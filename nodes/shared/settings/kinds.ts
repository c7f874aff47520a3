import { parseDuration, parseDurations } from '../duration';
import { FlowError } from '../errors';
import type { FailureCode } from '../failure-codes';
import * as formats from './formats';
import { listOf, succeeds, type Fault, type Format } from './formats';
import type { PayloadConfig, PayloadField } from '../payload';
import {
  faultOf,
  labelsWithin,
  parseFields,
  valuesOf,
  wrong,
  type Credential,
  type Declared,
  type Options,
  type Parsed,
  type Setting,
  type StoredFields,
} from './settings';
import { called, say } from '../say';

type TextOptions<T> = Options<T> & { format?: Format };

/** Without blanks around it. */
export function text(value: string, options: TextOptions<string> = {}): Setting<string, string> {
  return textAs(value, (typed) => typed, options);
}

/** A text that the runtime reads as something else. `read` throws FlowError; also for a text that is empty. */
export function textAs<T>(
  value: string,
  read: (typed: string, title: string) => T,
  { format, ...options }: TextOptions<T> = {},
): Setting<T, string> {
  return {
    ...options,
    kind: 'text',
    default: value,
    fault: format?.fault,
    parse: (stored, title) => read(textOf(stored, title).trim(), title),
    check: (typed) => format?.check(String(typed).trim()),
  };
}

/** A text into which each message fills its own values. Blanks count. */
export function template(value: string, options: TextOptions<string> = {}): Setting<string, string> {
  return { ...text(value, { format: formats.template, ...options }), parse: textOf };
}

/** -1 as the least stands for no limit. */
export function whole(
  value: number | '',
  { min, max, ...options }: Options<number> & { min: number; max?: number },
): Setting<number, number | string> {
  const range = max !== undefined ? say` between ${min} and ${max}` : min < 0 ? '' : say`, ${min} or more`;
  const advice = max === undefined && min === -1 ? say`; use -1 for no limit` : '';
  const inside = (number: number): boolean =>
    Number.isInteger(number) && number >= min && number <= (max ?? Infinity);
  const fault: Fault =
    max === undefined ? { text: 'whole', values: { min } } : { text: 'wholeUpTo', values: { min, max } };
  return {
    ...options,
    kind: 'number',
    default: value,
    fault,
    parse(stored, title) {
      const number = typeof stored === 'number' || typeof stored === 'string' ? Number(stored) : NaN;
      if (inside(number)) return number;
      throw wrong('INVALID_NUMBER', title, stored, say`is not a whole number${range}${advice}`);
    },
    check: (typed) => (/^-?\d+$/.test(String(typed).trim()) && inside(Number(typed)) ? undefined : fault),
  };
}

/** A share, which may be a part of a percent. */
export function percent(value: number, options: Options<number> = {}): Setting<number, number | string> {
  return {
    ...whole(value, { ...options, min: 1, max: 100 }),
    parse(stored, title) {
      const share = Number(textOf(stored, title));
      if (share > 0 && share <= 100) return share;
      throw wrong('INVALID_API_BUDGET', title, stored, say`is not a percentage between 1 and 100`);
    },
  };
}

/** Milliseconds, from "10s"; so are the limits written. */
export function duration(
  value: string,
  { min, max, ...options }: Options<number> & { min?: string; max?: string } = {},
): Setting<number, string> {
  const [least, most] = [parseDuration(min ?? '0s'), max === undefined ? Infinity : parseDuration(max)];
  const limitFault = (ms: number): Fault | undefined =>
    ms < least
      ? { text: 'atLeast', values: { min: min ?? '' } }
      : ms > most
        ? { text: 'atMost', values: { max: max ?? '' } }
        : undefined;
  return {
    ...options,
    kind: 'duration',
    default: value,
    limits: { min, max },
    fault: formats.duration.fault,
    parse(stored, title) {
      const ms = parseDuration(textOf(stored, title), title);
      if (ms < least) throw outside(say`at least ${min}`, title, stored);
      if (ms > most) throw outside(say`at most ${max}`, title, stored);
      return ms;
    },
    check: (typed) =>
      formats.duration.check(String(typed).trim()) ?? limitFault(parseDuration(String(typed))),
  };
}

function outside(limit: string, title: string, stored: unknown): FlowError {
  return new FlowError('INVALID_DURATION', say`${title}: ${limit}, and not "${String(stored)}"`, false);
}

/** Milliseconds of each, from "10s, 30s". */
export function durations(
  value: string,
  options: Options<number[]> = {},
): Setting<number[], string | string[]> {
  return {
    ...options,
    kind: 'durations',
    default: value,
    fault: formats.durations.fault,
    parse: (stored, title) => parseDurations(joined(stored, title), title),
    check: (typed) => formats.durations.check(joined(typed, '').trim()),
  };
}

/** `noun`: how an error calls a choice, "an operation". */
type ChoiceOptions = Omit<Options<string>, 'empty'> & {
  code?: FailureCode;
  noun?: string;
  labels?: Setting['labels'];
};

/** One of some words. */
export function choice<const V extends readonly string[]>(
  values: V,
  value: NoInfer<V[number]>,
  { code = 'INVALID_SETTING', noun, ...options }: ChoiceOptions = {},
): Setting<V[number], V[number]> {
  return {
    ...options,
    kind: 'choice',
    default: value,
    values,
    parse(stored, title) {
      const found = values.find((one) => one === (typeof stored === 'string' ? stored.trim() : stored));
      if (found !== undefined) return found;
      const known = values.join(', ');
      if (noun === undefined || typeof stored !== 'string')
        throw wrong(code, title, stored, say`is none of ${known}`);
      throw new FlowError(code, say`"${stored}" is not ${called(noun)}; choose one of ${known}`, false);
    },
    check: () => undefined,
  };
}

/** A box to tick. An environment variable says "true" or "false". */
export function flag(value: boolean, options: Options<boolean> = {}): Setting<boolean, boolean> {
  return {
    ...options,
    kind: 'boolean',
    default: value,
    parse(stored, title) {
      const said = typeof stored === 'string' ? stored.trim() : stored;
      if (said === true || said === 'true') return true;
      if (said === false || said === 'false') return false;
      throw wrong('INVALID_SETTING', title, stored, say`is neither true nor false`);
    },
    check: () => undefined,
  };
}

/** Some texts: as an array, or in one text with commas. `read` takes the parts that aren't empty. */
export function list<F extends string | string[]>(
  value: F,
  options: TextOptions<string[]> & { read?: (parts: string[], title: string) => string[] } = {},
): Setting<string[], F extends string ? string : string[]> {
  const { format, read = (parts) => parts, ...rest } = options;
  return {
    ...rest,
    kind: 'list',
    default: value as unknown as F extends string ? string : string[],
    fault: format?.fault,
    parse: (stored, title) => read(listOf(joined(stored, title)), title),
    check: (typed) => format?.check(joined(typed, '').trim()),
  };
}

/** A JSON object, as a text. */
export function json(value: string, options: Options<string> = {}): Setting<string, string> {
  return { ...text(value, { ...options, format: formats.jsonObject }), kind: 'json' };
}

/** The id of a config node; empty where none is chosen. */
export function node(type: string, options: Options<string> = {}): Setting<string, string> {
  return { ...text('', options), kind: 'node', type };
}

/** `shown`: kept with the secrets, but none itself: the form shows it. */
export function credential(options: Omit<Options<string>, 'empty'> & { shown?: boolean } = {}): Credential {
  return {
    ...options,
    kind: 'credential',
    default: undefined,
    open: true,
    parse: textOf,
    check: () => undefined,
  };
}

/** What becomes the payload: the message's own, or a map of fields. */
export function fieldMap(options: Options<PayloadConfig> = {}): Setting<PayloadConfig, PayloadConfig> {
  return {
    ...options,
    kind: 'field map',
    default: { mode: 'event' },
    parse(stored, title) {
      const { mode, fields } = stored as Partial<{ mode: string; fields: unknown }>;
      if (mode !== 'map') return { mode: 'event' };
      if (Array.isArray(fields) && fields.every(isField)) return { mode, fields };
      throw wrong(
        'INVALID_SETTING',
        title,
        fields,
        say`is not a list of fields, each with name, type and value`,
      );
    },
    check: (payload) => fieldMapFault(payload as PayloadConfig),
  };
}

/** Settings that stand in one object. */
export function group<S extends Declared>(
  fields: S,
  options: Options<Parsed<S>> & { texts?: 'stream' } = {},
): Setting<Parsed<S>, StoredFields<S>> & { readonly fields: S } {
  const value = Object.fromEntries(
    Object.entries(fields).map(([name, setting]): [string, unknown] => [name, setting.default]),
  ) as StoredFields<S>;
  return {
    ...options,
    kind: 'group',
    default: value,
    fields,
    parse(stored, title, _valueOf, labels) {
      if (typeof stored === 'object' && stored !== null)
        return parseFields(fields, stored, labelsWithin(options, labels));
      throw wrong('INVALID_SETTING', title, stored, say`is not an object of settings`);
    },
    check(stored) {
      const config = stored as Readonly<Record<string, unknown>>;
      const valueOf = valuesOf(fields, config);
      for (const [part, setting] of Object.entries(fields)) {
        const fault = faultOf(setting, config[part], valueOf);
        if (fault) return { part, ...fault };
      }
      return undefined;
    },
  };
}

/** A setting that counts only while a condition holds; undefined otherwise. */
export function onlyWhen<T, F>(when: string, setting: Setting<T, F>): Setting<T | undefined, F> {
  return { ...setting, when };
}

/** A setting that stays undefined where a flow leaves it out or empty. */
export function open<T, F>(setting: Setting<T, F>): Setting<T | undefined, F> {
  return { ...setting, open: true };
}

/** A text as it stands; a number or a truth as one. */
export function textOf(stored: unknown, title: string): string {
  if (typeof stored === 'string') return stored;
  if (typeof stored === 'number' || typeof stored === 'boolean') return String(stored);
  throw wrong('INVALID_SETTING', title, stored, say`is not a text`);
}

function joined(stored: unknown, title: string): string {
  return Array.isArray(stored) ? stored.map((part) => textOf(part, title)).join(',') : textOf(stored, title);
}

function isField(field: unknown): field is PayloadField {
  const { name, type, value } = (field ?? {}) as Partial<Record<keyof PayloadField, unknown>>;
  return [name, type, value].every((part) => typeof part === 'string');
}

function fieldMapFault(payload: PayloadConfig): Fault | undefined {
  if (payload.mode !== 'map') return undefined;
  const names = payload.fields.map((field) => field.name.trim());
  if (names.length === 0) return { text: 'fieldNone' };
  if (names.includes('')) return { text: 'fieldName' };
  if (new Set(names).size < names.length) return { text: 'fieldTwice' };
  const reserved = names.map(formats.fieldName.check).find((fault) => fault !== undefined);
  if (reserved) return reserved;
  return payload.fields.every(hasValue) ? undefined : { text: 'fieldValue' };
}

function hasValue({ type, value }: PayloadField): boolean {
  switch (type) {
    case 'num':
      return value.trim() !== '' && !Number.isNaN(Number(value));
    case 'json':
      return succeeds(() => void JSON.parse(value));
    case 'template':
      return formats.template.check(value) === undefined;
    case 'str':
    case 'bool':
      return true;
    default:
      return value.trim() !== '' && !value.endsWith('.');
  }
}
