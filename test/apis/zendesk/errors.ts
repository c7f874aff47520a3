import { Refusal } from '../frame/simulation';
import { type Reply } from '../../support/simulated/exchange';

/** Zendesk's usual words for a refusal. */
export function errorReply(status: number, error: string, description: string): Reply {
  return { status, body: { error, description } };
}

export const invalid = (description: string, status = 400): Refusal =>
  new Refusal(errorReply(status, 'InvalidValue', description));

export const notFound = (): Refusal => new Refusal(errorReply(404, 'RecordNotFound', 'Not found'));

/** An address that there isn't. */
export const noRoute = (): Refusal =>
  new Refusal({
    status: 404,
    body: { error: { title: 'Invalid attribute', message: 'You passed an invalid value for the path' } },
  });

export const forbidden = (description: string): Refusal =>
  new Refusal(errorReply(403, 'Forbidden', description));
