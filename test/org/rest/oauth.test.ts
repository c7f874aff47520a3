import assert from 'node:assert/strict';
import { createSign } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { Connection } from 'jsforce';
import { rawClient } from '../connect';
import { startOrg, type Org } from '../org';

let org: Org;
before(async () => {
  org = await startOrg({ securityToken: 'tok3n' });
});
after(() => org.close());

type Answer = Record<string, string>;

async function login(
  form: Record<string, string>,
  base = org.url,
): Promise<{ status: number; body: Answer }> {
  const response = await fetch(`${base}/services/oauth2/token`, {
    method: 'POST',
    body: new URLSearchParams(form),
  });
  return { status: response.status, body: (await response.json()) as Answer };
}

const client = (): { client_id: string; client_secret: string } => ({
  client_id: org.clientId,
  client_secret: org.clientSecret,
});

const failure = async (form: Record<string, string>, base?: string): Promise<string> => {
  const { status, body } = await login(form, base);
  return `${status} ${body.error}: ${body.error_description}`;
};

function jwt(key: string, claims: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const text = `${part({ alg: 'RS256' })}.${part({ iss: org.clientId, sub: org.username, aud: org.url, exp: now + 180, ...claims })}`;
  return `${text}.${createSign('RSA-SHA256').update(text).sign(key, 'base64url')}`;
}

const bearer = (assertion: string): Record<string, string> => ({
  grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
  assertion,
});

describe('answers', () => {
  test('have id, instance_url, issued_at as text and no expires_in', async () => {
    const { body } = await login({ grant_type: 'client_credentials', ...client() });
    assert.match(String(body.access_token), /^00D[A-Za-z0-9]{12}!/);
    assert.equal(body.id, `${org.url}/id/${org.orgId}/${org.userId}`);
    assert.equal(body.instance_url, org.url);
    assert.equal(typeof body.issued_at, 'string');
    assert.equal('expires_in' in body, false);
    assert.equal('refresh_token' in body, false);
  });

  test('jsforce logs in with the password flow and learns who it is', async () => {
    const connection = new Connection({
      version: '65.0',
      oauth2: { loginUrl: org.url, clientId: org.clientId, clientSecret: org.clientSecret },
    });
    await connection.login(org.username, org.password + org.securityToken);
    assert.equal(connection.userInfo?.id, org.userId);
    assert.equal(connection.userInfo?.organizationId, org.orgId);
    assert.equal((await connection.identity()).user_id, org.userId);
  });
});

describe('refusals', () => {
  const password = (): Record<string, string> => ({
    grant_type: 'password',
    username: org.username,
    password: org.password + org.securityToken,
    ...client(),
  });

  test('password flow: wrong password, missing security token and a blocked flow say the same', async () => {
    const expected = '400 invalid_grant: authentication failure';
    assert.equal(await failure({ ...password(), password: 'wrong' }), expected);
    assert.equal(await failure({ ...password(), password: org.password }), expected);
    org.switches.passwordFlow = false;
    assert.equal(await failure(password()), expected);
    org.switches.passwordFlow = true;
    assert.equal((await login(password())).status, 200);
  });

  test('client credentials work at My Domain only', async () => {
    org.switches.myDomainOnly = true;
    const form = { grant_type: 'client_credentials', ...client() };
    assert.equal(
      await failure(form, org.url.replace('127.0.0.1', 'localhost')),
      '400 invalid_grant: request not supported on this domain',
    );
    assert.equal((await login(form)).status, 200);
    org.switches.myDomainOnly = false;
  });

  test('client id, secret, grant type, run-as user', async () => {
    const form = { grant_type: 'client_credentials', ...client() };
    assert.equal(
      await failure({ ...form, client_id: 'x' }),
      '400 invalid_client_id: client identifier invalid',
    );
    assert.equal(
      await failure({ ...form, client_secret: 'x' }),
      '400 invalid_client: invalid client credentials',
    );
    assert.equal(
      await failure({ ...form, grant_type: 'x' }),
      '400 unsupported_grant_type: grant type not supported',
    );
    org.switches.clientCredentialsUser = false;
    assert.equal(await failure(form), '400 invalid_grant: no client credentials user enabled');
    org.switches.clientCredentialsUser = true;
  });

  test('an inactive user, and more than the hourly logins', async () => {
    const form = { grant_type: 'client_credentials', ...client() };
    org.write('User', { Id: org.userId, IsActive: false });
    assert.equal(await failure(form), '400 inactive_user: user is inactive');
    org.write('User', { Id: org.userId, IsActive: true });
    org.switches.loginsPerHour = 0;
    assert.equal(await failure(form), '400 rate_limit_exceeded: login rate exceeded');
    org.switches.loginsPerHour = 3600;
  });
});

test('JWT bearer: signature, audience, age, client and user are checked', async () => {
  const key = org.privateKey();
  const now = Math.floor(Date.now() / 1000);
  const { status, body } = await login(bearer(jwt(key, {})));
  assert.equal(status, 200);
  assert.equal('refresh_token' in body, false);
  assert.equal((await login(bearer(jwt(key, { aud: 'https://login.salesforce.com' })))).status, 200);
  assert.equal(
    await failure(bearer(jwt(key, { aud: 'https://elsewhere.example' }))),
    '400 invalid_grant: audience is invalid',
  );
  assert.equal(
    await failure(bearer(jwt(key, { exp: now - 60 }))),
    '400 invalid_grant: expired authorization code',
  );
  // As the Salesforce CLI sends it, and as URLs are copied.
  for (const sloppy of [{ exp: Date.now() }, { aud: `${org.url}/` }])
    assert.equal((await login(bearer(jwt(key, sloppy)))).status, 200);
  assert.equal(await failure(bearer(jwt(key, { exp: now + 3600 }))), '400 invalid_grant: invalid assertion');
  assert.equal(
    await failure(bearer(jwt(key, { sub: 'nobody@x.example' }))),
    "400 invalid_grant: user hasn't approved this consumer",
  );
  assert.equal(
    await failure(bearer(jwt(key, { iss: 'x' }))),
    '400 invalid_client_id: client identifier invalid',
  );
  org.privateKey();
  assert.equal(await failure(bearer(jwt(key, {}))), '400 invalid_grant: invalid assertion');
});

test('a refresh token is good again and again, or rotates and dies', async () => {
  const form = { grant_type: 'refresh_token', refresh_token: org.refreshToken(), ...client() };
  assert.equal('refresh_token' in (await login(form)).body, false);
  org.switches.rotateRefreshTokens = true;
  const { body } = await login(form);
  assert.ok(body.refresh_token);
  assert.equal(await failure(form), '400 invalid_grant: expired access/refresh token');
  assert.equal((await login({ ...form, refresh_token: String(body.refresh_token) })).status, 200);
  org.switches.rotateRefreshTokens = false;
});

test('a session expires, and its calls answer 401 INVALID_SESSION_ID', async () => {
  const raw = await rawClient(org);
  assert.equal((await raw('GET', '/limits')).status, 200);
  org.store.clockOffset = 3 * 60 * 60_000;
  const reply = await raw('GET', '/limits');
  org.store.clockOffset = 0;
  assert.deepEqual(
    [reply.status, reply.json],
    [401, [{ message: 'Session expired or invalid', errorCode: 'INVALID_SESSION_ID' }]],
  );
});

test('userinfo names organization, user and username', async () => {
  const raw = await rawClient(org);
  const info = (await raw('GET', '/services/oauth2/userinfo')).json as Answer;
  assert.deepEqual(
    [info.organization_id, info.user_id, info.preferred_username],
    [org.orgId, org.userId, org.username],
  );
});
