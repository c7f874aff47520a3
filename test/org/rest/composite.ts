/** `/composite`, `/composite/batch` and `/composite/graph`: many requests in one call. */
import { isRecord } from '../store/dml';
import { ApiError, methodNotAllowed } from '../store/errors';
import { resolve, UnknownReference } from './references';
import { recordsIn } from './records-in';
import { type Call, type OrgState, type Reply } from '../state';

/** Answers one subrequest; rest.ts, which knows all resources, hands itself in. */
export type Answer = (org: OrgState, call: Call) => Reply;

const MAX_SUBREQUESTS = 25;
/** Of those 25, so many may be Collections or queries. */
const MAX_HEAVY = 5;
const MAX_GRAPH_NODES = 500;
const MAX_GRAPHS = 75;
const FORBIDDEN_HEADERS = ['accept', 'authorization', 'content-type'];

interface Subrequest {
  method: string;
  url: string;
  referenceId: string;
  body: unknown;
  headers: Record<string, string>;
}

interface Subresponse {
  body: unknown;
  httpHeaders: Record<string, string>;
  httpStatusCode: number;
  referenceId: string;
}

export function composite(org: OrgState, call: Call, answer: Answer): Reply {
  if (call.method !== 'POST') throw methodNotAllowed(call.method, 'POST');
  const body = isRecord(call.body) ? call.body : {};
  const subrequests = readSubrequests(body.compositeRequest);
  if (subrequests.length > MAX_SUBREQUESTS) {
    throw new ApiError(400, 'LIMIT_EXCEEDED', `The number of subrequests can't exceed ${MAX_SUBREQUESTS}.`);
  }
  if (subrequests.filter((subrequest) => isHeavy(subrequest.url)).length > MAX_HEAVY) {
    throw new ApiError(
      400,
      'LIMIT_EXCEEDED',
      `A composite request can have at most ${MAX_HEAVY} sObject Collections or query subrequests.`,
    );
  }
  call.entry.parts = subrequests.map(sizeOf);
  return {
    status: 200,
    body: { compositeResponse: run(org, call, answer, subrequests, body.allOrNone === true).responses },
  };
}

function isHeavy(url: string): boolean {
  return /^\/services\/data\/v[\d.]+\/(composite\/sobjects|query|queryAll)\b/i.test(url);
}

function sizeOf(subrequest: Subrequest): number {
  const { path, query } = addressOf(subrequest.url);
  return recordsIn(path, query, subrequest.body, subrequest.method);
}

function malformed(message: string): ApiError {
  return new ApiError(400, 'INVALID_INPUT', message);
}

/** Checks the form of all subrequests before any of them runs: one bad one fails the whole call. */
function readSubrequests(sent: unknown): Subrequest[] {
  if (!Array.isArray(sent) || sent.length === 0)
    throw malformed('The compositeRequest property is required.');
  const seen = new Set<string>();
  return sent.map((each: unknown) => {
    const part = isRecord(each) ? each : {};
    const { method, url, referenceId, body } = part;
    if (typeof method !== 'string' || typeof url !== 'string')
      throw malformed('Every subrequest needs a method and a url.');
    if (typeof referenceId !== 'string' || !/^[A-Za-z0-9][A-Za-z0-9_]*$/.test(referenceId)) {
      throw malformed(
        `Provided referenceId ('${String(referenceId)}') must start with a letter or a number, and it can contain only letters, numbers and underscores ('_').`,
      );
    }
    if (seen.has(referenceId)) throw malformed(`The reference ID '${referenceId}' is used more than once.`);
    seen.add(referenceId);
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(isRecord(part.httpHeaders) ? part.httpHeaders : {})) {
      if (FORBIDDEN_HEADERS.includes(name.toLowerCase()))
        throw malformed(`The header '${name}' isn't allowed in a subrequest.`);
      headers[name.toLowerCase()] = String(value);
    }
    return { method, url, referenceId, body, headers };
  });
}

function addressOf(url: string): { version: string; path: string[]; query: URLSearchParams } {
  const { pathname, searchParams } = new URL(url, 'http://org');
  const [, , version, ...path] = pathname
    .split('/')
    .filter((part) => part !== '')
    .map(decodeURIComponent);
  return { version: (version ?? '').replace(/^v/, ''), path, query: searchParams };
}

interface Run {
  responses: Subresponse[];
  failed: boolean;
}

/** Runs subrequests in order: each its own transaction, or with allOrNone all of them one. */
function run(
  org: OrgState,
  call: Call,
  answer: Answer,
  subrequests: readonly Subrequest[],
  allOrNone: boolean,
): Run {
  const start = call.tx.savepoint();
  const responses: Subresponse[] = [];
  const answered = new Map<string, unknown>();
  const failed = new Set<number>();
  for (const [i, subrequest] of subrequests.entries()) {
    const response =
      allOrNone && failed.size > 0
        ? halted(subrequest)
        : one(org, call, answer, subrequest, answered, allOrNone);
    responses.push(response);
    if (response.httpStatusCode >= 400 || hasFailedRow(response.body)) failed.add(i);
    else answered.set(subrequest.referenceId, response.body);
    if (!allOrNone) call.tx.commit();
  }
  if (!allOrNone || failed.size === 0) return { responses, failed: failed.size > 0 };
  call.tx.rollback(start);
  const [culprit] = failed;
  return {
    responses: responses.map((response, i) => (i === culprit ? response : halted(response))),
    failed: true,
  };
}

