import { Refusal } from '../frame/simulation';
import { type Reply } from '../../support/simulated/exchange';

export interface StripeError {
  type: 'api_error' | 'card_error' | 'idempotency_error' | 'invalid_request_error';
  message: string;
  code?: string;
  param?: string;
}

export function errorReply(status: number, error: StripeError, headers?: Record<string, string>): Reply {
  const documented = error.code && {
    doc_url: `https://stripe.com/docs/error-codes/${error.code.replaceAll('_', '-')}`,
  };
  return { status, body: { error: { ...error, ...documented } }, headers };
}

export function invalid(message: string, param?: string, code?: string): Refusal {
  return new Refusal(errorReply(400, { type: 'invalid_request_error', message, param, code }));
}

export function missing(status: 400 | 404, kind: string, id: string, param: string): Refusal {
  const message = `No such ${kind}: '${id}'`;
  return new Refusal(
    errorReply(status, { type: 'invalid_request_error', message, param, code: 'resource_missing' }),
  );
}

export function forbidden(resource: string): Refusal {
  const message = `The provided key 'rk_test_***' does not have the required permissions for this endpoint. Having the 'rak_${resource}_read' permission would allow this request to continue.`;
  return new Refusal(errorReply(403, { type: 'invalid_request_error', message }));
}
