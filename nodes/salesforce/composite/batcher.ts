import { CallBuilder, needsOwnCall, rowsOf, writesOf, type Call, type Collection } from './call';
import { CollectionSizes } from './collection-sizes';
import { KeyTable } from './keys';
import { CALL_BYTES, CALL_COLLECTIONS, CALL_RECORDS, COLLECTION_RECORDS } from './limits';
import type { Endpoint, Key, Write } from './operations';
import { Settling } from './settling';
import type { Queue } from '../org/dispatcher';

export interface BatcherOptions {
  /** Records of a call at most. */
  records: number;
  /** Calls at once. */
  maxRequests: number;
  /** Merge waiting upserts and updates of one record into one row. */
  coalesce: boolean;
  /** Milliseconds that writes wait for more to come, from the first of them on; none unless told. */
  linger?: number;
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
export class Batcher implements Queue<Write, Call> {
  private pending: Write[] = [];
  private readonly underWay = new KeyTable();
  private readonly settling = new Settling();
  private readonly most: number;
  private limit: number;
  private burst: Burst | undefined;
  private callsUnderWay = 0;
  /** What went before all of its burst was there, until the first call of it is over. */
  private begun: Burst | undefined;
  private readonly sizes = new CollectionSizes();
  private lingerUntil = 0;

  constructor(private readonly options: BatcherOptions) {
    this.most = Math.min(Math.max(1, options.records), CALL_RECORDS);
    this.limit = this.most;
  }

  /** Writes waiting to be sent. */
  get waiting(): number {
    return this.pending.length;
  }

