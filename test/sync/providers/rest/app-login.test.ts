import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import { RestClient } from '../../../../nodes/sync/providers/rest/client';
import { declarationOf } from '../../../../nodes/sync/providers/catalog';
import type { Declaration } from '../../../../nodes/sync/providers/rest/declaration';
import type { Values } from '../../../../nodes/sync/providers/rest/template';
import { testApi } from '../../../../nodes/sync/providers/rest/lookups';
import type { Api } from '../../../apis/api';
import { apiFor } from '../../../apis/support';
import { until } from '../../../support/until';
import { answeringApi } from './server';

const never = new AbortController().signal;
const GITHUB = declarationOf('github') as Declaration;

function login(api: Api, more: Values = {}): Values {
  const { appId: user, installationId: account, privateKey } = api.app ?? {};
  return { baseUrl: api.baseUrl, user, account, privateKey, ...more };
}

function clientOf(t: TestContext, api: Api, more: Values = {}) {
  const client = new RestClient({ declaration: GITHUB, values: login(api, more), budget: 100 });
  t.after(() => client.close());
  return () => client.ask({ ask: { get: '/repos/acme/website' } }, never);
}

const statuses = (api: Api, path: string): number[] =>
  api.requests().flatMap((each) => (each.path.includes(path) ? [each.status ?? 0] : []));

test('a GitHub App logs in once for all requests', async (t) => {
  const api = await apiFor(t, 'github');
  const ask = clientOf(t, api);
  await Promise.all([ask(), ask(), ask()]);
  await ask();
  assert.deepEqual(statuses(api, 'access_tokens'), [201]);
  assert.deepEqual(statuses(api, '/repos/'), [200, 200, 200, 200]);
});

test('a token is renewed before its end, so that no request is refused', async (t) => {
  const api = await apiFor(t, 'github', { switches: { installationMs: 3_000 } });
  const ask = clientOf(t, api);
  await until(async () => (await ask(), statuses(api, 'access_tokens').length === 3), {
    timeout: 20_000,
    interval: 50,
    what: 'two renewals',
  });
  assert.deepEqual([...new Set(statuses(api, '/repos/'))], [200]);
});

test('a token that is revoked is replaced, and the request asked again', async (t) => {
  const api = await apiFor(t, 'github');
  const ask = clientOf(t, api);
  await ask();
  api.act('revoke', 'acme:repositories', {});
  assert.equal((await ask()).status, 200);
  assert.deepEqual(statuses(api, 'access_tokens'), [201, 201]);
  assert.deepEqual(statuses(api, '/repos/'), [200, 401, 200]);
});

for (const minutes of [-20, -3, 3, 20])
  test(`a clock that is ${minutes} minutes from GitHub’s hinders no login`, async (t) => {
    const api = await apiFor(t, 'github');
    api.clock.advance(minutes * 60_000);
    assert.equal((await clientOf(t, api)()).status, 200);
    assert.ok(statuses(api, 'access_tokens').length <= 2);
  });

test('the key may have its line ends written out, and the client id counts as the app’s', async (t) => {
  const api = await apiFor(t, 'github');
  const privateKey = api.app?.privateKey.replaceAll('\n', '\\n');
  assert.equal((await clientOf(t, api, { privateKey, user: api.app?.clientId })()).status, 200);
});

test('what hinders a login is said, and what to check', async (t) => {
  const api = await apiFor(t, 'github');
  await assert.rejects(clientOf(t, api, { account: '701' })(), {
    code: 'API_LOGIN',
    retryable: false,
    message: /gives no access token \(404\): Not Found\. Check .*Installation id/,
  });
  await assert.rejects(clientOf(t, api, { privateKey: 'no key' })(), {
    code: 'API_LOGIN',
    message: /is no RSA key in PEM form/,
  });
  await assert.rejects(clientOf(t, api, { user: '1' })(), { message: /Integration not found/ });
  api.switches({ suspended: true });
  await assert.rejects(clientOf(t, api)(), { message: /This installation has been suspended/ });
});

test('a login that meets a limit waits for it', async (t) => {
  const api = await apiFor(t, 'github');
  api.faults.add({
    match: { path: 'access_tokens' },
    action: { status: 403, errorCode: 'secondary' },
    times: 1,
  });
  assert.equal((await clientOf(t, api)()).status, 200);
});

test('Test connection works with an App, which is no user', async (t) => {
  const api = await apiFor(t, 'github');
  api.write('acme/website:issues', [{ title: 'x' }]);
  const options = { declaration: GITHUB, values: login(api), budget: 100 };
  const checks = await testApi(options, ['github:acme/website:issues'], never);
  assert.deepEqual(
    checks.map(({ state, text }) => [state, text]),
    [
      ['good', 'check_answers'],
      ['good', 'check_read'],
    ],
  );
});

test('any API may exchange a JWT in a form, signed with a secret, for a token', async (t) => {
  const { baseUrl, seen } = await answeringApi(t, ({ path, body, headers }) => {
    if (path !== '/token') return headers.authorization === 'Bearer granted' ? {} : { status: 401 };
    const { assertion = '', grant_type } = body as { assertion?: string; grant_type?: string };
    const [head = '', claims = '', signature] = assertion.split('.');
    const signed = createHmac('sha256', 'the-shared-secret').update(`${head}.${claims}`).digest('base64url');
    const { iss, aud, exp, iat } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as Record<
      string,
      unknown
    >;
    const right = iss === 'me' && aud === 'them' && Number(exp) - Number(iat) === 360;
    return signature === signed && right && grant_type?.endsWith(':jwt-bearer')
      ? { body: { access_token: 'granted', expires_in: 3_600 } }
      : { status: 400, body: { error: 'invalid_grant' } };
  });
  const declaration: Declaration = {
    name: 'test',
    label: 'Test',
    auth: [
      {
        kind: 'jwt',
        url: '{baseUrl}/token',
        key: '{secret}',
        algorithm: 'HS256',
        claims: { iss: '{user}', aud: 'them' },
        lives: '5m',
        form: { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: '{jwt}' },
      },
    ],
    collections: {},
  };
  const values = { baseUrl, user: 'me', secret: 'the-shared-secret' };
  const client = new RestClient({ declaration, values, budget: 100 });
  t.after(() => client.close());
  await client.ask({ ask: { get: '/things' } }, never);
  assert.deepEqual(
    seen.map(({ path }) => path),
    ['/token', '/things'],
  );
});
