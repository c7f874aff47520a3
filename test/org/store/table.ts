/** The rows of one object, with the indexes that an org of a million records needs. */
import { recordId, recordNumber } from './ids';
import { isCompound, type Field, type SObjectType } from './schema';
import { ValueIndex } from './value-index';

export type Value = string | number | boolean | null;
/** Stored values: compound fields are none. A row is never changed in place: an update puts a new one, so that commits can keep the old. */
export type Row = Readonly<Record<string, Value>>;

/** Records that are computed from their index, 0 to count − 1, until somebody changes them. */
export interface Generator {
  readonly count: number;
  value(index: number, field: string): Value;
  /** The index of the record with this value in an external id field. */
  find(field: string, value: string): number | undefined;
}

export class Table {
  readonly rows = new Map<number, Row>();
  /** Deletions in order of time, soft and hard: what `/deleted` reads. */
  readonly deletions: { id: string; at: number }[] = [];
  readonly #purged = new Set<number>();
  readonly #indexes = new Map<string, ValueIndex>();
  /** Every version ever written by (SystemModstamp, number of the record); outdated entries are skipped when read. */
  #modified: { stamp: string; number: number }[] = [];
  #next: number;

  constructor(
    readonly type: () => SObjectType,
    readonly generator?: Generator,
  ) {
    this.#next = (generator?.count ?? 0) + 1;
  }

  nextNumber(): number {
    return this.#next++;
  }

  id(number: number): string {
    return recordId(this.type().keyPrefix, number);
  }

  /** The number of a record that is here, deleted or not. */
  number(id: string): number | undefined {
    const number = recordNumber(id);
    return id.startsWith(this.type().keyPrefix) && this.has(number) ? number : undefined;
  }

