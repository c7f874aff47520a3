interface Gathered {
  records: number;
  msg: object;
  release: (() => void) | undefined;
}

/**
 * A writer has its requests full when what they carry is there beside what its consumer lets be worked on: so many
 * records of those it holds count as gathered, the first first. The others keep their place in the flow, which is what
 * stops the consumer.
 */
export class Gathering {
  /** Messages that are held. */
  messages = 0;
  private records = 0;
  private readonly outside = new Set<Gathered>();

  /** `gather` counts a message as gathered until the function that it gives is called. */
  constructor(
    private readonly most: () => number,
    private readonly gather: (msg: object) => () => void,
  ) {}

  /** A message of so many records is held until the returned function is called. */
  add(records: number, msg: object): () => void {
    const gathered: Gathered = { records, msg, release: undefined };
    this.outside.add(gathered);
    this.messages++;
    this.fill();
    return () => {
      this.messages--;
      if (gathered.release) {
        gathered.release();
        this.records -= records;
      } else this.outside.delete(gathered);
      this.fill();
    };
  }

  /** There may be more room. */
  fill(): void {
    if (this.outside.size === 0) return;
    const most = this.most();
    for (const gathered of this.outside) {
      if (this.records >= most) return;
      this.outside.delete(gathered);
      this.records += gathered.records;
      gathered.release = this.gather(gathered.msg);
    }
  }
}
