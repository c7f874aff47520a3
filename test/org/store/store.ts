/** The org's records, the transactions that change them, and the log of what was committed. */
import { EventEmitter } from 'node:events';
import { randomUUID } from 'node:crypto';
import { dateTimeText } from './dates';
import { isCompound, type Schema, type SObjectType } from './schema';
import { Table, type Generator, type Row, type Value } from './table';

export type ChangeType = 'CREATE' | 'UPDATE' | 'DELETE' | 'UNDELETE';

export interface Change {
  readonly entity: string;
  readonly changeType: ChangeType;
  readonly recordId: string;
  /** Fields whose value this change has altered, SystemModstamp and IsDeleted left out; for CREATE all that have one. */
  readonly changedFields: readonly string[];
  readonly before: Row | undefined;
  readonly after: Row | undefined;
}

/** One transaction as it was committed. */
export interface Commit {
  /** 1, 2, 3 … in order of commit. */
  readonly number: number;
  readonly transactionKey: string;
  /** Epoch milliseconds. */
  readonly commitTimestamp: number;
  readonly user: string;
  /** CDC's changeOrigin, e.g. "com/salesforce/api/rest/65.0". */
  readonly origin: string;
  readonly changes: readonly Change[];
}

export interface Writer {
  /** Id of the user. */
  readonly user: string;
  readonly origin: string;
}

/** Emits `commit` with every Commit, in order and before the writer gets its answer. */
export class Store extends EventEmitter<{ commit: [Commit] }> {
  /** Every commit since the org was started. */
  readonly commits: Commit[] = [];
  /** When the transactions began that are under way, epoch ms: `/updated` doesn't vouch for anything later. */
  readonly inFlight = new Map<object, number>();
  /** Added to the clock, for tests of windows that are days long. */
  clockOffset = 0;
  readonly #tables = new Map<string, Table>();

  constructor(
    readonly schema: Schema,
    private readonly generators: ReadonlyMap<string, Generator> = new Map(),
  ) {
    super();
    this.setMaxListeners(0);
  }

  now(): number {
    return Date.now() + this.clockOffset;
  }

  table(type: SObjectType): Table {
    let table = this.#tables.get(type.name);
    if (!table) {
      table = new Table(() => this.schema.whole(type.name) ?? type, this.generators.get(type.name));
      this.#tables.set(type.name, table);
    }
    return table;
  }

  /** The record with this id, deleted or not. */
  find(id: string): { type: SObjectType; table: Table; number: number } | undefined {
    const type = this.schema.byPrefix(id);
    if (!type) return undefined;
    const table = this.table(type);
    const number = table.number(id);
    return number === undefined ? undefined : { type, table, number };
  }

  /** Starts a transaction; `at` (epoch ms) is the SystemModstamp its rows get, earlier than now for one that commits late. */
  begin(writer: Writer, at: number = this.now()): Transaction {
    return new Transaction(this, writer, at);
  }

  record(commit: Omit<Commit, 'number'>): void {
    const numbered = { ...commit, number: this.commits.length + 1 };
    this.commits.push(numbered);
    this.emit('commit', numbered);
  }
}

interface Savepoint {
  readonly undo: number;
  readonly changes: number;
}

export class Transaction {
  readonly #undo: (() => void)[] = [];
  readonly #changes: Change[] = [];
  readonly #stamp: string;

  constructor(
    readonly store: Store,
    readonly writer: Writer,
    at: number,
  ) {
    this.#stamp = dateTimeText(at);
  }

  /** Ids of the records inserted by the collection being written: its rows of that type don't see them yet. */
  together: Set<string> | undefined;

