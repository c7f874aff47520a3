import { now } from '../../shared/async/clock';
import type { Endpoint } from './operations';

/** Automation changes: after an hour a larger collection is tried again. */
const KEPT_MS = 3_600_000;
const ENDPOINTS = 1_000;

/**
 * How many rows of an object a collection may have where the org's triggers and flows can't take 200 at once: they run
 * over all rows of a collection under one set of limits.
 */
export class CollectionSizes {
  private readonly sizes = new Map<string, { rows: number; until: number }>();

  /** Whether any is smaller than usual. */
  get known(): boolean {
    return this.sizes.size > 0;
  }

  of(endpoint: Endpoint): number {
    const name = nameOf(endpoint);
    const size = this.sizes.get(name);
    if (!size) return Infinity;
    if (size.until > now()) return size.rows;
    this.sizes.delete(name);
    return Infinity;
  }

  /** A collection of so many rows was too large. */
  halve(endpoint: Endpoint, records: number): void {
    const rows = Math.max(1, Math.min(this.of(endpoint), Math.floor(records / 2)));
    if (this.sizes.size >= ENDPOINTS) this.sizes.clear();
    this.sizes.set(nameOf(endpoint), { rows, until: now() + KEPT_MS });
  }
}

/** Triggers belong to the object, and most of them to one kind of change. */
function nameOf({ operation, sobject }: Endpoint): string {
  return `${operation} ${sobject}`.toLowerCase();
}
