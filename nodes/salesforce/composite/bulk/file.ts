import { setImmediate as turn } from 'node:timers/promises';
import { types } from 'node:util';
import { isRecord } from '../limits';
import type { Endpoint, Write } from '../operations';

/**
 * Jobs of this pack have a delimiter that hardly anybody else uses: that is how they are known among those of the org
 * (a job has no name or tag of its own).
 */
export const DELIMITER = { name: 'BACKQUOTE', letter: '`' } as const;

/** Salesforce takes 100 MB of text a job; its results say each row again, with all values in quotes. */
const JOB_BYTES = 50e6;
/** Fields that the rows of a job may have between them. */
const COLUMNS = 200;
/** Of a field and of a record, by Salesforce's documentation of Bulk API. */
const FIELD_LETTERS = 32_000;
const RECORD_BYTES = 400_000;
/** Rows that are looked at before others get their turn. */
const SLICE = 2_000;

/** Those with files in them, which a table has no room for, and those for which REST runs assignment rules. */
const OTHER_WAYS = /^(attachment|document|contentversion|staticresource|emailmessage|lead|case)$/i;

/** What a job can do at all: never what a repetition would double. */
export function isForBulk({ operation, sobject }: Endpoint): boolean {
  return ['update', 'upsert', 'delete'].includes(operation) && !OTHER_WAYS.test(sobject);
}

/** One row that means in a table exactly what it means in JSON. */
export function fitsATable({ endpoint, rows, atomic, repeatable, bytes }: Write): boolean {
  const [row] = rows;
  if (!row || rows.length > 1 || atomic || !repeatable || bytes > RECORD_BYTES || !isForBulk(endpoint))
    return false;
  if (typeof row.body === 'string') return true;
  if (!isRecord(row.body)) return false;
  const names = new Set<string>();
  for (const [name, value] of Object.entries(row.body)) {
    if (name === 'attributes' || value === undefined) continue;
    if (!/^\w+$/.test(name) || names.has(name.toLowerCase()) || cellOf(name, value) === undefined)
      return false;
    names.add(name.toLowerCase());
  }
  return row.keyField !== undefined && names.has(row.keyField);
}

interface Cell {
  column: string;
  text: string;
}

/** Undefined where a table has no word for it. */
function cellOf(name: string, value: unknown): Cell | undefined {
  if (isRecord(value) && !types.isDate(value)) return parentOf(name, value);
  const text = textOf(value);
  return text === undefined ? undefined : { column: name, text };
}

/** A parent by its external id: `Account.Key__c`. */
function parentOf(relationship: string, target: Record<string, unknown>): Cell | undefined {
  const [field, ...others] = Object.entries(target);
  if (!field || others.length > 0 || !/^\w+$/.test(field[0])) return undefined;
  const text = ['string', 'number'].includes(typeof field[1]) ? textOf(field[1]) : undefined;
  return text === undefined || text === EMPTY ? undefined : { column: `${relationship}.${field[0]}`, text };
}

/** An empty cell leaves the field as it is. */
const EMPTY = '#N/A';
/** Line breaks of Windows count as those of the file; what isn't well-formed would arrive as something else. */
const UNSPEAKABLE = /[\0-\x08\x0b-\x1f]|[\ud800-\udfff]/u;

function textOf(value: unknown): string | undefined {
  switch (typeof value) {
    case 'string':
      if (value === '') return EMPTY;
      if (value.length > FIELD_LETTERS || value.trim() === '' || value.trim().toUpperCase() === EMPTY)
        return undefined;
      return UNSPEAKABLE.test(value) ? undefined : value;
    case 'number': {
      const text = String(value);
      return /^-?\d+(\.\d+)?$/.test(text) ? text : undefined;
    }
    case 'bigint':
    case 'boolean':
      return String(value);
    case 'object':
      if (value === null) return EMPTY;
      return types.isDate(value) ? value.toISOString() : undefined;
    default:
      return undefined;
  }
}

/** What a job is to write: a table, and which write each of its keys belongs to. */
export interface JobFile {
  endpoint: Endpoint;
  csv: string;
  writes: Write[];
  /** The column that says which record a row is. */
  keyColumn: string;
  /** By that column's text. */
  byKey: Map<string, Write>;
}

/** The file of as many of the writes as it can take; those that are left out wait for the next, or can't go in any. */
export async function fileOf(endpoint: Endpoint, writes: readonly Write[]): Promise<JobFile> {
  const keyColumn = endpoint.operation === 'upsert' ? (endpoint.externalIdField ?? '') : 'Id';
  const columns = new Columns(keyColumn);
  const file: JobFile = { endpoint, csv: '', writes: [], keyColumn, byKey: new Map() };
  const lines: string[] = [];
  let bytes = 0;
  for (const [i, write] of writes.entries()) {
    if (i % SLICE === SLICE - 1) await turn();
    const cells = cellsOf(write);
    const key = cells.find(({ column }) => column.toLowerCase() === keyColumn.toLowerCase())?.text;
    if (key === undefined || file.byKey.has(key) || !columns.take(cells)) {
      write.bulk = false;
      continue;
    }
    const line = columns.lineOf(cells);
    bytes += Buffer.byteLength(line) + 1;
    if (bytes > JOB_BYTES) break;
    lines.push(line);
    file.writes.push(write);
    file.byKey.set(key, write);
  }
  // A row from before a column was met ends early.
  const width = columns.names.length;
  const padded = lines.map((line, i) => line + DELIMITER.letter.repeat(width - (columns.widths[i] ?? width)));
  return { ...file, csv: [columns.names.join(DELIMITER.letter), ...padded, ''].join('\n') };
}

function cellsOf({ rows }: Write): Cell[] {
  const body = rows[0]?.body;
  if (typeof body === 'string') return [{ column: 'Id', text: body }];
  return Object.entries(body as Record<string, unknown>).flatMap(([name, value]) =>
    name === 'attributes' || value === undefined ? [] : (cellOf(name, value) ?? []),
  );
}

/** The columns that there are so far; names are the same in any case. */
class Columns {
  readonly names: string[];
  /** Of each line that was made, how many columns it has. */
  readonly widths: number[] = [];
  private readonly places = new Map<string, number>();

  constructor(first: string) {
    this.names = [first];
    this.places.set(first.toLowerCase(), 0);
  }

  /** False where it would be more than a job may have. */
  take(cells: readonly Cell[]): boolean {
    const added = cells.filter(({ column }) => this.placeOf(column) === undefined);
    if (this.names.length + added.length > COLUMNS) return false;
    for (const { column } of added) {
      this.places.set(column.toLowerCase(), this.names.length);
      this.names.push(column);
    }
    return true;
  }

  lineOf(cells: readonly Cell[]): string {
    const line = new Array<string>(this.names.length).fill('');
    for (const { column, text } of cells) line[this.placeOf(column) ?? 0] = quoted(text);
    this.widths.push(line.length);
    return line.join(DELIMITER.letter);
  }

  private placeOf(column: string): number | undefined {
    const place = this.places.get(column);
    if (place !== undefined) return place;
    const same = this.places.get(column.toLowerCase());
    if (same !== undefined) this.places.set(column, same);
    return same;
  }
}

function quoted(text: string): string {
  return /["`\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
