import { randomUUID } from 'node:crypto';
import { Refusal } from '../frame/simulation';
import { type Reply } from '../../support/simulated/exchange';

/** HubSpot's words for a refusal. */
export function errorReply(
  status: number,
  category: string,
  message: string,
  more: Record<string, unknown> = {},
): Reply {
  return { status, body: { status: 'error', message, correlationId: randomUUID(), category, ...more } };
}

export const invalid = (message: string, more?: Record<string, unknown>): Refusal =>
  new Refusal(errorReply(400, 'VALIDATION_ERROR', message, more));

export const notFound = (message = 'resource not found'): Refusal =>
  new Refusal(errorReply(404, 'OBJECT_NOT_FOUND', message));
