/** `/_org`: what tests do to the org and ask it, beside its API. */
import {
  create,
  failed,
  isRecord,
  remove,
  removeWithChildren,
  update,
  type RowRules,
  type SaveResult,
  type Sent,
} from './dml';
import { ApiError, methodNotAllowed, notFound, rowError } from './errors';
import { type Fault } from './faults';
import { type SObjectDeclaration, type SObjectType } from './schema';
import { type Limit, type OrgState, type Reply, type Switches } from './state';
import { type Transaction } from './store';
import { type Row } from './table';

const NO_RULES: RowRules = { refuse: () => undefined };

/** Reads the events of a topic; the Pub/Sub side takes its place. */
export type Events = (topic: string) => unknown[];

export interface Control {
  org: OrgState;
  /** Id of the user that control writes are done by, another one than the API's. */
  userId: string;
  events: Events;
}

export function control(
  on: Control,
  method: string,
  path: readonly string[],
  query: URLSearchParams,
  body: unknown,
): Reply {
  const { org } = on;
  const [what, name, action] = path;
  switch (`${method} ${what ?? ''}`) {
    case 'GET records':
      return ok(allRecords(org, typeOf(org, name), query.get('deleted') === 'true'));
    case 'POST records':
      return ok(
        action === 'undelete'
          ? undelete(on, typeOf(org, name), ids(query))
          : write(on, typeOf(org, name), listOf(body).filter(isRecord)),
      );
    case 'DELETE records':
      return ok(removeRecords(on, typeOf(org, name), ids(query), query.get('hard') === 'true'));
    case 'GET requests':
      return ok(org.ledger.entries());
    case 'DELETE requests':
      org.ledger.clear();
      return ok({});
    case 'GET faults':
      return ok(org.faults.list());
    case 'POST faults':
      org.faults.add(...(listOf(body) as Fault[]));
      return ok(org.faults.list());
    case 'DELETE faults':
      org.faults.clear();
      return ok({});
    case 'GET events':
      return ok(on.events(query.get('topic') ?? ''));
    case 'POST expire-sessions':
      return ok({ expired: org.sessions.expire() });
    case 'GET limits':
      return ok(org.limits);
    case 'POST limits':
      setLimits(org, isRecord(body) ? (body as Record<string, Partial<Limit>>) : {});
      return ok(org.limits);
    case 'GET schema':
      return ok(org.schema.types().map((type) => ({ ...type, fields: [...type.fields.values()] })));
    case 'POST schema':
      return ok(
        listOf(body).map((declaration) => ({
          name: org.schema.declare(declaration as SObjectDeclaration).name,
        })),
      );
    case 'GET switches':
      return ok(org.switches);
    case 'POST switches':
      Object.assign(org.switches, body as Partial<Switches>);
      return ok(org.switches);
    default:
      if (CONTROLS.has(what ?? '')) throw methodNotAllowed(method, 'others');
      throw notFound();
  }
}

const CONTROLS = new Set([
  'records',
  'requests',
  'faults',
  'events',
  'expire-sessions',
  'limits',
  'schema',
  'switches',
]);

function ok(body: unknown): Reply {
  return { status: 200, body };
}

function listOf(body: unknown): unknown[] {
  return Array.isArray(body) ? (body as unknown[]) : [body];
}

function ids(query: URLSearchParams): string[] {
  const asked = query.get('ids');
  if (!asked) throw new ApiError(400, 'MISSING_ARGUMENT', 'Say which records: ?ids=a,b');
  return asked.split(',');
}

function typeOf(org: OrgState, name: string | undefined): SObjectType {
  const type = org.schema.type(name ?? '');
  if (!type) throw notFound();
  return type;
}

export function allRecords(org: OrgState, type: SObjectType, deleted = false): Row[] {
  const table = org.store.table(type);
  const rows: Row[] = [];
  for (const number of table.numbers()) {
    const row = table.row(number);
    if (row && (deleted || row.IsDeleted !== true)) rows.push(row);
  }
  return rows;
}

/** Does the work in one transaction of the colleague; nothing is written unless all of it is right. */
function act(on: Control, each: readonly ((tx: Transaction) => SaveResult)[]): SaveResult[] {
  const tx = on.org.store.begin({ user: on.userId, origin: 'com/salesforce/ui' });
  const results = each.map((work) => work(tx));
  const error = results.flatMap((result) => result.errors)[0];
  if (error) {
    tx.rollback();
    throw new ApiError(400, error.statusCode, error.message, error.fields);
  }
  tx.commit();
  return results;
}

export function write(on: Control, type: SObjectType, records: readonly Sent[]): SaveResult[] {
  const works = records.map((record) => (tx: Transaction) => {
    const id = record.Id ?? record.id;
    return id === undefined ? create(tx, type, record, NO_RULES) : update(tx, type, id, record, NO_RULES);
  });
  return act(on, works);
}

/** `hard`: for good, as Bulk's hardDelete or an emptied recycle bin does. */
export function removeRecords(
  on: Control,
  type: SObjectType,
  wanted: readonly string[],
  hard: boolean,
): SaveResult[] {
  const works = wanted.map(
    (id) => (tx: Transaction) => (hard ? purge(tx, type, id) : remove(tx, id, NO_RULES)),
  );
  return act(on, works);
}

function purge(tx: Transaction, type: SObjectType, id: string): SaveResult {
  const found = tx.store.find(id);
  if (!found || found.type.name !== type.name)
    return failed(rowError('INVALID_CROSS_REFERENCE_KEY', `there is no ${type.name} ${id}`));
  if (found.table.value(found.number, 'IsDeleted') !== true) removeWithChildren(tx, type, found.number);
  tx.purge(type, found.number);
  return { id, success: true, errors: [] };
}

export function undelete(on: Control, type: SObjectType, wanted: readonly string[]): SaveResult[] {
  const works = wanted.map((id) => (tx: Transaction): SaveResult => {
    const found = tx.store.find(id);
    if (!found || found.type.name !== type.name || found.table.value(found.number, 'IsDeleted') !== true) {
      return failed(rowError('UNDELETE_FAILED', `Entity is not in the recycle bin: ${id}`));
    }
    tx.undelete(type, found.number);
    return { id, success: true, errors: [] };
  });
  return act(on, works);
}

export function setLimits(org: OrgState, limits: Readonly<Record<string, Partial<Limit>>>): void {
  for (const [name, limit] of Object.entries(limits)) {
    org.limits[name] = { ...(org.limits[name] ?? { Max: 0, Remaining: 0 }), ...limit };
  }
}
