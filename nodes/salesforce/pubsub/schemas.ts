import { FlowError } from '../../shared/errors';
import type { Codec } from './avro';
import { compileConversion, type Conversion } from './avro-convert';
import { eventFields, type EventField } from './avro-fields';
import type { SchemaInfo, TopicInfo } from './messages';
import { say } from '../../shared/say';

/** One version of an event's definition. */
export interface EventSchema extends Codec {
  id: string;
  fields: EventField[];
  convert: Conversion;
}

export interface TopicSchema {
  schema: EventSchema;
  /** When the org was asked, by performance.now(). */
  askedAt: number;
}

export interface SchemaSource {
  getTopic(topic: string): Promise<TopicInfo>;
  getSchema(id: string): Promise<SchemaInfo>;
}

/** The schemas of one org: each is asked for once, however many need it at the same moment. */
export class EventSchemas {
  private readonly byId = new Map<string, Promise<EventSchema>>();
  private readonly byTopic = new Map<string, Promise<TopicSchema>>();
  private readonly asking = new Map<string, Promise<TopicSchema>>();

  constructor(private readonly source: SchemaSource) {}

  /** The schema an event was written by. A schema never changes; a changed event has a new one. */
  get(id: string): Promise<EventSchema> {
    return remember(this.byId, id, () => this.load(id));
  }

  /** The schema to publish with, as last known. Throws FlowError or OrgOutage. */
  ofTopic(topic: string): Promise<TopicSchema> {
    return this.byTopic.get(topic) ?? this.refresh(topic);
  }

  /** Asks the org which schema the topic has now. */
  refresh(topic: string): Promise<TopicSchema> {
    const asking = this.asking.get(topic);
    if (asking) return asking;
    const answer = this.ask(topic).finally(() => this.asking.delete(topic));
    this.asking.set(topic, answer);
    answer.then(
      () => this.byTopic.set(topic, answer),
      () => this.byTopic.delete(topic),
    );
    return answer;
  }

  private async ask(topic: string): Promise<TopicSchema> {
    const askedAt = performance.now();
    const info = await this.source.getTopic(topic);
    if (!info.can_publish)
      throw new FlowError(
        'TOPIC_DENIED',
        say`The user may not publish to ${topic}, or nobody can; give the user the right to create this event`,
      );
    return { schema: await this.get(info.schema_id), askedAt };
  }

  private async load(id: string): Promise<EventSchema> {
    const [{ schema_json }, avro] = await Promise.all([this.source.getSchema(id), import('./avro.js')]);
    const fields = eventFields(schema_json);
    const { name } = JSON.parse(schema_json) as { name: string };
    return { id, fields, convert: compileConversion(name, fields), ...avro.compileCodec(schema_json) };
  }
}

/** Schemas that are kept; an org has one for each version of each event. */
const MOST_SCHEMAS = 1_000;

/** What fails is forgotten, and asked for again by the next who needs it. The oldest make room for new ones. */
function remember<T>(known: Map<string, Promise<T>>, key: string, load: () => Promise<T>): Promise<T> {
  let value = known.get(key);
  if (!value) {
    const [oldest] = known.size >= MOST_SCHEMAS ? known.keys() : [];
    if (oldest !== undefined) known.delete(oldest);
    known.set(key, (value = load()));
    value.catch(() => known.delete(key));
  }
  return value;
}
