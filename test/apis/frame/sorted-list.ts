/** Items in the order of a comparison; each change costs a binary search and one move of memory. */
export class SortedList<T> {
  #items: T[] = [];

  /** `compare` gives 0 for one item only: two items never tie. */
  constructor(private readonly compare: (a: T, b: T) => number) {}

  get items(): readonly T[] {
    return this.#items;
  }

  add(item: T): void {
    const last = this.#items.at(-1);
    // Nearly everything comes in order.
    if (last === undefined || this.compare(last, item) < 0) this.#items.push(item);
    else this.#items.splice(this.#firstNotBefore(item), 0, item);
  }

  /** Many at once, in any order. */
  addAll(items: readonly T[]): void {
    this.#items = [...this.#items, ...items].sort(this.compare);
  }

  delete(item: T): void {
    const at = this.#firstNotBefore(item);
    const found = this.#items[at];
    if (found !== undefined && this.compare(found, item) === 0) this.#items.splice(at, 1);
  }

  #firstNotBefore(item: T): number {
    return this.search((other) => this.compare(other, item) >= 0);
  }

  /** Index of the first item of which something holds that then holds of all after it. */
  search(holds: (item: T) => boolean): number {
    let low = 0;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (holds(this.#items[middle] as T)) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
