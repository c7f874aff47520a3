import { FlowError, messageOf } from '../../shared/errors';
import { explainPermission, JetStreamError, struck } from './errors';
import type { NatsConnection } from './nats';
import { say } from '../../shared/say';

const TIMEOUT = 5_000;

interface ApiAnswer {
  error?: { code: number; err_code?: number; description?: string };
}

/**
 * One request to the JetStream API, e.g. verb "STREAM.INFO.crm". Throws JetStreamError with what the server
 * said, PERMISSION_DENIED naming the subject, JETSTREAM_UNAVAILABLE, or TIMEOUT.
 */
export async function jsApi<T extends object>(
  nc: NatsConnection,
  domain: string | undefined,
  verb: string,
  body?: object,
): Promise<T> {
  const subject = `${apiPrefix(domain)}.${verb}`;
  let answer: T & ApiAnswer;
  try {
    const msg = await nc.request(subject, body ? JSON.stringify(body) : undefined, { timeout: TIMEOUT });
    answer = msg.json();
  } catch (error) {
    throw struck(nc, explainRequest(error, subject, domain));
  }
  if (answer.error) {
    const { code, err_code = code, description = say`unknown error` } = answer.error;
    const said = say`JetStream answered ${verb} with "${description}" (${err_code})`;
    throw struck(nc, new JetStreamError(err_code, description, said));
  }
  return answer;
}

export function apiPrefix(domain: string | undefined): string {
  return domain ? `$JS.${domain}.API` : '$JS.API';
}

function explainRequest(error: unknown, subject: string, domain: string | undefined): FlowError {
  const refused = explainPermission(error);
  if (refused) return refused;
  const code = (error as { code?: string }).code;
  if (code === '503') {
    const where = domain ? say`in the domain "${domain}"` : say`for this account`;
    return new FlowError(
      'JETSTREAM_UNAVAILABLE',
      say`JetStream is not available ${where}: enable it on the nats-server, or check the domain`,
    );
  }
  if (code === 'TIMEOUT') {
    return new FlowError(
      'TIMEOUT',
      say`The server did not answer ${subject} within ${TIMEOUT / 1_000}s: it is overloaded, has no leader, or the inbox may not be read`,
    );
  }
  return new FlowError(code ?? 'REQUEST_FAILED', say`The request ${subject} failed: ${messageOf(error)}`);
}
