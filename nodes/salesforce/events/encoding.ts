import { FlowError, messageOf } from '../../shared/errors';
import type { QueuedEvent } from './queue';
import type { EventSchema } from '../pubsub/schemas';
import { say } from '../../shared/say';

/** Salesforce refuses larger ones, each by itself. */
const EVENT_BYTES = 1_048_576;

/** Writes the event's record by the definition. Throws FlowError as `encode` does. */
export function encodeEvent(event: QueuedEvent, schema: EventSchema, userId: string | undefined): void {
  event.payload = encode(event.message.records[event.index], schema, userId);
  event.schemaId = schema.id;
}

/** Throws FlowError, not retryable, where the record doesn't fit the schema or the event would be too large. */
export function encode(record: unknown, schema: EventSchema, userId: string | undefined): Buffer {
  const values = schema.convert(record, { CreatedById: userId ?? '', CreatedDate: Date.now() });
  let payload: Buffer;
  try {
    payload = schema.encode(values);
  } catch (error) {
    throw new FlowError(
      'FIELD_VALUE',
      say`The event does not fit its definition: ${messageOf(error)}`,
      false,
    );
  }
  if (payload.length <= EVENT_BYTES) return payload;
  throw new FlowError(
    'EVENT_TOO_LARGE',
    say`The event has ${payload.length} bytes, and Salesforce takes ${EVENT_BYTES} at most; send less in it, or a reference to the data`,
    false,
  );
}
