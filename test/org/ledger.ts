/** Every call that reached the org. */

export interface LedgerEntry {
  /** HTTP method, or GRPC. */
  method: string;
  /** Path with its query; for gRPC the full method name. */
  path: string;
  /** HTTP status; 0 where the connection was cut, for gRPC its status code. */
  status: number;
  /** Records or events in the call, over all its parts; for a query the rows of its answer. */
  records: number;
  /** Records of each part of a composite call. */
  parts?: number[];
  /** Calls under way when this one came, itself included. */
  concurrent: number;
  /** Epoch milliseconds of arrival and of the answer. */
  at: number;
  endedAt?: number;
}

export class Ledger {
  #entries: LedgerEntry[] = [];
  #open = 0;

  /** Notes a call that has just come; the returned function closes it. */
  open(method: string, path: string): { entry: LedgerEntry; close: (status: number) => void } {
    const entry: LedgerEntry = {
      method,
      path,
      status: 0,
      records: 0,
      concurrent: ++this.#open,
      at: Date.now(),
    };
    this.#entries.push(entry);
    let closed = false;
    const close = (status: number): void => {
      if (closed) return;
      closed = true;
      this.#open--;
      entry.status = status;
      entry.endedAt = Date.now();
    };
    return { entry, close };
  }

  entries(): LedgerEntry[] {
    return [...this.#entries];
  }

  clear(): void {
    this.#entries = [];
  }
}
