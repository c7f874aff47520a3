import { FlowError } from '../../../shared/errors';
import { exactNumber, stringifyJson } from '../../../shared/json';
import { fingerprint, isoTime, type SourceRecord } from '../../engine/record';
import type { OrgReader } from './reader';
import { RowWidth } from './width';
import { say } from '../../../shared/say';

export interface DescribedField {
  name: string;
  type: string;
}

/** What describe tells, as far as it is needed. */
export interface Described {
  name: string;
  label: string;
  queryable: boolean;
  replicateable: boolean;
  fields: DescribedField[];
}

/** Made of other fields, which are read themselves, or files; Bulk refuses to read them. */
const UNREADABLE = new Set(['address', 'location', 'base64', 'complexvalue']);
const NUMBERS = new Set(['int', 'long', 'double', 'currency', 'percent']);

/** An sObject as describe tells it: which fields are read, and how a row becomes a record. */
export class SObject {
  readonly name: string;
  /** In the order of describe, so that a record looks the same however it was read. */
  readonly fields: readonly string[];
  /** The time that moves with each change. */
  readonly stamp: string;
  /** Whether the org tells what was deleted. */
  readonly replicateable: boolean;
  /** Of its rows, as far as any were seen. */
  readonly width = new RowWidth();
  private readonly types: ReadonlyMap<string, string>;
  private readonly numbers: readonly string[];
  private readonly untyped: readonly string[];
  private readonly created: string | undefined;
  private key: string | undefined;
  /** What it was made of, so that another can be made elsewhere. */
  readonly described: Described;

  constructor(described: Described) {
    const { name, label, queryable, replicateable } = described;
    const told = described.fields.map((field) => ({ name: field.name, type: field.type }));
    this.described = { name, label, queryable, replicateable, fields: told };
    const fields = described.fields.filter(({ type }) => !UNREADABLE.has(type));
    this.name = described.name;
    this.fields = fields.map(({ name }) => name);
    this.types = new Map(fields.map(({ name, type }) => [name, type]));
    this.untyped = fields.filter(({ type }) => type === 'anyType').map(({ name }) => name);
    this.numbers = fields.filter(({ type }) => NUMBERS.has(type)).map(({ name }) => name);
    this.replicateable = described.replicateable;
    const stamp = ['SystemModstamp', 'LastModifiedDate', 'CreatedDate'].find((name) => this.types.has(name));
    if (!described.queryable || !stamp) {
      throw new FlowError(
        'NOT_SYNCABLE',
        say`The object ${described.name} can't be queried or has no time of change: take it off the collections`,
        false,
      );
    }
    this.stamp = stamp;
    this.created = this.types.has('CreatedDate') ? 'CreatedDate' : undefined;
  }

  /** The fields and their types, in short: what `added` tells from them. */
  get fieldsKey(): string {
    return (this.key ??= this.fields.map((name) => this.fieldKey(name)).join(''));
  }

  /** The fields that weren't there, or of another type, when that key was made. */
  added(key: string | undefined): string[] {
    if (key === undefined || key === this.fieldsKey) return [];
    const known = new Set(key.match(/.{4}/g));
    return this.fields.filter((name) => !known.has(this.fieldKey(name)));
  }

  private fieldKey(name: string): string {
    return fingerprint(`${name}:${this.types.get(name)}`).slice(0, 4);
  }

  get hasDeleted(): boolean {
    return this.types.has('IsDeleted');
  }

  /** Tasks and events are archived after a year: then only queryAll shows them. */
  get archives(): boolean {
    return this.types.has('IsArchived') && this.hasDeleted;
  }

  /** The condition that leaves out the deleted where the archived are asked for. */
  get living(): string {
    return this.archives ? 'WHERE IsDeleted=false' : '';
  }

  /** Of a row of REST's JSON. What isn't known of a deleted one any more is left out. */
  record(row: Record<string, unknown>): SourceRecord {
    const data: Record<string, unknown> = {};
    for (const field of this.fields)
      if (row[field] !== undefined || row.IsDeleted !== true) data[field] = row[field] ?? null;
    for (const field of this.numbers) if (field in data) data[field] = sameNumber(data[field]);
    for (const field of this.untyped) if (field in data) data[field] = asText(data[field]);
    return this.describeRecord(data);
  }

  /** Reads lines of Bulk's CSV under a header, with values as REST has them. */
  csvReader(header: readonly string[]): (line: readonly string[]) => SourceRecord {
    const columns = this.fields.map((name) => ({
      name,
      at: header.indexOf(name),
      read: reader(this.types.get(name) ?? ''),
    }));
    return (line) => {
      const data: Record<string, unknown> = {};
      for (const { name, at, read } of columns) {
        const text = line[at] ?? '';
        data[name] = text === '' ? null : read(text);
      }
      return this.describeRecord(data);
    };
  }

  /** Nothing can be found of the record; `at` is when that was noticed. */
  gone(id: string, at: number, unproven = false): SourceRecord {
    const updatedAt = isoTime(Math.floor(at / 1_000) * 1_000);
    return { id, data: {}, updatedAt, deleted: true, gone: true, ...(unproven && { unproven }) };
  }

  private describeRecord(data: Record<string, unknown>): SourceRecord {
    return {
      id: String(data.Id),
      data,
      updatedAt: isoTime(data[this.stamp]),
      ...(this.created && { createdAt: isoTime(data[this.created]) }),
      ...(data.IsDeleted === true && { deleted: true }),
    };
  }
}

/** How a value of CSV becomes one of JSON. */
function reader(type: string): (text: string) => unknown {
  if (type === 'boolean') return (text) => text === 'true';
  if (NUMBERS.has(type)) return exactNumber;
  return type === 'datetime' ? (text) => text.replace(/Z$/, '+0000') : (text) => text;
}

/** JSON may write a number in another way than CSV does: what is no exact number is the same text either way. */
function sameNumber(value: unknown): unknown {
  if (typeof value === 'string') return exactNumber(value);
  const exact = typeof value !== 'number' || Number.isSafeInteger(value) || !Number.isInteger(value);
  return exact ? value : exactNumber(String(value));
}

/** CSV has no types but those of the fields, and these have none. */
function asText(value: unknown): unknown {
  return value === null || typeof value === 'string' ? value : stringifyJson(value);
}

export async function describe(
  reader: OrgReader,
  name: string,
  signal: AbortSignal,
  leftOut: ReadonlySet<string> = new Set(),
): Promise<SObject> {
  const described = await reader.get<Described>(`/sobjects/${encodeURIComponent(name)}/describe`, signal);
  return new SObject({ ...described, fields: described.fields.filter((field) => !leftOut.has(field.name)) });
}
