/** By node. A deploy must not hide what nobody has looked at. */
const counts = new Map<string, number>();

/** How many messages or events of a node were given up, until somebody has looked. */
export class GivenUp {
  constructor(private readonly node: string) {}

  get count(): number {
    return counts.get(this.node) ?? 0;
  }

  add(): void {
    counts.set(this.node, this.count + 1);
  }

  looked(): void {
    counts.delete(this.node);
  }
}
