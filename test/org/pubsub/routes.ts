/** `/_org`'s routes to the event bus. */
import { type Route } from '../control/routes';
import { isRecord } from '../store/dml';
import { ApiError, notFound } from '../store/errors';
import { type ChangeEventType } from '../cdc/change-events';
import { type EventBus } from './bus';
import { type ManagedDeclaration } from './managed';

/** What `org` in a route gives: the bus, where the org was started with one. */
function busOf({ org }: Parameters<Route>[0]): EventBus {
  if (!org.eventBus) throw notFound();
  return org.eventBus;
}

function record(body: unknown): Record<string, unknown> {
  if (!isRecord(body)) throw new ApiError(400, 'JSON_PARSER_ERROR', 'Send a JSON object.');
  return body;
}

const texts = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : []);

export const PUBSUB_ROUTES: Record<string, Route> = {
  /** `?topic=`: the events that are kept, decoded. */
  'GET events': (asked) => busOf(asked).list(asked.query.get('topic') ?? ''),
  /** {topic, events: [{Order_ID__c: …}]}: publishes from within the org. */
  'POST events': (asked) => {
    const { topic, events } = record(asked.body);
    const records = Array.isArray(events) ? events.filter(isRecord) : [];
    return busOf(asked)
      .publish(String(topic), ...records)
      .map(({ replayId }) => ({ replayId: replayId.toString('base64') }));
  },
  /** `?keep=N`: forgets all events but the newest, as the retention window does. */
  'DELETE events': (asked) => busOf(asked).log.forget(Number(asked.query.get('keep') ?? 0)),
  /** {sobject, changeType, recordIds?}: a gap, an overflow, or an update of "003*". */
  'POST change-events': (asked) => {
    const { sobject, changeType, recordIds } = record(asked.body);
    const ids = recordIds === undefined ? undefined : texts(recordIds);
    busOf(asked).changeEvent(String(sobject), String(changeType) as ChangeEventType, ids);
  },
  /** {name: "/data/Sales__chn", topics: ["/data/ContactChangeEvent"]} */
  'POST channels': (asked) => {
    const { name, topics } = record(asked.body);
    busOf(asked).topics.channels.set(String(name), texts(topics));
  },
  'GET topics': (asked) => busOf(asked).topics.names(),
  'GET managed-subscriptions': (asked) => busOf(asked).managed.list(),
  'POST managed-subscriptions': (asked) =>
    busOf(asked).managed.declare(record(asked.body) as unknown as ManagedDeclaration),
  'POST drop-connections': (asked) => busOf(asked).dropConnections(),
};
