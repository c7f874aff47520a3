import { KeyTable } from './keys';
import { CALL_COLLECTIONS, CALL_RECORDS, COLLECTION_RECORDS } from './limits';
import type { Key, Endpoint, Write } from './operations';

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

export interface BatcherOptions {
  /** Records of a call at most. */
  records: number;
  /** Calls at once. */
  maxRequests: number;
  /** Merge waiting upserts and updates of one record into one row. */
  coalesce: boolean;
}

/** Records that are to go in so many calls of equal size. */
interface Burst {
  records: number;
  calls: number;
}

/** A call that took longer makes the next ones smaller; one that took less than half of it lets them grow. */
const SLOW_MS = 10_000;
const FEWEST_RECORDS = 10;
/** How many calls more a burst may cost so that all calls at once end together. */
const BURST_CALLS = 1.2;

/**
 * Decides what goes into the next call; sends nothing itself. Writes keep their order where they touch the
 * same record, and of those only one is on its way at a time.
 */
export class Batcher {
  private pending: Write[] = [];
  private readonly underWay = new KeyTable();
  private readonly most: number;
  private limit: number;
  private burst: Burst | undefined;

  constructor(private readonly options: BatcherOptions) {
    this.most = Math.min(Math.max(1, options.records), CALL_RECORDS);
    this.limit = this.most;
  }

  /** Writes waiting to be sent. */
  get waiting(): number {
    return this.pending.length;
  }

  add(writes: readonly Write[]): void {
    for (const write of writes) this.pending.push(write);
  }

  /** Back to the front: nothing that waits for their records may pass them. */
  putBack(writes: readonly Write[]): void {
    this.pending = [...writes, ...this.pending];
  }

  /** Takes out the writes whose turn it is, all that came before them having been written, and that `over` confirms. */
  remove(over: (write: Write) => boolean): void {
    const before = new KeyTable();
    this.pending = this.pending.filter((write) => {
      const turn = !this.underWay.conflicts(write.keys) && !before.conflicts(write.keys);
      if (turn && over(write)) return false;
      before.add(write.keys);
      return true;
    });
  }

  /** Takes everything that waits. */
  drain(): Write[] {
    const writes = this.pending;
    this.pending = [];
    return writes;
  }

  /**
   * The next call, with all it can take; undefined if nothing can be sent now or, where `onlyFull` because
   * another call is under way, if more records would still fit. `finished` must be told when it is over.
   */
  take(now: number, onlyFull: boolean): Call | undefined {
    if (!onlyFull) this.burst = this.planBurst();
    const limit = this.burst ? Math.ceil(this.burst.records / this.burst.calls) : this.limit;
    if (onlyFull && !this.mayFill(limit)) return undefined;
    const builder = new CallBuilder(limit, this.options.coalesce);
    const passed = new KeyTable();
    const rest: Write[] = [];
    let next = 0;
    for (; next < this.pending.length && !builder.full; next++) {
      const write = this.pending[next] as Write;
      const free =
        write.notBefore <= now && !this.underWay.conflicts(write.keys) && !passed.conflicts(write.keys);
      if (free && builder.accept(write)) continue;
      passed.add(write.keys);
      rest.push(write);
    }
    if (builder.records === 0 || (onlyFull && !builder.full)) return undefined;
    this.pending = rest.concat(this.pending.slice(next));
    const call = builder.finish();
    this.underWay.add(call.keys);
    if (this.burst) {
      this.burst.records -= call.records;
      if (--this.burst.calls === 0 || this.burst.records <= 0) this.burst = undefined;
    }
    return call;
  }

  /** The next calls are small, and grow again as long as all is well. */
  shrink(): void {
    this.limit = Math.min(FEWEST_RECORDS, this.most);
  }

  /** The call is over after `ms`: its records may be written again. */
  finished(call: Call, ms: number): void {
    this.underWay.remove(call.keys);
    if (ms > SLOW_MS)
      this.limit = Math.max(
        Math.min(FEWEST_RECORDS, this.most),
        Math.ceil(Math.min(this.limit, call.records) / 2),
      );
    else if (ms < SLOW_MS / 2 && call.records >= this.limit) this.limit = Math.min(this.most, this.limit * 2);
  }

  /** When the first of the writes that wait for their time may be sent; undefined if none does. */
  nextReady(now: number): number | undefined {
    const times = this.pending.map((write) => write.notBefore).filter((time) => time > now);
    return times.length === 0 ? undefined : times.reduce((a, b) => Math.min(a, b));
  }

