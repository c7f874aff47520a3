import { KeyTable } from './keys';
import { CALL_BYTES, CALL_COLLECTIONS, CALL_RECORDS, COLLECTION_RECORDS } from './limits';
import type { Endpoint, Key, Write } from './operations';

/** The writes that share one place in a collection: one, or several that were merged into one record. */
export interface Entry {
  writes: Write[];
  /** What is sent: one value a row. */
  bodies: unknown[];
}

export interface Collection {
  endpoint: Endpoint;
  /** allOrNone: holds one write and no other. */
  atomic: boolean;
  entries: Entry[];
  records: number;
}

/** One API call. */
export interface Call {
  collections: Collection[];
  records: number;
  keys: Key[];
}

export function writesOf({ collections }: Call): Write[] {
  return collections.flatMap(({ entries }) => writesIn(entries));
}

export function writesIn(entries: readonly Entry[]): Write[] {
  const all: Write[] = [];
  for (const { writes } of entries) for (const write of writes) all.push(write);
  return all;
}

export function bodiesOf({ entries }: Collection): unknown[] {
  const all: unknown[] = [];
  for (const { bodies } of entries) for (const body of bodies) all.push(body);
  return all;
}

/** Trees can't travel with anything else; more than a collection of all or none takes the whole call. */
export function needsOwnCall(write: Write): boolean {
  return write.endpoint.operation === 'tree' || (write.atomic && write.rows.length > COLLECTION_RECORDS);
}

/** Fills one call, write by write. */
export class CallBuilder {
  records = 0;
  private readonly collections: Collection[] = [];
  private readonly keys: Key[] = [];
  private readonly taken = new KeyTable();
  /** The entry that writes a key, for merging. */
  private readonly writers = new Map<string, { entry: Entry; write: Write }>();
  private group: number | undefined;
  private alone = false;
  /** Only one collection, so that the call needs no /composite around it. */
  private direct = false;
  private bytes = 0;
  /** What waits next is too large for what there is already. */
  private heavy = false;

  constructor(
    private readonly limit: number,
    private readonly coalesce: boolean,
    /** Rows of a collection of this endpoint at most. */
    private readonly rows: (endpoint: Endpoint) => number = rowsOf,
  ) {}

  get full(): boolean {
    if (this.alone || this.heavy || this.records >= this.limit) return true;
    return this.collections.length === this.slots && !this.collections.some((one) => this.hasRoom(one));
  }

  /** Adds the write if it fits. */
  accept(write: Write): boolean {
    if (this.records > 0 && write.group !== this.group) return false;
    if (this.records > 0 && this.bytes + write.bytes > CALL_BYTES) {
      this.heavy = true;
      return false;
    }
    // What comes again has to wait: it may be older than what it would be merged into.
    if (this.taken.conflicts(write.keys))
      return this.coalesce && !write.message.request.repeated && this.merge(write);
    if (!this.place(write)) return false;
    this.group = write.group;
    this.records += write.rows.length;
    this.bytes += write.bytes;
    this.use(write.keys);
    return true;
  }

  finish(): Call {
    return { collections: this.collections, records: this.records, keys: this.keys };
  }

  private place(write: Write): boolean {
    const entry: Entry = { writes: [write], bodies: write.rows.map((row) => row.body) };
    const { length } = write.rows;
    if (this.records > 0 && (needsOwnCall(write) || this.records + length > this.limit)) return false;

    const shared = write.atomic
      ? undefined
      : this.collections.find((c) => this.hasRoom(c) && c.endpoint.name === write.endpoint.name);
    if (write.direct && this.collections.length > (shared ? 1 : 0)) return false;
    if (shared) {
      shared.entries.push(entry);
      shared.records++;
    } else {
      if (this.collections.length === this.slots) return false;
      this.collections.push({
        endpoint: write.endpoint,
        atomic: write.atomic,
        entries: [entry],
        records: length,
      });
      this.alone = needsOwnCall(write);
    }
    this.direct ||= write.direct;
    if (this.coalesce && !write.atomic) {
      for (const key of write.keys) if (key.write) this.writers.set(key.name, { entry, write });
    }
    return true;
  }

  /** Later values replace earlier ones field by field, as writing one after the other would. */
  private merge(write: Write): boolean {
    const { operation, name } = write.endpoint;
    if (write.atomic || (operation !== 'upsert' && operation !== 'update')) return false;
    const own = write.keys.filter((key) => key.write);
    const writer = own.length === 1 && own[0] ? this.writers.get(own[0].name) : undefined;
    if (!writer || writer.write.endpoint.name !== name || (write.direct && this.collections.length > 1))
      return false;
    // A dead process may write it once more, over what would be merged into it.
    if (writer.write.message.request.inheritedUntil !== undefined) return false;
    // Names are careful: records that only may be one stay apart.
    if (writer.write.rows[0]?.keyText !== write.rows[0]?.keyText) return false;
    if (this.taken.conflicts(write.keys.filter((key) => !key.write && !key.shared))) return false;
    this.direct ||= write.direct;
    this.bytes += write.bytes;
    writer.entry.writes.push(write);
    writer.entry.bodies = [mergeRecords(writer.entry.bodies[0], write.rows[0]?.body)];
    this.use(write.keys);
    return true;
  }

  private hasRoom(collection: Collection): boolean {
    return !collection.atomic && collection.records < this.rows(collection.endpoint);
  }

  private get slots(): number {
    return this.direct ? 1 : CALL_COLLECTIONS;
  }

  private use(keys: Key[]): void {
    for (const key of keys) this.keys.push(key);
    this.taken.add(keys);
  }
}

/** A get has no limit of 200: it may take all that a call takes. */
export function rowsOf({ operation }: Endpoint): number {
  return operation === 'get' ? CALL_RECORDS : COLLECTION_RECORDS;
}

function mergeRecords(earlier: unknown, later: unknown): unknown {
  const replaced = new Set(Object.keys(later as object).map((field) => field.toLowerCase()));
  const kept = Object.entries(earlier as object).filter(([field]) => !replaced.has(field.toLowerCase()));
  return { ...Object.fromEntries(kept), ...(later as object) };
}
