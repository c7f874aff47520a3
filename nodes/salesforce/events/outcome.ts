import { FlowError, messageOf } from '../../shared/errors';
import { OrgOutage } from '../org/outage';
import { PubSubRefusal } from '../pubsub/client';
import type { EventError, PublishMessage, PublishResult, QueuedEvent } from './queue';
import { say } from '../../shared/say';

/** The org took the call, but not this event. */
export function notPublished(event: QueuedEvent, { code, message }: EventError, topic: string): FlowError {
  const which = event.message.records.length > 1 ? say`event ${event.index} of the message` : say`the event`;
  return new FlowError(code, say`The org did not publish ${which} to ${topic} (${code}: ${message})`, true);
}

export function limitSpent(message: string): OrgOutage {
  const sentence = say`The org's limit for publishing events is spent (${message}); see Setup → Company Information`;
  return new OrgOutage('limit', 'LIMIT_EXCEEDED', sentence, false);
}

/**
 * The results of a message that is over, in the order of its records, all of them successes. Throws where events
 * were given up; only where nothing was published may the message be repeated: the others would be published twice.
 */
export function resultsOf({ records, results, failure }: PublishMessage, topic: string): PublishResult[] {
  if (!failure) return results as PublishResult[];
  const { code, message, retryable, cause } = failure;
  const published = results.filter((result) => result?.success).length;
  const sentence =
    published === 0
      ? message
      : say`${message}. ${published} of ${records.length} events were published to ${topic}`;
  throw new FlowError(code, sentence, retryable && published === 0, {
    cause,
    details: results.some((result) => result) ? results : undefined,
  });
}

export function asFlowError(error: unknown): FlowError {
  if (error instanceof FlowError) return error;
  if (error instanceof PubSubRefusal) return error.trouble.error;
  return new FlowError('INTERNAL', say`The event could not be published: ${messageOf(error)}`, false, {
    cause: error,
  });
}
