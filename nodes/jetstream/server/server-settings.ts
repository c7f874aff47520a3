import { isIP } from 'node:net';
import { FlowError } from '../../shared/errors';
import { Secrets } from '../../shared/secrets';
import type { Settings } from '../../shared/settings/settings';
import type { jetstreamServer } from '../jetstream-server.settings';
import type { Authenticator, ConnectionOptions, TlsOptions } from './nats';
import { say } from '../../shared/say';

type Declared = Settings<typeof jetstreamServer>;

/** How to reach and enter a NATS system: the settings of jetstream-server and its credentials. */
export type ServerSettings = Pick<Declared, 'auth'> &
  Partial<Omit<Declared, 'servers' | 'auth' | 'tls'>> & {
    servers: string;
    /** What the core tls-config node adds to TLS options: ca, cert, key, passphrase, servername, rejectUnauthorized. */
    tls?: TlsOptions;
  };

export interface Login {
  /** None for a server that lets everybody in. */
  authenticator?: Authenticator;
  /** Reads a credentials file anew, so that one that was replaced is taken up without a deploy. Never throws. */
  renew(): void;
}

/** The client's options. Throws FlowError NO_SERVER, BAD_SERVER. */
export function connectionOptions(settings: ServerSettings, login: Login): ConnectionOptions {
  const servers = serverList(settings.servers);
  const tls = tlsOptions(settings, servers);
  return {
    servers,
    name: settings.name ? `node-red ${settings.name}` : 'node-red',
    timeout: 5_000,
    reconnect: true,
    maxReconnectAttempts: -1,
    reconnectDelayHandler: () => {
      login.renew();
      // Spreads the instances out when a server comes back.
      return 200 + Math.random() * 800;
    },
    pingInterval: 10_000,
    maxPingOut: 2,
    noAsyncTraces: true,
    ...(settings.inboxPrefix ? { inboxPrefix: settings.inboxPrefix } : {}),
    ...(login.authenticator ? { authenticator: login.authenticator } : {}),
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
      say`No NATS server is set: enter one as nats://host:4222 in the jetstream-server node`,
      false,
    );
  }
  for (const server of list) checkServer(server);
  return list;
}

function checkServer(server: string): void {
  const [, scheme = '', host = ''] = /^(?:(\w+):\/\/)?(?:.*@)?(.*)$/.exec(server) ?? [];
  if (/^wss?$/i.test(scheme))
    throw badServer(
      say`${scheme}://${host} is an address for NATS over WebSocket, which is not supported here: enter the one for clients, as nats://host:4222`,
    );
  if (isIP(host) !== 6 && !URL.canParse(`http://${host}`))
    throw badServer(
      say`"${host}" is no address of a NATS server: enter host and port as nats://host:4222, and commas between several`,
    );
}

function badServer(message: string): FlowError {
  return new FlowError('BAD_SERVER', message, false);
}

/**
 * The settings with the login in the servers' URLs ("nats://user:password@host", "nats://token@host") in its own place
 * (that of the form wins), and all their secrets. Throws FlowError BAD_CREDENTIALS for URLs with different logins.
 */
export function splitLogin(settings: ServerSettings): { settings: ServerSettings; secrets: Secrets } {
  const { password, token, nkeySeed, jwt, creds } = settings;
  const secrets = new Secrets(password, token, nkeySeed, jwt, creds);
  const parts = settings.servers.split(/[\s,]+/).map((server) => {
    const [, scheme = '', login, host = server] = /^(\w+:\/\/)?(?:(.*)@)?([^@]*)$/.exec(server) ?? [];
    return { login, server: scheme + host };
  });
  const logins = new Set(parts.map(({ login }) => login).filter((login) => login !== undefined));
  const servers = parts.map(({ server }) => server).join(',');
  const [login] = logins;
  if (login === undefined) return { settings: { ...settings, servers: settings.servers }, secrets };

  for (const each of logins) {
    const [user, secret] = userinfo(each);
    secrets.add(each, secret ?? user);
  }
  const clean = { ...settings, servers };
  if (settings.auth !== 'none') return { settings: clean, secrets };
  if (logins.size > 1) {
    throw new FlowError(
      'BAD_CREDENTIALS',
      say`The URLs of the servers hold different logins: one login is used for all of them; set it in the jetstream-server node`,
      false,
    );
  }
  const [user, secret] = userinfo(login);
  const own =
    secret === undefined ? { auth: 'token', token: user } : { auth: 'userpass', user, password: secret };
  return { settings: { ...clean, ...own } as ServerSettings, secrets };
}

/** User and password; a token stands alone. */
function userinfo(login: string): [user: string, password?: string] {
  const colon = login.indexOf(':');
  return colon < 0 ? [decode(login)] : [decode(login.slice(0, colon)), decode(login.slice(colon + 1))];
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function tlsOptions(settings: ServerSettings, servers: string[]): TlsOptions | undefined {
  if (settings.tls) return { ...settings.tls, ...(settings.tlsFirst ? { handshakeFirst: true } : {}) };
  if (settings.tlsFirst) return { handshakeFirst: true };
  return servers.some((server) => server.startsWith('tls://')) ? {} : undefined;
}
