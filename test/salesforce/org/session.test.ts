import { afterEach, beforeEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { turns } from '../fake-org';
import { FlowError } from '../../../nodes/shared/errors';
import { OrgOutage } from '../../../nodes/salesforce/org/outage';
import type { RefreshTokens, TokenOwner } from '../../../nodes/shared/http/refresh-tokens';
import { outageOf, restError } from '../../../nodes/salesforce/org/answer';
import { OrgSession, type SessionOptions } from '../../../nodes/salesforce/org/session';
import { until } from '../../support/until';
import { startServer, type AnsweringServer } from './answering-server';

let server: AnsweringServer;
const sessions: OrgSession[] = [];
beforeEach(async () => (server = await startServer()));
afterEach(() => {
  for (const session of sessions.splice(0)) session.close();
  server.close();
});

const PAUSES = { unreachable: [5, 20], login: [5, 20], limit: [5, 20], budget: [5, 20] } as const;

function open({
  config,
  ...more
}: Partial<Omit<SessionOptions, 'config'>> & { config?: object } = {}): OrgSession {
  const session = new OrgSession({
    config: { auth: 'client-credentials', loginUrl: server.url, ...config },
    secrets: { clientId: 'client', clientSecret: 'secret' },
    pauses: { ...PAUSES } as unknown as SessionOptions['pauses'],
    ...more,
  });
  sessions.push(session);
  return session;
}
const quick = { interval: 1, timeout: 2_000 };
const tokens = () => server.asked.map(({ headers }) => headers.authorization);

describe('logging in', () => {
  test('is done once for all that ask at the same time, and says who it is', async () => {
    const session = open();
    assert.deepEqual(
      [session.accessToken, session.instanceUrl, session.organizationId, session.userId],
      [undefined, undefined, undefined, undefined],
    );
    await Promise.all([session.login(), session.login(), session.login()]);
    await session.login();
    assert.equal(server.logins.length, 1);
    assert.deepEqual(
      [session.accessToken, session.instanceUrl, session.organizationId, session.userId],
      ['T1', server.url, '00D0', '0050'],
    );
  });

  test('that fails is not remembered', async () => {
    server.login = (asked, count) =>
      count === 1 ? asked.answer(500, '') : asked.answer(200, server.token(`T${count}`));
    const session = open();
    await assert.rejects(session.login(), { reason: 'unreachable' });
    await session.login();
    assert.equal(session.accessToken, 'T2');
  });

  test('with settings that do not suffice is an outage of the login', async () => {
    await assert.rejects(open({ secrets: {} }).login(), {
      reason: 'login',
      code: 'NO_CREDENTIALS',
      sent: false,
    });
    const error = await open({ secrets: {} })
      .login()
      .catch((reason: Error) => reason);
    assert.ok((error as Error).cause instanceof FlowError);
  });

  test('is told to whoever listens, until it stops listening', async () => {
    const session = open();
    let told = 0;
    const stop = session.onChange(() => told++);
    await session.login();
    assert.equal(told, 1);
    stop();
    await session.relogin('T1');
    assert.equal(told, 1);
  });

  test('beforehand shows what is wrong by a hold', async () => {
    const well = open();
    well.connect();
    await until(() => well.accessToken, quick);
    assert.equal(well.availability.current, undefined);
    server.login = (asked) => asked.answer(400, { error: 'invalid_grant' });
    const wrong = open();
    wrong.connect();
    await until(() => wrong.availability.current?.code === 'invalid_grant', quick);
  });

  test('a refresh token that the org replaced is used the next time', async () => {
    const kept = new Map<string, string>();
    server.login = (asked, count) =>
      asked.answer(200, { ...server.token(`T${count}`), refresh_token: `R${count}` });
    const refreshTokens: RefreshTokens = {
      use: async ({ refreshToken }, login) => {
        const granted = await login(kept.get(refreshToken) ?? refreshToken);
        kept.set(refreshToken, granted.refreshToken ?? '');
        return granted;
      },
    };
    const session = open({
      config: { auth: 'refresh-token' },
      secrets: { clientId: 'client', refreshToken: 'R0' },
      refreshTokens,
    });
    await session.login();
    await session.relogin('T1');
    assert.deepEqual(
      server.logins.map(({ body }) => new URLSearchParams(body).get('refresh_token')),
      ['R0', 'R1'],
    );
    assert.deepEqual([...kept], [['R0', 'R2']]);
  });

  test('only a login by refresh token asks for one that is kept', async () => {
    const asked: TokenOwner[] = [];
    const refreshTokens: RefreshTokens = {
      use: (owner, login) => {
        asked.push(owner);
        return login(owner.refreshToken);
      },
    };
    await open({ refreshTokens }).login();
    const secrets = { clientId: 'client', refreshToken: 'R0' };
    await open({ config: { auth: 'refresh-token' }, secrets, refreshTokens }).login();
    assert.deepEqual(
      asked.map(({ loginUrl, clientId, refreshToken }) => [loginUrl, clientId, refreshToken]),
      [[server.url, 'client', 'R0']],
    );
    await open({ config: { auth: 'refresh-token' }, secrets }).login();
  });
});

describe('a session that the org no longer takes', () => {
  test('401s that come late, one after another, cost one login', async () => {
    const session = open();
    const all = [1, 2, 3].map((n) => session.request('GET', `/late/${n}`));
    await server.request(2);
    const first = server.asked.slice();
    for (const [n, late] of first.entries()) {
      late.answer(401, [{ errorCode: 'INVALID_SESSION_ID', message: 'expired' }]);
      (await server.request(3 + n)).answer(200, 'ok');
    }
    assert.deepEqual(
      (await Promise.all(all)).map(({ status }) => status),
      [200, 200, 200],
    );
    assert.equal(server.logins.length, 2);
    assert.deepEqual(tokens(), [
      ...new Array<string>(3).fill('Bearer T1'),
      ...new Array<string>(3).fill('Bearer T2'),
    ]);
  });

  for (const status of [301, 302, 303, 307, 308])
    test(`${status}: a new login names another instance, where the request goes on; no token follows the redirect`, async () => {
      const session = open();
      const all = [1, 2].map((n) => session.request('POST', `/moved/${n}`, { body: { n } }));
      await server.request(1);
      const there = server.url.replace('127.0.0.1', 'localhost');
      server.login = (asked, count) =>
        asked.answer(200, { ...server.token(`T${count}`), instance_url: there });
      const elsewhere = { location: 'https://elsewhere.example/x' };
      for (const first of server.asked.slice()) first.answer(status, '<html>', elsewhere);
      for (const n of [2, 3]) (await server.request(n)).answer(200, { ok: true });
      assert.deepEqual(
        (await Promise.all(all)).map(({ status }) => status),
        [200, 200],
      );
      assert.deepEqual(
        server.asked.slice(2).map(({ method, headers }) => [method, headers.host, headers.authorization]),
        new Array(2).fill(['POST', new URL(there).host, 'Bearer T2']),
      );
      assert.equal(server.logins.length, 2);
    });

  test('a redirect that a new login does not explain is an outage before the write, in words', async () => {
    const session = open();
    const asked = session.request('POST', '/x', { body: {} });
    (await server.request(0)).answer(302, '<html>', { location: 'http://portal.example/login?token=1' });
    await assert.rejects(asked, {
      reason: 'unreachable',
      code: 'HTTP_302',
      sent: false,
      message:
        /redirects to portal\.example \(302\), but a new login names no other one; .*portal or a proxy/,
    });
    assert.equal(server.asked.length, 1);
  });

  test('401s during the new login wait for it', async () => {
    const session = open();
    const all = [1, 2].map((n) => session.request('GET', `/late/${n}`));
    await server.request(1);
    const held: (() => void)[] = [];
    server.login = (asked, count) => held.push(() => asked.answer(200, server.token(`T${count}`)));
    server.asked[0]?.answer(401);
    await until(() => held.length === 1, quick);
    server.asked[1]?.answer(401);
    const third = session.request('GET', '/new');
    await turns(50);
    held[0]?.();
    for (const index of [2, 3, 4]) (await server.request(index)).answer(200);
    await Promise.all([...all, third]);
    assert.deepEqual(tokens().slice(2), ['Bearer T2', 'Bearer T2', 'Bearer T2']);
    assert.equal(server.logins.length, 2);
  });

  test('a 401 behind a new login is an outage, and costs no third try', async () => {
    const session = open();
    const refused = session.request('POST', '/x', { body: {} });
    (await server.request(0)).answer(401);
    (await server.request(1)).answer(401, [{ errorCode: 'INVALID_SESSION_ID', message: 'no' }]);
    await assert.rejects(refused, {
      reason: 'login',
      code: 'INVALID_SESSION_ID',
      sent: false,
      message: /refuses a session it has just granted \(INVALID_SESSION_ID: no\)/,
    });
    assert.deepEqual([server.asked.length, server.logins.length], [2, 2]);
  });

  test('a new login that fails is the outage of what asked for it', async () => {
    const session = open();
    const refused = session.request('GET', '/x');
    const first = await server.request(0);
    server.login = (asked) => asked.answer(400, { error: 'inactive_user' });
    first.answer(401);
    await assert.rejects(refused, { reason: 'login', code: 'inactive_user' });
    assert.equal(session.accessToken, undefined);
  });
});

describe('a request', () => {
  test('goes to the versioned API, or to the path as it stands', async () => {
    const session = open({ config: { apiVersion: 'v61' } });
    void session.request('POST', '/composite', { body: { a: 'ä' }, headers: { 'x-more': '1' } });
    const { method, path, headers, body } = await server.request(0);
    assert.deepEqual(
      [method, path, body, headers.authorization, headers['x-more'], headers['content-type']],
      [
        'POST',
        '/services/data/v61.0/composite',
        '{"a":"ä"}',
        'Bearer T1',
        '1',
        'application/json; charset=utf-8',
      ],
    );
    server.asked[0]?.answer(200);
    void session.request('GET', '/services/apexrest/x').catch(() => undefined);
    const plain = await server.request(1);
    assert.deepEqual(
      [plain.path, plain.headers['content-type'], plain.body],
      ['/services/apexrest/x', undefined, ''],
    );
    plain.answer(200);
  });

  test('gives every answer: JSON, text, or nothing', async () => {
    const session = open();
    for (const [n, [status, sent, body]] of (
      [
        [200, '{"a":1}', { a: 1 }],
        [404, '<html>', '<html>'],
        [204, '', undefined],
        [500, 'null', null],
      ] as const
    ).entries()) {
      const asked = session.request('GET', '/x');
      (await server.request(n)).answer(status, sent, { 'x-own': 'yes' });
      const answer = await asked;
      assert.deepEqual([answer.status, answer.body, answer.headers['x-own']], [status, body, 'yes']);
    }
  });

  test('numbers stay exact, those that are sent and those of the answer', async () => {
    const session = open();
    const asked = session.request('POST', '/x', { body: { n: 1234567890123456789n } });
    const request = await server.request(0);
    request.answer(200, '{"id":1234567890123456788,"n":1}');
    assert.equal(request.body, '{"n":1234567890123456789}');
    assert.deepEqual((await asked).body, { id: '1234567890123456788', n: 1 });
  });

  test('get gives the body of an answer of 2xx, and throws any other', async () => {
    const session = open();
    const get = async (status: number, body: unknown) => {
      const asked = session.get('/limits');
      (await server.request(server.asked.length)).answer(status, body);
      return asked;
    };
    assert.deepEqual(await get(200, { a: 1 }), { a: 1 });
    assert.deepEqual(await get(299, { a: 2 }), { a: 2 });
    await assert.rejects(get(406, ''), { code: 'HTTP_406', outage: true });
    await assert.rejects(get(404, [{ errorCode: 'NOT_FOUND', message: 'gone' }]), {
      code: 'NOT_FOUND',
      retryable: false,
      message: 'The org refused GET /limits (404 NOT_FOUND): gone',
    });
    await assert.rejects(get(500, 'oops'), { code: 'HTTP_500', retryable: true, message: /: oops\)/ });
  });

  test('is under way until it is answered or has failed, whatever it failed by', async () => {
    const session = open({ timeout: 50 });
    assert.equal(session.underWay, 0);
    const answered = session.request('GET', '/1');
    const asked = await server.request(0);
    assert.equal(session.underWay, 1);
    asked.answer(200, '', { 'sforce-limit-info': 'api-usage=18/100' });
    await answered;
    assert.equal(session.underWay, 0);
    const cut = assert.rejects(session.request('GET', '/2'), { sent: true });
    (await server.request(1)).cut();
    await cut;
    await assert.rejects(session.request('GET', '/3'), { sent: true, message: /no answer within 0\.05 s/ });
    const circular: unknown[] = [];
    circular.push(circular);
    await assert.rejects(session.request('POST', '/4', { body: circular }), TypeError);
    assert.equal(session.underWay, 0);
    assert.deepEqual(session.budget.usage, { used: 18, max: 100 });
    assert.equal(session.budget.spent(session.underWay), false, 'failed requests are not spent');
  });

  test('waits 120 s for its answer, or as long as the session or it itself says', async (t) => {
    for (const [session, own, limit] of [
      [undefined, undefined, 120_000],
      [5_000, undefined, 5_000],
      [5_000, 700, 700],
    ] as const) {
      const opened = open({ timeout: session });
      await opened.login();
      t.mock.timers.enable({ apis: ['setTimeout'] });
      let failed = false;
      const asked = opened.request('GET', '/x', { timeout: own }).catch(() => (failed = true));
      await turns(20);
      t.mock.timers.tick(limit - 1);
      await turns();
      assert.equal(failed, false);
      t.mock.timers.tick(1);
      await asked;
      t.mock.timers.reset();
    }
  });
});