  /**
   * Ten full calls, four at once, take three rounds of which the last is half empty; twelve of 834 records take
   * three shorter ones. Only where that costs few calls more, and only for what an idle writer finds waiting.
   */
  private planBurst(): Burst | undefined {
    const { maxRequests } = this.options;
    // Calls of equal size would never be full, and so never grow again.
    if (this.limit < this.most) return undefined;
    const records = this.pending.reduce((sum, write) => sum + write.rows.length, 0);
    const fewest = Math.ceil(records / this.limit);
    const calls = Math.ceil(fewest / maxRequests) * maxRequests;
    return fewest > maxRequests && calls > fewest && calls <= fewest * BURST_CALLS
      ? { records, calls }
      : undefined;
  }

  /** Cheap enough to ask for each message: can what waits fill a call, as far as sizes tell? */
  private mayFill(limit: number): boolean {
    if (this.pending.length >= limit) return true;
    let records = 0;
    let closed = 0;
    for (const write of this.pending) {
      if (needsOwnCall(write)) return true;
      records += write.rows.length;
      if (write.atomic) closed++;
    }
    return (
      records >= limit || closed + Math.floor((records - closed) / COLLECTION_RECORDS) >= CALL_COLLECTIONS
    );
  }
}

/** Trees can't travel with anything else; more than a collection of all or none takes the whole call. */
function needsOwnCall(write: Write): boolean {
  return write.endpoint.operation === 'tree' || (write.atomic && write.rows.length > COLLECTION_RECORDS);
}

class CallBuilder {
  records = 0;
  private readonly collections: Collection[] = [];
  private readonly keys: Key[] = [];
  private readonly taken = new KeyTable();
  /** The entry that writes a key, for merging. */
  private readonly writers = new Map<string, { entry: Entry; endpoint: Endpoint }>();
  private group: number | undefined;
  private alone = false;
  /** Only one collection, so that the call needs no /composite around it. */
  private direct = false;

  constructor(
    private readonly limit: number,
    private readonly coalesce: boolean,
  ) {}

  get full(): boolean {
    if (this.alone || this.records >= this.limit) return true;
    return this.collections.length === this.slots && !this.collections.some(hasRoom);
  }

  /** Adds the write if it fits. */
  accept(write: Write): boolean {
    if (this.records > 0 && write.group !== this.group) return false;
    // What comes again has to wait: it may be older than what it would be merged into.
    if (this.taken.conflicts(write.keys))
      return this.coalesce && !write.message.request.repeated && this.merge(write);
    if (!this.place(write)) return false;
    this.group = write.group;
    this.records += write.rows.length;
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
      : this.collections.find((c) => hasRoom(c) && c.endpoint.name === write.endpoint.name);
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
    if (!write.atomic) {
      for (const key of write.keys)
        if (key.write) this.writers.set(key.name, { entry, endpoint: write.endpoint });
    }
    return true;
  }

  /** Later values replace earlier ones field by field, as writing one after the other would. */
  private merge(write: Write): boolean {
    const { operation, name } = write.endpoint;
    if (write.atomic || (operation !== 'upsert' && operation !== 'update')) return false;
    const own = write.keys.filter((key) => key.write);
    const writer = own.length === 1 && own[0] ? this.writers.get(own[0].name) : undefined;
    if (!writer || writer.endpoint.name !== name || (write.direct && this.collections.length > 1))
      return false;
    if (this.taken.conflicts(write.keys.filter((key) => !key.write))) return false;
    this.direct ||= write.direct;
    writer.entry.writes.push(write);
    writer.entry.bodies = [mergeRecords(writer.entry.bodies[0], write.rows[0]?.body)];
    this.use(write.keys);
    return true;
  }

  private get slots(): number {
    return this.direct ? 1 : CALL_COLLECTIONS;
  }

  private use(keys: Key[]): void {
    this.keys.push(...keys);
    this.taken.add(keys);
  }
}

/** A get has no limit of 200: it may take all that a call takes. */
function hasRoom(collection: Collection): boolean {
  const most = collection.endpoint.operation === 'get' ? CALL_RECORDS : COLLECTION_RECORDS;
  return !collection.atomic && collection.records < most;
}

function mergeRecords(earlier: unknown, later: unknown): unknown {
  const replaced = new Set(Object.keys(later as object).map((field) => field.toLowerCase()));
  const kept = Object.entries(earlier as object).filter(([field]) => !replaced.has(field.toLowerCase()));
  return { ...Object.fromEntries(kept), ...(later as object) };
}
