/** `/tooling`: as much as clients of managed subscriptions need. */
import { isRecord } from '../store/dml';
import { ApiError, methodNotAllowed, notFound } from '../store/errors';
import { type Managed, type ManagedDeclaration } from './managed';
import { type Call, type OrgState, type Reply } from '../state';

const QUERY =
  /^\s*SELECT\s+[\w\s,]+\s+FROM\s+ManagedEventSubscription(?:\s+WHERE\s+(Id|DeveloperName)\s*=\s*'([^']*)')?(?:\s+LIMIT\s+\d+)?\s*$/i;

export function tooling(org: OrgState, call: Call): Reply {
  const [, resource, name] = call.path;
  if (!org.eventBus) throw notFound();
  if (resource === 'query') return query(org.eventBus.managed.list(), call.query.get('q') ?? '');
  if (resource !== 'sobjects' || name !== 'ManagedEventSubscription') throw notFound();
  if (call.method !== 'POST') throw methodNotAllowed(call.method, 'POST');
  const { FullName, Metadata } = isRecord(call.body) ? call.body : {};
  if (typeof FullName !== 'string' || !isRecord(Metadata))
    throw new ApiError(400, 'REQUIRED_FIELD_MISSING', 'Required fields are missing: [FullName, Metadata]');
  const declaration = { ...Metadata, developerName: FullName } as unknown as ManagedDeclaration;
  const { id } = org.eventBus.managed.declare(declaration);
  return { status: 201, body: { id, success: true, errors: [], warnings: [], infos: [] } };
}

function query(all: readonly Managed[], soql: string): Reply {
  const asked = QUERY.exec(soql);
  if (!asked) throw new ApiError(400, 'MALFORMED_QUERY', `not supported: ${soql}`);
  const [, field, value = ''] = asked;
  const records = all
    .filter(({ id, developerName }) =>
      field === undefined
        ? true
        : field.toLowerCase() === 'id'
          ? id.startsWith(value)
          : developerName === value,
    )
    .map(shown);
  const body = { size: records.length, totalSize: records.length, done: true, queryLocator: null, records };
  return { status: 200, body: { ...body, entityTypeName: 'ManagedEventSubscription' } };
}

function shown({ id, developerName, topicName, label, defaultReplay, errorRecoveryReplay, state }: Managed) {
  return {
    attributes: { type: 'ManagedEventSubscription' },
    Id: id,
    DeveloperName: developerName,
    Metadata: { label, topicName, defaultReplay, errorRecoveryReplay, state, urls: null, version: 67 },
  };
}