describe('the hold', () => {
  const limits = { DailyApiRequests: { Max: 1_000, Remaining: 400 } };
  const probing = async (session: OrgSession, begin: OrgOutage) => {
    session.availability.begin(begin);
    return server.request(server.asked.length);
  };
  const unreachable = new OrgOutage('unreachable', 'X', 'x', false);

  test('ends with a probe that asks for the limits, and knows what is left of the budget', async () => {
    const session = open();
    const held: (string | undefined)[] = [];
    session.onChange(() => held.push(session.availability.current?.code));
    const probe = await probing(session, unreachable);
    assert.deepEqual([probe.method, probe.path], ['GET', '/services/data/v65.0/limits']);
    probe.answer(200, limits);
    await until(() => !session.availability.current, quick);
    assert.deepEqual(session.budget.usage, { used: 600, max: 1_000 });
    assert.deepEqual(held, ['X', 'X', undefined], 'the login in between is told too');
  });

  test('ends with an answer that tells nothing of the budget', async () => {
    const session = open();
    (await probing(session, unreachable)).answer(200, {});
    await until(() => !session.availability.current, quick);
    assert.equal(session.budget.usage, undefined);
  });

  for (const [status, body, reason, code] of [
    [500, 'oops', 'unreachable', 'HTTP_500'],
    [503, [{ errorCode: 'SERVER_UNAVAILABLE' }], 'unreachable', 'SERVER_UNAVAILABLE'],
    [403, [{ errorCode: 'REQUEST_LIMIT_EXCEEDED' }], 'limit', 'REQUEST_LIMIT_EXCEEDED'],
    [200, { DailyApiRequests: { Max: 100, Remaining: 20 } }, 'budget', 'API_BUDGET_SPENT'],
  ] as const)
    test(`goes on where the probe is answered ${status} ${code}`, async () => {
      const session = open();
      (await probing(session, unreachable)).answer(status, body);
      await until(() => session.availability.current?.code === code, quick);
      assert.equal(session.availability.current?.reason, reason);
      (await server.request(1)).answer(200, limits);
      await until(() => !session.availability.current, quick);
    });

  test('goes on where a probe is not answered in 20 s', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const session = open();
    session.availability.begin(unreachable);
    t.mock.timers.tick(10);
    for (let i = 0; i < 500 && server.asked.length === 0; i++) await turns(1);
    assert.equal(server.asked.length, 1);
    t.mock.timers.tick(19_999);
    await turns();
    assert.equal(session.availability.current?.code, 'X');
    t.mock.timers.tick(1);
    await turns();
    assert.match(session.availability.current?.message ?? '', /no answer within 20 s/);
  });

  test('of a spent budget says how much, and how far it goes', () => {
    const session = open({ config: { apiBudget: '50' } });
    session.budget.usage = { used: 51, max: 100 };
    const { reason, sent, message } = session.budgetOutage();
    assert.deepEqual([reason, sent], ['budget', false]);
    assert.match(message, /used 51 of its 100 daily API calls, and this pack may bring it to 50 % only/);
    session.budget.usage = undefined;
    assert.match(session.budgetOutage().message, /used 0 of its 0 /);
  });
});

