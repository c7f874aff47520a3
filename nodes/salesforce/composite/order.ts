import type { Job, Unit } from './operations';

interface Place {
  /** Names of the records it writes. */
  names: Set<string>;
  before: Set<Job>;
  behind: Set<Job>;
}

/**
 * Messages that write one record are answered in the order in which they came. Were a later one acknowledged while
 * an earlier one still waits for its other records, a crash would bring back the earlier one alone, and with it
 * the older state.
 */
export class JobOrder {
  private readonly last = new Map<string, Job>();
  private readonly places = new Map<Job, Place>();

  add(job: Job, units: readonly Unit[]): void {
    const names = new Set(
      units.flatMap(({ keys }) => keys.filter(({ write }) => write).map(({ name }) => name)),
    );
    if (names.size === 0) return;
    const place: Place = { names, before: new Set(), behind: new Set() };
    for (const name of names) {
      const earlier = this.last.get(name);
      if (earlier) {
        place.before.add(earlier);
        this.places.get(earlier)?.behind.add(job);
      }
      this.last.set(name, job);
    }
    this.places.set(job, place);
  }

  isFirst(job: Job): boolean {
    return (this.places.get(job)?.before.size ?? 0) === 0;
  }

  /** The job is answered; gives those that were behind it. */
  remove(job: Job): Iterable<Job> {
    const place = this.places.get(job);
    if (!place) return [];
    this.places.delete(job);
    for (const name of place.names) if (this.last.get(name) === job) this.last.delete(name);
    for (const later of place.behind) this.places.get(later)?.before.delete(job);
    return place.behind;
  }
}
