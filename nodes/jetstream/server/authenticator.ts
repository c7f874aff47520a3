import { readCredentialsFile } from '../../shared/credentials-file';
import { FlowError, messageOf } from '../../shared/errors';
import type { Secrets } from '../../shared/secrets';
import type { Authenticator } from './nats';
import type { Login, ServerSettings } from './server-settings';
import { labelOf, say } from '../../shared/say';

type Nats = typeof import('./nats.js');

/** How to log in; what a file holds is added to the secrets. Throws FlowError NO_CREDENTIALS, BAD_CREDENTIALS. */
export async function readLogin(settings: ServerSettings, nats: Nats, secrets: Secrets): Promise<Login> {
  const { auth } = settings;
  const fixed = (authenticator?: Authenticator): Login => ({ authenticator, renew: () => undefined });
  switch (auth) {
    case 'none':
      return fixed();
    case 'userpass':
      return fixed(
        nats.usernamePasswordAuthenticator(need(settings.user, 'user'), need(settings.password, 'password')),
      );
    case 'token':
      return fixed(nats.tokenAuthenticator(need(settings.token, 'token')));
    case 'nkey':
      return fixed(nats.nkeyAuthenticator(bytes(need(settings.nkeySeed, 'nkeySeed'))));
    case 'jwt': {
      const jwt = need(settings.jwt, 'jwt');
      return fixed(nats.jwtAuthenticator(jwt, bytes(need(settings.nkeySeed, 'nkeySeed'))));
    }
    case 'creds':
    case 'file':
      if (auth === 'creds' && settings.creds)
        return fixed(nats.credsAuthenticator(credsBytes(settings.creds)));
      return fromFile(need(settings.credentialsPath, say`path of the credentials file`), nats, secrets);
  }
}

async function fromFile(path: string, nats: Nats, secrets: Secrets): Promise<Login> {
  const read = async () => authenticatorOf(await textOf(path), path, nats, secrets);
  let latest = await read();
  return {
    authenticator: (nonce) => latest(nonce),
    // One that can't be read at this moment is being replaced: the one before may still do.
    renew: () => void read().then((next) => (latest = next)).catch(() => undefined), // prettier-ignore
  };
}

async function textOf(path: string): Promise<string> {
  try {
    return await readCredentialsFile(path);
  } catch (error) {
    throw bad(say`The credentials file ${path} can't be read: ${messageOf(error)}`);
  }
}

function authenticatorOf(text: string, path: string, nats: Nats, secrets: Secrets): Authenticator {
  if (!text.trimStart().startsWith('{')) {
    secrets.add(...text.split(/\r?\n/).filter((line) => line.length > 20 && !line.startsWith('-')));
    return nats.credsAuthenticator(credsBytes(text));
  }
  const { nkey, jwt, user, password, token } = parseCredentials(text, path);
  const seed = nkey?.seed;
  secrets.add(seed, jwt, password, token);
  if (jwt && seed) return nats.jwtAuthenticator(jwt, bytes(seed));
  if (seed) return nats.nkeyAuthenticator(bytes(seed));
  if (user) return nats.usernamePasswordAuthenticator(user, password ?? '');
  if (token) return nats.tokenAuthenticator(token);
  throw bad(
    say`The credentials file ${path} holds none of nkey.seed, jwt with nkey.seed, user with password, or token`,
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
  } catch {
    // The parser's own message may quote the secret.
    throw bad(say`The credentials file ${path} is not valid JSON`);
  }
}

function need(value: string | undefined, setting: string): string {
  if (value) return value;
  const why = say`The jetstream-server node has no "${labelOf('jetstream-server', setting)}": enter it, or choose another authentication`;
  throw new FlowError('NO_CREDENTIALS', why, false);
}

function bad(message: string): FlowError {
  return new FlowError('BAD_CREDENTIALS', message, false);
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text.trim());
}

/** The client finds nothing in a .creds text with CRLF, or without a line break at its end. */
function credsBytes(text: string): Uint8Array {
  return new TextEncoder().encode(`${text.replace(/\r\n/g, '\n').trim()}\n`);
}
