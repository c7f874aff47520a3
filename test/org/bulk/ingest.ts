/** Bulk API 2.0 ingest jobs: `/jobs/ingest`. */
import { csvLine, parseCsv } from './csv';
import { dateTimeText } from '../store/dates';
import {
  create as createRecord,
  fieldOf,
  isRecord,
  remove,
  update,
  upsert,
  type RowRules,
  type SaveResult,
  type Sent,
} from '../store/dml';
import { ApiError, methodNotAllowed, notFound } from '../store/errors';
import { type JobState } from './query';
import { recordId } from '../store/ids';
import { rulesOf } from '../rest/rules';
import { type SObjectType } from '../store/schema';
import { type Call, type OrgState, type Reply } from '../state';
import { type Transaction } from '../store/store';

interface IngestJob {
  id: string;
  operation: string;
  type: SObjectType;
  externalIdFieldName: string | null;
  version: string;
  createdAt: number;
  createdBy: string;
  state: JobState;
  header: string[];
  rows: string[][];
  results: SaveResult[];
}

const OPERATIONS = ['insert', 'update', 'upsert', 'delete', 'hardDelete'];
const BATCH = 200;

export class IngestJobs {
  readonly jobs = new Map<string, IngestJob>();
  #next = 1;

  nextId(): string {
    return recordId('751', this.#next++);
  }
}

export function ingestJobs(org: OrgState, call: Call): Reply {
  const [, , id, part] = call.path;
  if (id === undefined) {
    if (call.method !== 'POST') throw methodNotAllowed(call.method, 'POST');
    return create(org, call);
  }
  const job = org.ingestJobs.jobs.get(id);
  if (!job) throw notFound();
  if (part === 'batches') return upload(call, job);
  if (part !== undefined) return results(call, job, part);
  switch (call.method) {
    case 'GET':
      return { status: 200, body: info(job) };
    case 'PATCH':
      return close(org, call, job);
    case 'DELETE':
      org.ingestJobs.jobs.delete(id);
      return { status: 204 };
    default:
      throw methodNotAllowed(call.method, 'GET, PATCH, DELETE');
  }
}

function create(org: OrgState, call: Call): Reply {
  const body = isRecord(call.body) ? call.body : {};
  const { operation, object, externalIdFieldName } = body;
  if (typeof operation !== 'string' || !OPERATIONS.includes(operation))
    throw new ApiError(400, 'INVALIDJOB', `The operation must be one of ${OPERATIONS.join(', ')}.`);
  const type = typeof object === 'string' ? org.schema.type(object) : undefined;
  if (!type) throw new ApiError(400, 'INVALIDENTITY', `Unable to find object: ${String(object)}`);
  if (operation === 'upsert' && typeof externalIdFieldName !== 'string')
    throw new ApiError(400, 'INVALIDJOB', 'The externalIdFieldName property is required.');
  const job: IngestJob = {
    id: org.ingestJobs.nextId(),
    operation,
    type,
    externalIdFieldName: typeof externalIdFieldName === 'string' ? externalIdFieldName : null,
    version: call.version,
    createdAt: org.store.now(),
    createdBy: call.session.userId,
    state: 'Open',
    header: [],
    rows: [],
    results: [],
  };
  org.ingestJobs.jobs.set(job.id, job);
  return {
    status: 200,
    body: { ...info(job), contentUrl: `services/data/v${call.version}/jobs/ingest/${job.id}/batches` },
  };
}

function info(job: IngestJob): Record<string, unknown> {
  return {
    id: job.id,
    operation: job.operation,
    object: job.type.name,
    externalIdFieldName: job.externalIdFieldName,
    createdById: job.createdBy,
    createdDate: dateTimeText(job.createdAt),
    systemModstamp: dateTimeText(job.createdAt),
    state: job.state,
    concurrencyMode: 'Parallel',
    contentType: 'CSV',
    apiVersion: Number(job.version),
    jobType: 'V2Ingest',
    lineEnding: 'LF',
    columnDelimiter: 'COMMA',
    numberRecordsProcessed: job.results.length,
    numberRecordsFailed: job.results.filter((result) => !result.success).length,
  };
}

function upload(call: Call, job: IngestJob): Reply {
  if (call.method !== 'PUT') throw methodNotAllowed(call.method, 'PUT');
  if (job.state !== 'Open') throw new ApiError(400, 'INVALIDJOBSTATE', 'The job is not open.');
  const [header = [], ...rows] = parseCsv(typeof call.body === 'string' ? call.body : '');
  job.header = header;
  job.rows = rows;
  return { status: 201 };
}

function close(org: OrgState, call: Call, job: IngestJob): Reply {
  const state = isRecord(call.body) ? call.body.state : undefined;
  if (state === 'Aborted') job.state = 'Aborted';
  else if (state === 'UploadComplete' && job.state === 'Open') {
    job.state = 'UploadComplete';
    run(org, call, job);
  } else throw new ApiError(400, 'INVALIDJOBSTATE', `The job is ${job.state}.`);
  return { status: 200, body: { ...info(job), state } };
}

/** 200 rows a transaction, as the platform's own batches. */
function run(org: OrgState, call: Call, job: IngestJob): void {
  const rules = rulesOf(org, call);
  for (const [i, row] of job.rows.entries()) {
    job.results.push(write(call.tx, job, record(job, row), rules));
    if (i % BATCH === BATCH - 1) call.tx.commit();
  }
  job.state = 'JobComplete';
}

/** An empty value leaves the field as it is, #N/A empties it. */
function record(job: IngestJob, row: readonly string[]): Sent {
  const fields: Record<string, unknown> = {};
  for (const [i, name] of job.header.entries()) {
    const value = row[i] ?? '';
    const [relationship = '', parentField] = name.split('.');
    if (value === '') continue;
    if (parentField === undefined) fields[name] = value === '#N/A' ? null : value;
    else fields[relationship] = { [parentField]: value };
  }
  return fields;
}

function write(tx: Transaction, job: IngestJob, sent: Sent, rules: RowRules): SaveResult {
  const { type } = job;
  switch (job.operation) {
    case 'insert':
      return createRecord(tx, type, sent, rules);
    case 'update':
      return update(tx, type, sent.Id, sent, rules);
    case 'upsert': {
      const external = fieldOf(type, job.externalIdFieldName ?? '');
      if (!external)
        throw new ApiError(
          400,
          'INVALID_FIELD',
          `${job.externalIdFieldName ?? ''} is not a field of ${type.name}`,
        );
      return upsert(tx, type, external, sent, rules);
    }
    default: {
      const id = String(sent.Id);
      const result = remove(tx, id, rules);
      const found = tx.store.find(id);
      if (result.success && job.operation === 'hardDelete' && found) tx.purge(type, found.number);
      return result;
    }
  }
}

function results(call: Call, job: IngestJob, part: string): Reply {
  if (call.method !== 'GET') throw methodNotAllowed(call.method, 'GET');
  const rows = [...job.rows.entries()].map(([i, row]) => ({ row, result: job.results[i] }));
  const lines: string[] = [];
  if (part === 'successfulResults') {
    lines.push(csvLine(['sf__Id', 'sf__Created', ...job.header]));
    for (const { row, result } of rows)
      if (result?.success)
        lines.push(
          csvLine([result.id, String(job.operation === 'insert' || result.created === true), ...row]),
        );
  } else if (part === 'failedResults') {
    lines.push(csvLine(['sf__Id', 'sf__Error', ...job.header]));
    for (const { row, result } of rows) {
      const [error] = result?.errors ?? [];
      if (result && !result.success && error)
        lines.push(
          csvLine([
            result.id ?? '',
            `${error.statusCode}:${error.message}:${error.fields.join(' ')}--`,
            ...row,
          ]),
        );
    }
  } else if (part.toLowerCase() === 'unprocessedrecords') {
    lines.push(csvLine(job.header));
    for (const { row, result } of rows) if (!result) lines.push(csvLine(row));
  } else throw notFound();
  return { status: 200, body: lines.join(''), headers: { 'Content-Type': 'text/csv' } };
}
