/** Bulk API 2.0 query jobs: `/jobs/query`. */
import { csvLine } from './csv';
import { dateTimeText } from '../store/dates';
import { isRecord } from '../store/dml';
import { ApiError, methodNotAllowed, notFound } from '../store/errors';
import { recordId, recordNumber } from '../store/ids';
import { find, type Found } from '../rest/select';
import { columns } from '../rest/shapes';
import { onlyGet } from '../rest/sobjects';
import { isAggregated, parseSoql } from '../rest/soql';
import { type Call, type OrgState, type Reply } from '../state';
import { isCompound, type Field } from '../store/schema';
import { plainValue } from '../store/shown';
import { type Commit } from '../store/store';
import { type Row, type Value } from '../store/table';

export type JobState = 'Open' | 'UploadComplete' | 'InProgress' | 'JobComplete' | 'Failed' | 'Aborted';

interface Job {
  id: string;
  operation: string;
  text: string;
  version: string;
  createdAt: number;
  createdBy: string;
  state: JobState;
  found?: Found;
  /** Records that have changed since the job was done, as they were then. */
  before: Map<number, Row>;
  errorMessage?: string;
}

/** What a page holds where the client doesn't say. */
const DEFAULT_MAX_RECORDS = 50_000;

export class QueryJobs {
  readonly jobs = new Map<string, Job>();
  #next = 1;

