import { FlowError } from '../../shared/errors';
import { say } from '../../shared/say';

export interface Endpoint {
  /** host:port */
  address: string;
  tls: boolean;
}

const LOOPBACK = /^(127(\.\d+){3}|localhost|\[::1\]):\d+$/;
const DEFAULT_PORT = 7443;

/**
 * Reads an sfdc-org's `pubsubEndpoint`: host:port, over TLS; `http://127.0.0.1:port` is plain text, on loopback
 * only, as the access token goes with each call. Throws INVALID_ENDPOINT.
 */
export function parseEndpoint(text: string): Endpoint {
  const [, scheme = '', host = '', port] =
    /^(https?:\/\/)?([^/:\s]+|\[[\da-f:]+\])(?::(\d+))?\/?$/i.exec(text.trim()) ?? [];
  if (host === '') {
    throw invalid(
      say`"${text}" is not an endpoint of the Pub/Sub API; write host:port, for example api.pubsub.salesforce.com:7443`,
    );
  }
  const address = `${host}:${port ?? DEFAULT_PORT}`;
  const tls = scheme.toLowerCase() !== 'http://';
  if (!tls && !LOOPBACK.test(address)) {
    throw invalid(
      say`The Pub/Sub endpoint ${text} would send the access token in plain text, which is for this machine alone; write ${address} without http://`,
    );
  }
  return { address, tls };
}

function invalid(message: string): FlowError {
  return new FlowError('INVALID_ENDPOINT', message, false);
}
