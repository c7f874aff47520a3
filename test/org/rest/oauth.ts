/** `/services/oauth2/*`: the ways to log in, and who the session belongs to. */
import { createHmac, createPublicKey, randomBytes, verify } from 'node:crypto';
import { isRecord } from '../store/dml';
import { type Session } from './sessions';
import { type OrgState, type Reply } from '../state';

const HOUR = 60 * 60_000;
const JWT_MAX_AGE_S = 5 * 60;
/** The seconds that two clocks may differ by. */
const SKEW_S = 30;
const JWT_GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

/** What the connected app has handed out and been given, besides its id and secret. */
export class ConnectedApp {
  /** PEM of the public key or certificate that JWTs are checked with. */
  publicKey: string | undefined;
  readonly #refreshTokens = new Map<string, string>();
  readonly #logins: { userId: string; at: number }[] = [];

  issueRefreshToken(userId: string): string {
    const token = `5Aep861${randomBytes(48).toString('base64url')}`;
    this.#refreshTokens.set(token, userId);
    return token;
  }

  userOf(refreshToken: string): string | undefined {
    return this.#refreshTokens.get(refreshToken);
  }

  /** No refresh token is good any more. */
  forget(): void {
    this.#refreshTokens.clear();
  }

  revoke(refreshToken: string): void {
    this.#refreshTokens.delete(refreshToken);
  }

