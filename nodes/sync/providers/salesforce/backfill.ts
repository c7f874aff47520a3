import { codeOf, FlowError } from '../../../shared/errors';
import type { Page } from '../../provider';
import { csvLines } from './csv';
import { PAGE, count, select, soql } from './query';
import type { OrgReader } from './reader';
import type { SObject } from './sobject';

/** By ids in order, or by a Bulk job's results. */
export type BackfillPosition = { after: string } | { job: string; locator?: string; rows?: number };

interface Job {
  id: string;
  state: 'UploadComplete' | 'InProgress' | 'JobComplete' | 'Failed' | 'Aborted';
  errorMessage?: string;
}

/** From so many records on, a Bulk job costs fewer calls than queries do. */
const BULK = 10_000;
/** A page of results should have about so many characters, whatever the width of a row. */
const PAGE_SIZE = 3_000_000;
const FIRST_ROWS = 5_000;
const MOST_ROWS = 50_000;
const JOB_PAUSES = [500, 1_000, 2_000, 5_000, 10_000];

/** Everything there is, page by page: small objects by queries in order of Id, large ones by Bulk API 2.0. */
export class Backfill {
  private polls = 0;

  constructor(
    private readonly reader: OrgReader,
    private readonly sobject: SObject,
    private readonly log: (text: string) => void,
  ) {}

  count(signal: AbortSignal): Promise<number | undefined> {
    // A count that takes the org too long is no reason not to begin.
    return count(this.reader, this.sobject, signal).catch((error: unknown) => {
      if (codeOf(error) === 'QUERY_TIMEOUT') return undefined;
      throw error;
    });
  }

  async page(position: BackfillPosition | undefined, signal: AbortSignal): Promise<Page> {
    if (position && 'job' in position) return this.results(position, signal);
    if (position) return this.query(position.after, signal);
    const total = await this.count(signal);
    if (total !== undefined && total < BULK) return this.query('', signal);
    return { records: [], next: await this.createJob(signal) };
  }

  private async query(after: string, signal: AbortSignal): Promise<Page> {
    const condition = `${after && `WHERE Id>'${after}' `}ORDER BY Id LIMIT ${PAGE}`;
    const { records, rows, full } = await select(this.reader, this.sobject, condition, {
      all: false,
      signal,
    });
    const last = rows.at(-1);
    return { records, next: full && last ? { after: last.id } : undefined };
  }

  private async createJob(signal: AbortSignal): Promise<BackfillPosition> {
    const query = soql(this.sobject, this.sobject.fields, '');
    try {
      const body = { operation: 'query', query };
      const { body: job } = await this.reader.ask('POST', '/jobs/query', signal, { body });
      return { job: (job as Job).id };
    } catch (error) {
      return this.withoutBulk(error);
    }
  }

  /** Some objects can't be read by Bulk, some users may not, and some orgs have no job left today. */
  private withoutBulk(error: unknown): BackfillPosition {
    if (!(error instanceof FlowError) || codeOf(error) === 'CLOSED' || error.retryable) throw error;
    this.log(`${this.sobject.name} is read by queries, as Bulk API 2.0 refuses: ${error.message}`);
    return { after: '' };
  }

  private async results(
    position: { job: string; locator?: string; rows?: number },
    signal: AbortSignal,
  ): Promise<Page> {
    const { job, locator, rows = FIRST_ROWS } = position;
    if (locator === undefined) {
      const unfinished = await this.jobUnfinished(job, signal);
      if (unfinished) return unfinished;
    }
    const query = `maxRecords=${rows}${locator === undefined ? '' : `&locator=${encodeURIComponent(locator)}`}`;
    try {
      const answer = await this.reader.ask('GET', `/jobs/query/${job}/results?${query}`, signal, {
        headers: { accept: 'text/csv' },
      });
      const text = typeof answer.body === 'string' ? answer.body : '';
      const lines = csvLines(text);
      const read = this.sobject.csvReader(lines.next().value ?? []);
      const records = Array.from(lines, read);
      const next = String(answer.headers['sforce-locator'] ?? 'null');
      if (next === 'null') return { records, next: undefined };
      const fitting = Math.round((records.length * PAGE_SIZE) / Math.max(1, text.length));
      return { records, next: { job, locator: next, rows: Math.min(MOST_ROWS, Math.max(PAGE, fitting)) } };
    } catch (error) {
      return { records: [], next: await this.jobLost(job, error, signal) };
    }
  }

  /** Undefined when its results are there. */
  private async jobUnfinished(id: string, signal: AbortSignal): Promise<Page | undefined> {
    let job: Job;
    try {
      job = await this.reader.get<Job>(`/jobs/query/${id}`, signal);
    } catch (error) {
      return { records: [], next: await this.jobLost(id, error, signal) };
    }
    switch (job.state) {
      case 'JobComplete':
        this.polls = 0;
        return undefined;
      case 'Failed': {
        const error = new FlowError('JOB_FAILED', job.errorMessage ?? 'the job failed', false);
        return { records: [], next: this.withoutBulk(error) };
      }
      case 'Aborted': {
        const error = new FlowError('JOB_ABORTED', 'somebody aborted the job', false);
        return { records: [], next: await this.jobLost(id, error, signal) };
      }
      case 'UploadComplete':
      case 'InProgress':
        return {
          records: [],
          next: { job: id },
          wait: JOB_PAUSES[Math.min(this.polls++, JOB_PAUSES.length - 1)],
        };
    }
  }

  /** A job and its results are kept for seven days; whoever comes back later starts anew. */
  private async jobLost(id: string, error: unknown, signal: AbortSignal): Promise<BackfillPosition> {
    if (!(error instanceof FlowError) || codeOf(error) === 'CLOSED' || error.retryable) throw error;
    this.log(
      `The bulk job ${id} of ${this.sobject.name} can't be read on (${error.message}); a new one begins`,
    );
    return this.createJob(signal);
  }
}
