import { types } from 'node:util';
import { FlowError } from '../../shared/errors';
import { staysTheSame } from '../../shared/json';
import { nearest } from '../../shared/nearest';
import { parseTime } from '../../shared/time';
import type { EventField } from './avro-fields';
import { say } from '../../shared/say';

/** Values that no message brings along: who publishes, and when. */
export interface Origin {
  CreatedById: string;
  /** Epoch milliseconds; a record may bring its own. */
  CreatedDate: number;
}

/** A record as people write it → values as the event's schema wants them. */
export type Conversion = (record: unknown, origin: Origin) => Record<string, unknown>;

/** Thrown before anything is sent; `code` UNKNOWN_FIELD may be one that the org has got since. */
export type ConversionError = FlowError & { code: 'INVALID_PAYLOAD' | 'UNKNOWN_FIELD' | 'FIELD_VALUE' };

/**
 * Compiles the conversion for one schema. Field names are taken in any case, as Salesforce does; a field that is
 * absent is null; `attributes` is passed over. Dates may be ISO texts (without an offset they are UTC), Date or
 * epoch milliseconds. Throws FlowError, not retryable, naming the field, where a value can't be converted
 * without changing what it says.
 */
export function compileConversion(event: string, fields: readonly EventField[]): Conversion {
  const known = new Map<string, { name: string; convert: Convert }>();
  const empty: Record<string, unknown> = {};
  for (const field of fields) {
    const entry = { name: field.name, convert: converterOf(field) };
    known.set(field.name.toLowerCase(), entry).set(field.name, entry);
    empty[field.name] = null;
  }
  const required = fields.filter((field) => !field.nullable).map(({ name }) => name);

  return (record, origin) => {
    if (typeof record !== 'object' || record === null || Array.isArray(record))
      throw refuse(
        'INVALID_PAYLOAD',
        say`An event is an object of field values, and this is ${kindOf(record)}`,
      );
    const values = { ...empty };
    for (const name of Object.keys(record)) {
      const field = known.get(name) ?? known.get(name.toLowerCase());
      const value = (record as Record<string, unknown>)[name] ?? null;
      if (field) values[field.name] = value === null ? null : field.convert(value, field.name);
      else if (name !== 'attributes') throw unknownField(event, name, fields);
    }
    if ('CreatedById' in empty) values.CreatedById = origin.CreatedById;
    if ('CreatedDate' in empty) values.CreatedDate ??= origin.CreatedDate;
    for (const name of required) {
      if (values[name] === null)
        throw refuse(
          'FIELD_VALUE',
          say`${event} needs the field ${name}, and the record has no value for it`,
        );
    }
    return values;
  };
}

/** `path` names the field in an error; the value isn't null. */
type Convert = (value: unknown, path: string) => unknown;

function converterOf(field: EventField): Convert {
  switch (field.type) {
    case 'string':
      return text;
    case 'boolean':
      return truth;
    case 'int':
    case 'long':
      return /:Date(Time|Only)?(:|$)/.test(field.doc) ? epoch : whole;
    case 'float':
    case 'double':
      return number;
    case 'record':
      return parts(field.fields ?? []);
    case 'array':
      return list(field.items ? converterOf(field.items) : (value) => value);
    default:
      return (value) => value;
  }
}

function text(value: unknown, path: string): string {
  if (typeof value === 'string') return value;
  if (types.isDate(value) && !Number.isNaN(value.getTime())) return value.toISOString();
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint')
    return String(value);
  throw wrong(path, say`a text`, value);
}

function truth(value: unknown, path: string): boolean {
  if (typeof value === 'boolean') return value;
  if (value === 1 || value === 0) return value === 1;
  const word = typeof value === 'string' ? value.trim().toLowerCase() : '';
  if (word === 'true' || word === 'false') return word === 'true';
  throw wrong(path, say`true or false`, value);
}

function number(value: unknown, path: string): number {
  const result =
    typeof value === 'string' && value.trim() !== ''
      ? Number(value)
      : typeof value === 'number' || typeof value === 'bigint'
        ? Number(value)
        : NaN;
  if (!Number.isFinite(result)) throw wrong(path, say`a number`, value);
  if (typeof value === 'number' || Number.isSafeInteger(Math.trunc(result))) return result;
  if (staysTheSame(String(value).trim())) return result;
  throw wrong(path, say`a number that a double holds exactly`, value);
}

function whole(value: unknown, path: string): number {
  if (types.isDate(value) || (typeof value === 'string' && ISO.test(value.trim()))) return epoch(value, path);
  const result = number(value, path);
  if (Number.isSafeInteger(result)) return result;
  throw wrong(path, say`a whole number`, value);
}

const ISO = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?$/i;
/** As text, milliseconds since 1970 have at least 11 digits from March 1973 on; fewer may be a year or a day. */
const EPOCH_MS = /^\d{11,14}$/;

function epoch(value: unknown, path: string): number {
  const time = types.isDate(value)
    ? value.getTime()
    : typeof value === 'string'
      ? parse(value.trim())
      : value;
  if (typeof time === 'number' && Number.isSafeInteger(time)) return time;
  throw wrong(path, say`a date (as 2026-01-31, 2026-01-31T08:00:00Z or epoch milliseconds)`, value);
}

/** Only what could be no other thing than a time. */
function parse(value: string): number {
  if (EPOCH_MS.test(value)) return Number(value);
  return ISO.test(value) ? parseTime(value) : NaN;
}

function parts(fields: readonly EventField[]): Convert {
  const known = fields.map((field) => ({ name: field.name, convert: converterOf(field) }));
  return (value, path) => {
    if (typeof value !== 'object' || Array.isArray(value)) throw wrong(path, say`an object`, value);
    const given = value as Record<string, unknown>;
    const part = (name: string, convert: Convert) =>
      given[name] === undefined || given[name] === null ? null : convert(given[name], `${path}.${name}`);
    return Object.fromEntries(known.map(({ name, convert }) => [name, part(name, convert)]));
  };
}

function list(convert: Convert): Convert {
  return (value, path) => {
    if (!Array.isArray(value)) throw wrong(path, say`a list`, value);
    return value.map((item: unknown, i) => convert(item, `${path}[${i}]`));
  };
}

function unknownField(event: string, name: string, fields: readonly EventField[]): FlowError {
  const near = nearest(
    name,
    fields.map((field) => field.name),
  );
  return refuse(
    'UNKNOWN_FIELD',
    say`${event} has no field ${name}${near ? say`; did you mean ${near}?` : say`; it has ${fields.map((field) => field.name).join(', ')}`}`,
  );
}

function wrong(path: string, wanted: string, value: unknown): FlowError {
  return refuse('FIELD_VALUE', say`The field ${path} takes ${wanted}, and the record has ${kindOf(value)}`);
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return say`an array`;
  if (Buffer.isBuffer(value)) return say`a buffer`;
  if (typeof value === 'object') return types.isDate(value) ? say`an invalid date` : say`an object`;
  const shown = typeof value === 'string' ? JSON.stringify(value.slice(0, 50)) : `${value as number}`;
  return say`the ${typeof value} ${shown}`;
}

function refuse(code: ConversionError['code'], message: string): FlowError {
  return new FlowError(code, message, false);
}
