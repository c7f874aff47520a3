/** By node and what it reads. A deploy must not hide what nobody has looked at. */
const counts = new Map<string, number>();

/** How many messages or events of a node were given up, until somebody has looked. */
export class GivenUp {
  /** `reader`: the node and what it reads. */
  constructor(private readonly reader: string) {}

  get count(): number {
    return counts.get(this.reader) ?? 0;
  }

  add(): void {
    counts.set(this.reader, this.count + 1);
  }

  looked(): void {
    counts.delete(this.reader);
  }
}
