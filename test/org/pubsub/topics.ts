/** Which topics an org has: one for each platform event and each captured object, and channels made of them. */
import { changeEventName, isEventType, type AvroSchema, type AvroSchemas } from './avro-schemas';
import { type PubSubSwitches } from './switches';
import { type Schema, type SObjectType } from '../store/schema';

export interface Topic {
  readonly name: string;
  /** Its events' object; a channel has none. */
  readonly type: SObjectType | undefined;
  /** Whether events that were published to this topic belong to it. */
  readonly has: (topic: string) => boolean;
  readonly canPublish: boolean;
}

export function eventTopic(type: SObjectType): string {
  return isEventType(type) ? `/event/${type.name}` : `/data/${changeEventName(type)}`;
}

/** Names are case sensitive. */
export class Topics {
  /** Custom channels: /data/Sales__chn or /event/Orders__chn with the topics they are made of. */
  readonly channels = new Map<string, readonly string[]>();

  constructor(
    private readonly schema: Schema,
    private readonly schemas: AvroSchemas,
    private readonly switches: PubSubSwitches,
  ) {}

  find(name: string): Topic | undefined {
    const members = this.channels.get(name);
    if (members) return channel(name, (topic) => members.includes(topic));
    if (name === '/data/ChangeEvents') return channel(name, (topic) => topic.startsWith('/data/'));
    const type = this.schema.types().find((candidate) => eventTopic(candidate) === name);
    if (!type || (!isEventType(type) && !this.captures(type))) return undefined;
    return { name, type, has: (topic) => topic === name, canPublish: isEventType(type) };
  }

  /** Whether changes of this object make events. */
  captures(type: SObjectType): boolean {
    const { changeDataCapture } = this.switches;
    return !isEventType(type) && (changeDataCapture === 'all' || changeDataCapture.includes(type.name));
  }

  schemaOf(topic: Topic): AvroSchema | undefined {
    return topic.type && this.schemas.of(topic.type);
  }

  names(): string[] {
    const types = this.schema.types().filter((type) => isEventType(type) || this.captures(type));
    return [...types.map(eventTopic), '/data/ChangeEvents', ...this.channels.keys()];
  }
}

function channel(name: string, has: (topic: string) => boolean): Topic {
  return { name, type: undefined, has, canPublish: false };
}
