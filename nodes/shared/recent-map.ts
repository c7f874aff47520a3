/**
 * A map that forgets its oldest entries: it holds the latest `size` of them at least, and twice as many at most.
 * (Two generations: deleting the first entry of a Map again and again makes finding the next one ever slower.)
 */
export class RecentMap<K, V> {
  private current = new Map<K, V>();
  private previous = new Map<K, V>();

  constructor(private readonly size: number) {}

  get(key: K): V | undefined {
    return this.current.get(key) ?? this.previous.get(key);
  }

  set(key: K, value: V): void {
    this.current.set(key, value);
    if (this.current.size < this.size) return;
    this.previous = this.current;
    this.current = new Map();
  }

  delete(key: K): void {
    this.current.delete(key);
    this.previous.delete(key);
  }

  clear(): void {
    this.current.clear();
    this.previous.clear();
  }
}
