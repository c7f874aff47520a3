/** How a message was settled, and which delivery of it. Numbers, to be kept in a table. */
export interface Settled {
  how: 'ack' | 'term';
  /** When the stream took it, ns epoch, as far as a double tells. */
  timestamp: number;
  consumerSequence: number;
  deliveries: number;
  /** In which of the durable's countings. */
  epoch: number;
  /** By performance.now(). */
  at: number;
}

const COLUMNS = 6;
const FEWEST_ROWS = 64;

/**
 * How the latest `size` messages at least, and twice as many at most, were settled, by stream sequence. A table of numbers: as
 * objects they would be most of what the garbage collector of a busy process finds alive, and moves.
 */
export class SettledMessages {
  private current = new Table();
  private previous = new Table();

  constructor(private readonly size: number) {}

  get(sequence: number): Settled | undefined {
    return this.current.get(sequence) ?? this.previous.get(sequence);
  }

  set(sequence: number, settled: Settled): void {
    this.current.set(sequence, settled);
    if (this.current.size < this.size) return;
    this.previous = this.current;
    this.current = new Table();
  }

  clear(): void {
    this.current = new Table();
    this.previous = new Table();
  }
}

class Table {
  private readonly rows = new Map<number, number>();
  private numbers = new Float64Array(FEWEST_ROWS * COLUMNS);

  get size(): number {
    return this.rows.size;
  }

  get(sequence: number): Settled | undefined {
    const row = this.rows.get(sequence);
    if (row === undefined) return undefined;
    const [how = 0, timestamp = 0, consumerSequence = 0, deliveries = 0, epoch = 0, at = 0] =
      this.numbers.subarray(row, row + COLUMNS);
    return { how: how === 0 ? 'ack' : 'term', timestamp, consumerSequence, deliveries, epoch, at };
  }

  set(sequence: number, { how, timestamp, consumerSequence, deliveries, epoch, at }: Settled): void {
    let row = this.rows.get(sequence);
    if (row === undefined) this.rows.set(sequence, (row = this.rows.size * COLUMNS));
    if (row === this.numbers.length) this.grow();
    const { numbers } = this;
    numbers[row] = how === 'ack' ? 0 : 1;
    numbers[row + 1] = timestamp;
    numbers[row + 2] = consumerSequence;
    numbers[row + 3] = deliveries;
    numbers[row + 4] = epoch;
    numbers[row + 5] = at;
  }

  private grow(): void {
    const { numbers } = this;
    this.numbers = new Float64Array(2 * numbers.length);
    this.numbers.set(numbers);
  }
}
