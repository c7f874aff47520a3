import { messageOf } from '../../shared/errors';
import { judge } from '../../shared/http/judge';
import { signJwt } from '../../shared/jwt';
import { Secrets } from '../../shared/secrets';
import { isSecure } from '../../shared/http/secure';
import type { LoginGrant } from './credentials';
import type { HttpAnswer, HttpClient } from './http';
import { OrgOutage } from './outage';
import { say } from '../../shared/say';

/** A session as the org granted it. */
export interface Grant {
  accessToken: string;
  instanceUrl: string;
  organizationId: string;
  userId: string;
  /** Only where the org sent one: it may replace the one that was used. */
  refreshToken?: string;
}

interface TokenAnswer {
  access_token: string;
  instance_url?: string;
  /** https://login.salesforce.com/id/<organization>/<user> */
  id?: string;
  refresh_token?: string;
}

const LOGIN_TIMEOUT = 30_000;
const LONGEST_DESCRIPTION = 500;

/**
 * One login by one of the four OAuth flows at `{loginUrl}/services/oauth2/token`. Throws OrgOutage:
 * `unreachable` where no answer came, `login` where the org refuses, in words that say what to do.
 */
export async function logIn(http: HttpClient, grant: LoginGrant, secrets = new Secrets()): Promise<Grant> {
  const form = parameters(grant);
  // The assertion, and a refresh token that replaced the one configured.
  secrets.add(form.assertion, form.refresh_token);
  const answer = await http.send({
    method: 'POST',
    url: `${grant.loginUrl}/services/oauth2/token`,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(form).toString(),
    timeout: LOGIN_TIMEOUT,
  });
  const body = parse(answer.text);
  secrets.add(body.access_token, body.refresh_token);
  const outage = onTheWay(grant.loginUrl, answer, body);
  if (outage) throw outage;
  if (answer.status !== 200 || typeof body.access_token !== 'string')
    throw refusal(grant, answer.status, body, secrets);

  const token = body as unknown as TokenAnswer;
  const instanceUrl = String(token.instance_url ?? grant.loginUrl).replace(/\/+$/, '');
  if (!URL.canParse(instanceUrl) || !isSecure(new URL(instanceUrl))) {
    const why = say`The login at ${grant.loginUrl} names "${secrets.strike(instanceUrl).slice(0, 200)}" as the address of the org, which is no https URL; check the login URL and any proxy before it`;
    throw new OrgOutage('login', 'INVALID_INSTANCE_URL', why, false);
  }
  if (!/^[\x21-\x7e]{1,10000}$/.test(token.access_token)) {
    const why = say`The login at ${grant.loginUrl} gives an access token that no header can carry (blanks or other signs, or thousands of them); check the login URL and any proxy before it`;
    throw new OrgOutage('login', 'INVALID_ACCESS_TOKEN', why, false);
  }
  const identity =
    (typeof token.id === 'string' && fromIdentityUrl(token.id)) ||
    (await askIdentity(http, instanceUrl, token.access_token));
  const refreshToken = typeof token.refresh_token === 'string' ? token.refresh_token : undefined;
  return { accessToken: token.access_token, instanceUrl, ...identity, refreshToken };
}

/** OAuth's own errors of a server that can't just now. */
const PASSING = new Set(['server_error', 'temporarily_unavailable', 'unavailable']);

/** What somebody on the way answers, or a server that can't just now, says nothing about the login: it is tried again soon. */
function onTheWay(
  loginUrl: string,
  answer: HttpAnswer,
  body: Record<string, unknown>,
): OrgOutage | undefined {
  const verdict = judge(
    { status: answer.status, contentType: String(answer.headers['content-type'] ?? ''), body: answer.text },
    () => typeof body.error === 'string',
  );
  const granted = answer.status === 200 && typeof body.access_token === 'string';
  const passes = typeof body.error === 'string' && PASSING.has(body.error);
  const refused = typeof body.error === 'string' && answer.status < 500 && answer.status !== 429;
  if (granted || (refused && !passes)) return undefined;
  const said = say`The login at ${loginUrl} answered ${answer.status}`;
  const code = `HTTP_${answer.status}`;
  if (verdict === 'moved') {
    const location = String(answer.headers.location ?? '');
    const to = URL.canParse(location) ? new URL(location).host : say`somewhere else`;
    const where = say`${said}, a redirect to ${to}; set the login URL to the new address of the org, or look for a portal or proxy on the way`;
    return new OrgOutage('unreachable', code, where, false);
  }
  if (answer.status >= 200 && answer.status < 300) {
    const odd = say`${said} without an access token; check the login URL, and any portal or proxy before it`;
    return new OrgOutage('login', code, odd, false);
  }
  const down = say`${said}; Salesforce may be down, see https://status.salesforce.com, or something on the way refuses`;
  return new OrgOutage('unreachable', code, down, false);
}

