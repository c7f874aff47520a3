/** The last message of a record, as far as it is known here. */
export interface Published {
  /** Its sequence in the stream; undefined where the stream can't be asked. */
  seq: number | undefined;
  fingerprint: string;
  /** Epoch ms of the record's own time, where it has one. */
  updatedAt: number | undefined;
  deleted: boolean;
}

/** Remembers the records seen last, a bounded number of them. */
export class PublishedRecords {
  private readonly records = new Map<string, Published>();

  constructor(private readonly most = 20_000) {}

  get(id: string): Published | undefined {
    return this.records.get(id);
  }

  set(id: string, published: Published): void {
    this.records.delete(id);
    this.records.set(id, published);
    if (this.records.size > this.most) this.delete(this.records.keys().next().value as string);
  }

  delete(id: string): void {
    this.records.delete(id);
  }

  clear(): void {
    this.records.clear();
  }
}
