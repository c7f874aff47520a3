/** The one file that imports the NATS client. Load it (`await import`) only when a connection is needed. */
import { headers, type MsgHdrs, type NatsConnection } from 'nats';
import { ProtocolHandler } from 'nats/lib/nats-base-client/protocol';
import { NodeTransport } from 'nats/lib/src/node_transport';
import { mendDialing, mendIdentity } from './dialing';

mendDialing(ProtocolHandler.prototype as unknown as Parameters<typeof mendDialing>[0]);
mendIdentity(NodeTransport.prototype as unknown as Parameters<typeof mendIdentity>[0]);

export {
  connect,
  createInbox,
  credsAuthenticator,
  headers,
  jwtAuthenticator,
  nkeyAuthenticator,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from 'nats';
export type {
  Authenticator,
  ConnectionOptions,
  KV,
  Msg,
  MsgHdrs,
  NatsConnection,
  NatsError,
  Status,
  Subscription,
  TlsOptions,
} from 'nats';

/** What the client (2.29) writes its own commands with, which it doesn't export. */
interface Protocol {
  sendCommand(bytes: Uint8Array): void;
}

/** Sends whole frames of the protocol. Like publishing, it is lost without a word while there is no connection. */
export function sendBytes(nc: NatsConnection, frames: Uint8Array): void {
  (nc as unknown as { protocol: Protocol }).protocol.sendCommand(frames);
}

interface HeadersClass {
  decode: (this: void, bytes: Uint8Array) => MsgHdrs;
}

/** The class behind the client's headers, which it doesn't export. */
const Headers = headers().constructor as unknown as HeadersClass;
const decodeStrictly = Headers.decode;

/**
 * What arrives may have been sent by anybody: the client (2.29) throws, wherever a message's headers are looked at,
 * for names and values that it would not send itself. They are read as they are.
 */
Headers.decode = (bytes) => {
  try {
    return decodeStrictly(bytes);
  } catch {
    return decodeAny(bytes);
  }
};

function decodeAny(bytes: Uint8Array): MsgHdrs {
  const [status = '', ...lines] = Buffer.from(bytes).toString('utf8').split('\r\n');
  const values = new Map<string, string[]>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon < 0) continue;
    const name = line.slice(0, colon);
    values.set(name, [...(values.get(name) ?? []), line.slice(colon + 1).trim()]);
  }
  return Object.assign(decodeStrictly(Buffer.from(`${status}\r\n\r\n`)), { headers: values });
}
