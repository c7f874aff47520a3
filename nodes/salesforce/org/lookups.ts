import { FlowError, codeOf } from '../../shared/errors';
import { jsforceOver } from './jsforce';
import { dailyCalls } from './answer';
import type { OrgSession } from './session';

/** One entry of a picker. */
export interface Choice {
  value: string;
  label?: string;
}

/** Who is logged in where, and what is left of the day. Throws OrgOutage or FlowError in words. */
export async function testConnection(session: OrgSession): Promise<{ message: string }> {
  const { instanceUrl, organizationId } = await session.login();
  const user = await session
    .get<{ preferred_username?: string }>('/services/oauth2/userinfo')
    .catch(() => undefined);
  const daily = dailyCalls(await session.get('/limits').catch(explainApi));
  const calls = daily ? ` The org has ${daily.max - daily.used} of ${daily.max} API calls left today.` : '';
  return {
    message: `Connected to ${instanceUrl} (org ${organizationId}) as ${user?.preferred_username ?? 'its user'}.${calls}`,
  };
}

/** The login worked, so what is missing is a permission (or the API version). */
function explainApi(error: unknown): never {
  const code = codeOf(error);
  if (code === 'API_DISABLED_FOR_ORG' || code === 'API_CURRENTLY_DISABLED') {
    throw new FlowError(
      codeOf(error),
      'The login works, but the user may not use the API: give it the permission "API Enabled"',
      false,
    );
  }
  if (code === 'NOT_FOUND')
    throw new FlowError(
      codeOf(error),
      'The login works, but the org does not know this API version: set an older one',
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

/** Fields that upsert can find records by: external ids, and Id. */
export async function listExternalIdFields(session: OrgSession, sobject: string): Promise<Choice[]> {
  const fields = await fieldsOf(session, sobject);
  return fields
    .filter(({ externalId, idLookup, type }) => externalId || (idLookup && type !== 'id') || type === 'id')
    .map(choice);
}

export async function listFields(session: OrgSession, sobject: string): Promise<Choice[]> {
  return (await fieldsOf(session, sobject)).map(choice);
}

interface Field {
  name: string;
  label: string;
  type: string;
  externalId: boolean;
  idLookup: boolean;
}

async function fieldsOf(session: OrgSession, sobject: string): Promise<Field[]> {
  if (!/^\w+$/.test(sobject))
    throw new FlowError('INVALID_SOBJECT', `"${sobject}" is not the API name of an sObject`, false);
  return (await (await jsforceOver(session)).describe(sobject)).fields;
}

function choice({ name, label, type }: Field): Choice {
  return { value: name, label: `${label} (${type})` };
}
