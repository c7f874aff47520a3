/** Every call that reached a simulated service. */

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
  /** Calls under way when this one came, itself included; of gRPC those of the same method. */
  concurrent: number;
  /** Epoch milliseconds of arrival and of the answer. */
  at: number;
  endedAt?: number;
}

export class Ledger {
  #entries: LedgerEntry[] = [];
  readonly #open = new Set<LedgerEntry>();

  /** Notes a call that has just come; the returned function closes it. */
  open(method: string, path: string): { entry: LedgerEntry; close: (status: number) => void } {
    const entry: LedgerEntry = {
      method,
      path,
      status: 0,
      records: 0,
      concurrent: 1,
      at: Date.now(),
    };
    for (const other of this.#open) if (kind(other) === kind(entry)) entry.concurrent++;
    this.#open.add(entry);
    this.#entries.push(entry);
    const close = (status: number): void => {
      if (!this.#open.delete(entry)) return;
      entry.status = status;
      entry.endedAt = Date.now();
    };
    return { entry, close };
  }

  /** Other REST calls that have been under way for at least so long. */
  runningFor(ms: number, self: LedgerEntry): number {
    const before = Date.now() - ms;
    let count = 0;
    for (const entry of this.#open)
      if (entry !== self && entry.method !== 'GRPC' && entry.at <= before) count++;
    return count;
  }

  entries(): LedgerEntry[] {
    return [...this.#entries];
  }

  clear(): void {
    this.#entries = [];
  }
}

function kind({ method, path }: LedgerEntry): string {
  return method === 'GRPC' ? path : 'REST';
}
