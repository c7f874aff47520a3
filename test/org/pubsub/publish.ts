/** Publish: one request, from its checks to the result of each event. */
import { status, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import { randomUUID } from 'node:crypto';
import { type AvroSchema } from './avro-schemas';
import { authenticate, cannotPublish, visibleTopic } from './auth';
import { decode, type EventBus } from './bus';
import { GrpcError, invalid, oversized, statusOf } from './errors';
import { troubleFor } from './faults';
import {
  ErrorCode,
  isOversized,
  type Oversized,
  type ProducerEvent,
  type PublishRequest,
  type PublishResponse,
  type PublishResult,
} from './messages';
import { simulatedTime, type Desk } from './desk';
import { type Topic } from './topics';

const MAX_EVENT_BYTES = 1024 * 1024;

type UnaryCall = ServerUnaryCall<PublishRequest | Oversized, PublishResponse>;

export function publish(desk: Desk) {
  return (call: UnaryCall, answer: sendUnaryData<PublishResponse>): void => {
    const rpcId = randomUUID();
    carryOut(desk, call, rpcId).then(
      (response) => answer(null, response),
      (thrown: unknown) => answer(statusOf(thrown, rpcId)),
    );
  };
}

async function carryOut(desk: Desk, call: UnaryCall, rpcId: string): Promise<PublishResponse> {
  authenticate(desk.org, call.metadata);
  return await publishOne(desk, call.request, {
    path: call.getPath(),
    rpcId,
    latency: simulatedTime(desk.org),
    drop: () => desk.drop(call),
  });
}

export interface Circumstances {
  path: string;
  rpcId: string;
  /** The simulated time of the call, running since it came. */
  latency: Promise<void>;
  drop: () => void;
}

/** One request, noted in the ledger. */
export async function publishOne(
  desk: Desk,
  request: PublishRequest | Oversized,
  on: Circumstances,
): Promise<PublishResponse> {
  const { entry, close } = desk.org.ledger.open('GRPC', on.path);
  try {
    if (isOversized(request)) throw oversized();
    entry.records = request.events.length;
    const response = await publishAll(desk, request, on);
    close(status.OK);
    return response;
  } catch (thrown) {
    close(thrown instanceof GrpcError ? thrown.code : status.INTERNAL);
    throw thrown;
  }
}

async function publishAll(desk: Desk, request: PublishRequest, on: Circumstances): Promise<PublishResponse> {
  const { org, bus } = desk;
  const topic = publishable(desk, request);
  const schema = bus.topics.schemaOf(topic) as AvroSchema;
  const trouble = troubleFor(
    org,
    {
      method: 'GRPC',
      path: on.path,
      topic: topic.name,
      records: () => request.events.map((event) => readable(bus, event)),
    },
    on.drop,
  );
  await trouble?.before();
  await on.latency;
  checkEvents(desk, request, schema);
  const results: PublishResult[] = request.events.map((event) => {
    const msg = refusal(desk, topic, schema, event, on.path);
    return {
      replayId: Buffer.alloc(0),
      correlationKey: event.id,
      ...(msg === undefined ? {} : { error: { code: ErrorCode.PUBLISH, msg } }),
    };
  });
  const good = request.events.filter((_, i) => results[i]?.error === undefined);
  const entries = bus.log.publish(
    topic.name,
    good.map((event) => ({ ...event, id: event.id === '' ? randomUUID() : event.id })),
  );
  let next = 0;
  for (const result of results)
    if (!result.error) result.replayId = entries[next++]?.replayId ?? result.replayId;
  trouble?.after();
  return { results, schemaId: schema.id, rpcId: on.rpcId };
}

function publishable({ org, bus }: Desk, { topicName }: PublishRequest): Topic {
  if (topicName === '') throw invalid('publish.topic.validation.empty', 'The topic name is missing.');
  const topic = visibleTopic(org, bus.topics, topicName);
  if (!topic.canPublish) throw cannotPublish(topic);
  return topic;
}

/** What fails the whole call. */
function checkEvents({ org, bus }: Desk, { events }: PublishRequest, schema: AvroSchema): void {
  const { publishEvents, staleSchema } = org.switches;
  if (events.length === 0 || (publishEvents > 0 && events.length > publishEvents))
    throw invalid(
      'publish.event.count.invalid',
      `The publish request has ${events.length} events. Send from 1 to ${publishEvents}.`,
    );
  for (const { schemaId, payload } of events) {
    if (schemaId === '') throw invalid('schema.validation.failed', 'An event has no schema ID.');
    if (staleSchema === 'call error' && schemaId !== schema.id && isEarlier(bus, schemaId, schema))
      throw invalid('schema.validation.failed', `The schema ID ${schemaId} isn't the topic's any more.`);
    // No error code is on record for this one.
    if (!hasSystemFields(payload))
      throw invalid('publish.event.invalid', 'The event has no CreatedDate or no CreatedById.');
  }
}

function isEarlier(bus: EventBus, schemaId: string, schema: AvroSchema): boolean {
  return bus.schemas.byId(schemaId)?.sobject === schema.sobject;
}

/** The first two fields of every event: a long, and a string that isn't empty. The rest isn't looked at [D]. */
function hasSystemFields(payload: Buffer): boolean {
  let at = 0;
  while (((payload[at] ?? 0) & 0x80) !== 0) at++;
  return at + 2 < payload.length && payload[at + 1] !== 0;
}

/** Why this event alone isn't published. */
function refusal(
  { org, bus }: Desk,
  topic: Topic,
  schema: AvroSchema,
  event: ProducerEvent,
  path: string,
): string | undefined {
  const { schemaId, payload } = event;
  if (payload.length > MAX_EVENT_BYTES)
    return `The event of ${payload.length} bytes is above the maximum size of ${MAX_EVENT_BYTES} bytes.`;
  if (schemaId !== schema.id) {
    if (!isEarlier(bus, schemaId, schema))
      return `The schema ID ${schemaId} isn't one of topic ${topic.name}.`;
    if (org.switches.staleSchema === 'event error')
      return `The schema ID ${schemaId} isn't the one of topic ${topic.name} any more. Get the current schema.`;
  }
  if (org.faults.list().length > 0) {
    const occasion = { method: 'GRPC', path, topic: topic.name };
    const fault = org.faults.forRow(occasion, readable(bus, event));
    if (fault) return `${fault.statusCode}: ${fault.message}`;
  }
  const hourly = org.limits.HourlyPublishedPlatformEvents;
  if (hourly && hourly.Remaining <= 0)
    return 'LIMIT_EXCEEDED: The number of published platform event messages exceeded the hourly publishing limit.';
  if (hourly) hourly.Remaining--;
  return undefined;
}

function readable(bus: EventBus, { schemaId, payload, id }: ProducerEvent): Record<string, unknown> {
  const schema = bus.schemas.byId(schemaId);
  return { id, ...(schema ? decode(schema, payload) : {}) };
}
