/** Tickets, users and organizations: what lists show of them, and what exports do. */
import { seconds, type Clock } from '../frame/clock';
import { ControlError, type Row } from '../frame/simulation';
import { SortedList } from '../frame/sorted-list';
import { type Switches } from './switches';

export const KINDS = ['tickets', 'users', 'organizations'] as const;
export type Kind = (typeof KINDS)[number];

/** Replaced as a whole at each change. Times are epoch seconds. */
export interface Stored {
  readonly id: number;
  readonly created: number;
  readonly updated: number;
  /** Its place in exports: of tickets `generated_timestamp`, which moves by itself, of others `updated`. */
  readonly exported: number;
  readonly deleted?: number;
  /** Permanently deleted: nothing of what it held is left. */
  readonly scrubbed?: boolean;
  readonly fields: Row;
}

const SCRUBBED_AFTER_S = 30 * 86_400;

export class Shelf {
  /** What isn't deleted. */
  readonly byId = new SortedList<Stored>((a, b) => a.id - b.id);
  readonly byUpdated = new SortedList<Stored>((a, b) => a.updated - b.updated || a.id - b.id);
  /** With what is deleted. */
  readonly byExport = new SortedList<Stored>((a, b) => a.exported - b.exported || a.id - b.id);
  readonly #records = new Map<number, Stored>();
  /** Deleted ones, oldest deletion first, that wait to be scrubbed. */
  #bin: { id: number; deleted: number }[] = [];

  constructor(
    readonly kind: Kind,
    private readonly nextId: () => number,
    private readonly clock: Clock,
    private readonly switches: Switches,
  ) {}

  get(id: number): Stored | undefined {
    return this.#records.get(id);
  }

  /** Any that there is, or was and left something. */
  all(): Stored[] {
    return [...this.#records.values()];
  }

  binned(): Stored[] {
    return this.#bin.map(({ id }) => this.#records.get(id)).filter((record) => record !== undefined);
  }

  write(row: Row, at: number): Stored {
    const { id, ...changes } = row;
    const now = seconds(at);
    const before = id === undefined ? undefined : this.present(Number(id));
    const record: Stored = {
      id: before?.id ?? this.nextId(),
      created: before?.created ?? now,
      updated: now,
      exported: now,
      fields: { ...before?.fields, ...changes },
    };
    this.#replace(before, record);
    return record;
  }

  /** A change by the system: exports have it anew, and it says that it didn't change. */
  touch(id: number, at: number): Stored {
    if (this.kind !== 'tickets') throw new ControlError('only tickets have a generated_timestamp');
    return this.#change(this.present(id), { exported: seconds(at) });
  }

  remove(id: number, at: number): Stored {
    const now = seconds(at);
    const record = this.#change(this.present(id), { deleted: now, updated: now, exported: now });
    if (this.kind !== 'organizations') this.#bin.push({ id, deleted: now });
    return record;
  }

  restore(id: number, at: number): Stored {
    const record = this.#binnedOne(id);
    this.#bin = this.#bin.filter((other) => other.id !== id);
    const now = seconds(at);
    return this.#change(record, { deleted: undefined, updated: now, exported: now });
  }

  /** Deletes it for good, from the bin or not. */
  purge(id: number, at: number): void {
    if (this.get(id)?.deleted === undefined) this.remove(id, at);
    if (this.kind !== 'organizations') this.#scrub(this.#binnedOne(id), seconds(at));
    this.#bin = this.#bin.filter((other) => other.id !== id);
  }

  /** What has been in the bin for long enough is scrubbed. */
  settle(): void {
    const until = seconds(this.clock.now()) - SCRUBBED_AFTER_S;
    for (const { id, deleted } of this.#bin) {
      if (deleted > until) break;
      const record = this.get(id);
      if (record && this.kind === 'tickets') this.#scrub(record, deleted + SCRUBBED_AFTER_S);
    }
    if (this.kind === 'tickets') this.#bin = this.#bin.filter(({ deleted }) => deleted > until);
  }

  #scrub(record: Stored, now: number): void {
    this.#change(record, {
      scrubbed: true,
      updated: now,
      exported: now,
      fields: { status: record.fields.status },
    });
    if (this.switches.purged === 'gone') this.#replace(this.get(record.id), undefined);
  }

  generate(count: number): void {
    const first = seconds(this.clock.now()) - 300 * 86_400;
    const made: Stored[] = [];
    for (let n = 0; n < count; n++) {
      const created = first + Math.floor((n * 200 * 86_400) / count);
      const id = this.nextId();
      made.push({ id, created, updated: created, exported: created, fields: generated(this.kind, id) });
    }
    for (const record of made) this.#records.set(record.id, record);
    for (const list of [this.byId, this.byUpdated, this.byExport]) list.addAll(made);
  }

  present(id: number): Stored {
    const record = this.get(id);
    if (!record || record.deleted !== undefined) throw new ControlError(`no ${this.kind} ${id}`);
    return record;
  }

  #binnedOne(id: number): Stored {
    const record = this.get(id);
    if (!record || !this.#bin.some((other) => other.id === id))
      throw new ControlError(`no deleted ${this.kind} ${id}`);
    return record;
  }

  #change(before: Stored, changes: Partial<Stored>): Stored {
    const after = { ...before, ...changes };
    this.#replace(before, after);
    return after;
  }

  #replace(before: Stored | undefined, after: Stored | undefined): void {
    for (const list of [this.byId, this.byUpdated]) {
      if (before && before.deleted === undefined) list.delete(before);
      if (after && after.deleted === undefined) list.add(after);
    }
    if (before) this.byExport.delete(before);
    if (after) this.byExport.add(after);
    if (after) this.#records.set(after.id, after);
    else if (before) this.#records.delete(before.id);
  }
}

function generated(kind: Kind, id: number): Row {
  if (kind === 'tickets') return { subject: `Ticket ${id}`, status: id % 3 === 0 ? 'closed' : 'open' };
  return kind === 'users'
    ? { name: `Person ${id}`, email: `person${id}@example.test` }
    : { name: `Organization ${id}` };
}
