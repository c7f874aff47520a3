/** So many entries may come before the table is made anew, and twice as many as are in it then. */
const FEW = 1_000;

/**
 * A map of entries that come and soon go, by the thousand. V8 makes the table of a Map anew as entries are added, and
 * keeps a link from the old one to the new: a single old table that has outlived the young generation keeps all that
 * followed alive, with what was in them, for the garbage collector to copy. Here a table is left without that link
 * before it has many successors.
 */
export class PassingMap<K, V> {
  private entries = new Map<K, V>();
  private added = 0;

  get size(): number {
    return this.entries.size;
  }

  get(key: K): V | undefined {
    return this.entries.get(key);
  }

  set(key: K, value: V): void {
    if (++this.added > FEW + 2 * this.entries.size) {
      this.entries = new Map(this.entries);
      this.added = 0;
    }
    this.entries.set(key, value);
  }

  delete(key: K): boolean {
    return this.entries.delete(key);
  }

  /** In the order in which they came; what is deleted meanwhile is left out. */
  *values(): IterableIterator<V> {
    for (const [key, value] of this.entries) if (this.entries.get(key) === value) yield value;
  }
}
