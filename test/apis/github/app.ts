/** A GitHub App that is installed once: what it signs is exchanged for tokens that last an hour. */
import { createVerify, generateKeyPairSync, type KeyPairSyncResult } from 'node:crypto';
import { type Reply, type Request } from '../../support/simulated/exchange';
import { type Clock } from '../frame/clock';
import { errorReply, notFound } from './errors';
import { type Switches } from './switches';

/** What a client of the App authenticates with. */
export interface AppLogin {
  readonly appId: string;
  readonly clientId: string;
  readonly installationId: string;
  /** PEM, as GitHub gives it: PKCS #1. */
  readonly privateKey: string;
}

const LONGEST = 600;

export class App {
  readonly #tokens = new Map<string, number>();
  #keys: KeyPairSyncResult<string, string> | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly switches: Switches,
  ) {}

  get login(): AppLogin {
    const { privateKey } = this.#pair();
    return { appId: '10042', clientId: 'Iv1.simulated0000', installationId: '700', privateKey };
  }

  /** A token that was given, and hasn't ended. */
  knows(token: string | undefined): boolean {
    const ends = token === undefined ? undefined : this.#tokens.get(token);
    return ends !== undefined && ends > this.clock.now();
  }

  /** Ends all tokens before their time, as when a permission of the App is changed. */
  revoke(): void {
    this.#tokens.clear();
  }

  /** POST /app/installations/{id}/access_tokens, GET /app: by the JWT alone. */
  answer({ method, path, headers }: Request): Reply {
    const wrong = this.#wrong(/^Bearer (\S+)$/i.exec(headers.authorization ?? '')?.[1]);
    if (wrong !== undefined) return errorReply(401, wrong);
    const route = `${method} ${path.join('/')}`;
    if (route === 'GET app')
      return { status: 200, body: { id: Number(this.login.appId), slug: 'simulated' } };
    const [, id] = /^POST app\/installations\/(\d+)\/access_tokens$/.exec(route) ?? [];
    if (id !== this.login.installationId) throw notFound();
    if (this.switches.suspended) return errorReply(403, 'This installation has been suspended');
    const token = `ghs_${Math.random().toString(36).slice(2).padEnd(12, '0')}${this.#tokens.size}`;
    const ends = this.clock.now() + this.switches.installationMs;
    this.#tokens.set(token, ends);
    return {
      status: 201,
      body: {
        token,
        expires_at: new Date(ends).toISOString().replace(/\.\d+Z/, 'Z'),
        permissions: { metadata: 'read', issues: 'read', contents: 'read', pull_requests: 'read' },
        repository_selection: 'all',
      },
    };
  }

  /** In GitHub's words. */
  #wrong(jwt: string | undefined): string | undefined {
    const undecodable = 'A JSON web token could not be decoded';
    const [head = '', body = '', signature = '', ...more] = (jwt ?? '').split('.');
    if (signature === '' || more.length > 0) return undecodable;
    let claims: { iss?: unknown; iat?: unknown; exp?: unknown };
    try {
      if (decoded(head).alg !== 'RS256') return undecodable;
      claims = decoded(body);
    } catch {
      return undecodable;
    }
    const { publicKey } = this.#pair();
    if (!createVerify('RSA-SHA256').update(`${head}.${body}`).verify(publicKey, signature, 'base64url'))
      return undecodable;
    const { appId, clientId } = this.login;
    if (![appId, clientId].includes(String(claims.iss as string))) return 'Integration not found';
    const now = this.clock.now() / 1_000;
    const { iat, exp } = claims;
    if (typeof exp !== 'number' || !Number.isInteger(exp) || exp <= now)
      return "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires";
    if (exp > now + LONGEST) return "'Expiration time' claim ('exp') is too far in the future";
    if (typeof iat !== 'number' || !Number.isInteger(iat) || iat > now)
      return "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued";
    return undefined;
  }

  #pair(): KeyPairSyncResult<string, string> {
    return (this.#keys ??= generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    }));
  }
}

function decoded(part: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;
}
