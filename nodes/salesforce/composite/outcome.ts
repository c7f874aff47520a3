import { bodiesOf, type Collection, type Entry } from './call';
import { fateOf, outcomeOfRows, type RowOutcome } from './fate';
import { fieldOf } from './keys';
import { isRecord } from './limits';
import type { RowError, RowResult, Write } from './operations';
import type { CollectionAnswer } from './requests';
import { resultOf } from './row-result';
import { treeOutcome } from './tree-answer';
import { judgeAnswer, outageOf, restError } from '../org/answer';
import { OrgOutage } from '../org/outage';
import { say } from '../../shared/say';

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
      return treesOutcome(collection, answer) ?? refusal(collection, error);
    case 'large':
      return { kind: 'refused', error: tooLarge(answer.status), shared: true };
    default:
      return lost(errorCode, message);
  }
}

function rowsOutcome(collection: Collection, answer: CollectionAnswer): CollectionOutcome {
  const tree = treesOutcome(collection, answer);
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

function treesOutcome(collection: Collection, answer: CollectionAnswer): CollectionOutcome | undefined {
  const outcome = treeOutcome(collection, answer);
  return outcome && { kind: 'rows', outcomes: [outcome] };
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
