/** Which records the API's user sees: where sharing has changed, the others are just not there. */
import { type SObjectType } from '../store/schema';
import { type OrgState } from '../state';

export function isShared(org: OrgState, type: SObjectType, id: string): boolean {
  const unshared = org.switches.unshared[type.name];
  return unshared === undefined || (unshared !== 'all' && !unshared.includes(id));
}
