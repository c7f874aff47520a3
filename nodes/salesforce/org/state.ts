import type { Held, OrgHeld, OrgState } from '../../shared/operations/states';
import type { Unavailable } from './availability';
import type { OrgSession } from './session';

/** The Pub/Sub API of an org, whose outages are its own. */
interface OwnOutages {
  ownAvailability: { readonly current: Unavailable | undefined };
}

export function orgState(id: string, name: string, session: OrgSession, pubsub: OwnOutages): OrgState {
  const { availability, budget, settings, instanceUrl, apiVersion, underWay, secrets } = session;
  const { usage, share } = budget;
  return secrets.inValue({
    id,
    name: name || settings.loginUrl || id,
    session: session.accessToken === undefined ? 'none' : 'open',
    instanceUrl: instanceUrl ?? null,
    apiVersion,
    usage: usage ? { ...usage, budget: Math.floor((usage.max * share) / 100) } : null,
    underWay,
    held: heldOf(availability.current),
    pubsubHeld: heldOf(pubsub.ownAvailability.current),
  });
}

/** What holds the nodes that use the org. */
export function heldByOrg(current: Unavailable | undefined): Held | null {
  if (!current) return null;
  const { reason, since, code, message } = current;
  return { by: 'disconnected', reason, since, code, message };
}

function heldOf(current: Unavailable | undefined): OrgHeld | null {
  return current ? { ...current } : null;
}
