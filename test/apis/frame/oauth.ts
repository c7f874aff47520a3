/** OAuth as services give tokens: they expire, and a refresh token is good for one use. */
import { randomUUID } from 'node:crypto';
import { type Request } from '../../support/simulated/exchange';
import { type Clock } from './clock';

/** What a client of the simulation authenticates with, where the API has OAuth. */
export interface OAuthClient {
  readonly clientId: string;
  readonly clientSecret: string;
  /** The first of a chain: each use gives the next. */
  readonly refreshToken: string;
}

export type Grant = 'client_credentials' | 'refresh_token';

export interface Tokens {
  access_token: string;
  refresh_token?: string;
  token_type: 'bearer';
  scope: string;
  expires_in: number;
}

export interface NoTokens {
  error: 'invalid_client' | 'unsupported_grant_type' | 'invalid_grant' | 'invalid_scope';
  error_description: string;
}

export interface Terms {
  grants: readonly Grant[];
  /** All that can be asked for; what a client gets that asks for none. */
  scopes: readonly string[];
  livesMs: number;
  /** For how long the refresh token before is still good. */
  graceMs?: () => number;
}

export class TokenDesk {
  readonly client: OAuthClient;
  readonly #given = new Map<string, { scopes: readonly string[]; endsAt: number }>();
  #refreshToken: string;
  /** The one before it, and when that was replaced. */
  #before = { token: '', at: 0 };

  constructor(
    name: string,
    private readonly terms: Terms,
    private readonly clock: Clock,
  ) {
    this.client = {
      clientId: `${name}_client`,
      clientSecret: `${name}_secret`,
      refreshToken: `${name}_refresh`,
    };
    this.#refreshToken = this.client.refreshToken;
  }

  /** A request for tokens, as a form or as JSON. */
  exchange(request: Request): Tokens | NoTokens {
    const asked = fieldsOf(request);
    const { grants, scopes } = this.terms;
    if (asked.client_id !== this.client.clientId || asked.client_secret !== this.client.clientSecret)
      return no('invalid_client', 'Client authentication failed due to unknown client or wrong secret.');
    const grant = grants.find((name) => name === asked.grant_type);
    if (!grant) return no('unsupported_grant_type', `The grant type ${asked.grant_type} is not supported.`);
    if (grant === 'refresh_token' && !this.#isGood(asked.refresh_token))
      return no('invalid_grant', 'The provided refresh token is invalid, expired, or was used before.');
    const wanted = asked.scope ? asked.scope.split(' ') : scopes;
    if (wanted.some((scope) => !scopes.includes(scope)))
      return no('invalid_scope', 'The requested scope is invalid, unknown, or malformed.');
    return this.#give(grant, wanted);
  }

  #give(grant: Grant, scopes: readonly string[]): Tokens {
    const access_token = randomUUID().replaceAll('-', '');
    this.#given.set(access_token, { scopes, endsAt: this.clock.now() + this.terms.livesMs });
    if (grant === 'refresh_token') {
      this.#before = { token: this.#refreshToken, at: this.clock.now() };
      this.#refreshToken = randomUUID();
    }
    return {
      access_token,
      ...(grant === 'refresh_token' && { refresh_token: this.#refreshToken }),
      token_type: 'bearer',
      scope: scopes.join(' '),
      expires_in: this.terms.livesMs / 1000,
    };
  }

  #isGood(token: string | undefined): boolean {
    const { graceMs = () => 0 } = this.terms;
    const within = this.clock.now() - this.#before.at < graceMs();
    return token === this.#refreshToken || (within && token === this.#before.token);
  }

  /** What a token that was given, and hasn't expired, is good for. */
  scopesOf(token: string): readonly string[] | undefined {
    const given = this.#given.get(token);
    return given && given.endsAt > this.clock.now() ? given.scopes : undefined;
  }
}

function no(error: NoTokens['error'], error_description: string): NoTokens {
  return { error, error_description };
}

function fieldsOf({ headers, text }: Request): Partial<Record<string, string>> {
  if (!headers['content-type']?.includes('json')) return Object.fromEntries(new URLSearchParams(text));
  try {
    return JSON.parse(text) as Partial<Record<string, string>>;
  } catch {
    return {};
  }
}

export function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

export function bearerOf(authorization: string | undefined): string | undefined {
  return /^Bearer (.+)$/.exec(authorization ?? '')?.[1];
}
