import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, beforeEach, test } from 'node:test';
import sfdcOrg from '../../nodes/salesforce/sfdc-org';
import jetstreamServer from '../../nodes/jetstream/jetstream-server';
import apiSource from '../../nodes/sync/api-source';
import { lookupRoute } from '../../nodes/shared/admin';
import { jetstreamServer as declared } from '../../nodes/jetstream/jetstream-server.settings';
import { startOrg, type Org } from '../org/org';
import { orgNode } from '../salesforce/event-flows';
import { stage } from './helper';

const red = stage(sfdcOrg, jetstreamServer, apiSource, (RED) => {
  lookupRoute(RED, declared, 'never', () => new Promise(() => undefined), {}, 50);
});
let org: Org;
/** Somebody else, who listens. */
let listener: Server;
let heard: string[];
const elsewhere = () => `http://127.0.0.1:${(listener.address() as AddressInfo).port}`;
before(async () => {
  org = await startOrg();
  listener = createServer((req, res) => {
    heard.push(`${req.url} ${JSON.stringify(req.headers)}`);
    req.on('data', (data) => heard.push(String(data)));
    req.on('end', () => res.writeHead(400).end('{"error":"invalid_grant"}'));
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
});
after(async () => {
  listener.close();
  await org.close();
});
beforeEach(() => (heard = []));

interface Answer {
  ok: boolean;
  data?: { message: string };
  error?: { code: string; message: string };
}
const ask = (path: string, body: object) => red.ask(`/jetforce/${path}`, body) as Promise<Answer>;
const configOf = (node: object) => {
  const { credentials: _secrets, ...config } = node as Record<string, unknown>;
  return config;
};
const dots = { clientId: '__PWRD__', clientSecret: '__PWRD__' };

test('stored secrets go to the address that is deployed, and to no other', async () => {
  const node = orgNode(org);
  await red.load(node);
  const works = await ask('sfdc-org/test', { id: 'org', config: configOf(node), credentials: dots });
  assert.equal(works.ok, true);
  for (const change of [{ loginUrl: elsewhere() }, { pubsubEndpoint: elsewhere() }])
    for (const credentials of [dots, {}]) {
      const { error } = await ask('sfdc-org/test', {
        id: 'org',
        config: { ...configOf(node), ...change },
        credentials,
      });
      assert.equal(error?.code, 'SECRET_NEEDED');
      assert.match(error?.message ?? '', /enter the secret again/);
    }
  assert.deepEqual(heard, []);
});

test('an address of its own needs secrets of its own', async () => {
  const node = orgNode(org);
  await red.load(node);
  const config = { ...configOf(node), loginUrl: elsewhere() };
  const credentials = { clientId: 'id', clientSecret: 'entered-anew' };
  const { error } = await ask('sfdc-org/test', { id: 'org', config, credentials });
  assert.equal(error?.code, 'invalid_grant');
  assert.match(heard.join(), /entered-anew/);
  assert.ok(!heard.join().includes(org.clientSecret));
});

test('neither as the org that a source refers to', async () => {
  const node = orgNode(org);
  await red.load(node);
  const reference = { id: 'org', config: { ...configOf(node), loginUrl: elsewhere() }, credentials: dots };
  const body = {
    id: '',
    config: { provider: 'salesforce', collections: ['contact'] },
    references: { org: reference },
  };
  assert.equal((await ask('api-source/test', body)).error?.code, 'SECRET_NEEDED');
  assert.deepEqual(heard, []);
});

test('the secrets of a node of another type are not for it', async () => {
  await red.load(orgNode(org));
  const config = { servers: '127.0.0.1:1', auth: 'token' };
  const { error } = await ask('jetstream-server/test', { id: 'org', config, credentials: {} });
  assert.equal(error?.code, 'WRONG_NODE');
});

test('no answer shows what an environment variable holds', async () => {
  process.env.JETFORCE_TEST_SECRET = 'Hidden-Value.example';
  await red.load(orgNode(org));
  for (const [path, config] of [
    ['jetstream-server/test', { servers: '${JETFORCE_TEST_SECRET}:4222', auth: 'none' }],
    ['jetstream-server/test', { servers: '${JETFORCE_TEST_SECRET}', auth: 'none' }],
    ['sfdc-org/test', { auth: 'client-credentials', loginUrl: '${JETFORCE_TEST_SECRET}' }],
    [
      'sfdc-org/test',
      { auth: 'client-credentials', loginUrl: elsewhere(), apiVersion: '${JETFORCE_TEST_SECRET}' },
    ],
  ] as const) {
    const answer = await ask(path, {
      config,
      credentials: { clientId: 'c', clientSecret: 'secret-of-this' },
    });
    assert.equal(answer.ok, false);
    assert.doesNotMatch(JSON.stringify(answer), /hidden-value/i, JSON.stringify(config));
  }
  delete process.env.JETFORCE_TEST_SECRET;
});

test('a variable that is not set is what stands behind ":-"', async () => {
  const { port } = new URL(elsewhere());
  const answer = await ask('jetstream-server/test', {
    config: { servers: `\${JETFORCE_TEST_UNSET:-127.0.0.1:${port}}`, auth: 'none' },
  });
  assert.notEqual(answer.error?.code, 'NO_ENVIRONMENT');
  assert.match(answer.error?.message ?? '', new RegExp(port));
});

test('no answer shows what a file holds', async () => {
  await red.load(orgNode(org));
  for (const [path, config] of [
    ['jetstream-server/test', { servers: '127.0.0.1:1', auth: 'file', credentialsPath: 'package.json' }],
    ['sfdc-org/test', { auth: 'file', loginUrl: elsewhere(), credentialsPath: 'package.json' }],
    ['sfdc-org/test', { auth: 'file', loginUrl: elsewhere(), credentialsPath: 'README.md' }],
  ] as const) {
    const answer = await ask(path, { config, credentials: {} });
    assert.equal(answer.ok, false);
    assert.doesNotMatch(JSON.stringify(answer), /node-red-jetstream|scripts|Unexpected token/);
  }
});

test('what is no request of a form is refused', async () => {
  await red.load(orgNode(org));
  for (const body of [
    [],
    { id: 7 },
    { config: [] },
    { credentials: { clientId: 7 } },
    { params: { a: {} } },
    { references: [] },
  ])
    assert.equal((await ask('sfdc-org/test', body)).error?.code, 'BAD_REQUEST', JSON.stringify(body));
});

test('a question that nobody answers ends in time', async () => {
  await red.load(orgNode(org));
  const { error } = await ask('jetstream-server/never', { config: {}, credentials: {} });
  assert.equal(error?.code, 'TIMEOUT');
});

test('a test of the deployed org replaces no refresh token under it', async () => {
  org.switches.rotateRefreshTokens = true;
  const refreshToken = org.app.issueRefreshToken(org.userId);
  const credentials = { clientId: org.clientId, clientSecret: org.clientSecret, refreshToken };
  const node = orgNode(org, { auth: 'refresh-token', credentials });
  await red.load(node);
  const test = (more: object = {}) =>
    ask('sfdc-org/test', {
      id: 'org',
      config: configOf(node),
      credentials: { ...dots, refreshToken: '__PWRD__', ...more },
    });
  for (let n = 0; n < 3; n++) assert.equal((await test()).ok, true, `test ${n}`);
  const { session } = red.node('org') as unknown as { session: { login(): Promise<unknown> } };
  await session.login();
  assert.equal((await test()).ok, true);
  org.switches.rotateRefreshTokens = false;
});
