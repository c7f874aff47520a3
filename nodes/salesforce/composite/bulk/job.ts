import { pause } from '../../../shared/async/pause';
import { csvLines } from '../../../shared/csv';
import { setImmediate as turn } from 'node:timers/promises';
import { messageOf } from '../../../shared/errors';
import { OrgOutage } from '../../org/outage';
import { isRecord } from '../limits';
import type { RowError, Write } from '../operations';
import { ask, LARGE, Refused, type BulkOrg } from './desk';
import { DELIMITER, type JobFile } from './file';
import { say } from '../../../shared/say';

/** Of a job, as the org tells it. */
export interface JobState {
  id: string;
  state: string;
  /** Rows that it has worked on, those that failed among them. */
  processed: number;
  failed: number;
  errorMessage: string;
}

/** What became of one row, in the shape of a collection's answer. */
export interface RowAnswer {
  id: string | undefined;
  success: boolean;
  created?: boolean;
  errors: RowError[];
}

export type Answers = Map<Write, RowAnswer>;

const JOBS = '/jobs/ingest';
/** The first look at a job of which nothing is known: most orgs write some thousand rows a second. */
const MS_A_ROW = 0.1;
const SOONEST = 1_000;
const LATEST = 60_000;
/** A job whose state is refused may yet go on. */
const REFUSED_MS = 3_600_000;
const SLICE = 2_000;
/** Times that results are asked for which can't be read. */
const READINGS = 3;

export async function createJob(org: BulkOrg, signal: AbortSignal, { endpoint }: JobFile): Promise<string> {
  const { operation, sobject, externalIdField } = endpoint;
  const body = {
    operation,
    object: sobject,
    contentType: 'CSV',
    columnDelimiter: DELIMITER.name,
    lineEnding: 'LF',
    ...(operation === 'upsert' && { externalIdFieldName: externalIdField }),
  };
  const answer = await ask(org, signal, 'POST', JOBS, { body });
  if (isRecord(answer) && typeof answer.id === 'string') return answer.id;
  throw new OrgOutage(
    'unreachable',
    'UNREADABLE_ANSWER',
    say`The org has made a job and does not say which`,
    true,
  );
}

export async function upload(org: BulkOrg, signal: AbortSignal, id: string, { csv }: JobFile): Promise<void> {
  await ask(org, signal, 'PUT', `${JOBS}/${id}/batches`, {
    text: csv,
    timeout: LARGE,
    headers: { 'content-type': 'text/csv; charset=UTF-8' },
  });
}

/**
 * From now on the job works. Where the answer is lost the job itself tells: one that is still open is closed again.
 * `begun` is told right before anything is sent that may make it work; what it throws keeps it back.
 */
export async function closeJob(
  org: BulkOrg,
  signal: AbortSignal,
  id: string,
  begun: () => void,
): Promise<void> {
  for (;;) {
    try {
      const body = { state: 'UploadComplete' };
      await ask(org, signal, 'PATCH', `${JOBS}/${id}`, { body, before: begun });
      return;
    } catch (error) {
      if (!(error instanceof OrgOutage) && !(error instanceof Refused)) throw error;
      if (!(await isOpen(org, signal, id))) return;
      if (error instanceof Refused) throw error;
    }
  }
}

/** Only what is sure to be open: of others their end has to be awaited. */
async function isOpen(org: BulkOrg, signal: AbortSignal, id: string): Promise<boolean> {
  try {
    return (await stateOf(org, signal, id)).state === 'Open';
  } catch (error) {
    if (error instanceof Refused) return false;
    throw error;
  }
}

/** What isn't closed does nothing; at best it is not left lying about. Never rejects. */
export async function abortJob(org: BulkOrg, id: string): Promise<void> {
  if (org.availability.current) return;
  await org.request('PATCH', `${JOBS}/${id}`, { body: { state: 'Aborted' } }).catch(() => undefined);
}

export async function stateOf(org: BulkOrg, signal: AbortSignal, id: string): Promise<JobState> {
  const info = await ask(org, signal, 'GET', `${JOBS}/${id}`);
  const count = (value: unknown) => (typeof value === 'number' ? value : 0);
  const text = (value: unknown) => (typeof value === 'string' ? value : '');
  const { state, numberRecordsProcessed, numberRecordsFailed, errorMessage } = isRecord(info) ? info : {};
  return {
    id,
    state: text(state),
    processed: count(numberRecordsProcessed),
    failed: count(numberRecordsFailed),
    errorMessage: text(errorMessage),
  };
}

export function isOver({ state }: Pick<JobState, 'state'>): boolean {
  return ['JobComplete', 'Failed', 'Aborted'].includes(state);
}

/** Pauses between two looks at a job: until it may be over, as far as it has told. */
export class Pace {
  private readonly begun = performance.now();
  private looked = 0;

