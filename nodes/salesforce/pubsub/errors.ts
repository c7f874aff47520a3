import { FlowError } from '../../shared/errors';
import { OrgOutage } from '../org/outage';
import { say } from '../../shared/say';

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
  const kind = kindOf(error);
  switch (kind) {
    case 'session':
      return { kind };
    case 'position': {
      const lost = say`The org does not know the position to go on from in ${what} ${said}`;
      return { kind, error: new FlowError('REPLAY_ID_LOST', lost, true, { cause: error }) };
    }
    case 'limit': {
      const full = say`The org's limit for events is spent ${said}; it is tried again with growing pauses. See Setup → Company Information, or the org's usage-based entitlements`;
      const outage = new OrgOutage('limit', reason || status, full, false, { cause: error });
      return { kind: 'outage', outage };
    }
    case 'missing': {
      const missing = say`The org has no ${what} that this user may use ${said}; check its name (for example /event/OrderStatus__e or /data/ContactChangeEvent)`;
      return { kind: 'topic', error: new FlowError('TOPIC_NOT_FOUND', missing, true, { cause: error }) };
    }
    case 'denied': {
      const denied = say`The org has no ${what} for this user ${said}; check its name, and give the user the right to the event (read to subscribe, create to publish)`;
      return { kind: 'topic', error: new FlowError('TOPIC_DENIED', denied, true, { cause: error }) };
    }
    case 'refused': {
      const code = reason === '' ? status : reason.toUpperCase().replaceAll('.', '_');
      const refused = say`The org refuses a call for ${what} ${said}`;
      return { kind, error: new FlowError(code, refused, false, { cause: error }) };
    }
    case 'away':
  }
  const Outage = status === 'UNAVAILABLE' ? OrgOutage : CallLost;
  const gone = unreachable(message, said, endpoint);
  return {
    kind: 'outage',
    outage: new Outage('unreachable', reason || status, gone, true, { cause: error }),
  };
}

type Kind = 'session' | 'position' | 'limit' | 'missing' | 'denied' | 'refused' | 'away';

/** By the reasons that are documented. Source: error codes of the Pub/Sub API's guide. */
const REASONS: [RegExp, Kind][] = [
  [/^service\.auth/, 'session'],
  [/replay_?id/i, 'position'],
  [/limit\.exceeded$/, 'limit'],
  [/^service\.|\.unavailable$|\.sweeper\.timeout$/, 'away'],
  [/^topic\.not\.found$/, 'missing'],
  [/^topic\.meta\.permission$/, 'denied'],
  [
    /^(publish|schema|subscription)\..*(invalid|mismatch|not\.found|corrupted|too\.large|exceed|validation|permission)/,
    'refused',
  ],
];

/** A reason that isn't known, and the want of one, leave the status; those that blame nobody are waited out. */
const STATUSES: Record<string, Kind> = {
  UNAUTHENTICATED: 'session',
  RESOURCE_EXHAUSTED: 'limit',
  NOT_FOUND: 'missing',
  PERMISSION_DENIED: 'denied',
  INVALID_ARGUMENT: 'refused',
  OUT_OF_RANGE: 'refused',
};

/** gRPC makes statuses of what a gateway or portal on the way answers by HTTP. */
const BY_HTTP = /^Received HTTP status code|^Bad HTTP|invalid content-type|text\/html/i;

function kindOf({ status, reason, message }: RpcError): Kind {
  const known = REASONS.find(([pattern]) => pattern.test(reason))?.[1];
  if (known) return known;
  if (reason === '' && BY_HTTP.test(message)) return 'away';
  return STATUSES[status] ?? 'away';
}

function unreachable(message: string, said: string, endpoint: string): string {
  if (/name resolution|ENOTFOUND|EAI_AGAIN/i.test(message))
    return say`The host of ${endpoint} is unknown; check the Pub/Sub endpoint of the org and this machine's DNS`;
  if (/ECONNREFUSED/.test(message))
    return say`${endpoint} refuses connections; check the Pub/Sub endpoint of the org, and any firewall or proxy`;
  if (/certificate|self.signed|CERT_/i.test(message)) {
    // gRPC trusts this file alone where it is set.
    const roots = process.env.GRPC_DEFAULT_SSL_ROOTS_FILE_PATH;
    const where = roots ? say`to ${roots} (GRPC_DEFAULT_SSL_ROOTS_FILE_PATH)` : 'with NODE_EXTRA_CA_CERTS';
    return say`The TLS certificate of ${endpoint} is refused (${message}); check the endpoint, or add the certificate authority of your proxy ${where}`;
  }
  if (/wrong version number|EPROTO/i.test(message))
    return say`${endpoint} does not speak TLS on this port; check the Pub/Sub endpoint of the org`;
  return say`The Pub/Sub API at ${endpoint} is not available ${said}; see https://status.salesforce.com`;
}
