/** The org's event bus: what is published from outside and from within, and who may read it. */
import { randomUUID } from 'node:crypto';
import { AvroSchemas, isEventType, type AvroSchema } from './avro-schemas';
import { avroValue } from './avro-values';
import {
  changeEvents,
  headerOnlyEvent,
  NO_RECORD,
  type ChangeEventType,
  type ChangeEvent,
} from '../cdc/change-events';
import { fieldNames } from '../cdc/bitmap';
import { ApiError } from '../store/errors';
import { EventLog, type LogEntry, type NewEvent } from './log';
import { ManagedSubscriptions } from './managed';
import { eventTopic, Topics } from './topics';
import { type SObjectType } from '../store/schema';
import { type OrgState } from '../state';
import { type Commit } from '../store/store';
import { check } from '../store/values';

/** An event as tests read it. */
export interface ListedEvent {
  /** Base64. */
  replayId: string;
  topic: string;
  /** The publisher's id. */
  id: string;
  schemaId: string;
  /** Epoch milliseconds. */
  at: number;
  /** Decoded; bitmaps as field names, numbers beyond 2^53 as text. Null where the bytes aren't what the schema says. */
  payload: Record<string, unknown> | null;
}

export class EventBus {
  readonly schemas: AvroSchemas;
  readonly topics: Topics;
  readonly log: EventLog;
  readonly managed = new ManagedSubscriptions();
  /** Cuts every connection to the Pub/Sub side. */
  dropConnections: () => void = () => undefined;

  constructor(private readonly org: OrgState) {
    const { schema, store, switches } = org;
    this.schemas = new AvroSchemas(schema);
    this.topics = new Topics(schema, this.schemas, switches);
    this.log = new EventLog(switches, () => store.now());
    store.on('commit', (commit) => this.#capture(commit));
  }

  get #capturing(): Parameters<typeof changeEvents>[0] {
    const { schema, switches } = this.org;
    return { schema, switches, schemas: this.schemas, captures: (type) => this.topics.captures(type) };
  }

  #capture(commit: Commit): void {
    for (const { entity, after } of commit.changes) {
      const type = this.org.schema.type(entity);
      if (type && isEventType(type) && after) this.#publishRow(type, after, commit.user);
    }
    this.#publishChanges(changeEvents(this.#capturing, commit));
  }

  /** Runs of one topic go in together. */
  #publishChanges(events: readonly ChangeEvent[]): LogEntry[] {
    return events.flatMap((event) => this.log.publish(eventTopic(event.type), [event]));
  }

  /** Publishes platform events as a flow or a trigger of the org would, from field values as REST takes them. */
  publish(topicName: string, ...records: Record<string, unknown>[]): LogEntry[] {
    const type = this.topics.find(topicName)?.type;
    if (!type || !isEventType(type)) throw new ApiError(400, 'NOT_FOUND', `no platform event ${topicName}`);
    return records.flatMap((record) => {
      const row: Record<string, string | number | boolean | null> = {};
      for (const [name, sent] of Object.entries(record)) {
        const field = type.fields.get(name);
        const checked = field && check(field, sent, this.org.schema);
        if (!checked) throw new ApiError(400, 'INVALID_FIELD', `${type.name} has no field ${name}`);
        if ('error' in checked) throw new ApiError(400, checked.error.statusCode, checked.error.message);
        row[name] = checked.value;
      }
      return this.#publishRow(type, row, this.org.userId);
    });
  }

  #publishRow(
    type: SObjectType,
    row: Readonly<Record<string, string | number | boolean | null>>,
    user: string,
  ): LogEntry[] {
    const schema = this.schemas.of(type);
    const value: Record<string, unknown> = { CreatedDate: this.org.store.now(), CreatedById: user };
    for (const field of type.fields.values())
      if (field.name.endsWith('__c')) value[field.name] = avroValue(field, row[field.name]);
    const event: NewEvent = {
      id: typeof row.EventUuid === 'string' ? row.EventUuid : randomUUID(),
      schemaId: schema.id,
      payload: schema.codec.toBuffer(value),
    };
    return this.log.publish(eventTopic(type), [event]);
  }

  /**
   * A change event without data: a gap of these records, an overflow (no ids), or an update of all records of the
   * object (`["003*"]`), as after a custom field has become of another type.
   */
  changeEvent(sobject: string, changeType: ChangeEventType, recordIds?: readonly string[]): LogEntry[] {
    const { store, schema, userId } = this.org;
    const type = schema.type(sobject);
    if (!type || !this.topics.captures(type))
      throw new ApiError(400, 'NOT_FOUND', `changes of ${sobject} are not captured`);
    const commit = {
      number: store.commits.length,
      transactionKey: randomUUID(),
      commitTimestamp: store.now(),
      user: userId,
      origin: '',
    };
    const ids = recordIds ? [...recordIds] : [NO_RECORD];
    return this.#publishChanges([headerOnlyEvent(this.#capturing, type, changeType, ids, commit)]);
  }

  /** Events that are kept, of a topic or all. */
  list(topicName = ''): ListedEvent[] {
    const topic = topicName === '' ? undefined : this.topics.find(topicName);
    if (topicName !== '' && !topic) throw new ApiError(404, 'NOT_FOUND', `no topic ${topicName}`);
    return this.log.list(topic?.has ?? (() => true)).map((entry) => this.#listed(entry));
  }

  #listed({ replayId, topic = '', at, event }: LogEntry): ListedEvent {
    const { id = '', schemaId = '', payload = Buffer.alloc(0) } = event?.event ?? {};
    const schema = this.schemas.byId(schemaId);
    return {
      replayId: replayId.toString('base64'),
      topic,
      id,
      schemaId,
      at,
      payload: schema ? decode(schema, payload) : null,
    };
  }
}

/** The event's fields, or null where its bytes don't fit the schema: the org publishes those, too. */
export function decode(schema: AvroSchema, payload: Buffer): Record<string, unknown> | null {
  let decoded: Record<string, unknown>;
  try {
    decoded = schema.codec.fromBuffer(payload) as Record<string, unknown>;
  } catch {
    return null;
  }
  const plain = JSON.parse(
    JSON.stringify(decoded, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)),
  ) as Record<string, unknown>;
  const header = plain.ChangeEventHeader as Record<string, unknown> | undefined;
  for (const list of header ? ['nulledFields', 'diffFields', 'changedFields'] : [])
    (header as Record<string, unknown>)[list] = fieldNames(schema.columns, header?.[list] as string[]);
  return plain;
}