  add(writes: readonly Write[]): void {
    const { linger = 0 } = this.options;
    if (linger > 0 && this.pending.length === 0) this.lingerUntil = performance.now() + linger;
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

  /** How many of those that wait may be rows of a Bulk job, by endpoint. */
  waitingForBulk(): Map<Endpoint['name'], { endpoint: Endpoint; rows: number }> {
    const found = new Map<string, { endpoint: Endpoint; rows: number }>();
    for (const write of this.pending) {
      if (!mayBeARow(write)) continue;
      const { endpoint } = write;
      const known = found.get(endpoint.name);
      if (known) known.rows++;
      else found.set(endpoint.name, { endpoint, rows: 1 });
    }
    return found;
  }

  /** Takes those of one endpoint for a Bulk job, each record once; `release` must be told when they are over. */
  takeForBulk({ name }: Endpoint, most: number): Write[] {
    const now = performance.now();
    const passed = new KeyTable();
    const taken: Write[] = [];
    this.pending = this.pending.filter((write) => {
      const { keys } = write;
      const fits = mayBeARow(write) && write.endpoint.name === name && write.notBefore <= now;
      if (fits && taken.length < most && this.isFree(keys, now) && !passed.conflicts(keys)) {
        this.underWay.add(keys);
        taken.push(write);
        return false;
      }
      passed.add(keys);
      return true;
    });
    return taken;
  }

  /** Their records may be written again. */
  release(writes: readonly Write[]): void {
    for (const { keys } of writes) this.underWay.remove(keys);
    this.settling.add(writes);
  }

  withdraw(unwanted: (write: Write) => boolean): Write[] {
    const taken = this.pending.filter(unwanted);
    if (taken.length > 0) this.pending = this.pending.filter((write) => !unwanted(write));
    return taken;
  }

  /** Takes everything that waits. */
  drain(): Write[] {
    const writes = this.pending;
    this.pending = [];
    return writes;
  }

  /**
   * The next call, with all it can take; undefined if nothing can be sent now or, where another is under way or
   * more are waited for, if more records would still fit. `finished` must be told when it is over.
   */
  take(now: number, besideOther: boolean): Call | undefined {
    const onlyFull = besideOther || now < this.lingerUntil;
    if (this.callsUnderWay === 0) this.begun = onlyFull ? { records: 0, calls: 0 } : undefined;
    if (!onlyFull) this.burst = this.planBurst();
    const limit = this.burst ? Math.ceil(this.burst.records / this.burst.calls) : this.limit;
    if (onlyFull && !this.mayFill(limit)) return undefined;
    const builder = new CallBuilder(limit, this.options.coalesce, (endpoint) =>
      Math.min(rowsOf(endpoint), this.sizes.of(endpoint)),
    );
    const passed = new KeyTable();
    const rest: Write[] = [];
    let next = 0;
    for (; next < this.pending.length && !builder.full; next++) {
      const write = this.pending[next] as Write;
      const free = write.notBefore <= now && this.isFree(write.keys, now) && !passed.conflicts(write.keys);
      if (free && builder.accept(write)) continue;
      passed.add(write.keys);
      rest.push(write);
    }
    if (builder.records === 0 || (onlyFull && !builder.full)) return undefined;
    this.pending = rest.concat(this.pending.slice(next));
    const call = builder.finish();
    this.underWay.add(call.keys);
    this.callsUnderWay++;
    if (this.begun) {
      this.begun.records += call.records;
      this.begun.calls++;
    }
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

  /** The collection was too large for the org's automation: the next ones are half as large. */
  crowded(collection: Collection): void {
    this.sizes.halve(collection.endpoint, collection.records);
  }

  /** The call is over after `ms`: its records may be written again. */
  finished(call: Call, ms: number): void {
    this.underWay.remove(call.keys);
    this.callsUnderWay--;
    if (this.begun) this.burst = this.planBurst(this.begun);
    this.begun = undefined;
    this.settling.add(writesOf(call));
    if (ms > SLOW_MS)
      this.limit = Math.max(
        Math.min(FEWEST_RECORDS, this.most),
        Math.ceil(Math.min(this.limit, call.records) / 2),
      );
    else if (ms < SLOW_MS / 2 && call.records >= this.limit) this.limit = Math.min(this.most, this.limit * 2);
  }

  /** When the first of the writes that wait for their time may be sent; undefined if none does. */
  nextReady(now: number): number | undefined {
    if (this.pending.length > 0 && now < this.lingerUntil) return this.lingerUntil;
    const settled = this.pending.length > 0 ? this.settling.next(now) : undefined;
    const times = this.pending.map((write) => write.notBefore).filter((time) => time > now);
    if (settled !== undefined) times.push(settled);
    return times.length === 0 ? undefined : times.reduce((a, b) => Math.min(a, b));
  }

  private isFree(keys: readonly Key[], now: number): boolean {
    return !this.underWay.conflicts(keys) && !this.settling.conflicts(keys, now);
  }

  /**
   * Ten full calls, four at once, take three rounds of which the last is half empty; twelve of 834 records take
   * three shorter ones. Only where that costs few calls more, and only for what an idle writer finds waiting, with
   * what of it is `begun`.
   */
  private planBurst(begun: Burst = { records: 0, calls: 0 }): Burst | undefined {
    const { maxRequests } = this.options;
    // Calls of equal size would never be full, and so never grow again.
    if (this.limit < this.most) return undefined;
    const records = this.pending.reduce((sum, write) => sum + write.rows.length, 0);
    const fewest = Math.ceil((begun.records + records) / this.limit);
    const calls = Math.ceil(fewest / maxRequests) * maxRequests;
    return fewest > maxRequests && calls > fewest && calls <= fewest * BURST_CALLS
      ? { records, calls: calls - begun.calls }
      : undefined;
  }

  /** Cheap enough to ask for each message: can what waits fill a call, as far as sizes tell? */
  private mayFill(limit: number): boolean {
    if (this.pending.length >= limit) return true;
    if (this.sizes.known) return true;
    let records = 0;
    let closed = 0;
    let bytes = 0;
    for (const write of this.pending) {
      bytes += write.bytes;
      if (needsOwnCall(write) || bytes > CALL_BYTES) return true;
      records += write.rows.length;
      if (write.atomic) closed++;
    }
    return (
      records >= limit || closed + Math.floor((records - closed) / COLLECTION_RECORDS) >= CALL_COLLECTIONS
    );
  }
}

/** Who has spoilt a call, or may have, is looked at alone. */
function mayBeARow({ bulk, losses, group }: Write): boolean {
  return bulk && losses === 0 && group === undefined;
}
