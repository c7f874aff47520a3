import type { OrgAnswer } from '../../../salesforce/org/answer';
import { codeOf, FlowError } from '../../../shared/errors';
import type { Page } from '../../engine/provider';
import type { SourceRecord } from '../../engine/record';
import { csvLines } from '../../../shared/csv';
import { PAGE, count, isTooMuch, select, soql, type Rows } from './query';
import type { OrgReader } from './reader';
import type { SObject } from './sobject';

/** By ids in order, or by a Bulk job's results. */
export type BackfillPosition = { after: string } | JobPosition;

interface JobPosition {
  job: string;
  locator?: string;
  /** To be asked for at once. */
  rows?: number;
  /** Read so far, and how many there are, by what the org says of the job. */
  read?: number;
  total?: number;
  /** How often this page, or the whole job, turned out to be incomplete. */
  incomplete?: number;
  anew?: number;
}

interface Job {
  id: string;
  state: 'UploadComplete' | 'InProgress' | 'JobComplete' | 'Failed' | 'Aborted';
  errorMessage?: string;
  numberRecordsProcessed?: number;
}

/** From so many records on, a Bulk job costs fewer calls than queries do. */
const BULK = 10_000;
/** A page of results should have about so many characters, whatever the width of a row. */
const PAGE_SIZE = 3_000_000;
const FIRST_ROWS = 200;
const MOST_ROWS = 50_000;
/** A page has so many times the rows of the one before at most, as the next ones can be wider. */
const GROWTH = 50;
const JOB_PAUSES = [500, 1_000, 2_000, 5_000, 10_000];
/** Milliseconds in which a job that lives gets on. */
const JOB_STALLED = 15 * 60_000;
/** A page that comes incomplete is asked for again so often, a job whose results are incomplete begun again. */
const PAGE_TRIES = 5;
const JOB_TRIES = 2;
const FEWEST_ROWS = 50;

/** Everything there is, page by page: small objects by queries in order of Id, large ones by Bulk API 2.0. */
export class Backfill {
  private polls = 0;
  private counted: { total: number | undefined } | undefined;
  /** Rows of a query that the org manages in time. */
  private limit = PAGE;
  /** When the job was last seen to get on, by the org's clock, and how far it was. */
  private progress: { at: number; state: string } | undefined;

  constructor(
    private readonly reader: OrgReader,
    private readonly sobject: SObject,
    private readonly log: (text: string) => void,
  ) {}

  async count(signal: AbortSignal): Promise<number | undefined> {
    const total = await count(this.reader, this.sobject, signal).catch((error: unknown) => {
      // What can't be counted may still be read.
      if (codeOf(error) !== 'CLOSED') return undefined;
      throw error;
    });
    this.counted = { total };
    return total;
  }

  async page(position: BackfillPosition | undefined, signal: AbortSignal): Promise<Page> {
    if (position && 'job' in position) return this.results(position, signal);
    if (position) return this.query(position.after, signal);
    const { total } = this.counted ?? { total: await this.count(signal) };
    this.counted = undefined;
    if (total !== undefined && total < BULK) return this.query('', signal);
    return { records: [], next: await this.createJob(signal) };
  }

  private async query(after: string, signal: AbortSignal): Promise<Page> {
    const { records, rows, full } = await this.select(after, signal);
    const last = rows.at(-1);
    return { records, next: full && last ? { after: last.id } : undefined };
  }

  private async select(after: string, signal: AbortSignal): Promise<Rows> {
    const { archives, living } = this.sobject;
    const behind = after && `${living === '' ? 'WHERE' : `${living} AND`} Id>'${after}'`;
    const condition = `${behind || living} ORDER BY Id`.trimStart();
    for (;;) {
      try {
        const selection = { condition, limit: this.limit, all: archives };
        return await select(this.reader, this.sobject, selection, signal);
      } catch (error) {
        if (!isTooMuch(error) || this.limit <= FEWEST_ROWS) throw error;
        this.limit = Math.max(FEWEST_ROWS, Math.floor(this.limit / 4));
      }
    }
  }

