/** What a message takes beside its payload: its properties, and what the runtime knows of it. */
const MESSAGE = 1_024;
/** Avro has one byte for an absent value, and a text takes up to two for each of its own. */
const FACTOR = 8;

/** Bytes that an event takes in memory as a message of the flow, about, by those of its Avro. */
export function sizeInFlow(bytes: number): number {
  return MESSAGE + FACTOR * bytes;
}

/** How many events may still come where all of them may take no more than `most` bytes. */
export class BytesInFlight {
  private held = 0;
  private count = 0;
  /** Nothing is known of an event before it comes: it is taken for the largest of late. */
  private largest = 1;

  constructor(private readonly most: number) {}

  add(bytes: number): void {
    this.held += bytes;
    this.count++;
    this.largest = Math.max(bytes, this.largest * 0.98);
  }

  remove(bytes: number): void {
    this.held -= bytes;
    this.count--;
  }

  /** One at least where there is none. */
  get room(): number {
    return Math.max(this.count === 0 ? 1 : 0, Math.floor((this.most - this.held) / this.largest));
  }
}