  insert(type: SObjectType, values: Readonly<Record<string, Value>>): string {
    const table = this.store.table(type);
    const number = table.nextNumber();
    const id = table.id(number);
    const row: Record<string, Value> = { Id: id };
    for (const field of type.fields.values())
      if (field.name !== 'Id' && !isCompound(field.type))
        row[field.name] = values[field.name] ?? field.defaultValue;
    const { user } = this.writer;
    Object.assign(row, { CreatedDate: this.#stamp, CreatedById: user, IsDeleted: false });
    Object.assign(row, this.#touched());
    if (type.fields.has('OwnerId')) row.OwnerId ??= user;
    name(type, row);
    this.#undo.push(table.put(number, row));
    this.together?.add(id);
    const changedFields = Object.keys(row).filter((field) => row[field] !== null && !UNTRACKED.has(field));
    this.#changes.push({
      entity: type.name,
      changeType: 'CREATE',
      recordId: id,
      changedFields,
      before: undefined,
      after: row,
    });
    return id;
  }

  /** Publishes a platform event: a change that leaves no record. */
  publish(type: SObjectType, values: Readonly<Record<string, Value>>): { id: string; uuid: string } {
    const table = this.store.table(type);
    const id = table.id(table.nextNumber());
    const uuid = randomUUID();
    const after: Row = {
      ...values,
      CreatedDate: this.#stamp,
      CreatedById: this.writer.user,
      EventUuid: uuid,
    };
    const changedFields = Object.keys(values);
    this.#changes.push({
      entity: type.name,
      changeType: 'CREATE',
      recordId: id,
      changedFields,
      before: undefined,
      after,
    });
    return { id, uuid };
  }

  #touched(): Record<string, Value> {
    return { LastModifiedDate: this.#stamp, LastModifiedById: this.writer.user, SystemModstamp: this.#stamp };
  }

  update(type: SObjectType, number: number, values: Readonly<Record<string, Value>>): void {
    this.#replace(type, number, { ...values, ...this.#touched() }, 'UPDATE');
  }

  /** Moves a record to the recycle bin. */
  delete(type: SObjectType, number: number): void {
    const table = this.store.table(type);
    this.#replace(type, number, { IsDeleted: true, ...this.#touched() }, 'DELETE');
    this.#logDeletion(table, number);
  }

  #logDeletion(table: Table, number: number): void {
    const entry = { id: table.id(number), at: this.store.now() };
    table.deletions.push(entry);
    this.#undo.push(() => void table.deletions.splice(table.deletions.indexOf(entry), 1));
  }

  undelete(type: SObjectType, number: number): void {
    const table = this.store.table(type);
    this.#replace(type, number, { IsDeleted: false, ...this.#touched() }, 'UNDELETE');
    const at = table.deletions.findLastIndex((deletion) => deletion.id === table.id(number));
    const entry = table.deletions[at];
    if (!entry) return;
    table.deletions.splice(at, 1);
    this.#undo.push(() => void table.deletions.splice(at, 0, entry));
  }

  /** Removes a record for good, without an event: its deletion had one. queryAll doesn't show it any more. */
  purge(type: SObjectType, number: number): void {
    this.#undo.push(this.store.table(type).put(number, undefined));
  }

  #replace(
    type: SObjectType,
    number: number,
    values: Readonly<Record<string, Value>>,
    changeType: ChangeType,
  ): void {
    const table = this.store.table(type);
    const before = table.row(number);
    if (!before) throw new Error(`no ${type.name} with number ${number}`);
    const after = { ...before, ...values };
    name(type, after);
    this.#undo.push(table.put(number, after));
    this.#changes.push(change(type, changeType, before, after));
  }

  savepoint(): Savepoint {
    return { undo: this.#undo.length, changes: this.#changes.length };
  }

  rollback(to: Savepoint = { undo: 0, changes: 0 }): void {
    for (let i = this.#undo.length - 1; i >= to.undo; i--) this.#undo[i]?.();
    this.#undo.length = to.undo;
    this.#changes.length = to.changes;
  }

  commit(): void {
    if (this.#changes.length === 0) return;
    const changes = this.#changes.splice(0);
    this.#undo.length = 0;
    this.store.record({
      ...this.writer,
      transactionKey: randomUUID(),
      commitTimestamp: this.store.now(),
      changes,
    });
  }
}

/** Fields that no change event carries. */
const UNTRACKED = new Set(['Id', 'SystemModstamp', 'IsDeleted']);

function change(type: SObjectType, changeType: ChangeType, before: Row, after: Row): Change {
  const changedFields = Object.keys(after).filter(
    (field) => after[field] !== before[field] && !UNTRACKED.has(field),
  );
  return { entity: type.name, changeType, recordId: String(before.Id), changedFields, before, after };
}

/** A person's Name follows from its parts; a custom object's text Name is the id where none was given. */
function name(type: SObjectType, row: Record<string, Value>): void {
  if (type.fields.has('LastName'))
    row.Name = [row.FirstName, row.LastName].filter((part) => part != null).join(' ');
  else if (type.fields.has('Name')) row.Name ??= row.Id ?? null;
}