  constructor(
    private readonly rows: number,
    /** Milliseconds a row, of an earlier job. */
    private readonly msARow = MS_A_ROW,
    private readonly soonest = SOONEST,
  ) {}

  next(state?: JobState): number {
    if (!state) return this.within(this.rows * this.msARow);
    const elapsed = performance.now() - this.begun;
    this.looked = elapsed;
    const { processed } = state;
    const left = processed > 0 ? (elapsed / processed) * (this.rows - processed) : elapsed;
    // What is told lags behind by up to a batch of 10,000 rows, and the last rows take the longest.
    return this.within(Math.min(elapsed, Math.max(left, elapsed * 0.15)));
  }

  /** Milliseconds a row, now that it is over: it ended between the last two looks. */
  get told(): number {
    return (this.looked + performance.now() - this.begun) / 2 / this.rows;
  }

  private within(ms: number): number {
    return Math.min(LATEST, Math.max(this.soonest, ms));
  }
}

/**
 * The end of a job, however long it takes: the org itself ends it after some days at the latest. Undefined where there
 * is none: the org doesn't know the job any more, or refuses for an hour to tell.
 */
export async function endOf(
  org: BulkOrg,
  signal: AbortSignal,
  id: string,
  pace: Pace,
): Promise<JobState | undefined> {
  let refusedSince: number | undefined;
  for (let wait = pace.next(); ;) {
    await pause(wait, signal);
    try {
      const state = await stateOf(org, signal, id);
      if (isOver(state)) return state;
      refusedSince = undefined;
      wait = pace.next(state);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      refusedSince ??= performance.now();
      if (error.code === 'NOT_FOUND' || performance.now() - refusedSince > REFUSED_MS) return undefined;
      wait = LATEST;
    }
  }
}

/** What became of the rows, as far as the org tells. */
export async function resultsOf(
  org: BulkOrg,
  signal: AbortSignal,
  { id, state, processed, failed }: JobState,
  file: JobFile,
): Promise<Answers> {
  const answers: Answers = new Map();
  const parts = [
    ...(processed > failed || (processed === 0 && state === 'JobComplete') ? ['successfulResults'] : []),
    ...(failed > 0 ? ['failedResults'] : []),
  ];
  for (const part of parts)
    for (let reading = 1; reading <= READINGS; reading++) {
      try {
        const text = await ask(org, signal, 'GET', `${JOBS}/${id}/${part}`, {
          headers: { accept: 'text/csv' },
          timeout: LARGE,
        });
        await readResults(typeof text === 'string' ? text : '', file, answers);
        break;
      } catch (error) {
        if (error instanceof Refused) break;
        if (!(error instanceof SyntaxError)) throw error;
      }
    }
  return answers;
}

/** Each line says its row again, in whatever order. Throws SyntaxError for what is no table of results. */
async function readResults(
  text: string,
  { byKey, keyColumn, endpoint }: JobFile,
  answers: Answers,
): Promise<void> {
  // A document that broke off: its last line may say less than it was to.
  const whole = text.endsWith('\n') ? text : text.slice(0, text.lastIndexOf('\n') + 1);
  const lines = csvLines(whole, DELIMITER.letter);
  const header = next(lines)?.map((name) => name.toLowerCase()) ?? [];
  const at = (name: string) => header.indexOf(name.toLowerCase());
  const [idAt, createdAt, errorAt, keyAt] = [at('sf__Id'), at('sf__Created'), at('sf__Error'), at(keyColumn)];
  if (keyAt < 0 || createdAt < 0 === errorAt < 0) throw new SyntaxError(say`no results`);
  for (let count = 1, line = next(lines); line; count++, line = next(lines)) {
    if (count % SLICE === 0) await turn();
    const write = byKey.get(line[keyAt] ?? '');
    if (!write || line.length !== header.length) continue;
    const id = line[idAt] === '' ? undefined : line[idAt];
    answers.set(
      write,
      errorAt >= 0
        ? { id, success: false, errors: [rowError(line[errorAt] ?? '')] }
        : {
            id,
            success: true,
            errors: [],
            ...(endpoint.operation === 'upsert' && { created: line[createdAt]?.toLowerCase() === 'true' }),
          },
    );
  }
}

function next(lines: Generator<string[], void, undefined>): string[] | undefined {
  try {
    return lines.next().value ?? undefined;
  } catch (error) {
    throw new SyntaxError(messageOf(error));
  }
}

/** `REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --` */
export function rowError(text: string): RowError {
  const [, statusCode, rest = ''] = /^([A-Z][A-Z0-9_]*):([\s\S]*)$/.exec(text) ?? [];
  if (statusCode === undefined) return { statusCode: 'UNKNOWN_ERROR', message: text, fields: [] };
  const [, message = rest, names = ''] = /^([\s\S]*):([\w\s,]*?)\s*--$/.exec(rest) ?? [];
  return { statusCode, message, fields: names.split(/[\s,]+/).filter((name) => name !== '') };
}
