import { codeOf, FlowError } from '../../../shared/errors';
import type { Page } from '../../engine/provider';
import { PAGE, count, isTooMuch, select, soql, type Rows } from './query';
import type { OrgReader } from './reader';
import { ResultSet } from './results';
import type { SObject } from './sobject';
import { say } from '../../../shared/say';

/** By ids in order, or by a Bulk job's results. */
export type BackfillPosition = { after: string } | JobPosition;

interface JobPosition {
  job: string;
  /** Where the set of results begins; missing for the first one. */
  locator?: string;
  /** Rows of that set that were read. */
  skip?: number;
  /** To be asked for at once. */
  rows?: number;
  /** In the sets before, and how many there are, by what the org says of the job. */
  read?: number;
  total?: number;
  /** How often nothing came of this set, and how often the whole job turned out to be incomplete. */
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
/** A set of results is one call. They come for as long as their network is quick enough for the org; then with fewer rows. */
const MOST_ROWS = 100_000;
const GROWTH = 2;
const JOB_PAUSES = [500, 1_000, 2_000, 5_000, 10_000];
/** Milliseconds in which a job that lives gets on. */
const JOB_STALLED = 15 * 60_000;
/** A set of which nothing comes is asked for again so often, a job whose results are incomplete begun again. */
const SET_TRIES = 5;
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
  /** Results that are being read, and where they come to. */
  private reading: { set: ResultSet; at: JobPosition } | undefined;

  constructor(
    private readonly reader: OrgReader,
    private readonly sobject: SObject,
    private readonly log: (text: string) => void,
    /** Is waited for before a job begins: what it doesn't see is told otherwise then. */
    private readonly listening: (signal: AbortSignal) => Promise<void> = () => Promise.resolve(),
  ) {}

