/**
 * First in, first out, at the same cost whatever waits: an array moves all that is behind when its first element is
 * taken, from some 10,000 on.
 */
export class Fifo<T> {
  private items: (T | undefined)[] = [];
  private first = 0;

  get length(): number {
    return this.items.length - this.first;
  }

  push(item: T): void {
    this.items.push(item);
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.items[this.first];
    // What was taken is not kept in memory.
    this.items[this.first++] = undefined;
    if (this.first * 2 >= this.items.length) {
      this.items = this.items.slice(this.first);
      this.first = 0;
    }
    return item;
  }

  /** The next, which stays. */
  get front(): T | undefined {
    return this.items[this.first];
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (let i = this.first; i < this.items.length; i++) yield this.items[i] as T;
  }

  /** Takes all, in order. */
  clear(): T[] {
    const items = this.items.slice(this.first) as T[];
    this.items = [];
    this.first = 0;
    return items;
  }
}
