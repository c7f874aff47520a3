import { childController } from '../../../shared/async/signals';
import type { SourceRecord } from '../../engine/record';
import { CsvLines } from '../../../shared/csv';
import { closed, type OrgReader } from './reader';
import type { SObject } from './sobject';
import { say } from '../../../shared/say';

/** Where a set of a job's results begins, and how many rows it may have. */
export interface SetPlace {
  job: string;
  /** Missing for the first set. */
  locator?: string;
  rows: number;
}

/** Characters of rows that are handed on together. */
const AT_ONCE = 200_000;

/**
 * A set of a Bulk job's results. It is read from the network as its records are taken, so that it takes little memory
 * however large it is; what is whole of it is what the org said, wherever it breaks off.
 */
export class ResultSet {
  /** Records that were taken. */
  taken = 0;
  /** Nothing more comes. */
  over = false;
  private readonly lines = new CsvLines();
  private columns = 0;
  private record: ((line: readonly string[]) => SourceRecord) | undefined;

  private constructor(
    /** How many records it has, and where the next set begins, as the org says. */
    readonly size: number,
    private readonly locator: string,
    private readonly sobject: SObject,
    private readonly parts: AsyncIterator<string>,
    private readonly reading: AbortController,
  ) {}

  /** Undefined where the answer doesn't say how many rows it has and what follows: it is no set then. */
  static async open(
    reader: OrgReader,
    sobject: SObject,
    { job, locator, rows }: SetPlace,
    signal: AbortSignal,
  ): Promise<ResultSet | undefined> {
    const reading = childController(signal);
    const place = locator === undefined ? '' : `&locator=${encodeURIComponent(locator)}`;
    const path = `/jobs/query/${job}/results?maxRecords=${rows}${place}`;
    let set: ResultSet | undefined;
    try {
      const request = { headers: { accept: 'text/csv' }, parts: reading.signal };
      const { headers, body } = await reader.ask('GET', path, signal, request);
      const next = headers['sforce-locator'];
      const size = Number(headers['sforce-numberofrecords']);
      // A set that leads to itself has no place among the others.
      if (typeof next === 'string' && next !== locator && Number.isInteger(size) && isIterator(body))
        set = new ResultSet(size, next, sobject, body, reading);
    } finally {
      if (!set) reading.abort();
    }
    return set;
  }

  /** Where the next set begins; undefined behind the last. */
  get next(): string | undefined {
    return this.locator === '' || this.locator.toLowerCase() === 'null' ? undefined : this.locator;
  }

  /** Every record that it has was taken. */
  get whole(): boolean {
    return this.taken === this.size;
  }

  /** The next records, as many as are to be handed on together. Throws CLOSED when it was to be let go of. */
  async read(): Promise<SourceRecord[]> {
    const records: SourceRecord[] = [];
    try {
      for (let characters = 0; !this.over && characters < AT_ONCE;) {
        const part = await this.parts.next();
        this.over = part.done === true;
        if (!part.done) characters += part.value.length;
        for (const line of part.done ? this.lines.end() : this.lines.push(part.value))
          this.take(line, records);
      }
    } catch {
      if (this.reading.signal.aborted) throw closed();
      this.over = true;
    }
    this.taken += records.length;
    if (this.over) this.close();
    return records;
  }

  close(): void {
    this.reading.abort();
  }

  private take(line: string[], records: SourceRecord[]): void {
    if (!this.record) {
      this.columns = line.length;
      if (!line.includes('Id')) throw new Error(say`no table of records`);
      this.record = this.sobject.csvReader(line);
    } else {
      if (line.length !== this.columns) throw new Error(say`a line breaks off`);
      records.push(this.record(line));
    }
  }
}

function isIterator(body: unknown): body is AsyncIterator<string> {
  return typeof (body as { next?: unknown } | undefined)?.next === 'function';
}
