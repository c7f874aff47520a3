/** What search knows: the records as they were a moment ago. */
import { type Clock } from '../frame/clock';
import { SortedList } from '../frame/sorted-list';
import { type Stored } from './store';
import { type Switches } from './switches';

export class SearchIndex {
  /** Grows with each change of what search knows. */
  version = 0;
  readonly #byModified = new SortedList<Stored>((a, b) => a.updatedAt - b.updatedAt || a.id - b.id);
  readonly #indexed = new Map<number, Stored>();
  #waiting: { at: number; id: number; record: Stored | undefined }[] = [];

  constructor(
    private readonly clock: Clock,
    private readonly switches: Switches,
  ) {}

  /** A record changed, or is gone: search will know. */
  note(id: number, record: Stored | undefined): void {
    this.#waiting.push({ at: this.clock.now(), id, record });
  }

  addAll(records: readonly Stored[]): void {
    for (const record of records) this.#indexed.set(record.id, record);
    this.#byModified.addAll(records);
    this.version++;
  }

  /** All that search knows by now, in the order of their last change. */
  entries(): SortedList<Stored> {
    const until = this.clock.now() - this.switches.indexLagMs;
    let done = 0;
    for (const { at, id, record } of this.#waiting) {
      if (at > until) break;
      done++;
      const before = this.#indexed.get(id);
      if (before) this.#byModified.delete(before);
      if (record) {
        this.#indexed.set(id, record);
        this.#byModified.add(record);
      } else this.#indexed.delete(id);
    }
    if (done > 0) {
      this.#waiting = this.#waiting.slice(done);
      this.version++;
    }
    return this.#byModified;
  }
}
