import { Refusal } from '../frame/simulation';
import { type Reply } from '../../support/simulated/exchange';

const DOCS = 'https://docs.github.com/rest';

export function errorReply(
  status: number,
  message: string,
  more: Record<string, unknown> = {},
  headers?: Record<string, string>,
): Reply {
  return { status, body: { message, documentation_url: DOCS, status: String(status), ...more }, headers };
}

export const notFound = (): Refusal => new Refusal(errorReply(404, 'Not Found'));

export function unprocessable(resource: string, field: string, code = 'invalid'): Refusal {
  return new Refusal(errorReply(422, 'Validation Failed', { errors: [{ resource, field, code }] }));
}

/** To where something is now. */
export function moved(url: string): Refusal {
  const body = {
    message: 'Moved Permanently',
    url,
    documentation_url: `${DOCS}/guides/best-practices-for-using-the-rest-api#follow-redirects`,
  };
  return new Refusal({ status: 301, body, headers: { Location: url } });
}
