/** The last message of a record, as far as it is known here. */
export interface Published {
  /** Its sequence in the stream; undefined where the stream can't be asked. */
  seq: number | undefined;
  fingerprint: string;
  /** Epoch ms of the record's own time, where it has one. */
  updatedAt: number | undefined;
  deleted: boolean;
}
