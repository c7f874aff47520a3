import { FlowError } from '../shared/errors';
import { OrgOutage } from './outage';

/** A gRPC call or stream that failed. */
export class RpcError extends Error {
  constructor(
    /** gRPC's name of the status: UNAVAILABLE, UNAUTHENTICATED … */
    readonly status: string,
    message: string,
    /** The org's own code, from the trailer `error-code`, without its common beginning. */
    reason: string | undefined,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.reason = reason?.replace(/^sfdc\.platform\.eventbus\.grpc\./, '') ?? '';
  }

  readonly reason: string;
}

/** Someone answered, or should have: the org may choke on just this call. It may have been carried out. */
export class CallLost extends OrgOutage {}

export type Trouble =
  /** The org doesn't take the session (any more): log in again. */
  | { kind: 'session' }
  /** Not now. */
  | { kind: 'outage'; outage: OrgOutage }
  /** The position to replay from is unknown to the org, or older than what it keeps. */
  | { kind: 'position'; error: FlowError }
  /** The topic isn't there, or isn't this user's: everything on it would be refused. */
  | { kind: 'topic'; error: FlowError }
  /** This call as it stands. */
  | { kind: 'refused'; error: FlowError };

/** What a failed call for `what` ("topic /event/X") means. Source: error codes of the Pub/Sub API's guide, "Handle Errors". */
export function troubleOf(error: RpcError, what: string, endpoint: string): Trouble {
  const { status, reason, message } = error;
  const said = `(${[status, reason].filter((part) => part !== '').join(' ')}: ${message})`;
  if (status === 'UNAUTHENTICATED' || reason.startsWith('service.auth')) return { kind: 'session' };
  if (/replay_?id/i.test(reason)) {
    const lost = `The org does not know the position to go on from in ${what} ${said}`;
    return { kind: 'position', error: new FlowError('REPLAY_ID_LOST', lost, true, { cause: error }) };
  }
  if (status === 'RESOURCE_EXHAUSTED' || reason.endsWith('limit.exceeded')) {
    const full = `The org's limit for events is spent ${said}; it is tried again with growing pauses. See Setup → Company Information, or the org's usage-based entitlements`;
    return {
      kind: 'outage',
      outage: new OrgOutage('limit', reason || status, full, false, { cause: error }),
    };
  }
  // The reason says more than the status that comes with it.
  const passes = PASSING.test(reason);
  if (!passes && (status === 'NOT_FOUND' || reason === 'topic.not.found')) {
    const missing = `The org has no ${what} that this user may use ${said}; check its name (for example /event/OrderStatus__e or /data/ContactChangeEvent)`;
    return { kind: 'topic', error: new FlowError('TOPIC_NOT_FOUND', missing, true, { cause: error }) };
  }
  if (!passes && (status === 'PERMISSION_DENIED' || reason === 'topic.meta.permission')) {
    const denied = `The org has no ${what} for this user ${said}; check its name, and give the user the right to the event (read to subscribe, create to publish)`;
    return { kind: 'topic', error: new FlowError('TOPIC_DENIED', denied, true, { cause: error }) };
  }
  if (!passes && REFUSALS.has(status)) {
    const code = reason === '' ? status : reason.toUpperCase().replaceAll('.', '_');
    return {
      kind: 'refused',
      error: new FlowError(code, `The org refuses a call for ${what} ${said}`, false, { cause: error }),
    };
  }
  const Outage = status === 'UNAVAILABLE' ? OrgOutage : CallLost;
  const gone = unreachable(message, said, endpoint);
  return {
    kind: 'outage',
    outage: new Outage('unreachable', reason || status, gone, true, { cause: error }),
  };
}

/** Of the service, not of the call. Source: error codes of the Pub/Sub API's guide. */
const PASSING = /^service\.|\.unavailable$|\.sweeper\.timeout$/;

const REFUSALS = new Set([
  'INVALID_ARGUMENT',
  'FAILED_PRECONDITION',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'ALREADY_EXISTS',
]);

function unreachable(message: string, said: string, endpoint: string): string {
  if (/name resolution|ENOTFOUND|EAI_AGAIN/i.test(message))
    return `The host of ${endpoint} is unknown; check the Pub/Sub endpoint of the org and this machine's DNS`;
  if (/ECONNREFUSED/.test(message))
    return `${endpoint} refuses connections; check the Pub/Sub endpoint of the org, and any firewall or proxy`;
  if (/certificate|self.signed|CERT_/i.test(message)) {
    // gRPC trusts this file alone where it is set.
    const roots = process.env.GRPC_DEFAULT_SSL_ROOTS_FILE_PATH;
    const where = roots ? `to ${roots} (GRPC_DEFAULT_SSL_ROOTS_FILE_PATH)` : 'with NODE_EXTRA_CA_CERTS';
    return `The TLS certificate of ${endpoint} is refused (${message}); check the endpoint, or add the certificate authority of your proxy ${where}`;
  }
  if (/wrong version number|EPROTO/i.test(message))
    return `${endpoint} does not speak TLS on this port; check the Pub/Sub endpoint of the org`;
  return `The Pub/Sub API at ${endpoint} is not available ${said}; see https://status.salesforce.com`;
}