  create(job: Omit<Job, 'id'>): Job {
    const made = { ...job, id: recordId('750', this.#next++) };
    this.jobs.set(made.id, made);
    return made;
  }
}

export function queryJobs(org: OrgState, call: Call): Reply {
  const [, , id, part] = call.path;
  if (id === undefined) {
    if (call.method === 'POST') return create(org, call);
    if (call.method === 'GET')
      return {
        status: 200,
        body: { done: true, nextRecordsUrl: null, records: [...org.queryJobs.jobs.values()].map(info) },
      };
    throw methodNotAllowed(call.method, 'GET, POST');
  }
  const job = org.queryJobs.jobs.get(id);
  if (!job) throw notFound();
  advance(org, job);
  if (part === 'results') return results(org, call, job);
  if (part === 'resultPages') return onlyGet(call, () => resultPages(call, job));
  if (part !== undefined) throw notFound();
  switch (call.method) {
    case 'GET':
      return {
        status: 200,
        body: {
          ...info(job),
          numberRecordsProcessed: job.found?.numbers.length ?? 0,
          retries: 0,
          totalProcessingTime: 0,
          ...failure(job),
        },
      };
    case 'PATCH':
      if (!isRecord(call.body) || call.body.state !== 'Aborted')
        throw invalidJob('The state can only be set to Aborted.');
      if (job.state !== 'JobComplete' && job.state !== 'Failed') job.state = 'Aborted';
      return { status: 200, body: info(job) };
    case 'DELETE':
      if (!['JobComplete', 'Aborted', 'Failed'].includes(job.state))
        throw invalidJob('The job must be completed, failed or aborted to be deleted.');
      org.queryJobs.jobs.delete(id);
      return { status: 204 };
    default:
      throw methodNotAllowed(call.method, 'GET, PATCH, DELETE');
  }
}

function invalidJob(message: string): ApiError {
  return new ApiError(400, 'INVALIDJOBSTATE', message);
}

function failure(job: Job): { errorMessage?: string } {
  return job.errorMessage === undefined ? {} : { errorMessage: job.errorMessage };
}

function info(job: Job): Record<string, unknown> {
  return {
    id: job.id,
    operation: job.operation,
    object: job.found?.type.name ?? objectOf(job.text),
    createdById: job.createdBy,
    createdDate: dateTimeText(job.createdAt),
    systemModstamp: dateTimeText(job.createdAt),
    state: job.state,
    concurrencyMode: 'Parallel',
    contentType: 'CSV',
    apiVersion: Number(job.version),
    jobType: 'V2Query',
    lineEnding: 'LF',
    columnDelimiter: 'COMMA',
  };
}

function objectOf(text: string): string {
  return /\bfrom\s+(\w+)/i.exec(text)?.[1] ?? '';
}

function create(org: OrgState, call: Call): Reply {
  const body = isRecord(call.body) ? call.body : {};
  const { operation, query } = body;
  if (operation !== 'query' && operation !== 'queryAll')
    throw new ApiError(400, 'INVALIDJOB', 'The operation must be query or queryAll.');
  if (typeof query !== 'string') throw new ApiError(400, 'INVALIDJOB', 'The query property is required.');
  const soql = parseSoql(query);
  if (soql.count || isAggregated(soql))
    throw new ApiError(400, 'API_ERROR', 'Aggregate queries are not supported by Bulk API 2.0.');
  if (soql.select.some(({ children }) => children))
    throw new ApiError(400, 'API_ERROR', 'Subqueries are not supported by Bulk API 2.0.');
  if (soql.offset > 0) throw new ApiError(400, 'API_ERROR', 'OFFSET is not supported by Bulk API 2.0.');
  if (!org.schema.type(soql.from))
    throw new ApiError(400, 'INVALIDENTITY', `Unable to find object: ${soql.from}`);
  const daily = org.limits.DailyBulkV2QueryJobs;
  if (daily) daily.Remaining = Math.max(0, daily.Remaining - 1);
  const job = org.queryJobs.create({
    operation,
    text: query,
    version: call.version,
    createdAt: org.store.now(),
    createdBy: call.session.userId,
    state: 'UploadComplete',
    before: new Map(),
  });
  return { status: 200, body: info(job) };
}

/** A job runs for as long as the switch says, then has the rows of that moment. */
function advance(org: OrgState, job: Job): void {
  if (job.state !== 'UploadComplete' && job.state !== 'InProgress') return;
  const age = org.store.now() - job.createdAt;
  if (age < org.switches.bulkJobMs) {
    job.state = 'InProgress';
    return;
  }
  try {
    job.found = find(org, job.text, job.operation === 'queryAll');
    for (const { field } of columns(org.store, job.found)) checkType(field);
    job.state = 'JobComplete';
    keepAsItIs(org, job, job.found.type.name);
  } catch (thrown) {
    if (!(thrown instanceof ApiError)) throw thrown;
    job.state = 'Failed';
    job.errorMessage = `${thrown.errorCode}: ${thrown.message}`;
  }
}

function checkType({ type, name }: Field): void {
  if (type === 'base64')
    throw new ApiError(400, 'FEATURENOTENABLED', `Binary fields not supported in Bulk Query: ${name}`);
  if (isCompound(type))
    throw new ApiError(400, 'FEATURENOTENABLED', 'Selecting compound data not supported in Bulk Query');
}

/** Results are read long after the job was done, and say what was so then. */
function keepAsItIs(org: OrgState, { id, before: kept }: Job, entity: string): void {
  const keep = ({ changes }: Commit): void => {
    if (!org.queryJobs.jobs.has(id)) return void org.store.off('commit', keep);
    for (const { before, recordId, ...change } of changes) {
      const number = recordNumber(recordId);
      if (before && change.entity === entity && !kept.has(number)) kept.set(number, before);
    }
  };
  org.store.on('commit', keep);
}

function results(org: OrgState, call: Call, job: Job): Reply {
  if (call.method !== 'GET') throw methodNotAllowed(call.method, 'GET');
  if (job.state !== 'JobComplete' || !job.found)
    throw invalidJob(`The job is ${job.state}: it has no results yet.`);
  if (call.version !== job.version)
    throw new ApiError(409, 'API_ERROR', 'Use the API version that the job was created with.');
  const { numbers } = job.found;
  const from = start(call.query.get('locator'));
  const asked = Number(call.query.get('maxRecords') ?? DEFAULT_MAX_RECORDS);
  if (from === undefined || from > numbers.length || !Number.isInteger(asked) || asked < 1)
    throw new ApiError(400, 'INVALID_QUERY_LOCATOR', 'invalid query locator');
  const last = Math.min(from + asked, numbers.length);
  const selected = columns(org.store, job.found);
  const lines = [csvLine(selected.map(({ names }) => names.join('.')))];
  const most = org.switches.bulkPageBytes || Infinity;
  let to = from;
  for (let bytes = 0; to < last && bytes < most; to++) {
    const number = numbers[to] as number;
    const row = job.before.get(number);
    const values = selected.map(({ field, names: [name = '', ...more], value }): Value =>
      csvValue(field, row && more.length === 0 ? (row[name] ?? null) : value(number)),
    );
    const line = csvLine(values);
    lines.push(line);
    bytes += line.length;
  }
  call.entry.records += to - from;
  const headers = {
    'Content-Type': 'text/csv',
    'Sforce-NumberOfRecords': String(to - from),
    'Sforce-Locator': to < numbers.length ? locator(to) : 'null',
  };
  return { status: 200, body: lines.join(''), headers };
}

const LISTED_PAGES = 5;

/** Where the next pages of the result are, for whoever reads them side by side. */
function resultPages(call: Call, job: Job): Reply {
  if (job.state !== 'JobComplete' || !job.found)
    throw invalidJob(`The job is ${job.state}: it has no results yet.`);
  const { length } = job.found.numbers;
  const base = `/services/data/v${job.version}/jobs/query/${job.id}`;
  const first = start(call.query.get('locator')) ?? 0;
  const starts: number[] = [];
  for (let at = first; at < Math.max(length, 1) && starts.length < LISTED_PAGES; at += DEFAULT_MAX_RECORDS)
    starts.push(at);
  const next = first + starts.length * DEFAULT_MAX_RECORDS;
  const done = next >= length;
  return {
    status: 200,
    body: {
      resultPages: starts.map((at) => ({
        resultLink: `${base}/results${at === 0 ? '' : `?locator=${locator(at)}`}`,
      })),
      nextRecordsUrl: done ? null : `${base}/resultPages?locator=${locator(next)}`,
      done,
    },
  };
}

/** Times end in Z, where REST has +0000. */
function csvValue(field: Field, value: Value): Value {
  return field.type === 'datetime' && typeof value === 'string'
    ? value.replace('+0000', 'Z')
    : plainValue(field, value);
}

/** Documented as a pseudo-random string such as MTAwMDA, which is a number in base 64. */
function locator(from: number): string {
  return Buffer.from(String(from)).toString('base64url');
}

function start(sent: string | null): number | undefined {
  if (sent === null || sent === '') return 0;
  const text = Buffer.from(sent, 'base64url').toString();
  return /^\d+$/.test(text) ? Number(text) : undefined;
}
