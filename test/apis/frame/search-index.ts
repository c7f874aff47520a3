/** What a search knows: the records as they were a moment ago. */
import { type Clock } from './clock';
import { SortedList } from './sorted-list';

export interface Indexed {
  readonly id: number;
  /** Epoch ms. */
  readonly updatedAt: number;
}

export class SearchIndex<T extends Indexed> {
  /** Grows with each change of what search knows. */
  version = 0;
  readonly #byModified = new SortedList<T>((a, b) => a.updatedAt - b.updatedAt || a.id - b.id);
  readonly #indexed = new Map<number, T>();
  #waiting: { at: number; id: number; record: T | undefined }[] = [];

  /** `lagOf` says how far search is behind a record, in ms. */
  constructor(
    private readonly clock: Clock,
    private readonly lagOf: (id: number) => number,
  ) {}

  /** A record changed, or is gone: search will know. What was changed in the past it has known since. */
  note(id: number, record: T | undefined): void {
    const now = this.clock.now();
    this.#waiting.push({ at: Math.min(now, record?.updatedAt ?? now), id, record });
  }

  addAll(records: readonly T[]): void {
    for (const record of records) this.#indexed.set(record.id, record);
    this.#byModified.addAll(records);
    this.version++;
  }

  /** All that search knows by now, in the order of their last change. `also` names records of which it knows all. */
  entries(also: ReadonlySet<number> = new Set()): SortedList<T> {
    const now = this.clock.now();
    const waiting = this.#waiting.filter(({ at, id, record }) => {
      if (at > now - this.lagOf(id) && !also.has(id)) return true;
      this.#apply(id, record);
      return false;
    });
    if (waiting.length < this.#waiting.length) this.version++;
    this.#waiting = waiting;
    return this.#byModified;
  }

  #apply(id: number, record: T | undefined): void {
    const before = this.#indexed.get(id);
    if (before) this.#byModified.delete(before);
    if (record) {
      this.#indexed.set(id, record);
      this.#byModified.add(record);
    } else this.#indexed.delete(id);
  }
}
