import { bodiesOf, type Call, type Collection } from './call';
import { COLLECTION_RECORDS, isRecord } from './limits';
import { restError, type OrgAnswer } from '../org/answer';
import { say } from '../../shared/say';

/** Settings of the node that travel as request headers. */
export interface WriteHeaders {
  allowDuplicateSave?: boolean;
  autoAssign?: boolean;
}

/** What the org said of one collection of a call. */
export interface CollectionAnswer {
  status: number;
  body: unknown;
}

interface Subrequest {
  method: string;
  /** Below /services/data/vXX.X. */
  path: string;
  body?: unknown;
}

export interface CallRequest extends Subrequest {
  headers: Record<string, string>;
}

/** The one request that carries a call: its only collection, or `/composite` around several. */
export function requestOf(call: Call, dataPath: string, settings: WriteHeaders): CallRequest {
  const headers = headersOf(settings);
  const [first] = call.collections;
  if (first && call.collections.length === 1) {
    const slices = slicesOf(first);
    const [bodies] = slices;
    if (bodies && slices.length === 1) return { ...subrequest(first, bodies), headers };
  }
  const httpHeaders = Object.keys(headers).length > 0 ? { httpHeaders: headers } : {};
  const compositeRequest = call.collections
    .flatMap((collection) => slicesOf(collection).map((bodies) => subrequest(collection, bodies)))
    .map(({ method, path, body }, i) => ({
      method,
      url: dataPath + path,
      referenceId: referenceOf(i),
      body,
      ...httpHeaders,
    }));
  // One atomic write above 200 records is alone in its call, which then succeeds or fails as a whole.
  const allOrNone = call.collections.length === 1;
  return {
    method: 'POST',
    path: '/composite',
    body: { allOrNone, collateSubrequests: false, compositeRequest },
    headers: {},
  };
}

/** One answer for each collection of the call. */
export function answersOf(call: Call, answer: OrgAnswer): CollectionAnswer[] {
  const whole = { status: answer.status, body: answer.body };
  const slices = call.collections.map(slicesOf);
  const composite = call.collections.length > 1 || slices.some((parts) => parts.length > 1);
  if (!composite || answer.status !== 200) return call.collections.map(() => whole);

  const parts = partsOf(answer.body, slices.flat().length);
  let next = 0;
  return slices.map((bodies) => {
    const own = parts.slice(next, (next += bodies.length)).map(partOf);
    return own.length === 1 && own[0] ? own[0] : join(own, bodies);
  });
}

function referenceOf(index: number): string {
  return `c${index}`;
}

/**
 * The answers to so many subrequests, in their order: each says which it is of. Where none does, and there are as many,
 * they are in that order. Undefined for one that there is no answer to.
 */
function partsOf(body: unknown, count: number): unknown[] {
  const found = isRecord(body) ? body.compositeResponse : undefined;
  const parts = Array.isArray(found) ? found.filter(isRecord) : [];
  const named = parts.filter(({ referenceId }) => typeof referenceId === 'string');
  if (named.length === 0) return parts.length === count ? parts : new Array<undefined>(count).fill(undefined);
  const byReference = new Map(named.map((part) => [part.referenceId, part]));
  return Array.from({ length: count }, (_, i) => byReference.get(referenceOf(i)));
}

/** One subrequest's answer; what is none says as little as an empty one, so that nobody knows. */
function partOf(part: unknown): CollectionAnswer {
  const { httpStatusCode: status, body } = isRecord(part) ? part : {};
  return typeof status === 'number' ? { status, body } : { status: 200, body: undefined };
}

function subrequest({ endpoint, atomic }: Collection, bodies: unknown[]): Subrequest {
  const { operation, sobject, externalIdField, fields } = endpoint;
  switch (operation) {
    case 'create':
      return { method: 'POST', path: '/composite/sobjects', body: { allOrNone: atomic, records: bodies } };
    case 'update':
      return { method: 'PATCH', path: '/composite/sobjects', body: { allOrNone: atomic, records: bodies } };
    case 'upsert':
      return {
        method: 'PATCH',
        path: `/composite/sobjects/${sobject}/${externalIdField}`,
        body: { allOrNone: atomic, records: bodies },
      };
    case 'delete':
      return { method: 'DELETE', path: `/composite/sobjects?ids=${bodies.join(',')}&allOrNone=${atomic}` };
    case 'get':
      return {
        method: 'POST',
        path: `/composite/sobjects/${sobject}`,
        body: { ids: [...new Set(bodies)], fields },
      };
    case 'tree':
      return { method: 'POST', path: `/composite/tree/${sobject}`, body: { records: bodies } };
  }
}

/** The rows of a collection in parts that Salesforce takes; only an atomic write above 200 has more than one. */
function slicesOf(collection: Collection): unknown[][] {
  const bodies = bodiesOf(collection);
  if (!collection.atomic || collection.endpoint.operation === 'tree' || bodies.length <= COLLECTION_RECORDS)
    return [bodies];
  const slices: unknown[][] = [];
  for (let at = 0; at < bodies.length; at += COLLECTION_RECORDS)
    slices.push(bodies.slice(at, at + COLLECTION_RECORDS));
  return slices;
}

/** Makes one answer of the parts of an atomic write, in which one failure is the failure of all. */
function join(parts: CollectionAnswer[], slices: unknown[][]): CollectionAnswer {
  const lost = parts.find(
    ({ status, body }) => status >= 500 || status < 200 || (status === 200 && !Array.isArray(body)),
  );
  if (lost) return lost;
  const rows = parts.flatMap((part, i) => {
    if (part.status === 200 && Array.isArray(part.body)) return part.body as unknown[];
    const { errorCode, message } = restError(part);
    return new Array<unknown>(slices[i]?.length ?? 0).fill(failure(errorCode, message));
  });
  if (rows.every(isSuccess)) return { status: 200, body: rows };
  const rolledBack = failure(
    'ALL_OR_NONE_OPERATION_ROLLED_BACK',
    say`Record rolled back because not all records were valid`,
  );
  return { status: 200, body: rows.map((row) => (isSuccess(row) ? rolledBack : row)) };
}

function failure(statusCode: string, message: string) {
  return { success: false, errors: [{ statusCode, message, fields: [] }] };
}

function isSuccess(row: unknown): boolean {
  return isRecord(row) && row.success === true;
}

function headersOf({ allowDuplicateSave, autoAssign }: WriteHeaders): Record<string, string> {
  return {
    ...(allowDuplicateSave && { 'Sforce-Duplicate-Rule-Header': 'allowSave=true' }),
    ...(autoAssign === false && { 'Sforce-Auto-Assign': 'FALSE' }),
  };
}
