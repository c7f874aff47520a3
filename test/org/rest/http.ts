/** The org's HTTP side: from a request to its answer, with the time it takes and the faults it meets. */
import { type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { type Colleague } from '../control/colleague';
import { control } from '../control/routes';
import { limitInfo, NEWEST_VERSION, OLDEST_VERSION, versions } from './describe';
import { type Sent } from '../store/dml';
import { ApiError, notFound } from '../store/errors';
import { type FaultAction } from '../control/faults';
import { type LedgerEntry } from '../../support/simulated/ledger';
import {
  readRequest,
  send,
  serve,
  type Reply,
  type Request,
  type Service,
} from '../../support/simulated/exchange';
import { lockKeys } from '../store/locks';
import { revoke, token, userinfo } from './oauth';
import { recordsIn, recordsOf } from './records-in';
import { answer, spend } from './answer';
import { type Session } from './sessions';
import { type OrgState } from '../state';
import { packed, spoilt } from './wire';

const MAX_URI = 16_384;

export function handler(
  on: Colleague,
): (incoming: IncomingMessage, outgoing: ServerResponse) => Promise<void> {
  const service = serviceOf(on.org);
  return async (incoming, outgoing) => {
    try {
      const request = await readRequest(incoming);
      if (request.path[0] === '_org') send(outgoing, controlReply(on, request));
      else await serve(service, request, outgoing);
    } catch (thrown) {
      // A client that went away while it was sending has nobody to answer to.
      if (!outgoing.destroyed && !outgoing.headersSent) send(outgoing, replyOf(thrown));
      else outgoing.destroy();
    }
  };
}

function controlReply(on: Colleague, request: Request): Reply {
  try {
    const body: unknown = request.text === '' ? undefined : JSON.parse(request.text);
    return control(on, request.method, request.path.slice(1), request.query, body);
  } catch (thrown) {
    return replyOf(thrown);
  }
}

function replyOf(thrown: unknown): Reply {
  if (thrown instanceof ApiError) return { status: thrown.status, body: thrown.body };
  const message = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  return {
    status: 500,
    body: [{ errorCode: 'UNKNOWN_EXCEPTION', message: `An unexpected error occurred. ${message}` }],
  };
}

/** The org as the exchange of requests and answers sees it. */
function serviceOf(org: OrgState): Service {
  return {
    ledger: org.ledger,
    faults: org.faults,
    now: () => org.store.now(),
    refusal: (action, status, { path }) => faultReply(org, action, status, path),
    recordsOf: (request) => recordsOf(request.query, readable(request)),
    work: (request, entry) => work(org, request, entry),
    spoilt,
    packed: (request, reply) => (org.switches.gzip ? packed(request, reply) : Promise.resolve(reply)),
  };
}

function readable(request: Request): unknown {
  try {
    return JSON.parse(request.text);
  } catch {
    return undefined;
  }
}

const FAULT_CODES: Record<number, [errorCode: string, message: string]> = {
  400: ['UNKNOWN_EXCEPTION', 'simulated bad request'],
  401: ['INVALID_SESSION_ID', 'Session expired or invalid'],
  403: ['REQUEST_LIMIT_EXCEEDED', 'TotalRequests Limit exceeded.'],
  404: ['NOT_FOUND', 'The requested resource does not exist'],
  420: ['SERVER_UNAVAILABLE', 'The request was throttled'],
  500: [
    'UNKNOWN_EXCEPTION',
    'An unexpected error occurred. Please include this ErrorId if you contact support: 1234567890-12345 (1234567890)',
  ],
  503: [
    'SERVER_UNAVAILABLE',
    'The server is temporarily unable to service your request due to maintenance downtime or capacity problems.',
  ],
};

/** Gateways in front of an org (502, 504) answer a page, the org itself its JSON, and a login that of OAuth. */
function faultReply(org: OrgState, fault: FaultAction, status: number, path: readonly string[]): Reply {
  const { headers } = fault;
  if (fault.body !== undefined) return { status, body: fault.body === '' ? undefined : fault.body, headers };
  if (path[1] === 'oauth2' && fault.errorCode !== undefined)
    return { status, body: { error: fault.errorCode, error_description: fault.message ?? 'simulated' } };
  const known = FAULT_CODES[status];
  if (!known && fault.errorCode === undefined)
    return { status, body: `<html><body><h1>${status}</h1></body></html>`, headers };
  const [errorCode, message] = known ?? ['UNKNOWN_EXCEPTION', 'simulated'];
  const body = [{ message: fault.message ?? message, errorCode: fault.errorCode ?? errorCode }];
  return { status, body, headers: { 'Sforce-Limit-Info': limitInfo(org) } };
}

async function work(org: OrgState, request: Request, entry: LedgerEntry): Promise<Reply> {
  const [services, area, name, ...path] = request.path;
  if (request.url.length > MAX_URI)
    return { status: 414, body: '<h1>Bad Message 414</h1><pre>reason: URI Too Long</pre>' };
  if (services === 'services' && area === 'oauth2' && (name === 'token' || name === 'revoke')) {
    if (org.latencyMs > 0) await wait(org.latencyMs);
    const form = new URLSearchParams(request.text);
    return name === 'token'
      ? token(org, request.method, form, request.headers.host ?? '')
      : revoke(org, form);
  }
  const moved = elsewhere(org, request);
  if (moved && area === 'data') return moved;
  if (services === 'services' && area === 'data' && name === undefined) return versions();
  const session = org.sessions.use(bearer(request.headers.authorization));
  const asksWho = services === 'id' || (services === 'services' && area === 'oauth2' && name === 'userinfo');
  if (!session && asksWho) return { status: 403, body: 'Bad_OAuth_Token' };
  if (!session)
    return {
      status: 401,
      body: [{ message: 'Session expired or invalid', errorCode: 'INVALID_SESSION_ID' }],
    };
  if (asksWho) return userinfo(org, session);
  if (services !== 'services' || area !== 'data') return replyOf(notFound());
  const reply = await rest(org, request, session, (name ?? '').replace(/^v/, ''), path, entry);
  return { ...reply, headers: { ...reply.headers, 'Sforce-Limit-Info': limitInfo(org) } };
}

/** An org that was moved to another instance redirects what is asked at its old address, POST by 307. */
function elsewhere(org: OrgState, { method, url, headers }: Request): Reply | undefined {
  const { host } = new URL(org.url);
  if (org.movedFrom === undefined || headers.host !== org.movedFrom) return undefined;
  return {
    status: method === 'POST' ? 307 : 301,
    headers: { Location: `${new URL(org.url).protocol}//${host}${url}`, Server: 'sfdcedge' },
  };
}

function bearer(authorization: string | undefined): string | undefined {
  return /^(?:Bearer|OAuth)\s+(\S+)$/i.exec(authorization ?? '')?.[1];
}

async function rest(
  org: OrgState,
  request: Request,
  session: Session,
  version: string,
  path: string[],
  entry: LedgerEntry,
): Promise<Reply> {
  try {
    if (org.ledger.runningFor(org.switches.longRunningMs, entry) >= org.switches.longRunningCalls) {
      throw new ApiError(
        403,
        'REQUEST_LIMIT_EXCEEDED',
        `ConcurrentRequests (Concurrent API Requests) Limit exceeded.`,
      );
    }
    spend(org);
    if (!/^\d+\.0$/.test(version) || Number(version) > NEWEST_VERSION) throw notFound();
    if (Number(version) < OLDEST_VERSION)
      throw new ApiError(410, 'UNSUPPORTED_API_VERSION', `API version ${version} was retired`);
    const body = parseBody(request);
    entry.records = recordsIn(path, request.query, body, request.method);
    return await carryOut(org, request, session, version, path, body, entry);
  } catch (thrown) {
    return replyOf(thrown);
  }
}

/** Takes the simulated time, holding locks where the org has them, then does all of the call at one moment. */
async function carryOut(
  org: OrgState,
  request: Request,
  session: Session,
  version: string,
  path: string[],
  body: unknown,
  entry: LedgerEntry,
): Promise<Reply> {
  const { method, url, query, headers } = request;
  const began = org.store.now();
  const writes = method !== 'GET' && entry.records > 0;
  const late = writes ? org.switches.lateCommitMs : 0;
  const { blocked, release } = org.locks.take(
    writes && org.switches.rowLocks ? keysOf(org, path, query, body) : [],
  );
  const time = org.latencyMs + entry.records * org.recordLatencyMs + late;
  if (late > 0) org.store.inFlight.set(entry, began);
  try {
    if (time > 0) await wait(time);
    const tx = org.store.begin(
      { user: session.userId, origin: originOf(version, headers) },
      late > 0 ? began : undefined,
    );
    try {
      const reply = answer(org, {
        method,
        url,
        version,
        path,
        query,
        headers,
        body,
        session,
        tx,
        entry,
        blocked,
      });
      tx.commit();
      return reply;
    } catch (thrown) {
      tx.rollback();
      throw thrown;
    }
  } finally {
    release();
    org.store.inFlight.delete(entry);
  }
}

/** CDC's changeOrigin; the client names itself in Sforce-Call-Options. */
function originOf(version: string, headers: Readonly<Record<string, string>>): string {
  const client = /\bclient=([^,;\s]+)/.exec(headers['sforce-call-options'] ?? '')?.[1];
  return `com/salesforce/api/rest/${version}${client === undefined ? '' : `;client=${client}`}`;
}

function keysOf(
  org: OrgState,
  path: readonly string[],
  query: URLSearchParams,
  body: unknown,
): [Sent, string[]][] {
  const [resource, second, third, external] = path;
  if (resource === 'sobjects') {
    const record = { ...recordsOf(query, body)[0], Id: third };
    return [[record, lockKeys(org.schema, record, second, undefined)]];
  }
  return recordsOf(query, body).map((record) => [record, lockKeys(org.schema, record, third, external)]);
}

const TEXT_UPLOAD = /^text\/csv\b/;

function parseBody(request: Request): unknown {
  if (request.text === '') return undefined;
  const type = request.headers['content-type'] ?? '';
  if (TEXT_UPLOAD.test(type) && request.method === 'PUT') return request.text;
  if (!/^application\/json\b/.test(type)) {
    throw new ApiError(
      415,
      'UNSUPPORTED_MEDIA_TYPE',
      `Content type ${type === '' ? 'null' : type} not supported`,
    );
  }
  try {
    return JSON.parse(request.text);
  } catch (thrown) {
    throw new ApiError(400, 'JSON_PARSER_ERROR', thrown instanceof Error ? thrown.message : 'unreadable');
  }
}