function parameters(grant: LoginGrant): Record<string, string> {
  const client = { client_id: grant.clientId };
  switch (grant.flow) {
    case 'password':
      return {
        grant_type: 'password',
        ...client,
        client_secret: grant.clientSecret,
        username: grant.username,
        password: grant.password,
      };
    case 'client-credentials':
      return { grant_type: 'client_credentials', ...client, client_secret: grant.clientSecret };
    case 'jwt':
      return { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: assertion(grant) };
    case 'refresh-token':
      return {
        grant_type: 'refresh_token',
        ...client,
        refresh_token: grant.refreshToken,
        ...(grant.clientSecret && { client_secret: grant.clientSecret }),
      };
  }
}

/** Salesforce refuses assertions that live longer than five minutes; its clock and ours may differ by some. */
const ASSERTION_SECONDS = 180;

function assertion(grant: LoginGrant & { flow: 'jwt' }): string {
  const claims = {
    iss: grant.clientId,
    sub: grant.username,
    aud: grant.loginUrl,
    exp: Math.floor(Date.now() / 1_000) + ASSERTION_SECONDS,
  };
  try {
    return signJwt(claims, grant.privateKey);
  } catch (error) {
    const why = say`The private key of the org is no RSA key in PEM form (-----BEGIN PRIVATE KEY-----); paste it whole, without a passphrase`;
    throw new OrgOutage('login', 'INVALID_CREDENTIALS', why, false, { cause: messageOf(error) });
  }
}

function fromIdentityUrl(url: string): { organizationId: string; userId: string } | undefined {
  const [, organizationId, userId] = /\/id\/([^/]+)\/([^/]+)$/.exec(url) ?? [];
  return organizationId && userId ? { organizationId, userId } : undefined;
}

async function askIdentity(http: HttpClient, instanceUrl: string, accessToken: string) {
  const answer = await http.send({
    method: 'GET',
    url: `${instanceUrl}/services/oauth2/userinfo`,
    headers: { authorization: `Bearer ${accessToken}` },
    timeout: LOGIN_TIMEOUT,
  });
  const { organization_id, user_id } = parse(answer.text);
  if (typeof organization_id === 'string' && typeof user_id === 'string') {
    return { organizationId: organization_id, userId: user_id };
  }
  throw new OrgOutage(
    'login',
    `HTTP_${answer.status}`,
    say`The org granted a session but does not say whose; give the connected app the scope "openid" or "id"`,
    false,
  );
}

/** What the refusal means, and the way out. Neither carries a secret. */
function refusal(
  grant: LoginGrant,
  status: number,
  body: Record<string, unknown>,
  secrets: Secrets,
): OrgOutage {
  const error = typeof body.error === 'string' ? secrets.strike(body.error).slice(0, 100) : `HTTP_${status}`;
  const said = typeof body.error_description === 'string' ? body.error_description : say`no description`;
  // What it echoes is struck whole before it is cut.
  const description = secrets.strike(said).slice(0, LONGEST_DESCRIPTION);
  const advice = adviceFor(grant, error, description.toLowerCase());
  return new OrgOutage(
    'login',
    error,
    say`The org refuses the ${grant.flow} login (${error}: ${description}); ${advice}`,
    false,
  );
}

function adviceFor(grant: LoginGrant, error: string, description: string): string {
  if (error === 'invalid_client_id')
    return say`check the client id (consumer key); a new app takes up to ten minutes to work`;
  if (error === 'invalid_client') return say`check the client secret, and that the app allows this flow`;
  if (error === 'inactive_user') return say`activate the user, or log in as another one`;
  if (error === 'inactive_org') return say`the org is locked, closed or suspended: ask its administrator`;
  if (error === 'rate_limit_exceeded')
    return say`the user has logged in too often (3,600 an hour): find out who else logs in with it, and wait`;
  if (/ip restricted|ip range/.test(description))
    return say`allow this machine's address in the profile's login IP ranges, or relax IP restrictions in the app`;

  switch (grant.flow) {
    case 'password':
      return say`check username, password and security token (appended where the network is not trusted). The org may block this flow: since Summer ’23 it is off in new orgs (Setup → OAuth and OpenID Connect Settings → Allow OAuth Username-Password Flows), and it is being retired. Better use client-credentials or jwt`;
    case 'client-credentials':
      return /^https:\/\/(login|test)\.salesforce\.com/.test(grant.loginUrl) || description.includes('domain')
        ? say`this flow works at My Domain only: set the login URL to https://<your domain>.my.salesforce.com`
        : say`enable the client credentials flow in the app and choose a Run As user there`;
    case 'jwt':
      if (description.includes('approved'))
        return say`pre-authorize the user: in the app choose "Admin approved users are pre-authorized" and give the user a permission set of it`;
      if (description.includes('audience'))
        return say`set the login URL to https://login.salesforce.com, https://test.salesforce.com (sandbox) or the My Domain`;
      return say`check that the private key belongs to the certificate of the app, the username, and this machine’s clock`;
    case 'refresh-token':
      return say`the refresh token is expired, revoked or already replaced: authorize the app again and store the new token`;
  }
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
