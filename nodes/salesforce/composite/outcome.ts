import { bodiesOf, type Collection, type Entry } from './call';
import type { CollectionAnswer } from './requests';
import { fieldOf } from './keys';
import { isRecord } from './limits';
import type { Endpoint, RowError, RowResult, Write } from './operations';
import { messageOf } from '../../shared/errors';
import { judgeAnswer, namesOf, outageOf, refusalOutage, restError } from '../org/answer';
import {
  ROLLED_BACK,
  holds,
  holdsGovernorLimit,
  holdsLock,
  metBy,
  namesData,
  passes,
} from '../org/error-codes';
import { OrgOutage } from '../org/outage';
import { say } from '../../shared/say';

/** What an answer means for the writes of one entry. In all but `final` nothing was written. */
export type RowOutcome =
  /** One result for each row sent, for good. */
  | { kind: 'final'; results: RowResult[] }
  /** For a reason that passes, or that nobody knows; the results say which, should it never pass. */
  | { kind: 'again'; results: RowResult[] }
  /** The rows of the collection were too many for the automation of the org. */
  | { kind: 'crowded'; results: RowResult[] }
  /** The org takes them for one record, which may be in a call only once. */
  | { kind: 'apart'; results: RowResult[] }
  /** The org writes nothing just now. */
  | { kind: 'held'; outage: OrgOutage };

/** What an answer means for a whole collection. */
export type CollectionOutcome =
  | { kind: 'rows'; outcomes: RowOutcome[] }
  /** Not carried out, or nobody knows (`sent`). `counts` where the org may be alive and choke on just this call. */
  | { kind: 'outage'; outage: OrgOutage; counts: boolean }
  /** Refused as a whole: `at` names those at fault, where it is known; `shared`: one of them may be. */
  | { kind: 'refused'; error: RowError; shared: boolean; at?: Entry[] }
  /** Refused as a whole by the org itself, in words that are no evidence against a record. */
  | { kind: 'unexplained'; error: RowError };

/** Refusals that every row of the endpoint would get: the object or the right is missing. */
const ENDPOINT_REFUSALS = new Set([
  'NOT_FOUND',
  'INVALID_TYPE',
  'INSUFFICIENT_ACCESS',
  'INSUFFICIENT_ACCESS_OR_READONLY',
  'CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY',
]);

export function outcomeOf(collection: Collection, answer: CollectionAnswer): CollectionOutcome {
  const rest = { ...answer, headers: {} };
  const outage = outageOf(rest);
  if (outage) return { kind: 'outage', outage, counts: false };
  const { errorCode, message, fields } = restError(rest);
  const error: RowError = { statusCode: errorCode, message, fields: fields ?? [] };
  switch (judgeAnswer(rest)) {
    case 'done':
      return rowsOutcome(collection, answer);
    case 'refused':
      return treeOutcome(collection, answer) ?? refusal(collection, error);
    case 'large':
      return { kind: 'refused', error: tooLarge(answer.status), shared: true };
    default:
      return lost(errorCode, message);
  }
}

function rowsOutcome(collection: Collection, answer: CollectionAnswer): CollectionOutcome {
  const tree = treeOutcome(collection, answer);
  if (tree) return tree;
  const rows = rowsOf(collection, answer.body);
  if (!rows)
    return lost('UNREADABLE_ANSWER', say`The answer of the org does not have one result for each record`);
  let next = 0;
  const outcomes = collection.entries.map((entry) =>
    entryOutcome(entry, rows.slice(next, (next += entry.bodies.length))),
  );
  return { kind: 'rows', outcomes };
}

/** The org, or what stands before it, may choke on just this call, or may be away. */
function lost(code: string, message: string): CollectionOutcome {
  const outage = new OrgOutage('unreachable', code, say`The org failed (${code}: ${message})`, true);
  return { kind: 'outage', outage, counts: true };
}

/** The whole call, in the org's own words. */
function refusal(collection: Collection, error: RowError): CollectionOutcome {
  const { endpoint, entries } = collection;
  const fate = fateOf(error, endpoint);
  if (fate === 'crowded')
    return {
      kind: 'rows',
      outcomes: entries.map((entry) => ({ kind: fate, results: failures(entry, error) })),
    };
  if (fate !== 'fault') return { kind: 'unexplained', error };
  const at = entriesNamed(entries, error.message);
  if (at.length > 0) return { kind: 'refused', error, shared: false, at };
  const everybody =
    ENDPOINT_REFUSALS.has(error.statusCode) ||
    endpoint.operation === 'tree' ||
    /^Field name provided/.test(error.message);
  return { kind: 'refused', error, shared: !everybody };
}

