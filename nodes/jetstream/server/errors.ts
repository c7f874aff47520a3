import { codeOf, FlowError, messageOf } from '../../shared/errors';
import type { Secrets } from '../../shared/secrets';
import type { NatsConnection } from './nats';
import { say } from '../../shared/say';
import { explainTls } from './tls-errors';

/** An answer {error:{code, err_code, description}} of the JetStream API. `apiCode` is err_code. */
export class JetStreamError extends FlowError {
  constructor(
    readonly apiCode: number,
    readonly description: string,
    message: string,
    retryable = true,
  ) {
    super(`JETSTREAM_${apiCode}`, message, retryable);
  }
}

/** Codes of JetStream API answers that this pack acts on. (server/errors.json of nats-server) */
export const ApiCode = {
  consumerNotFound: 10014,
  streamNotFound: 10059,
  noMessage: 10037,
  streamNameInUse: 10058,
  subjectsOverlap: 10065,
  streamStoreFailed: 10077,
  messageTooLarge: 10054,
  headersTooLarge: 10097,
  replicasNotSupported: 10074,
  streamUpdateRefused: 10052,
  unknownField: 10025,
  consumerExists: 10148,
  duplicateInBatch: 10201,
  wrongLastSequence: 10071,
  wrongLastSequenceUnnamed: 10164,
  atomicPublishDisabled: 10174,
  batchPublishDisabled: 10205,
} as const;

const secretsOf = new WeakMap<NatsConnection, Secrets>();

/** What is said about the connection, by `struck`, is said without them. */
export function keepSecrets(nc: NatsConnection, secrets: Secrets): void {
  secretsOf.set(nc, secrets);
}

/** The same error without the secrets of the connection, whatever the server has echoed. */
export function struck<T>(nc: NatsConnection, error: T): T {
  return secretsOf.get(nc)?.inError(error) ?? error;
}

interface NatsErrorShape {
  code?: string;
  permissionContext?: { operation?: string; subject?: string };
  chainedError?: unknown;
}

/** PERMISSION_DENIED naming the subject, if the thrown value is the server's refusal of one. */
export function explainPermission(thrown: unknown): FlowError | undefined {
  const { code, permissionContext } = thrown as NatsErrorShape;
  if (code !== 'PERMISSIONS_VIOLATION') return undefined;
  return permissionDenied(
    permissionContext?.operation,
    permissionContext?.subject ?? say`a subject that it does not name`,
  );
}

export function permissionDenied(operation: string | undefined, subject: string): FlowError {
  const verb = operation === 'subscription' ? say`subscribe to` : say`publish to`;
  const hint =
    operation === 'subscription' ? say`, or give the jetstream-server node the inbox prefix it may use` : '';
  return new FlowError(
    'PERMISSION_DENIED',
    say`The NATS user may not ${verb} "${subject}": grant it that right${hint} (docs/nats-rights.md has a table of what each node needs)`,
  );
}

/** What a failed connection means, in words. */
export function explainConnectFailure(thrown: unknown, servers: string): FlowError {
  if (thrown instanceof FlowError) return thrown;
  const cause = (thrown as NatsErrorShape | undefined)?.chainedError ?? thrown;
  const code = wasEnded(thrown) ? 'ECONNRESET' : codeOf(cause, codeOf(thrown));
  const failure = (name: string, sentence: string): FlowError =>
    new FlowError(name, sentence, true, { cause: thrown });
  switch (code) {
    case 'ECONNREFUSED':
    case 'CONNECTION_REFUSED':
      return failure(
        'CONNECTION_REFUSED',
        say`Nothing answers at ${servers}: is nats-server running there, and is the port right?`,
      );
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return failure('HOST_UNKNOWN', say`The host of ${servers} is unknown: check its name and the DNS`);
    case 'AUTHORIZATION_VIOLATION':
      return failure(
        'AUTHORIZATION',
        say`${servers} refused the login: check the authentication of the jetstream-server node`,
      );
    case 'AUTHENTICATION_EXPIRED':
    case 'ACCOUNT_EXPIRED':
      return failure('AUTHORIZATION', say`The credentials for ${servers} have expired: renew them`);
    case 'AUTHENTICATION_TIMEOUT':
      return failure(
        'AUTHORIZATION',
        say`${servers} waited in vain for a login: check the authentication of the jetstream-server node`,
      );
    case 'TIMEOUT':
    case 'ETIMEDOUT':
      return failure(
        'TIMEOUT',
        say`${servers} did not answer within 5s: check the address, the firewall, and that the port is the one for NATS clients`,
      );
    case 'ECONNRESET':
    case 'EPIPE':
      return failure(
        'CONNECTION_ENDED',
        say`${servers} ended the connection before it was complete: it may want TLS first, a client certificate, or have too many connections; the log of the nats-server has the reason`,
      );
    case 'SECURE_CONN_REQ':
      return failure(
        'TLS',
        say`${servers} wants TLS: write tls:// in front of its address, or choose a TLS configuration in the jetstream-server node`,
      );
    case 'SERVER_OPT_NA':
      return failure(
        'TLS',
        say`${servers} has no TLS, which the jetstream-server node asks for: write nats:// in front of its address, and choose no TLS configuration`,
      );
    case 'BAD_CREDS':
    case 'BAD_AUTHENTICATION':
    case 'INVALID_CREDS':
      return failure(
        'BAD_CREDENTIALS',
        say`The credentials for ${servers} are malformed: a .creds file holds a JWT and a seed (SU…)`,
      );
    default:
      if (code.startsWith('nkeys: '))
        return failure(
          'BAD_CREDENTIALS',
          say`The nkey seed for ${servers} is none (${code.slice('nkeys: '.length)}): enter the whole line that begins with SU`,
        );
      if (/CERT|SSL|TLS|SIGN|ISSUER|ALTNAME|VERIFY/i.test(code))
        return failure('TLS', explainTls(code, messageOf(cause), servers));
      if (/maximum.*connections exceeded/i.test(messageOf(cause)))
        return failure(
          'TOO_MANY_CONNECTIONS',
          say`${servers} takes no more connections (${messageOf(cause)}): raise its limit, or let fewer clients connect`,
        );
      if (/unexpected response from server/.test(messageOf(cause)))
        return failure(
          'CONNECT_FAILED',
          say`What answers at ${servers} is no nats-server: check host and port (NATS clients have 4222 by default)`,
        );
      return failure(
        code === 'ERROR' ? 'CONNECT_FAILED' : code,
        say`The connection to ${servers} failed: ${messageOf(thrown)}`,
      );
  }
}

/** The client calls it refused, when a connection that was made is closed without a word. */
function wasEnded(thrown: unknown): boolean {
  const { code, chainedError } = (thrown ?? {}) as NatsErrorShape;
  return (
    code === 'CONNECTION_REFUSED' && chainedError !== undefined && codeOf(chainedError, '') !== 'ECONNREFUSED'
  );
}
