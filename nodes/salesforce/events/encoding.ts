import { FlowError, messageOf } from '../../shared/errors';
import type { PublishMessage, QueuedEvent } from './queue';
import type { EventSchema } from '../pubsub/schemas';

/** Salesforce refuses larger ones, each by itself. */
const EVENT_BYTES = 1_048_576;

/** The events of a message, the first of them with the place `order`. Throws FlowError if any of them can't be published. */
export function encodeMessage(
  message: PublishMessage,
  schema: EventSchema,
  userId: string | undefined,
  order: number,
): QueuedEvent[] {
  return message.records.map((record, index) => ({
    message,
    index,
    order: order + index,
    id: message.ids[index] ?? '',
    schemaId: schema.id,
    payload: encode(record, schema, userId),
    notBefore: 0,
    company: Infinity,
    refusals: 0,
    losses: 0,
  }));
}

/** Throws FlowError, not retryable, where the record doesn't fit the schema or the event would be too large. */
export function encode(record: unknown, schema: EventSchema, userId: string | undefined): Buffer {
  const values = schema.convert(record, { CreatedById: userId ?? '', CreatedDate: Date.now() });
  let payload: Buffer;
  try {
    payload = schema.encode(values);
  } catch (error) {
    throw new FlowError('FIELD_VALUE', `The event does not fit its definition: ${messageOf(error)}`, false);
  }
  if (payload.length <= EVENT_BYTES) return payload;
  throw new FlowError(
    'EVENT_TOO_LARGE',
    `The event has ${payload.length} bytes, and Salesforce takes ${EVENT_BYTES} at most; send less in it, or a reference to the data`,
    false,
  );
}