/** One field that the object doesn't have can spoil a call for all others. */
function entriesNamed(entries: readonly Entry[], message: string): Entry[] {
  const field = /\b[Nn]o such column '([^']+)'/.exec(message)?.[1];
  if (field === undefined) return [];
  return entries.filter(({ bodies }) =>
    bodies.some((body) => isRecord(body) && fieldOf(body, field) !== undefined),
  );
}

function failures(entry: Entry, error: RowError): RowResult[] {
  return entry.bodies.map(() => ({ id: null, success: false, errors: [error], record: null }));
}

/** Whose fault a row's error is: that of its data, or somebody else's. */
type Fate = 'fault' | 'rolledBack' | 'held' | 'crowded' | 'apart' | 'again';

/** Of those that are nobody's fault, the first that is there decides. */
const FATES = ['held', 'crowded', 'apart', 'again'] as const;

function fateOf(error: RowError, endpoint: Endpoint): Fate {
  const { statusCode, message } = error;
  if (ROLLED_BACK.has(statusCode)) return 'rolledBack';
  // Triggers and flows wrap what they have met, under codes of faults.
  const code = metBy(statusCode, message) ?? statusCode;
  if (holds(code)) return 'held';
  if (holdsLock(message)) return 'again';
  if (holdsGovernorLimit(message)) return 'crowded';
  if (statusCode === 'DUPLICATE_VALUE' && endpoint.operation === 'upsert') {
    if (/Duplicate external id specified/i.test(message)) return 'apart';
    if (isOwnKey(message, endpoint)) return 'again';
  }
  return isFault(error) ? 'fault' : 'again';
}

/** Why the org writes nothing. */
function outageOfRow({ statusCode, message }: RowError): OrgOutage | undefined {
  return refusalOutage(metBy(statusCode, message) ?? statusCode, `(${statusCode}: ${message})`);
}

/** Refused before they were sent. */
const OURS = new Set(['NOT_SENDABLE', 'REQUEST_TOO_LARGE']);

/** True where the error is evidence against the data of its row, by its code or by the fields that it names. */
export function isFault({ statusCode, message, fields }: RowError): boolean {
  if (ROLLED_BACK.has(statusCode) || holdsLock(message) || holdsGovernorLimit(message)) return false;
  if (metBy(statusCode, message) !== undefined) return false;
  return namesData(statusCode) || OURS.has(statusCode) || (fields.length > 0 && !passes(statusCode));
}

/** Somebody else has created the record at the same moment: sent again, the upsert finds and updates it. */
function isOwnKey(message: string, { externalIdField = '' }: Endpoint): boolean {
  const field = /duplicate value found: (\w+) duplicates value on record/i.exec(message)?.[1];
  return field?.toLowerCase() === externalIdField.toLowerCase();
}

/** What the errors mean for the rows that are written or refused as one. */
export function outcomeOfRows(results: RowResult[], endpoint: Endpoint): RowOutcome {
  if (results.every(({ success, errors }) => success && errors.length === 0))
    return { kind: 'final', results };
  const errors = results.flatMap((result) => result.errors);
  const fates = new Set(errors.map((error) => fateOf(error, endpoint)));
  const silent = results.some(({ success, errors }) => !success && errors.length === 0);
  if (fates.has('fault')) return { kind: 'final', results };
  const fate = FATES.find((one) => fates.has(one)) ?? (silent ? 'again' : undefined);
  if (fate === undefined) return { kind: 'final', results };
  const outage = fate === 'held' ? errors.map(outageOfRow).find((one) => one) : undefined;
  return outage ? { kind: 'held', outage } : { kind: fate === 'held' ? 'again' : fate, results };
}

function entryOutcome(entry: Entry, answers: unknown[]): RowOutcome {
  const [write] = entry.writes as [Write];
  const results = answers.map((answer, i) => resultOf(write, entry.bodies[i], answer));
  return outcomeOfRows(results, write.endpoint);
}

/** What an answer to one row alone means, in the shape of a collection's. */
export function outcomeOfRow(write: Write, answer: unknown): RowOutcome {
  return entryOutcome({ writes: [write], bodies: write.rows.map(({ body }) => body) }, [answer]);
}

function tooLarge(status: number): RowError {
  return {
    statusCode: 'REQUEST_TOO_LARGE',
    message: say`The record is larger than the org, or what stands before it, takes (${status})`,
    fields: [],
  };
}

