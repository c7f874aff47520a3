import assert from 'node:assert/strict';
import { createSign, generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { type Api } from '../api';
import { apiFor, call } from '../support';
import { type AppLogin } from './app';

const loginOf = (api: Api): AppLogin => api.app as AppLogin;

function signed(claims: object, key: string): string {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${encode({ alg: 'RS256', typ: 'JWT' })}.${encode(claims)}`;
  return `${text}.${createSign('RSA-SHA256').update(text).sign(key, 'base64url')}`;
}

/** What GitHub says of a JWT with these claims. */
async function exchanged(api: Api, claims: object, key = loginOf(api).privateKey, installation = '700') {
  const now = Math.floor(api.clock.now() / 1_000);
  const jwt = signed({ iss: loginOf(api).appId, iat: now - 60, exp: now + 540, ...claims }, key);
  const { status, json } = await call(api, `/app/installations/${installation}/access_tokens`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${jwt}` },
  });
  return { ...(json as { message?: string; token?: string; expires_at?: string }), status };
}

test('octokit logs in as an installation of the App, and reads with its token', async (t) => {
  const api = await apiFor(t, 'github');
  api.write('acme/website:issues', [{ title: 'x' }]);
  const [{ createAppAuth }, { Octokit }] = await Promise.all([
    import('@octokit/auth-app'),
    import('@octokit/rest'),
  ]);
  const { appId, privateKey, installationId } = loginOf(api);
  const octokit = new Octokit({
    authStrategy: createAppAuth,
    auth: { appId, privateKey, installationId },
    baseUrl: api.baseUrl,
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
  });
  const { data } = await octokit.request('GET /repos/{owner}/{repo}/issues', {
    owner: 'acme',
    repo: 'website',
  });
  assert.equal(data.length, 1);
  const { data: app } = await octokit.request('GET /app');
  assert.equal(app?.id, Number(appId));
  await assert.rejects(octokit.request('GET /user'), /Resource not accessible by integration/);
});

test('a JWT that is wrong in anything is refused in GitHub’s words', async (t) => {
  const api = await apiFor(t, 'github');
  const now = Math.floor(api.clock.now() / 1_000);
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  for (const [claims, key, says] of [
    [{ exp: now + 700 }, undefined, /too far in the future/],
    [{ exp: now - 1 }, undefined, /future time at which the assertion expires/],
    [{ iat: now + 30 }, undefined, /'Issued at' claim/],
    [{ iss: '1' }, undefined, /Integration not found/],
    [{}, privateKey, /could not be decoded/],
  ] as const) {
    const { status, message } = await exchanged(api, claims, key);
    assert.deepEqual([status, says.test(message ?? '')], [401, true], message);
  }
  assert.equal((await exchanged(api, { iss: loginOf(api).clientId })).status, 201);
  assert.equal((await exchanged(api, {}, undefined, '701')).status, 404);
  api.switches({ suspended: true });
  assert.equal((await exchanged(api, {})).status, 403);
});

test('a token of an installation ends after an hour', async (t) => {
  const api = await apiFor(t, 'github');
  const { token, expires_at } = await exchanged(api, {});
  const ask = async () =>
    (await call(api, '/repos/acme/api', { headers: { Authorization: `token ${token}` } })).status;
  assert.equal(await ask(), 200);
  api.clock.advance(Date.parse(expires_at ?? '') - api.clock.now() + 1_000);
  assert.equal(await ask(), 401);
});
