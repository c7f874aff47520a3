import { PubSub } from '../../../nodes/salesforce/pubsub/client';
import { Publisher, type PublisherOptions } from '../../../nodes/salesforce/events/publisher';
import type { PublishResult } from '../../../nodes/salesforce/events/queue';
import type { OrgSession } from '../../../nodes/salesforce/org/session';
import { startOrg, type Org, type OrgOptions } from '../../org/org';
import { QUICK, sessionWith } from '../rig';

export const TOPIC = '/event/OrderStatus__e';

export interface PubSubRig {
  org: Org;
  session: OrgSession;
  pubsub: PubSub;
  publisher: Publisher;
  /** Messages whose processing clock stands still. */
  paused: () => number;
  publish(...records: unknown[]): Promise<PublishResult[]>;
  /** Payloads of the events in the org, in order. */
  events(): Record<string, unknown>[];
  /** Order_ID__c of each. */
  orders(): unknown[];
  /** Events in each publish request so far. */
  requests(): number[];
  close(): Promise<void>;
}

/** A simulated org with its Pub/Sub side, a session, and a publisher with quick retries. */
export async function startPubSubRig(
  options: { org?: OrgOptions; publisher?: Partial<PublisherOptions> } = {},
): Promise<PubSubRig> {
  const org = await startOrg({ pubsub: true, ...options.org });
  const session = sessionWith(org);
  const pubsub = new PubSub(session, org.pubsub ?? '', { ...QUICK });
  const publisher = new Publisher(pubsub, {
    topic: TOPIC,
    maxRequests: 1,
    onOutage: 'hold',
    retry: { first: 5, times: 3 },
    ...options.publisher,
  });
  let paused = 0;
  let next = 0;
  const pause = () => {
    paused++;
    return () => void paused--;
  };
  const events = () => org.events(TOPIC).map(({ payload }) => payload ?? {});
  return {
    org,
    session,
    pubsub,
    publisher,
    paused: () => paused,
    publish: (...records) =>
      publisher.publish(
        records,
        records.map(() => `id-${next++}`),
        pause,
      ),
    events,
    orders: () => events().map((event) => event.Order_ID__c),
    requests: () =>
      org
        .requests()
        .filter(({ path }) => path.endsWith('/PublishStream'))
        .map(({ records }) => records),
    close: async () => {
      await publisher.close(1_000);
      pubsub.close();
      session.close();
      await org.close();
    },
  };
}

export const order = (id: number | string, more: object = {}) => ({ Order_ID__c: `O-${id}`, ...more });
export const orders = (count: number, from = 0) => Array.from({ length: count }, (_, i) => order(from + i));
