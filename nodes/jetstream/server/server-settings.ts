import { readFileSync } from 'node:fs';
import { FlowError, messageOf } from '../../shared/errors';
import type { Settings } from '../../shared/settings/settings';
import type { jetstreamServer } from '../jetstream-server.settings';
import type { Authenticator, ConnectionOptions, TlsOptions } from './nats';

type Declared = Settings<typeof jetstreamServer>;

/** How to reach and enter a NATS system: the settings of jetstream-server and its credentials. */
export type ServerSettings = Pick<Declared, 'auth'> &
  Partial<Omit<Declared, 'servers' | 'auth' | 'tls'>> & {
    servers: string;
    /** What the core tls-config node adds to TLS options: ca, cert, key, passphrase, servername, rejectUnauthorized. */
    tls?: TlsOptions;
  };

type Nats = typeof import('./nats.js');

/** The client's options. Throws FlowError BAD_CREDENTIALS where something is missing or can't be read. */
export function connectionOptions(settings: ServerSettings, nats: Nats): ConnectionOptions {
  const servers = serverList(settings.servers);
  const authenticator = chooseAuthenticator(settings, nats);
  const tls = tlsOptions(settings, servers);
  return {
    servers,
    name: settings.name ? `node-red ${settings.name}` : 'node-red',
    timeout: 5_000,
    reconnect: true,
    maxReconnectAttempts: -1,
    // Spreads the instances out when a server comes back.
    reconnectDelayHandler: () => 200 + Math.random() * 800,
    ignoreAuthErrorAbort: true,
    pingInterval: 10_000,
    maxPingOut: 2,
    noAsyncTraces: true,
    ...(settings.inboxPrefix ? { inboxPrefix: settings.inboxPrefix } : {}),
    ...(authenticator ? { authenticator } : {}),
    ...(tls ? { tls } : {}),
  };
}

export function serverList(servers: string): string[] {
  const list = servers
    .split(/[\s,]+/)
    .map((server) => server.trim())
    .filter((server) => server !== '');
  if (list.length === 0) {
    throw new FlowError(
      'NO_SERVER',
      'No NATS server is set: enter one as nats://host:4222 in the jetstream-server node',
      false,
    );
  }
  return list;
}

function tlsOptions(settings: ServerSettings, servers: string[]): TlsOptions | undefined {
  if (settings.tls) return { ...settings.tls, ...(settings.tlsFirst ? { handshakeFirst: true } : {}) };
  if (settings.tlsFirst) return { handshakeFirst: true };
  return servers.some((server) => server.startsWith('tls://')) ? {} : undefined;
}

function chooseAuthenticator(settings: ServerSettings, nats: Nats): Authenticator | undefined {
  const { auth } = settings;
  switch (auth) {
    case 'none':
      return undefined;
    case 'userpass':
      return nats.usernamePasswordAuthenticator(need(settings.user, 'user'), settings.password ?? '');
    case 'token':
      return nats.tokenAuthenticator(need(settings.token, 'token'));
    case 'nkey':
      return nats.nkeyAuthenticator(bytes(need(settings.nkeySeed, 'nkey seed')));
    case 'jwt':
      return nats.jwtAuthenticator(need(settings.jwt, 'JWT'), bytes(need(settings.nkeySeed, 'nkey seed')));
    case 'creds':
    case 'file': {
      if (auth === 'creds' && settings.creds) return nats.credsAuthenticator(credsBytes(settings.creds));
      const path = need(settings.credentialsPath, 'path of the credentials file');
      fromFile(path, nats);
      // Read again at each (re)connect, so that a rotated file is taken up without a deploy.
      return (nonce) => fromFile(path, nats)(nonce);
    }
  }
}

function fromFile(path: string, nats: Nats): Authenticator {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new FlowError(
      'BAD_CREDENTIALS',
      `The credentials file ${path} can't be read: ${messageOf(error)}`,
      false,
      { cause: error },
    );
  }
  if (!text.trimStart().startsWith('{')) return nats.credsAuthenticator(credsBytes(text));
  const { nkey, jwt, user, password, token } = parseCredentials(text, path);
  const seed = nkey?.seed;
  if (jwt && seed) return nats.jwtAuthenticator(jwt, bytes(seed));
  if (seed) return nats.nkeyAuthenticator(bytes(seed));
  if (user) return nats.usernamePasswordAuthenticator(user, password ?? '');
  if (token) return nats.tokenAuthenticator(token);
  throw new FlowError(
    'BAD_CREDENTIALS',
    `The credentials file ${path} holds none of nkey.seed, jwt with nkey.seed, user with password, or token`,
    false,
  );
}

interface CredentialsFile {
  nkey?: { seed?: string };
  jwt?: string;
  user?: string;
  password?: string;
  token?: string;
}

function parseCredentials(text: string, path: string): CredentialsFile {
  try {
    return JSON.parse(text) as CredentialsFile;
  } catch (error) {
    // The parser's own message may quote the secret.
    throw new FlowError('BAD_CREDENTIALS', `The credentials file ${path} is not valid JSON`, false, {
      cause: (error as Error).name,
    });
  }
}

function need(value: string | undefined, what: string): string {
  if (value) return value;
  throw new FlowError(
    'BAD_CREDENTIALS',
    `The jetstream-server node has no ${what}: enter it, or choose another authentication`,
    false,
  );
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text.trim());
}

/** The client finds nothing in a .creds text with CRLF, or without a line break at its end. */
function credsBytes(text: string): Uint8Array {
  return new TextEncoder().encode(`${text.replace(/\r\n/g, '\n').trim()}\n`);
}
