import { failed, good, type Check } from '../../shared/checks';
import { jsforceOver } from '../org/jsforce';
import type { Choice } from '../org/lookups';
import { PubSub } from './client';
import type { OrgSession } from '../org/session';
import { say } from '../../shared/say';

/**
 * Topics by the org's objects: a platform event X__e is /event/X__e, the changes of Contact are
 * /data/ContactChangeEvent, those of Order__c /data/Order__ChangeEvent. `use` publish gives those that can be
 * published to. Channels of the org's own are not told by its objects: they are typed in.
 */
export async function listTopics(session: OrgSession, use: string | undefined): Promise<Choice[]> {
  const { sobjects } = await (await jsforceOver(session)).describeGlobal();
  const events = sobjects
    .filter(({ name }) => name.endsWith('__e'))
    .map(({ name, label }) => ({ value: `/event/${name}`, label }));
  if (use === 'publish') return events;
  return [
    ...events,
    { value: '/data/ChangeEvents', label: say`every captured change` },
    ...changes(sobjects),
  ];
}

/** Where the org lists its change events as objects those; else what they would be named. */
function changes(sobjects: { name: string; label: string; createable: boolean }[]): Choice[] {
  const listed = sobjects.filter(({ name }) => name.endsWith('ChangeEvent'));
  if (listed.length > 0) return listed.map(({ name, label }) => ({ value: `/data/${name}`, label }));
  return sobjects
    .filter(({ name, createable }) => createable && !/__(e|mdt|b|x|Share|History|Tag)$/.test(name))
    .map(({ name, label }) => ({
      value: `/data/${name.endsWith('__c') ? name.slice(0, -1) : name}ChangeEvent`,
      label: say`${label}: changes`,
    }));
}

/** Fields of a platform event that a publisher fills in. Throws OrgOutage or FlowError in words. */
export async function listEventFields(
  session: OrgSession,
  endpoint: string,
  topic: string,
): Promise<Choice[]> {
  const pubsub = new PubSub(session, endpoint);
  try {
    const { schema } = await pubsub.schemas.ofTopic(topic);
    return schema.fields
      .filter(({ name }) => name !== 'CreatedDate' && name !== 'CreatedById')
      .map(({ name, doc, type }) => ({ value: name, label: doc.split(':')[1] ?? type }));
  } finally {
    pubsub.close();
  }
}

const TEST_TIMEOUT = 8_000;

/** Whether the Pub/Sub API can be used: `state` says how bad it is where it can't. */
export async function testPubSub(
  session: OrgSession,
  endpoint: string,
  state: 'fair' | 'bad' = 'fair',
): Promise<Check> {
  const pubsub = new PubSub(session, endpoint);
  try {
    await pubsub.test('/data/ChangeEvents', TEST_TIMEOUT);
    return good('check_pubsub', { endpoint });
  } catch (error) {
    return failed(state, 'check_pubsubFailed', error);
  } finally {
    pubsub.close();
  }
}

/** Whether the changes of each object can be read, by the names of their collections. */
export async function testChanges(
  session: OrgSession,
  endpoint: string,
  topics: ReadonlyMap<string, string>,
): Promise<Check[]> {
  const pubsub = new PubSub(session, endpoint);
  const test = async ([collection, topic]: [string, string]): Promise<Check> => {
    try {
      await pubsub.find(topic, TEST_TIMEOUT);
      return good('check_cdc', { collection });
    } catch (error) {
      return failed('fair', 'check_cdcFailed', error, { collection });
    }
  };
  try {
    return await Promise.all([...topics].map(test));
  } finally {
    pubsub.close();
  }
}