test('an object is not described while the org is not to be asked', async () => {
  const session = open();
  session.availability.begin(session.budgetOutage());
  await session.describes.settling('A');
  assert.equal(server.asked.length, 0);
  const spent = open();
  spent.budget.usage = { used: 99, max: 100 };
  await spent.describes.settling('A');
  assert.equal(server.asked.length, 0);
  const well = open();
  const settling = well.describes.settling('A');
  (await server.request(0)).answer(200, { fields: [{ name: 'B' }] });
  await settling;
  assert.ok(well.describes.fields('A')?.has('b'));
});

describe('closing', () => {
  test('fails what is under way, and what is asked afterwards; no probe goes out', async () => {
    const session = open();
    const lost = assert.rejects(session.request('GET', '/x'), { sent: true });
    await server.request(0);
    session.availability.begin(session.budgetOutage());
    session.close();
    await lost;
    await assert.rejects(session.request('GET', '/y'), { code: 'CLOSED', sent: false });
    assert.equal(session.underWay, 0);
    await until(() => server.connections() === 0, quick);
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.equal(server.asked.length, 1);
  });
});

test('what an answer means for the org as a whole', () => {
  const meaning = (status: number, errorCode?: string, write?: boolean) => {
    const body = errorCode && [{ errorCode, message: 'm' }];
    const outage = outageOf({ status, headers: {}, body }, write);
    return outage && [outage.reason, outage.code, outage.sent];
  };
  assert.deepEqual(meaning(403, 'REQUEST_LIMIT_EXCEEDED'), ['limit', 'REQUEST_LIMIT_EXCEEDED', false]);
  for (const status of [400, 403, 404])
    for (const code of ['REQUEST_LIMIT_EXCEEDED', 'TXN_SECURITY_METERING_ERROR'])
      assert.deepEqual(meaning(status, code), ['limit', code, false], `${status} ${code}`);
  for (const code of ['SERVER_UNAVAILABLE', 'INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE'])
    assert.deepEqual(meaning(403, code), ['unreachable', code, false]);
  assert.deepEqual(meaning(403, 'API_CURRENTLY_DISABLED'), ['login', 'API_CURRENTLY_DISABLED', false]);
  assert.deepEqual(meaning(403, 'API_DISABLED_FOR_ORG'), ['login', 'API_DISABLED_FOR_ORG', false]);
  assert.deepEqual(meaning(503), ['unreachable', 'HTTP_503', true], 'a write may have been carried out');
  assert.deepEqual(meaning(503, 'X', false), ['unreachable', 'X', false]);
  assert.deepEqual(meaning(500, 'X', false), ['unreachable', 'X', false]);
  for (const [status, code] of [
    [500, 'X'],
    [400, 'MALFORMED_ID'],
    [403, 'INSUFFICIENT_ACCESS'],
    [403, 'NOT_API_DISABLED_FOR_ORG'],
    [403, 'API_DISABLED_FOR_ORG_NOT'],
    [200, undefined],
  ] as const)
    assert.equal(meaning(status, code), undefined, `${status} ${code}`);
  assert.equal(meaning(499, 'X', false), undefined);
  const said = (status: number, errorCode: string) =>
    outageOf({ status, headers: {}, body: [{ errorCode, message: 'm' }] })?.message;
  assert.match(said(403, 'REQUEST_LIMIT_EXCEEDED') ?? '', /limit is spent \(403 REQUEST_LIMIT_EXCEEDED: m\)/);
  assert.match(said(403, 'API_CURRENTLY_DISABLED') ?? '', /does not allow API calls .*: m\); enable the API/);
  assert.match(said(503, 'X') ?? '', /is not available \(503 X: m\); see https:/);
});