  close(): void {
    this.reading?.set.close();
    this.reading = undefined;
  }

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
    await this.listening(signal);
    const next = await this.createJob(signal);
    // No job is done at once.
    return { records: [], next, ...('job' in next && { wait: pauseOf(0) }) };
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
    this.log(say`${this.sobject.name} is read by queries, as Bulk API 2.0 refuses: ${error.message}`);
    return { after: '' };
  }

  private async results(position: JobPosition, signal: AbortSignal): Promise<Page> {
    const { locator, skip = 0 } = position;
    const { reading } = this;
    if (reading && isSame(reading.at, position)) return this.read(reading.set, position, signal);
    this.close();
    let at = position;
    if (locator === undefined && skip === 0) {
      const state = await this.state(position, signal);
      if ('records' in state) return state;
      at = { ...position, total: state.numberRecordsProcessed };
    }
    try {
      if (skip > 0) return await this.behind(at, skip, signal);
      const set = await this.open(at, at.rows ?? MOST_ROWS, signal);
      return set ? await this.read(set, at, signal) : await this.incomplete(at, signal);
    } catch (error) {
      const rows = at.rows ?? MOST_ROWS;
      if (isTooMuch(error) && rows > 1)
        return { records: [], next: { ...at, rows: Math.max(1, Math.floor(rows / 8)) } };
      return { records: [], next: await this.jobLost(at, error, signal) };
    }
  }

  private open(
    { job, locator }: JobPosition,
    rows: number,
    signal: AbortSignal,
  ): Promise<ResultSet | undefined> {
    return ResultSet.open(this.reader, this.sobject, { job, locator, rows }, signal);
  }

  private async read(set: ResultSet, before: JobPosition, signal: AbortSignal): Promise<Page> {
    const records = await set.read();
    const at = { ...before, skip: set.taken };
    this.reading = set.over ? undefined : { set, at };
    if (!set.over) return { records, next: at };
    if (set.whole) {
      const rows = Math.min(MOST_ROWS, (before.rows ?? MOST_ROWS) * GROWTH);
      return { ...(await this.ended({ ...before, rows }, set, signal)), records };
    }
    // Rows that it doesn't have by its own count, or none at all.
    if (set.taken > set.size || set.taken === 0)
      return this.incomplete({ ...before, skip: undefined }, signal);
    return { records, next: { ...at, rows: set.taken } };
  }

  /** A set that is read: the next one begins where it says, unless it was the last. */
  private async ended(before: JobPosition, set: ResultSet, signal: AbortSignal): Promise<Page> {
    const read = (before.read ?? 0) + set.size;
    const { total } = before;
    const at = { ...before, skip: undefined, incomplete: undefined, read };
    if (set.next !== undefined) return { records: [], next: { ...at, locator: set.next } };
    if (total === undefined || total <= read) return { records: [], next: undefined };
    return this.beginAnew(at, say`it has ${total} records, and its results ${read}`, signal);
  }

  /**
   * Where it goes on behind the rows that were read of a set that broke off: that is what the org says of a set of
   * just these, before any of them come.
   */
  private async behind(at: JobPosition, skip: number, signal: AbortSignal): Promise<Page> {
    const set = await this.open(at, skip, signal);
    set?.close();
    if (!set || (set.size === 0 && set.next !== undefined)) return this.incomplete(at, signal);
    // It doesn't keep to the number: then they are all read again.
    if (set.size > skip) return this.incomplete({ ...at, skip: undefined }, signal);
    const page = await this.ended(at, set, signal);
    const left = skip - set.size;
    return set.next !== undefined && left > 0 ? { ...page, next: { ...page.next, skip: left } } : page;
  }

  private async incomplete(at: JobPosition, signal: AbortSignal): Promise<Page> {
    const { incomplete = 0 } = at;
    if (incomplete < SET_TRIES)
      return { records: [], next: { ...at, incomplete: incomplete + 1 }, wait: pauseOf(incomplete) };
    return this.beginAnew(at, say`a set of its results came incomplete ${SET_TRIES + 1} times`, signal);
  }

  private async beginAnew({ job, anew = 0 }: JobPosition, why: string, signal: AbortSignal): Promise<Page> {
    const what = say`The results of the bulk job ${job} of ${this.sobject.name} are incomplete (${why})`;
    return { records: [], next: await this.another(what, anew, signal) };
  }

  /** A job in the place of one that came to nothing, but not for ever. */
  private async another(why: string, anew: number, signal: AbortSignal): Promise<BackfillPosition> {
    const queries = anew >= JOB_TRIES;
    this.log(`${why}; ${queries ? say`it is read by queries` : say`a new one begins`}`);
    return queries ? { after: '' } : this.createJob(signal, anew + 1);
  }

  /** The job when its results are there, else what to do instead of reading them. */
  private async state(at: JobPosition, signal: AbortSignal): Promise<Job | Page> {
    let job: Job;
    try {
      job = await this.reader.get<Job>(`/jobs/query/${at.job}`, signal);
    } catch (error) {
      return { records: [], next: await this.jobLost(at, error, signal) };
    }
    switch (job.state) {
      case 'JobComplete':
        this.polls = 0;
        return job;
      case 'Failed': {
        const error = new FlowError('JOB_FAILED', job.errorMessage ?? say`the job failed`, false);
        return { records: [], next: this.withoutBulk(error) };
      }
      case 'Aborted': {
        const error = new FlowError('JOB_ABORTED', say`somebody aborted the job`, false);
        return { records: [], next: await this.jobLost(at, error, signal) };
      }
      // Under way, in whatever words.
      default:
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
      say`${this.sobject.name} is read by queries, as the bulk job ${job.id} has stood still (${job.state}) for ${JOB_STALLED / 60_000} minutes`,
    );
    // It would count against the org's jobs; whether that works makes no difference here.
    const body = { state: 'Aborted' };
    await this.reader.ask('PATCH', `/jobs/query/${job.id}`, signal, { body }).catch((error: unknown) => {
      if (codeOf(error) === 'CLOSED') throw error;
    });
    return { after: '' };
  }

  /** A job and its results are kept for seven days; whoever comes back later starts anew. */
  private async jobLost(
    { job, anew = 0 }: JobPosition,
    error: unknown,
    signal: AbortSignal,
  ): Promise<BackfillPosition> {
    if (!(error instanceof FlowError) || codeOf(error) === 'CLOSED') throw error;
    if (error.retryable && error.code !== 'INVALID_QUERY_LOCATOR') throw error;
    const what = say`The bulk job ${job} of ${this.sobject.name} can't be read on (${error.message})`;
    return this.another(what, anew, signal);
  }
}

function pauseOf(times: number): number {
  return JOB_PAUSES[Math.min(times, JOB_PAUSES.length - 1)] as number;
}

function isSame(one: JobPosition, other: JobPosition): boolean {
  return one.job === other.job && one.locator === other.locator && one.skip === other.skip;
}
