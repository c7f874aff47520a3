/** `/_org`: what tests do to the org and ask it, beside its API. */
import { allRecords, removeRecords, undelete, write, writeLate, type Colleague } from './colleague';
import { archive, refreshSandbox } from './admin';
import { migrate } from '../migrate';
import { isRecord } from '../store/dml';
import { ApiError, methodNotAllowed, notFound } from '../store/errors';
import { type Fault } from './faults';
import { PUBSUB_ROUTES } from '../pubsub/routes';
import { type SObjectDeclaration, type SObjectType } from '../store/schema';
import { type Limit, type OrgState, type Reply, type Switches } from '../state';

interface Asked {
  on: Colleague;
  org: OrgState;
  /** The parts of the path behind the route's name. */
  path: readonly string[];
  query: URLSearchParams;
  body: unknown;
}

export type Route = (asked: Asked) => unknown;

const ROUTES: Record<string, Route> = {
  ...PUBSUB_ROUTES,
  'GET records': ({ org, path, query }) =>
    allRecords(org, typeOf(org, path), query.get('deleted') === 'true'),
  'POST records': postRecords,
  'DELETE records': ({ on, org, path, query }) =>
    removeRecords(on, typeOf(org, path), ids(query), query.get('hard') === 'true'),
  'GET requests': ({ org }) => org.ledger.entries(),
  'DELETE requests': ({ org }) => org.ledger.clear(),
  'GET faults': ({ org }) => org.faults.list(),
  'POST faults': ({ org, body }) => {
    org.faults.add(...(listOf(body) as Fault[]));
    return org.faults.list();
  },
  'DELETE faults': ({ org }) => org.faults.clear(),
  'POST expire-sessions': ({ org }) => ({ expired: org.sessions.expire() }),
  'GET limits': ({ org }) => org.limits,
  'POST limits': ({ org, body }) =>
    setLimits(org, isRecord(body) ? (body as Record<string, Partial<Limit>>) : {}),
  'GET schema': ({ org }) =>
    org.schema.types().map((type) => ({ ...type, fields: [...type.fields.values()] })),
  'POST schema': ({ org, body }) =>
    (listOf(body) as SObjectDeclaration[]).map((declaration) => org.schema.declare(declaration).name),
  'GET switches': ({ org }) => org.switches,
  'POST switches': ({ org, body }) => Object.assign(org.switches, body as Partial<Switches>),
  'POST migrate': ({ org }) => {
    migrate(org);
    return { url: org.url };
  },
  /** `/archive/Task?ids=` */
  'POST archive': ({ org, path, query }) => archive(org, typeOf(org, path), ids(query)),
  'POST refresh-sandbox': ({ org }) => {
    refreshSandbox(org);
    return { orgId: org.orgId };
  },
  'POST clock': ({ org, body }) => {
    org.store.clockOffset = isRecord(body) ? Number(body.offsetMs) : 0;
    return { now: org.store.now() };
  },
  'POST refresh-token': ({ org }) => ({ refresh_token: org.app.issueRefreshToken(org.userId) }),
  'POST certificate': ({ org, body }) => {
    org.app.publicKey = isRecord(body) ? String(body.pem) : undefined;
  },
};

export function control(
  on: Colleague,
  method: string,
  path: readonly string[],
  query: URLSearchParams,
  body: unknown,
): Reply {
  const [name = '', ...rest] = path;
  const route = ROUTES[`${method} ${name}`];
  if (!route) {
    const others = Object.keys(ROUTES).filter((key) => key.endsWith(` ${name}`));
    throw others.length > 0
      ? methodNotAllowed(method, others.map((key) => key.split(' ')[0]).join(', '))
      : notFound();
  }
  return { status: 200, body: route({ on, org: on.org, path: rest, query, body }) ?? {} };
}

/** `/records/X` writes at once, `?lateMs=` later; `/records/X/undelete?ids=` brings back. */
function postRecords({ on, org, path, query, body }: Asked): unknown {
  const type = typeOf(org, path);
  if (path[1] === 'undelete') return undelete(on, type, ids(query));
  const records = listOf(body).filter(isRecord);
  const lateMs = Number(query.get('lateMs') ?? 0);
  if (lateMs === 0) return write(on, type, records);
  void writeLate(on, type, records, lateMs).catch(() => undefined);
  return {};
}

function listOf(body: unknown): unknown[] {
  return Array.isArray(body) ? (body as unknown[]) : [body];
}

function ids(query: URLSearchParams): string[] {
  const asked = query.get('ids');
  if (!asked) throw new ApiError(400, 'MISSING_ARGUMENT', 'Say which records: ?ids=a,b');
  return asked.split(',');
}

function typeOf(org: OrgState, [name = '']: readonly string[]): SObjectType {
  const type = org.schema.whole(name);
  if (!type) throw notFound();
  return type;
}

export function setLimits(
  org: OrgState,
  limits: Readonly<Record<string, Partial<Limit>>>,
): Record<string, Limit> {
  for (const [name, limit] of Object.entries(limits)) {
    org.limits[name] = { ...(org.limits[name] ?? { Max: 0, Remaining: 0 }), ...limit };
  }
  return org.limits;
}