  /** Counts a login; false where the user has had too many within an hour. */
  mayLogIn(userId: string, perHour: number, now: number): boolean {
    while (this.#logins[0] && this.#logins[0].at < now - HOUR) this.#logins.shift();
    if (this.#logins.filter((login) => login.userId === userId).length >= perHour) return false;
    this.#logins.push({ userId, at: now });
    return true;
  }
}

function refused(error: string, error_description: string): Reply {
  return { status: 400, body: { error, error_description } };
}

const failedLogin = (): Reply => refused('invalid_grant', 'authentication failure');

export function token(org: OrgState, method: string, form: URLSearchParams, host: string): Reply {
  if (method !== 'POST') return refused('invalid_request', 'must use HTTP POST');
  const grant = form.get('grant_type');
  switch (grant) {
    case 'password':
      return clientRefusal(org, form) ?? password(org, form);
    case 'client_credentials':
      return clientRefusal(org, form, true) ?? clientCredentials(org, host);
    case 'refresh_token':
      return clientRefusal(org, form) ?? refresh(org, form);
    case JWT_GRANT:
      return jwt(org, form.get('assertion') ?? '');
    default:
      return refused('unsupported_grant_type', 'grant type not supported');
  }
}

/** A web client may leave the secret out unless the flow lives from it. */
function clientRefusal(org: OrgState, form: URLSearchParams, secretRequired = false): Reply | undefined {
  if (form.get('client_id') !== org.clientId)
    return refused('invalid_client_id', 'client identifier invalid');
  const secret = form.get('client_secret');
  if (secret === org.clientSecret || (secret === null && !secretRequired)) return undefined;
  return refused('invalid_client', 'invalid client credentials');
}

function granted(org: OrgState, userId: string, more: Record<string, string> = {}): Reply {
  const user = org.store.find(userId);
  if (!user || user.table.value(user.number, 'IsActive') !== true)
    return refused('inactive_user', 'user is inactive');
  if (!org.app.mayLogIn(userId, org.switches.loginsPerHour, org.store.now()))
    return refused('rate_limit_exceeded', 'login rate exceeded');
  const session = org.sessions.create(userId, org.clientId);
  const id = `${org.url}/id/${org.orgId}/${userId}`;
  const issued_at = String(Date.now());
  const signature = createHmac('sha256', org.clientSecret)
    .update(id + issued_at)
    .digest('base64');
  const body = {
    access_token: session.token,
    instance_url: org.url,
    id,
    token_type: 'Bearer',
    issued_at,
    signature,
    scope: 'api refresh_token',
    ...more,
  };
  return { status: 200, body };
}

function password(org: OrgState, form: URLSearchParams): Reply {
  const right =
    form.get('username') === org.username && form.get('password') === org.password + org.securityToken;
  // An org that blocks the flow says the same as one that doesn't know the password.
  return org.switches.passwordFlow && right ? granted(org, org.userId) : failedLogin();
}

function clientCredentials(org: OrgState, host: string): Reply {
  if (org.switches.myDomainOnly && /^localhost(:|$)/.test(host))
    return refused('invalid_grant', 'request not supported on this domain');
  if (!org.switches.clientCredentialsUser)
    return refused('invalid_grant', 'no client credentials user enabled');
  return granted(org, org.userId);
}

function refresh(org: OrgState, form: URLSearchParams): Reply {
  const sent = form.get('refresh_token') ?? '';
  const userId = org.app.userOf(sent);
  if (userId === undefined) return refused('invalid_grant', 'expired access/refresh token');
  if (!org.switches.rotateRefreshTokens) return granted(org, userId);
  const reply = granted(org, userId, { refresh_token: org.app.issueRefreshToken(userId) });
  if (reply.status === 200) org.app.revoke(sent);
  return reply;
}

function jwt(org: OrgState, assertion: string): Reply {
  const [header = '', payload = '', signature = ''] = assertion.split('.');
  const claims = decode(payload);
  if (decode(header)?.alg !== 'RS256' || !claims) return refused('invalid_grant', 'invalid assertion');
  if (claims.iss !== org.clientId) return refused('invalid_client_id', 'client identifier invalid');
  const { publicKey } = org.app;
  if (
    publicKey === undefined ||
    !verify(
      'RSA-SHA256',
      Buffer.from(`${header}.${payload}`),
      createPublicKey(publicKey),
      Buffer.from(signature, 'base64url'),
    )
  ) {
    return refused('invalid_grant', 'invalid assertion');
  }
  const audiences = [
    org.url,
    org.url.replace('127.0.0.1', 'localhost'),
    'https://login.salesforce.com',
    'https://test.salesforce.com',
  ];
  if (typeof claims.aud !== 'string' || !audiences.includes(claims.aud.replace(/\/$/, '')))
    return refused('invalid_grant', 'audience is invalid');
  // Some clients, the Salesforce CLI among them, send milliseconds.
  const sent = Number(claims.exp);
  if (sent > 1e12) return jwtUser(org, claims.sub);
  const left = sent - org.store.now() / 1000;
  if (!(left > -SKEW_S)) return refused('invalid_grant', 'expired authorization code');
  if (left > JWT_MAX_AGE_S + SKEW_S) return refused('invalid_grant', 'invalid assertion');
  return jwtUser(org, claims.sub);
}

function jwtUser(org: OrgState, username: unknown): Reply {
  return username === org.username
    ? granted(org, org.userId)
    : refused('invalid_grant', "user hasn't approved this consumer");
}

function decode(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString());
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export function revoke(org: OrgState, form: URLSearchParams): Reply {
  const sent = form.get('token') ?? '';
  org.app.revoke(sent);
  org.sessions.end(sent);
  return { status: 200 };
}

export function userinfo(org: OrgState, session: Session): Reply {
  const user = org.store.find(session.userId);
  const row = user?.table.row(user.number);
  const data = `${org.url}/services/data/v{version}/`;
  const body = {
    sub: `${org.url}/id/${org.orgId}/${session.userId}`,
    user_id: session.userId,
    organization_id: org.orgId,
    preferred_username: row?.Username ?? org.username,
    name: row?.Name ?? '',
    email: row?.Email ?? '',
    email_verified: true,
    zoneinfo: 'Europe/Berlin',
    user_type: 'STANDARD',
    language: 'en_US',
    locale: 'en_US',
    urls: { rest: data, sobjects: `${data}sobjects/`, query: `${data}query/` },
    active: true,
    updated_at: new Date().toISOString(),
  };
  return { status: 200, body };
}