  private async createJob(signal: AbortSignal, anew = 0): Promise<BackfillPosition> {
    const { archives, living } = this.sobject;
    const query = soql(this.sobject, this.sobject.fields, living);
    this.progress = undefined;
    this.polls = 0;
    try {
      const body = { operation: archives ? 'queryAll' : 'query', query };
      const { body: job } = await this.reader.ask('POST', '/jobs/query', signal, { body });
      return { job: (job as Job).id, ...(anew > 0 && { anew }) };
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

  private async results(position: JobPosition, signal: AbortSignal): Promise<Page> {
    const { job, locator, rows = FIRST_ROWS } = position;
    let at = position;
    if (locator === undefined) {
      const state = await this.state(position, signal);
      if ('records' in state) return state;
      at = { ...position, total: state.numberRecordsProcessed };
    }
    const query = `maxRecords=${rows}${locator === undefined ? '' : `&locator=${encodeURIComponent(locator)}`}`;
    try {
      const answer = await this.reader.ask('GET', `/jobs/query/${job}/results?${query}`, signal, {
        headers: { accept: 'text/csv' },
      });
      return await this.resultsPage(at, answer, signal);
    } catch (error) {
      if (isTooMuch(error) && rows > 1)
        return { records: [], next: { ...at, rows: Math.max(1, Math.floor(rows / 8)) } };
      return { records: [], next: await this.jobLost(job, error, signal) };
    }
  }

  /** A page that doesn't say how many rows it has and what follows, or says another number than it has, is none. */
  private async resultsPage(at: JobPosition, answer: OrgAnswer, signal: AbortSignal): Promise<Page> {
    const { rows = FIRST_ROWS, incomplete = 0 } = at;
    const text = typeof answer.body === 'string' ? answer.body : '';
    const records = this.csvRecords(text);
    const locator = answer.headers['sforce-locator'];
    if (locator === undefined || Number(answer.headers['sforce-numberofrecords']) !== records?.length) {
      if (incomplete < PAGE_TRIES)
        return { records: [], next: { ...at, incomplete: incomplete + 1 }, wait: pauseOf(incomplete) };
      const why = `a page of its results came incomplete ${PAGE_TRIES + 1} times`;
      return this.beginAnew(at, why, signal);
    }
    const read = (at.read ?? 0) + records.length;
    if (locator === 'null') {
      if (at.total === undefined || at.total <= read) return { records, next: undefined };
      const page = await this.beginAnew(at, `it has ${at.total} records, and its results ${read}`, signal);
      return { ...page, records };
    }
    const fitting = Math.round((records.length * PAGE_SIZE) / Math.max(1, text.length));
    const most = Math.max(1, Math.min(MOST_ROWS, rows * GROWTH, fitting));
    return { records, next: { ...at, incomplete: undefined, locator: String(locator), read, rows: most } };
  }

  /** Undefined where the document breaks off. */
  private csvRecords(text: string): SourceRecord[] | undefined {
    try {
      const lines = csvLines(text);
      const read = this.sobject.csvReader(lines.next().value ?? []);
      return Array.from(lines, read);
    } catch {
      return undefined;
    }
  }

  private async beginAnew({ job, anew = 0 }: JobPosition, why: string, signal: AbortSignal): Promise<Page> {
    const queries = anew >= JOB_TRIES;
    this.log(
      `The results of the bulk job ${job} of ${this.sobject.name} are incomplete (${why}); ${queries ? 'it is read by queries' : 'a new one begins'}`,
    );
    return { records: [], next: queries ? { after: '' } : await this.createJob(signal, anew + 1) };
  }

  /** The job when its results are there, else what to do instead of reading them. */
  private async state(at: JobPosition, signal: AbortSignal): Promise<Job | Page> {
    let job: Job;
    try {
      job = await this.reader.get<Job>(`/jobs/query/${at.job}`, signal);
    } catch (error) {
      return { records: [], next: await this.jobLost(at.job, error, signal) };
    }
    switch (job.state) {
      case 'JobComplete':
        this.polls = 0;
        return job;
      case 'Failed': {
        const error = new FlowError('JOB_FAILED', job.errorMessage ?? 'the job failed', false);
        return { records: [], next: this.withoutBulk(error) };
      }
      case 'Aborted': {
        const error = new FlowError('JOB_ABORTED', 'somebody aborted the job', false);
        return { records: [], next: await this.jobLost(at.job, error, signal) };
      }
      case 'UploadComplete':
      case 'InProgress':
        if (this.stalled(job)) return { records: [], next: await this.giveUp(job, signal) };
        return { records: [], next: at, wait: pauseOf(this.polls++) };
    }
  }

  private stalled(job: Job): boolean {
    const state = `${job.state} ${job.numberRecordsProcessed ?? 0}`;
    const at = this.reader.now();
    if (this.progress?.state !== state) this.progress = { at, state };
    return at - this.progress.at > JOB_STALLED;
  }

  private async giveUp(job: Job, signal: AbortSignal): Promise<BackfillPosition> {
    this.log(
      `${this.sobject.name} is read by queries, as the bulk job ${job.id} has stood still (${job.state}) for ${JOB_STALLED / 60_000} minutes`,
    );
    // It would count against the org's jobs; whether that works makes no difference here.
    const body = { state: 'Aborted' };
    await this.reader.ask('PATCH', `/jobs/query/${job.id}`, signal, { body }).catch((error: unknown) => {
      if (codeOf(error) === 'CLOSED') throw error;
    });
    return { after: '' };
  }

  /** A job and its results are kept for seven days; whoever comes back later starts anew. */
  private async jobLost(id: string, error: unknown, signal: AbortSignal): Promise<BackfillPosition> {
    if (!(error instanceof FlowError) || codeOf(error) === 'CLOSED') throw error;
    if (error.retryable && error.code !== 'INVALID_QUERY_LOCATOR') throw error;
    this.log(
      `The bulk job ${id} of ${this.sobject.name} can't be read on (${error.message}); a new one begins`,
    );
    return this.createJob(signal);
  }
}

function pauseOf(times: number): number {
  return JOB_PAUSES[Math.min(times, JOB_PAUSES.length - 1)] as number;
}
