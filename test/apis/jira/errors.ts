import { Refusal } from '../frame/simulation';
import { type Reply } from '../../support/simulated/exchange';

/** Jira's words for a refusal. */
export function errorReply(
  status: number,
  message: string | string[],
  errors: Record<string, string> = {},
  headers?: Record<string, string>,
): Reply {
  return { status, body: { errorMessages: [message].flat(), errors }, headers };
}

export const invalid = (message: string): Refusal => new Refusal(errorReply(400, message));

export const noIssue = (): Refusal =>
  new Refusal(errorReply(404, 'Issue does not exist or you do not have permission to see it.'));

/** An address that there isn't. */
export const noRoute = (): Refusal =>
  new Refusal({
    status: 404,
    body: '<html><head><title>Oops, you’ve found a dead link.</title></head></html>',
  });
