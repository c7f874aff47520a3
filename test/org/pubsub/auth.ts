/** Who calls: the three metadata headers, checked against the org's sessions. */
import { status, type Metadata } from '@grpc/grpc-js';
import { to18 } from '../store/ids';
import { badAuthentication, badHeaders, GrpcError, topicDenied, topicNotFound } from './errors';
import { type Topic, type Topics } from './topics';
import { type Session } from '../rest/sessions';
import { type OrgState } from '../state';

/** The session of the call, or a refusal. */
export function authenticate(org: OrgState, metadata: Metadata): Session {
  const [token, instance, tenant] = ['accesstoken', 'instanceurl', 'tenantid'].map((name) => {
    const value = metadata.get(name)[0];
    if (typeof value !== 'string' || value === '') throw badHeaders(name);
    return value;
  }) as [string, string, string];
  if (!/^[a-zA-Z0-9]{15}(?:[a-zA-Z0-9]{3})?$/.test(tenant)) throw badHeaders('tenantid');
  if (!URL.canParse(instance)) throw badHeaders('instanceurl');
  const session = org.sessions.use(token);
  if (!session || to18(tenant.slice(0, 15)) !== org.orgId || new URL(instance).origin !== org.url)
    throw badAuthentication();
  return session;
}

/** Open streams end with their session, when something happens on them. */
export function authenticateAgain(org: OrgState, metadata: Metadata): void {
  if (!org.switches.streamsOutliveSessions) authenticate(org, metadata);
}

export function visibleTopic(org: OrgState, topics: Topics, name: string): Topic {
  const denied = org.switches.deniedTopics.includes(name);
  const topic = denied ? undefined : topics.find(name);
  if (topic) return topic;
  throw denied || org.switches.unknownTopic === 'denied'
    ? topicDenied(org.orgId, name)
    : topicNotFound(org.orgId, name);
}

export function cannotPublish(topic: Topic): GrpcError {
  return new GrpcError(
    status.PERMISSION_DENIED,
    'topic.meta.permission',
    `The topic ${topic.name} doesn't allow publishing.`,
  );
}
