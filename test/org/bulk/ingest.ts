/** Bulk API 2.0 ingest jobs: `/jobs/ingest`. Each call is one of the day's, whatever the number of rows. */
import { advance, BATCH_ROWS, duration, readFile, type IngestJob, type Operation } from './ingest-job';
import { results } from './ingest-results';
import { dateTimeText } from '../store/dates';
import { fieldOf, isRecord } from '../store/dml';
import { ApiError, methodNotAllowed, notFound } from '../store/errors';
import { recordId } from '../store/ids';
import { type Call, type OrgState, type Reply } from '../state';

const OPERATIONS: readonly Operation[] = ['insert', 'update', 'upsert', 'delete', 'hardDelete'];
const SEPARATORS: Record<string, string> = {
  COMMA: ',',
  SEMICOLON: ';',
  TAB: '\t',
  PIPE: '|',
  CARET: '^',
  BACKQUOTE: '`',
};
/** Query jobs have ids with the same prefix. */
const FIRST_ID = 1_000_000;
const LONGEST_TIMER = 2 ** 31 - 1;

export class IngestJobs {
  readonly jobs = new Map<string, IngestJob>();
  #next = FIRST_ID;

  nextId(): string {
    return recordId('750', this.#next++);
  }
}

export function ingestJobs(org: OrgState, call: Call): Reply {
  const [, , id, part] = call.path;
  const { jobs } = org.ingestJobs;
  if (id === undefined) {
    if (call.method === 'POST') return create(org, call);
    if (call.method !== 'GET') throw methodNotAllowed(call.method, 'GET, POST');
    return { status: 200, body: { done: true, nextRecordsUrl: null, records: [...jobs.values()].map(info) } };
  }
  const job = jobs.get(id);
  if (!job) throw notFound();
  advance(org, job);
  if (part === 'batches') return upload(org, call, job);
  if (part !== undefined) {
    if (call.method !== 'GET') throw methodNotAllowed(call.method, 'GET');
    if (['Open', 'UploadComplete', 'InProgress'].includes(job.state))
      throw wrongState(`The job is ${job.state}: it has no results yet.`);
    return results(job, part);
  }
  switch (call.method) {
    case 'GET':
      return { status: 200, body: progress(job) };
    case 'PATCH':
      return close(org, call, job);
    case 'DELETE':
      if (job.state === 'Open' || job.state === 'InProgress')
        throw wrongState('Only a job that is closed and not under way can be deleted.');
      jobs.delete(id);
      return { status: 204 };
    default:
      throw methodNotAllowed(call.method, 'GET, PATCH, DELETE');
  }
}

function wrongState(message: string): ApiError {
  return new ApiError(400, 'INVALIDJOBSTATE', message);
}

function invalid(message: string): ApiError {
  return new ApiError(400, 'INVALIDJOB', message);
}

function create(org: OrgState, call: Call): Reply {
  const body = isRecord(call.body) ? call.body : {};
  const { object, externalIdFieldName, columnDelimiter = 'COMMA', lineEnding = 'LF' } = body;
  const operation = OPERATIONS.find((each) => each === body.operation);
  if (!operation) throw invalid(`The operation must be one of ${OPERATIONS.join(', ')}.`);
  const type = typeof object === 'string' ? org.schema.type(object) : undefined;
  if (!type) throw new ApiError(400, 'INVALIDENTITY', `Unable to find object: ${String(object)}`);
  const external = typeof externalIdFieldName === 'string' ? fieldOf(type, externalIdFieldName) : undefined;
  if (operation === 'upsert' && !external?.idLookup)
    throw invalid(`InvalidJob : Field name provided is not an External ID: ${String(externalIdFieldName)}`);
  const separator = SEPARATORS[String(columnDelimiter)];
  if (separator === undefined || (lineEnding !== 'LF' && lineEnding !== 'CRLF'))
    throw invalid('columnDelimiter or lineEnding is none that there is.');
  if ((org.limits.DailyBulkApiBatches?.Remaining ?? 1) <= 0)
    throw new ApiError(400, 'EXCEEDEDQUOTA', 'ApiBatchItems Limit exceeded.');
  const job: IngestJob = {
    id: org.ingestJobs.nextId(),
    operation,
    type,
    external,
    columnDelimiter: String(columnDelimiter),
    separator,
    lineEnding,
    version: call.version,
    createdAt: org.store.now(),
    createdBy: call.session.userId,
    state: 'Open',
    text: undefined,
    closedBy: undefined,
    closedAt: 0,
    header: [],
    rows: [],
    results: [],
    errorMessage: undefined,
  };
  org.ingestJobs.jobs.set(job.id, job);
  return { status: 200, body: info(job) };
}

function info(job: IngestJob): Record<string, unknown> {
  const contentUrl = `services/data/v${job.version}/jobs/ingest/${job.id}/batches`;
  return {
    id: job.id,
    operation: job.operation,
    object: job.type.name,
    externalIdFieldName: job.external?.name ?? null,
    createdById: job.createdBy,
    createdDate: dateTimeText(job.createdAt),
    systemModstamp: dateTimeText(job.closedAt || job.createdAt),
    state: job.state,
    concurrencyMode: 'Parallel',
    contentType: 'CSV',
    apiVersion: Number(job.version),
    jobType: 'V2Ingest',
    lineEnding: job.lineEnding,
    columnDelimiter: job.columnDelimiter,
    ...(job.state === 'Open' ? { contentUrl } : {}),
  };
}

function progress(job: IngestJob): Record<string, unknown> {
  return {
    ...info(job),
    numberRecordsProcessed: job.results.length,
    numberRecordsFailed: job.results.filter(({ success }) => !success).length,
    retries: 0,
    totalProcessingTime: 0,
    apiActiveProcessingTime: 0,
    apexProcessingTime: 0,
    ...(job.errorMessage === undefined ? {} : { errorMessage: job.errorMessage }),
  };
}

/** A job takes one file. */
function upload(org: OrgState, call: Call, job: IngestJob): Reply {
  if (call.method !== 'PUT') throw methodNotAllowed(call.method, 'PUT');
  if (job.state !== 'Open') throw wrongState(`The job is ${job.state}.`);
  if (job.text !== undefined)
    throw wrongState(
      `Found multiple contents for job: <${job.id}>; make sure you only do 'PUT' once on a given Job.`,
    );
  const text = typeof call.body === 'string' ? call.body : '';
  if (Buffer.byteLength(text) > org.switches.bulkUploadBytes)
    throw new ApiError(413, 'REQUEST_ENTITY_TOO_LARGE', 'The file is larger than a job may be.');
  job.text = text;
  return { status: 201 };
}

function close(org: OrgState, call: Call, job: IngestJob): Reply {
  const state = isRecord(call.body) ? call.body.state : undefined;
  const isOver = ['JobComplete', 'Failed', 'Aborted'].includes(job.state);
  if (state === 'Aborted' && !isOver) {
    if (job.rows.length === 0) readFile(job);
    job.state = 'Aborted';
  } else if (state === 'UploadComplete' && job.state === 'Open') {
    job.state = 'UploadComplete';
    const answer = { status: 200, body: info(job) };
    begin(org, call, job);
    return answer;
  } else throw wrongState(`The job is ${job.state}.`);
  return { status: 200, body: info(job) };
}

/** From now on the job works by itself, whether somebody asks for it or not. */
function begin(org: OrgState, call: Call, job: IngestJob): void {
  job.closedBy = call;
  job.closedAt = org.store.now();
  readFile(job);
  const batches = org.limits.DailyBulkApiBatches;
  if (batches) batches.Remaining = Math.max(0, batches.Remaining - Math.ceil(job.rows.length / BATCH_ROWS));
  workOn(org, job);
}

/** A timer can end a millisecond before the clock says so: the job is asked again until its time is over. */
function workOn(org: OrgState, job: IngestJob): void {
  const left = job.closedAt + duration(org, job) - org.store.now();
  if (left <= 0) return advance(org, job);
  setTimeout(() => workOn(org, job), Math.min(Math.max(left, 1), LONGEST_TIMER)).unref();
}
