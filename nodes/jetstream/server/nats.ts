/** The one file that imports the NATS client. Load it (`await import`) only when a connection is needed. */
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