  #isGenerated(number: number): boolean {
    return (
      number >= 1 &&
      number <= (this.generator?.count ?? 0) &&
      !this.rows.has(number) &&
      !this.#purged.has(number)
    );
  }

  has(number: number): boolean {
    return this.rows.has(number) || this.#isGenerated(number);
  }

  value(number: number, field: string): Value {
    const row = this.rows.get(number);
    if (row) return row[field] ?? null;
    if (field === 'Id') return this.id(number);
    return this.generator?.value(number - 1, field) ?? null;
  }

  row(number: number): Row | undefined {
    const stored = this.rows.get(number);
    if (stored || !this.#isGenerated(number)) return stored;
    const row: Record<string, Value> = {};
    for (const { name, type } of this.type().fields.values())
      if (!isCompound(type)) row[name] = this.value(number, name);
    return row;
  }

  /** All records in order of their ids, deleted ones included. */
  *numbers(): Rows {
    const count = this.generator?.count ?? 0;
    for (let number = 1; number <= count; number++) if (this.has(number)) yield number;
    for (const number of this.rows.keys()) if (number > count) yield number;
  }

  /** Records in order of (SystemModstamp, Id) from this SystemModstamp on. */
  *modifiedSince(stamp: string): Rows {
    const written = this.#writtenSince(stamp);
    let position = 0;
    const count = this.generator?.count ?? 0;
    for (let number = this.#firstGenerated(stamp); number <= count; number++) {
      if (!this.#isGenerated(number)) continue;
      const own = String(this.value(number, 'SystemModstamp'));
      for (
        let next = written[position];
        next && (next.stamp < own || (next.stamp === own && next.number < number));
        next = written[++position]
      ) {
        yield next.number;
      }
      yield number;
    }
    for (; position < written.length; position++) yield (written[position] as { number: number }).number;
  }

  #firstGenerated(stamp: string): number {
    let low = 1;
    let high = (this.generator?.count ?? 0) + 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (String(this.generator?.value(middle - 1, 'SystemModstamp')) < stamp) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #writtenSince(stamp: string): { stamp: string; number: number }[] {
    const current = this.#modified
      .slice(this.#position(stamp))
      .filter((entry) => this.rows.get(entry.number)?.SystemModstamp === entry.stamp)
      .sort((a, b) => (a.stamp < b.stamp ? -1 : a.stamp > b.stamp ? 1 : a.number - b.number));
    return current.filter((entry, i) => entry.number !== current[i - 1]?.number);
  }

  /** Where the first entry with this stamp or a later one is. */
  #position(stamp: string): number {
    let low = 0;
    let high = this.#modified.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#modified[middle] as { stamp: string }).stamp < stamp) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Puts, replaces or (undefined) purges a row; returns what undoes it. */
  put(number: number, row: Row | undefined): () => void {
    const before = this.rows.get(number);
    if (row) this.rows.set(number, row);
    else this.rows.delete(number);
    const wasPurged = this.#purged.has(number);
    if (!row && number <= (this.generator?.count ?? 0)) this.#purged.add(number);
    this.#reindex(number, before, row);
    if (row) this.#note(String(row.SystemModstamp), number);
    return () => {
      if (before) {
        this.rows.set(number, before);
        this.#note(String(before.SystemModstamp), number);
      } else this.rows.delete(number);
      if (!wasPurged) this.#purged.delete(number);
      this.#reindex(number, row, before);
    };
  }

  #note(stamp: string, number: number): void {
    const last = this.#modified.at(-1);
    if (!last || last.stamp <= stamp) this.#modified.push({ stamp, number });
    else this.#modified.splice(this.#position(stamp), 0, { stamp, number });
    if (this.#modified.length > 10_000 && this.#modified.length > 4 * this.rows.size) {
      this.#modified = this.#modified.filter(
        (entry) => this.rows.get(entry.number)?.SystemModstamp === entry.stamp,
      );
    }
  }

  /** Indexes hold stored rows only; the generator finds its own. */
  #reindex(number: number, before: Row | undefined, after: Row | undefined): void {
    for (const [name, index] of this.#indexes) {
      const field = this.type().fields.get(name);
      if (!field) continue;
      const oldKey = liveKey(field, before);
      const newKey = liveKey(field, after);
      if (oldKey === newKey) continue;
      if (oldKey !== undefined) index.delete(oldKey, number);
      if (newKey !== undefined) index.add(newKey, number);
    }
  }

  /** Made when a field is first searched, kept up to date from then on. */
  #index(field: Field): ValueIndex {
    let index = this.#indexes.get(field.name);
    if (!index) {
      index = new ValueIndex();
      this.#indexes.set(field.name, index);
      for (const [number, row] of this.rows) {
        const key = liveKey(field, row);
        if (key !== undefined) index.add(key, number);
      }
    }
    return index;
  }

  /** Records that are not deleted and have this value in the field; meant for external ids, unique fields and parents. */
  find(field: Field, value: Value | undefined): number[] {
    const key = keyOf(field, value);
    if (key === undefined) return [];
    const found = this.#index(field).get(key);
    const generated = this.generator?.find(field.name, String(value));
    if (generated === undefined || !this.#isGenerated(generated + 1)) return found;
    return [...found, generated + 1];
  }
}

type Rows = globalThis.Generator<number, void, undefined>;

function liveKey(field: Field, row: Row | undefined): string | undefined {
  return row && row.IsDeleted !== true ? keyOf(field, row[field.name]) : undefined;
}

const NUMBERS: ReadonlySet<string> = new Set(['int', 'double', 'currency', 'percent']);

/**
 * A unique text field takes "ABC" and "abc" for one value unless it was declared case sensitive; one that isn't unique
 * tells them apart. 7 and "7.0" are one number.
 */
export function keyOf(field: Field, value: Value | undefined): string | undefined {
  if (value === null || value === undefined || value === '') return undefined;
  if (NUMBERS.has(field.type)) return String(Number(value));
  return field.unique && !field.caseSensitive ? String(value).toLowerCase() : String(value);
}
