/** What a message takes beside its payload: its properties, and what the runtime knows of it. */
const MESSAGE = 1_024;
/** Avro has one byte for an absent value, and a text takes up to two for each of its own. */
const FACTOR = 8;

/** Bytes that events take in memory as messages of the flow, about, by those of their Avro. */
export function sizeInFlow(bytes: number, events = 1): number {
  return MESSAGE * events + FACTOR * bytes;
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

  /** For more, and for those that are `coming` and take `bytes` together. One at least where there is none. */
  room(coming = 0, bytes = 0): number {
    // The largest of these is not known either, but at least as large as they are on average.
    const largest = Math.max(this.largest, coming === 0 ? 0 : bytes / coming);
    const more = Math.floor((this.most - this.held - bytes) / largest);
    return coming + Math.max(this.count + coming === 0 ? 1 : 0, more);
  }
}