test('what an error body says', () => {
  const said = (body: unknown) => restError({ status: 400, body });
  assert.deepEqual(said([{ errorCode: 'A', message: 'm', fields: ['F'] }, { errorCode: 'B' }]), {
    errorCode: 'A',
    message: 'm',
    fields: ['F'],
  });
  assert.deepEqual(said({ errorCode: 'A' }), { errorCode: 'A', message: '', fields: [] });
  for (const body of [undefined, null, [], [null], {}, 7])
    assert.deepEqual(said(body), { errorCode: 'HTTP_400', message: '', fields: [] });
  assert.deepEqual(said('x'.repeat(500)), {
    errorCode: 'HTTP_400',
    message: 'x'.repeat(200),
    fields: [],
  });
});

test('settings: the API version and the share of the budget', () => {
  const version = (apiVersion?: string) => open({ config: { apiVersion } }).apiVersion;
  assert.deepEqual(['64', 'v64', '64.0', ' v64.0 ', '', ' ', undefined].map(version), [
    ...new Array<string>(4).fill('64.0'),
    ...new Array<string>(3).fill('65.0'),
  ]);
  for (const wrong of ['64.1', 'x64', '64x', 'latest'])
    assert.throws(() => version(wrong), {
      code: 'INVALID_API_VERSION',
      retryable: false,
      message: new RegExp(wrong),
    });
  const share = (apiBudget?: number | string) => open({ config: { apiBudget } }).budget.share;
  assert.deepEqual([50, '50', 1, 100, 0.5, '', undefined].map(share), [50, 50, 1, 100, 0.5, 80, 80]);
  for (const wrong of [0, -1, 101, 'all'])
    assert.throws(() => share(wrong), {
      code: 'INVALID_API_BUDGET',
      retryable: false,
      message: new RegExp(`apiBudget: "?${wrong}"? is`),
    });
});
