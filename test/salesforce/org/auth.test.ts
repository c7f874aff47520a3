import { afterEach, beforeEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { generateKeyPairSync, verify } from 'node:crypto';
import { logIn } from '../../../nodes/salesforce/org/auth';
import type { LoginGrant } from '../../../nodes/salesforce/org/credentials';
import { HttpClient } from '../../../nodes/salesforce/org/http';
import { startServer, type AnsweringServer } from './answering-server';

let server: AnsweringServer;
let http: HttpClient;
beforeEach(async () => {
  server = await startServer();
  http = new HttpClient();
});
afterEach(() => {
  http.close();
  server.close();
});

const SECRET = 'geheim';
type Flow = LoginGrant extends infer Each
  ? Each extends LoginGrant
    ? Omit<Each, 'loginUrl' | 'clientId'>
    : never
  : never;
const flows: Flow[] = [
  { flow: 'client-credentials', clientSecret: SECRET },
  { flow: 'password', clientSecret: SECRET, username: 'me', password: 'p w' },
  { flow: 'refresh-token', refreshToken: 'r' },
  { flow: 'refresh-token', refreshToken: 'r', clientSecret: SECRET },
];
const [credentials] = flows as [Flow];
const login = (flow: Flow = credentials, loginUrl = server.url) =>
  logIn(http, { loginUrl, clientId: 'c', ...flow });
const refusal = async (body: unknown, flow?: Flow, status = 400) => {
  server.login = (asked) => asked.answer(status, body);
  return login(flow).then(
    () => assert.fail('logged in'),
    (error: { reason: string; code: string; message: string; sent: boolean }) => {
      assert.ok(!error.message.includes(SECRET));
      return error;
    },
  );
};

describe('a login', () => {
  test('asks as each flow does', async () => {
    for (const flow of flows) await login(flow);
    const client = { client_id: 'c' };
    assert.deepEqual(
      server.logins.map(({ body }) => Object.fromEntries(new URLSearchParams(body))),
      [
        { grant_type: 'client_credentials', ...client, client_secret: SECRET },
        { grant_type: 'password', ...client, client_secret: SECRET, username: 'me', password: 'p w' },
        { grant_type: 'refresh_token', ...client, refresh_token: 'r' },
        { grant_type: 'refresh_token', ...client, refresh_token: 'r', client_secret: SECRET },
      ],
    );
    const [first] = server.logins;
    assert.deepEqual(
      [first?.method, first?.path, first?.headers['content-type']],
      ['POST', '/services/oauth2/token', 'application/x-www-form-urlencoded'],
    );
  });

  test('by JWT is signed, and valid for less than the five minutes that the org allows', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    await login({ flow: 'jwt', username: 'me', privateKey: pem });
    const form = new URLSearchParams(server.logins[0]?.body);
    assert.equal(form.get('grant_type'), 'urn:ietf:params:oauth:grant-type:jwt-bearer');
    const [head = '', claims = '', signature = ''] = (form.get('assertion') ?? '').split('.');
    assert.ok(
      verify('RSA-SHA256', Buffer.from(`${head}.${claims}`), publicKey, Buffer.from(signature, 'base64url')),
    );
    const decode = (part: string) =>
      JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;
    const { exp, ...rest } = decode(claims);
    assert.deepEqual(
      [decode(head), rest],
      [
        { alg: 'RS256', typ: 'JWT' },
        { iss: 'c', sub: 'me', aud: server.url },
      ],
    );
    const seconds = Number(exp) - Date.now() / 1_000;
    assert.ok(seconds > 60 && seconds <= 180, `${seconds}`);
    await assert.rejects(login({ flow: 'jwt', username: 'me', privateKey: 'x' }), {
      reason: 'login',
      code: 'INVALID_CREDENTIALS',
      sent: false,
      message: /no RSA key in PEM form/,
    });
  });

  test('gives the session, where it is, whose it is, and a new refresh token', async () => {
    server.login = (asked) =>
      asked.answer(200, { ...server.token('T'), instance_url: `${server.url}//`, refresh_token: 'R' });
    assert.deepEqual(await login(), {
      accessToken: 'T',
      instanceUrl: server.url,
      organizationId: '00D0',
      userId: '0050',
      refreshToken: 'R',
    });
    server.login = (asked) => asked.answer(200, { ...server.token('T'), instance_url: undefined });
    assert.equal((await login()).instanceUrl, server.url);
  });

  test('whose answer does not say whose it is asks for that', async () => {
    server.login = (asked) => asked.answer(200, { ...server.token('T'), id: undefined });
    const known = login();
    const asked = await server.request(0);
    assert.deepEqual(
      [asked.method, asked.path, asked.headers.authorization],
      ['GET', '/services/oauth2/userinfo', 'Bearer T'],
    );
    asked.answer(200, { organization_id: 'O', user_id: 'U' });
    const { organizationId, userId } = await known;
    assert.deepEqual([organizationId, userId], ['O', 'U']);
    for (const [n, body] of [{ organization_id: 'O' }, { user_id: 'U' }, 'Bad_OAuth_Token'].entries()) {
      const unknown = assert.rejects(login(), {
        reason: 'login',
        code: 'HTTP_403',
        message: /scope "openid" or "id"/,
      });
      (await server.request(n + 1)).answer(403, body);
      await unknown;
    }
  });

  test('that names an address that is none is refused, and no message is at fault', async () => {
    server.login = (asked) => asked.answer(200, { ...server.token('T'), instance_url: 'acme' });
    await assert.rejects(login(), {
      reason: 'login',
      code: 'INVALID_INSTANCE_URL',
      message: /"acme"/,
      retryable: true,
    });
  });

  test('of a server that fails is out of reach; an answer without a token is a refusal', async () => {
    const down = await refusal('<html>', undefined, 500);
    assert.deepEqual([down.reason, down.code, down.sent], ['unreachable', 'HTTP_500', false]);
    assert.match(down.message, /answered 500; Salesforce may be down/);
    for (const body of ['<html>', 'null', '7', {}, { access_token: 7 }]) {
      const odd = await refusal(body, undefined, 200);
      assert.deepEqual([odd.reason, odd.code], ['login', 'HTTP_200']);
      assert.match(odd.message, /answered 200 without an access token; check the login URL, and any portal/);
    }
  });

  test('that something on the way refuses says nothing of the login, and is tried again soon', async () => {
    for (const status of [302, 400, 403, 404, 406, 408, 420, 429, 502, 503]) {
      const away = await refusal('<html>', undefined, status);
      assert.deepEqual([away.reason, away.code, away.sent], ['unreachable', `HTTP_${status}`, false]);
    }
    for (const error of ['server_error', 'temporarily_unavailable'])
      assert.equal((await refusal({ error }, undefined, 400)).reason, 'unreachable');
    assert.equal((await refusal({ error: 'invalid_grant' }, undefined, 400)).reason, 'login');
  });
});

