/** What happens to an org beside its records' own changes. */
import { type SObjectType } from '../store/schema';
import { type OrgState } from '../state';

/** Old activities are archived without a change of theirs that anybody is told of. */
export function archive({ store }: OrgState, type: SObjectType, ids: readonly string[]): void {
  const table = store.table(type);
  for (const id of ids) {
    const number = table.number(id);
    const row = number === undefined ? undefined : table.row(number);
    if (number === undefined || !row) throw new Error(`there is no ${type.name} ${id}`);
    table.put(number, { ...row, IsArchived: true });
  }
}

/** The record of the new organization takes the place of the old one. */
export function refreshSandbox(org: OrgState): void {
  const type = org.schema.whole('Organization');
  if (!type) throw new Error('the org has no object Organization');
  const tx = org.store.begin({ user: org.userId, origin: 'com/salesforce/setup' });
  const table = org.store.table(type);
  const old = table.number(org.orgId);
  const { Name = null, OrganizationType = null, InstanceName = null } = (old && table.row(old)) || {};
  if (old !== undefined) tx.purge(type, old);
  org.orgId = tx.insert(type, { Name, OrganizationType, InstanceName, IsSandbox: true });
  tx.commit();
  org.sessions.expire();
  org.app.forget();
  org.eventBus?.log.forget(0);
}