/** A Collections answer is 200 also when rows failed; for an outer allOrNone that is a failure. */
function hasFailedRow(body: unknown): boolean {
  return Array.isArray(body) && body.some((row) => isRecord(row) && row.success === false);
}

const HALTED = 'The transaction was rolled back since another operation in the same transaction failed.';

function halted({ referenceId }: { referenceId: string }): Subresponse {
  return refused(referenceId, new ApiError(400, 'PROCESSING_HALTED', HALTED));
}

function refused(referenceId: string, error: ApiError): Subresponse {
  return { body: error.body, httpHeaders: {}, httpStatusCode: error.status, referenceId };
}

function one(
  org: OrgState,
  call: Call,
  answer: Answer,
  subrequest: Subrequest,
  answered: ReadonlyMap<string, unknown>,
  allOrNone: boolean,
): Subresponse {
  const { referenceId } = subrequest;
  const savepoint = call.tx.savepoint();
  try {
    const url = resolve(subrequest.url, answered, encodeURIComponent) as string;
    const sent = resolve(subrequest.body, answered);
    const overrides =
      allOrNone && org.switches.outerAllOrNoneOverrides && isRecord(sent) && Array.isArray(sent.records);
    const body = overrides ? { ...sent, allOrNone: true } : sent;
    const reply = answer(org, subcall(call, subrequest.method, url, body, subrequest.headers));
    return {
      body: reply.body ?? null,
      httpHeaders: reply.headers ?? {},
      httpStatusCode: reply.status,
      referenceId,
    };
  } catch (thrown) {
    call.tx.rollback(savepoint);
    if (thrown instanceof UnknownReference)
      return refused(referenceId, new ApiError(400, 'PROCESSING_HALTED', thrown.message));
    if (!(thrown instanceof ApiError) || (allOrNone && thrown.status >= 500)) throw thrown;
    return refused(referenceId, thrown);
  }
}

const NESTABLE = /^\/(sobjects|query|queryAll|composite\/sobjects)(\/|$)/i;

function subcall(
  call: Call,
  method: string,
  url: string,
  body: unknown,
  headers: Record<string, string>,
): Call {
  const { version, path, query } = addressOf(url);
  if (!NESTABLE.test(`/${path.join('/')}`))
    throw malformed(`The subrequest resource ${url} isn't supported.`);
  return { ...call, method, url, version, path, query, body, headers: { ...call.headers, ...headers } };
}

export function graph(org: OrgState, call: Call, answer: Answer): Reply {
  if (call.method !== 'POST') throw methodNotAllowed(call.method, 'POST');
  const sent =
    isRecord(call.body) && Array.isArray(call.body.graphs) ? call.body.graphs.filter(isRecord) : [];
  if (sent.length === 0 || sent.length > MAX_GRAPHS)
    throw malformed(`A composite graph request has 1 to ${MAX_GRAPHS} graphs.`);
  const graphs = sent.map((each) => ({
    graphId: String(each.graphId),
    subrequests: readSubrequests(each.compositeRequest),
  }));
  if (graphs.reduce((sum, { subrequests }) => sum + subrequests.length, 0) > MAX_GRAPH_NODES) {
    throw malformed(`A composite graph request has at most ${MAX_GRAPH_NODES} nodes.`);
  }
  const body = graphs.map(({ graphId, subrequests }) => {
    const { responses, failed } = run(org, call, answer, subrequests, true);
    call.tx.commit();
    return { graphId, graphResponse: { compositeResponse: responses }, isSuccessful: !failed };
  });
  return { status: 200, body: { graphs: body } };
}

/** Independent subrequests; `spend` counts each as a call of its own. */
export function batch(org: OrgState, call: Call, answer: Answer, spend: () => void): Reply {
  if (call.method !== 'POST') throw methodNotAllowed(call.method, 'POST');
  const body = isRecord(call.body) ? call.body : {};
  const sent = Array.isArray(body.batchRequests) ? body.batchRequests.filter(isRecord) : [];
  if (sent.length === 0 || sent.length > MAX_SUBREQUESTS)
    throw malformed(`A batch request has 1 to ${MAX_SUBREQUESTS} subrequests.`);
  let hasErrors = false;
  const results = sent.map((each) => {
    if (hasErrors && body.haltOnError === true) {
      return {
        statusCode: 412,
        result: new ApiError(412, 'BATCH_PROCESSING_HALTED', 'Batch processing halted per request').body,
      };
    }
    const savepoint = call.tx.savepoint();
    try {
      spend();
      const url = `/services/data/${String(each.url).replace(/^\/?(services\/data\/)?/, '')}`;
      const reply = answer(org, subcall(call, String(each.method), url, each.richInput, {}));
      call.tx.commit();
      return { statusCode: reply.status, result: reply.body ?? null };
    } catch (thrown) {
      call.tx.rollback(savepoint);
      if (!(thrown instanceof ApiError)) throw thrown;
      hasErrors = true;
      return { statusCode: thrown.status, result: thrown.body };
    }
  });
  return { status: 200, body: { hasErrors, results } };
}