describe('an odd answer to a login is a problem of the login, which holds', () => {
  for (const [what, more] of [
    ['an address without a scheme', { instance_url: 'example.my.salesforce.com' }],
    ['an address in clear text', { instance_url: 'http://example.my.salesforce.com' }],
    ['an address that is none', { instance_url: {} }],
    ['a token with a line break', { access_token: 'T\r\nX-Evil: 1' }],
    ['a token with a blank', { access_token: 'T 1' }],
    ['a token that is a number', { access_token: 7 }],
    ['an empty token', { access_token: '' }],
  ] as const)
    test(what, async () => {
      const odd = await refusal({ ...server.token('T'), ...more }, undefined, 200);
      assert.deepEqual([odd.reason, odd.sent], ['login', false]);
      assert.match(odd.message, /login|access token|https URL/);
    });

  for (const id of [7, null, 'x', {}, 'https://login.salesforce.com/id'])
    test(`whose id is ${JSON.stringify(id)} has the identity asked for`, async () => {
      server.login = (asked) => asked.answer(200, { ...server.token('T'), id });
      const asking = login();
      const asked = await server.request(0);
      assert.equal(asked.path, '/services/oauth2/userinfo');
      asked.answer(200, { organization_id: '00D1', user_id: '0051' });
      assert.equal((await asking).organizationId, '00D1');
    });
});

describe('a refusal says what to do', () => {
  const jwt: Flow = {
    flow: 'jwt',
    username: 'me',
    privateKey: generateKeyPairSync('rsa', { modulusLength: 2048 })
      .privateKey.export({ type: 'pkcs8', format: 'pem' })
      .toString(),
  };
  const [client, password, refresh] = flows as [Flow, Flow, Flow];
  const cases: [Flow, string, string, RegExp][] = [
    [client, 'invalid_client_id', '', /check the client id .*ten minutes/],
    [client, 'invalid_client', '', /check the client secret/],
    [password, 'inactive_user', '', /activate the user/],
    [password, 'inactive_org', '', /locked, closed or suspended/],
    [jwt, 'rate_limit_exceeded', '', /3,600 an hour/],
    [password, 'invalid_grant', 'IP Restricted', /login IP ranges/],
    [password, 'invalid_grant', 'outside of ip range', /login IP ranges/],
    [password, 'invalid_grant', 'authentication failure', /check username, password and security token/],
    [client, 'invalid_grant', 'request not supported on this domain', /works at My Domain only/],
    [client, 'invalid_grant', 'no client credentials user enabled', /choose a Run As user/],
    [jwt, 'invalid_grant', "user hasn't approved this consumer", /pre-authorize the user/],
    [jwt, 'invalid_grant', 'Audience is invalid', /set the login URL to/],
    [jwt, 'invalid_grant', 'invalid assertion', /this machine’s clock/],
    [refresh, 'invalid_grant', 'expired access/refresh token', /authorize the app again/],
  ];
  for (const [flow, error, error_description, advice] of cases)
    test(`${flow.flow}: ${error} ${error_description}`, async () => {
      const { reason, code, message, sent } = await refusal({ error, error_description }, flow);
      assert.deepEqual([reason, code, sent], ['login', error, false]);
      assert.ok(
        message.startsWith(`The org refuses the ${flow.flow} login (${error}: ${error_description}); `),
      );
      assert.match(message, advice);
    });
});
