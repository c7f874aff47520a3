import { FlowError, messageOf } from '../../shared/errors';
import { OrgOutage } from '../org/outage';
import { PubSubRefusal } from '../pubsub/client';
import type { CallLost } from '../pubsub/errors';
import type { EventError, PublishJob, QueuedEvent } from './queue';

/** The org took the call, but not this event. */
export function notPublished(event: QueuedEvent, { code, message }: EventError, topic: string): FlowError {
  const which = event.job.records.length > 1 ? `event ${event.index} of the message` : 'the event';
  return new FlowError(code, `The org did not publish ${which} to ${topic} (${code}: ${message})`, true);
}

export function limitSpent(message: string): OrgOutage {
  const sentence = `The org's limit for publishing events is spent (${message}); see Setup → Company Information`;
  return new OrgOutage('limit', 'LIMIT_EXCEEDED', sentence, false);
}

export function failedRepeatedly(event: QueuedEvent, error: CallLost): FlowError {
  return new FlowError(
    'ORG_FAILED_REPEATEDLY',
    `The org answers, but failed ${event.losses} times on this event: ${error.message}`,
    true,
  );
}

/** Only where nothing was published may the message be repeated: the others would be published twice. */
export function failureOf(
  job: PublishJob,
  { code, message, retryable, cause }: FlowError,
  topic: string,
): FlowError {
  const published = job.results.filter((result) => result?.success).length;
  const sentence =
    published === 0
      ? message
      : `${message}. ${published} of ${job.records.length} events were published to ${topic}`;
  return new FlowError(code, sentence, retryable && published === 0, {
    cause,
    details: job.results.some((result) => result) ? job.results : undefined,
  });
}

export function closed(): FlowError {
  return new FlowError(
    'NODE_CLOSED',
    'The node was closed before the org confirmed the event; it is to be delivered again',
    true,
  );
}

export function asFlowError(error: unknown): FlowError {
  if (error instanceof FlowError) return error;
  if (error instanceof PubSubRefusal) return error.trouble.error;
  return new FlowError('INTERNAL', `The event could not be published: ${messageOf(error)}`, false, {
    cause: error,
  });
}
