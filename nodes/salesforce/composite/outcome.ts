import type { Collection, Entry } from './call';
import type { CollectionAnswer } from './requests';
import { isRecord } from './limits';
import type { RowError, RowResult, Write } from './operations';
import { messageOf } from '../../shared/errors';
import { namesOf, outageOf, restError } from '../org/session';
import { OrgOutage } from '../org/outage';

/** What an answer means for the writes of one entry. */
export type RowOutcome =
  /** One result for each row sent, for good. */
  | { kind: 'final'; results: RowResult[] }
  /** Not written, for a reason that passes; the results say which, should it never pass. */
  | { kind: 'again'; results: RowResult[] };

/** What an answer means for a whole collection. */
export type CollectionOutcome =
  | { kind: 'rows'; outcomes: RowOutcome[] }
  /** Not carried out, or nobody knows (`sent`). `counts` where the org may be alive and choke on just this call. */
  | { kind: 'outage'; outage: OrgOutage; counts: boolean }
  /** Refused as a whole. `shared`: one write among them may have spoilt it for the others. */
  | { kind: 'refused'; error: RowError; shared: boolean };

/** Row errors that pass by themselves. */
export const PASSING: ReadonlySet<string> = new Set([
  'UNABLE_TO_LOCK_ROW',
  'SERVER_UNAVAILABLE',
  'REQUEST_RUNNING_TOO_LONG',
  'QUERY_TIMEOUT',
  'REQUEST_LIMIT_EXCEEDED',
]);

/** Rows that were right themselves, in a collection or call of all or none. */
export const ROLLED_BACK: ReadonlySet<string> = new Set([
  'ALL_OR_NONE_OPERATION_ROLLED_BACK',
  'PROCESSING_HALTED',
]);

/** Refusals that every row of the endpoint would get: the object, the field or the right is missing. */
const ENDPOINT_REFUSALS = new Set([
  'NOT_FOUND',
  'INVALID_TYPE',
  'INVALID_FIELD',
  'INSUFFICIENT_ACCESS',
  'INSUFFICIENT_ACCESS_OR_READONLY',
  'CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY',
]);

export function outcomeOf(collection: Collection, answer: CollectionAnswer): CollectionOutcome {
  const { status } = answer;
  const rest = { status, headers: {}, body: answer.body };
  const outage = outageOf(rest);
  const { errorCode, message, fields } = restError(rest);
  const error: RowError = { statusCode: errorCode, message, fields };
  if (outage) return { kind: 'outage', outage, counts: false };
  if (status >= 500) return lost(errorCode, message);
  if (collection.endpoint.operation === 'tree') return treeOutcome(collection, answer, error);
  if (status !== 200) return { kind: 'refused', error, shared: !ENDPOINT_REFUSALS.has(errorCode) };

  const rows = rowsOf(collection, answer.body);
  if (!rows)
    return lost('UNREADABLE_ANSWER', 'The answer of the org does not have one result for each record');
  let next = 0;
  const outcomes = collection.entries.map((entry) =>
    entryOutcome(entry, rows.slice(next, (next += entry.bodies.length))),
  );
  return { kind: 'rows', outcomes };
}

function lost(code: string, message: string): CollectionOutcome {
  const outage = new OrgOutage('unreachable', code, `The org failed (${code}: ${message})`, true);
  return { kind: 'outage', outage, counts: true };
}

function entryOutcome(entry: Entry, answers: unknown[]): RowOutcome {
  const [write] = entry.writes;
  const results = answers.map((answer, i) => resultOf(write as Write, entry.bodies[i], answer));
  const errors = results.flatMap((result) => result.errors.map((error) => error.statusCode));
  const passes =
    errors.some((code) => PASSING.has(code)) &&
    errors.every((code) => PASSING.has(code) || ROLLED_BACK.has(code));
  return { kind: passes ? 'again' : 'final', results };
}

function resultOf(write: Write, body: unknown, answer: unknown): RowResult {
  if (write.endpoint.operation === 'get') {
    if (isRecord(answer))
      return { id: textOf(answer.Id) ?? textOf(body), success: true, errors: [], record: answer };
    const error = {
      statusCode: 'NOT_FOUND',
      message: 'There is no such record, or the user may not see it',
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
  const bodies = collection.entries.flatMap((entry) => entry.bodies);
  if (collection.endpoint.operation !== 'get') return body.length === bodies.length ? body : undefined;
  const ids = [...new Set(bodies)];
  if (body.length !== ids.length) return undefined;
  const found = new Map(ids.map((id, i) => [id, body[i] as unknown]));
  return bodies.map((body) => found.get(body));
}

/** 201 gives an id for each reference id; 400 names the failing records only, and nothing was written. */
function treeOutcome(collection: Collection, answer: CollectionAnswer, error: RowError): CollectionOutcome {
  const { hasErrors, results } = isRecord(answer.body) ? answer.body : {};
  const entry = collection.entries[0];
  if (!entry || !Array.isArray(results)) return { kind: 'refused', error, shared: false };
  const byReference = new Map(results.filter(isRecord).map((result) => [result.referenceId, result]));
  const rows = entry.bodies.map((root): RowResult => {
    const names = referenceIdsOf(root);
    const own = names.map((name) => byReference.get(name));
    if (!hasErrors && answer.status === 201) {
      const references = Object.fromEntries(names.map((name, i) => [name, textOf(own[i]?.id) ?? '']));
      return { id: textOf(own[0]?.id), success: true, errors: [], record: null, references };
    }
    const errors = own.flatMap((result) => rowErrorsOf(result?.errors));
    return { id: null, success: false, errors: errors.length > 0 ? errors : [HALTED], record: null };
  });
  const codes = rows.flatMap((row) => row.errors.map((one) => one.statusCode));
  const passes =
    codes.some((code) => PASSING.has(code)) &&
    codes.every((code) => PASSING.has(code) || ROLLED_BACK.has(code));
  return { kind: 'rows', outcomes: [{ kind: passes ? 'again' : 'final', results: rows }] };
}

const HALTED: RowError = {
  statusCode: 'PROCESSING_HALTED',
  message: 'This tree was not written because another tree of the same request failed',
  fields: [],
};

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
