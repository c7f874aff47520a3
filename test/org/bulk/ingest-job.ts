/** A Bulk API 2.0 ingest job and its work: rows of a CSV, written in chunks as they would be by collections. */
import { parseCsv } from './csv';
import { type JobState } from './query';
import { rawKey, repeated } from '../rest/collections';
import { rulesOf } from '../rest/rules';
import {
  create,
  failed,
  fieldOf,
  remove,
  update,
  upsert,
  type RowRules,
  type SaveResult,
  type Sent,
} from '../store/dml';
import { rowError } from '../store/errors';
import { type Field, type SObjectType } from '../store/schema';
import { keyOf } from '../store/table';
import { type Call, type OrgState } from '../state';
import { type Transaction } from '../store/store';

export type Operation = 'insert' | 'update' | 'upsert' | 'delete' | 'hardDelete';

export interface IngestJob {
  readonly id: string;
  readonly operation: Operation;
  readonly type: SObjectType;
  /** The key of an upsert. */
  readonly external: Field | undefined;
  readonly columnDelimiter: string;
  readonly separator: string;
  readonly lineEnding: 'LF' | 'CRLF';
  readonly version: string;
  readonly createdAt: number;
  readonly createdBy: string;
  state: JobState;
  /** The file, once it was uploaded. */
  text: string | undefined;
  /** The call that closed the job, and when: its rows meet the faults that were for it. */
  closedBy: Call | undefined;
  closedAt: number;
  header: string[];
  rows: string[][];
  /** Of the rows that were worked on. */
  results: SaveResult[];
  errorMessage: string | undefined;
}

/** Rows that the platform counts as one batch of the day's. */
export const BATCH_ROWS = 10_000;
/** Rows of one transaction, as a trigger gets them. */
const CHUNK_ROWS = 200;

/** Reads the file of a job that is closed; what is wrong with all of it fails the job. */
export function readFile(job: IngestJob): void {
  const text = job.text ?? '';
  const endings = /\r\n/.test(text) ? 'CRLF' : 'LF';
  if (text.includes('\n') && endings !== job.lineEnding)
    return fail(
      job,
      `ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is ${job.lineEnding}`,
    );
  const [header = [], ...rows] = parseCsv(text, job.separator);
  job.header = header;
  job.rows = rows;
  const unknown = header.find((name) => !isColumn(job.type, name));
  if (unknown !== undefined) fail(job, `InvalidBatch : Field name not found : ${unknown}`);
  if (rows.some((row) => row.length !== header.length))
    fail(job, 'InvalidBatch : The number of values in a row differs from the number of columns');
}

function fail(job: IngestJob, message: string): void {
  job.state = 'Failed';
  job.errorMessage ??= message;
}

/** A field, or a parent's external id: `Account.ExternalId__c`. */
function isColumn(type: SObjectType, name: string): boolean {
  const [relationship = '', parentField] = name.split('.');
  if (parentField === undefined) return fieldOf(type, name) !== undefined;
  return [...type.fields.values()].some(
    (field) => field.relationshipName?.toLowerCase() === relationship.toLowerCase(),
  );
}

/** Works on the rows that are due by now: all when the job's time is over, batch by batch until then. */
export function advance(org: OrgState, job: IngestJob): void {
  if ((job.state !== 'UploadComplete' && job.state !== 'InProgress') || !job.closedBy) return;
  const age = org.store.now() - job.closedAt;
  const takes = duration(org, job);
  const over = age >= takes;
  const batches = Math.floor(((age / takes) * job.rows.length) / BATCH_ROWS);
  const due = over ? job.rows.length : batches * BATCH_ROWS;
  job.state = 'InProgress';
  while (job.results.length < due) {
    const from = job.results.length;
    work(org, job, job.closedBy, job.rows.slice(from, from + CHUNK_ROWS));
  }
  if (over) job.state = 'JobComplete';
}

/** Milliseconds that the job works. */
export function duration({ switches }: OrgState, { rows }: IngestJob): number {
  return switches.bulkJobMs + switches.bulkRowMs * rows.length;
}

/** One chunk in one transaction. */
function work(org: OrgState, job: IngestJob, closedBy: Call, rows: readonly string[][]): void {
  const records = rows.map((row) => record(job, row));
  const rules = rulesOf(org, { ...closedBy, body: { records } });
  const tx = org.store.begin({
    user: job.createdBy,
    origin: `com/salesforce/api/rest/${job.version};client=BulkAPI`,
  });
  const { external } = job;
  const keys = records.map((sent) => external && keyOf(external, rawKey(external, sent)));
  const twice = repeated(keys);
  for (const [i, sent] of records.entries()) {
    const key = keys[i];
    const isTwice = external && key !== undefined && twice.has(key);
    job.results.push(isTwice ? duplicate(external, sent) : write(tx, job, sent, rules));
  }
  tx.commit();
}

function duplicate(external: Field, sent: Sent): SaveResult {
  const message = `Duplicate external id specified: ${String(rawKey(external, sent))}`;
  return failed(rowError('DUPLICATE_VALUE', message, [external.name]));
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

function write(
  tx: Transaction,
  { type, operation, external }: IngestJob,
  sent: Sent,
  rules: RowRules,
): SaveResult {
  const id = sent.Id ?? sent.id;
  switch (operation) {
    case 'insert':
      return create(tx, type, sent, rules);
    case 'update':
      return update(tx, type, id, sent, rules);
    case 'upsert':
      if (!external) throw new Error('an upsert without its key');
      return upsert(tx, type, external, sent, rules);
    case 'delete':
    case 'hardDelete': {
      const result = remove(tx, String(id), rules);
      const found = result.success && operation === 'hardDelete' ? tx.store.find(result.id) : undefined;
      if (found) tx.purge(type, found.number);
      return result;
    }
  }
}
