import { failed, good, type Check } from '../../shared/checks';
import { FlowError, codeOf } from '../../shared/errors';
import { jsforceOver } from './jsforce';
import { dailyCalls } from './answer';
import type { OrgSession } from './session';
import { say } from '../../shared/say';

/** One entry of a picker. */
export interface Choice {
  value: string;
  label?: string;
  /** A new record can't do without it. */
  needed?: boolean;
}

/** Who is logged in where, and what is left of the day. Throws OrgOutage or FlowError where the login fails. */
export async function testConnection(session: OrgSession): Promise<Check[]> {
  const { instanceUrl, organizationId } = await session.login();
  const user = await session
    .get<{ preferred_username?: string }>('/services/oauth2/userinfo')
    .catch(() => undefined);
  const login = good('check_login', {
    url: instanceUrl,
    org: organizationId,
    user: user?.preferred_username ?? '?',
  });
  return [login, await testApi(session)];
}

async function testApi(session: OrgSession): Promise<Check> {
  try {
    const daily = dailyCalls(await session.get('/limits').catch(explainApi));
    return good('check_api', { remaining: daily ? daily.max - daily.used : '?', max: daily?.max ?? '?' });
  } catch (error) {
    return failed('bad', 'check_apiFailed', error);
  }
}

/** The login worked, so what is missing is a permission (or the API version). */
function explainApi(error: unknown): never {
  const code = codeOf(error);
  if (code === 'API_DISABLED_FOR_ORG' || code === 'API_CURRENTLY_DISABLED') {
    throw new FlowError(
      codeOf(error),
      say`The login works, but the user may not use the API: give it the permission "API Enabled"`,
      false,
    );
  }
  if (code === 'NOT_FOUND')
    throw new FlowError(
      codeOf(error),
      say`The login works, but the org does not know this API version: set an older one`,
      false,
    );
  throw error;
}

/** Objects that can be written or read. */
export async function listObjects(session: OrgSession): Promise<Choice[]> {
  const { sobjects } = await (await jsforceOver(session)).describeGlobal();
  return sobjects
    .filter(
      ({ name, createable, updateable, queryable }) =>
        (createable || updateable || queryable) && !/__(e|ChangeEvent)$|ChangeEvent$/.test(name),
    )
    .map(({ name, label }) => ({ value: name, label }));
}

/** Fields that upsert can find records by: external ids first, and Id. */
export async function listExternalIdFields(session: OrgSession, sobject: string): Promise<Choice[]> {
  const fields = await fieldsOf(session, sobject);
  const rank = ({ externalId, type }: Field) => (externalId ? 0 : type === 'id' ? 2 : 1);
  return fields
    .filter(({ externalId, idLookup, type }) => externalId || idLookup || type === 'id')
    .sort((a, b) => rank(a) - rank(b))
    .map(choice);
}

/** What a node does with the fields that it asks for. */
export type FieldUse = 'read' | 'create' | 'update' | 'upsert';

/** Fields that serve a use: for a write those that can be written, with those that a new record needs first. */
export async function listFields(
  session: OrgSession,
  sobject: string,
  use: FieldUse = 'read',
): Promise<Choice[]> {
  const fields = await fieldsOf(session, sobject);
  if (use === 'read') return fields.map(choice);
  const fits = ({ type, createable, updateable }: Field) =>
    use === 'create' ? createable : use === 'update' ? updateable || type === 'id' : createable || updateable;
  const needed = ({ type, createable, nillable, defaultedOnCreate }: Field) =>
    use === 'update' ? type === 'id' : createable && !nillable && !defaultedOnCreate && type !== 'boolean';
  const rank = (field: Field) => (needed(field) ? 0 : field.externalId ? 1 : 2);
  return fields
    .filter(fits)
    .sort((a, b) => rank(a) - rank(b))
    .map((field) => ({ ...choice(field), ...(needed(field) ? { needed: true } : {}) }));
}

interface Field {
  name: string;
  label: string;
  type: string;
  externalId: boolean;
  idLookup: boolean;
  createable: boolean;
  updateable: boolean;
  nillable: boolean;
  defaultedOnCreate: boolean;
}

async function fieldsOf(session: OrgSession, sobject: string): Promise<Field[]> {
  if (!/^\w+$/.test(sobject))
    throw new FlowError('INVALID_SOBJECT', say`"${sobject}" is not the API name of an sObject`, false);
  return (await (await jsforceOver(session)).describe(sobject)).fields;
}

function choice({ name, label, type }: Field): Choice {
  return { value: name, label: `${label} (${type})` };
}