function resultOf(write: Write, body: unknown, answer: unknown): RowResult {
  if (write.endpoint.operation === 'get') {
    if (isRecord(answer))
      return { id: textOf(answer.Id) ?? textOf(body), success: true, errors: [], record: answer };
    const error = {
      statusCode: 'NOT_FOUND',
      message: say`There is no such record, or the user may not see it`,
      fields: ['Id'],
    };
    return { id: textOf(body), success: false, errors: [error], record: null };
  }
  const row = isRecord(answer) ? answer : {};
  const errors = rowErrorsOf(row.errors);
  const id =
    textOf(row.id) ??
    textOf(write.endpoint.operation === 'delete' ? body : isRecord(body) ? (body.Id ?? body.id) : null);
  if (row.success === true) {
    return {
      id,
      success: true,
      ...(typeof row.created === 'boolean' && { created: row.created }),
      errors: [],
      record: null,
    };
  }
  if (deletedBefore(write, errors)) return { id, success: true, errors: [], record: null };
  return { id, success: false, errors, record: null };
}

/** A delete that may have been carried out before finds its record gone: that is what was wanted. */
function deletedBefore(write: Write, errors: RowError[]): boolean {
  const repeated = write.losses > 0 || write.message.request.repeated === true;
  return (
    write.endpoint.operation === 'delete' &&
    repeated &&
    errors.length > 0 &&
    errors.every((error) => error.statusCode === 'ENTITY_IS_DELETED')
  );
}

/** Whatever stands in the place of a row's errors; what is none is left out, and what has no text is told as it is. */
function rowErrorsOf(errors: unknown): RowError[] {
  return (Array.isArray(errors) ? errors.filter(isRecord) : []).map(
    ({ statusCode, message, fields, ...more }) => ({
      statusCode: textOf(statusCode) ?? 'UNKNOWN_ERROR',
      message: textOf(message) ?? (message === undefined ? '' : messageOf(message)),
      fields: namesOf(fields),
      ...more,
    }),
  );
}

/** Rows in the order they were sent, or undefined if the answer doesn't fit the question. */
function rowsOf(collection: Collection, body: unknown): unknown[] | undefined {
  if (!Array.isArray(body)) return undefined;
  const bodies = bodiesOf(collection);
  if (collection.endpoint.operation !== 'get') {
    const told = body.every((row) => isRecord(row) && typeof row.success === 'boolean');
    return told && body.length === bodies.length ? body : undefined;
  }
  const ids = [...new Set(bodies)];
  if (body.length !== ids.length || !body.every((row) => row === null || isRecord(row))) return undefined;
  if (ids.length === bodies.length) return body as unknown[];
  const found = new Map(ids.map((id, i) => [id, body[i] as unknown]));
  return bodies.map((body) => found.get(body));
}

interface TreeResult {
  referenceId?: unknown;
  id?: unknown;
  errors?: unknown;
}

/** 201 gives an id for each reference id; 400 names the failing records only, and nothing was written. */
function treeOutcome(collection: Collection, answer: CollectionAnswer): CollectionOutcome | undefined {
  if (collection.endpoint.operation !== 'tree' || !isRecord(answer.body)) return undefined;
  const { hasErrors } = answer.body;
  const entry = collection.entries[0];
  if (!entry || !Array.isArray(answer.body.results)) return undefined;
  const results = answer.body.results.filter(isRecord) as TreeResult[];
  const byReference = new Map(results.map((result) => [result.referenceId, result]));
  const written = hasErrors === false && answer.status === 201;
  const rows = entry.bodies.map((root): RowResult => {
    const names = referenceIdsOf(root);
    const own = names.map((name) => byReference.get(name));
    if (written) {
      const references = Object.fromEntries(names.map((name, i) => [name, textOf(own[i]?.id) ?? '']));
      return { id: textOf(own[0]?.id), success: true, errors: [], record: null, references };
    }
    const errors = own.flatMap((result) => rowErrorsOf(result?.errors));
    return { id: null, success: false, errors: errors.length > 0 ? errors : [halted()], record: null };
  });
  return { kind: 'rows', outcomes: [outcomeOfRows(rows, collection.endpoint)] };
}

function halted(): RowError {
  const message = say`This tree was not written because another tree of the same request failed`;
  return { statusCode: 'PROCESSING_HALTED', message, fields: [] };
}

/** Reference ids of a tree, its root's first. */
function referenceIdsOf(node: unknown): string[] {
  if (!isRecord(node)) return [];
  const own = (node.attributes as { referenceId?: string } | undefined)?.referenceId;
  const children = Object.values(node).flatMap((value) =>
    isRecord(value) && Array.isArray(value.records) ? (value.records as unknown[]) : [],
  );
  return [...(own === undefined ? [] : [own]), ...children.flatMap(referenceIdsOf)];
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
