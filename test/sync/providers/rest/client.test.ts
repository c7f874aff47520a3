import assert from 'node:assert/strict';
import '../../../../nodes/shared/language';
import { mock, test, type TestContext } from 'node:test';
import { refreshTokens } from '../../../../nodes/shared/http/refresh-tokens';
import { RestClient, type ClientOptions } from '../../../../nodes/sync/providers/rest/client';
import type { Declaration } from '../../../../nodes/sync/providers/rest/declaration';
import { declarationOf } from '../../../../nodes/sync/providers/catalog';
import { answeringApi, type Reply, type Seen } from './server';

const never = new AbortController().signal;
const TOKEN = 'a-very-secret-token';
const minimal: Declaration = {
  name: 'test',
  label: 'Test',
  auth: [{ kind: 'bearer', token: '{token}' }],
  collections: {},
};

async function rig(
  t: TestContext,
  answer: (request: Seen, count: number) => Reply,
  more: Partial<ClientOptions> = {},
) {
  const { baseUrl, seen } = await answeringApi(t, answer);
  const client = new RestClient({
    declaration: minimal,
    budget: 100,
    ...more,
    values: { baseUrl, token: TOKEN, ...more.values },
  });
  t.after(() => client.close());
  return { client, seen, baseUrl, get: (path = '/things') => client.ask({ ask: { get: path } }, never) };
}

const named = (name: string, errors = declarationOf(name)?.errors): Declaration => ({ ...minimal, errors });

test('a Retry-After is kept, and the request asked again', async (t) => {
  const { get, seen } = await rig(t, (_, count) =>
    count === 1 ? { status: 429, headers: { 'retry-after': '1' }, body: 'slow down' } : {},
  );
  assert.equal((await get()).verdict, 'ok');
  assert.ok((seen[1]?.at ?? 0) - (seen[0]?.at ?? 0) >= 950);
});

test('Z5: a text in the place of JSON under 429 is a limit, not a broken answer', async (t) => {
  const { client, get } = await rig(t, (_, count) =>
    count === 1
      ? { status: 429, headers: { 'retry-after': '0' }, body: 'Number of allowed API requests' }
      : {},
  );
  const said: unknown[] = [];
  client.onChange(() => said.push(client.unavailable?.message));
  assert.equal((await get()).verdict, 'ok');
  assert.match(String(said[0]), /Test limits requests \(429\): Number of allowed/);
  assert.equal(client.unavailable, undefined);
});

test('a limit that says that there is nothing to wait for, again and again, is not asked ever more often', async (t) => {
  const { client, seen } = await rig(t, () => ({ status: 429, headers: { 'retry-after': '0' }, body: {} }));
  const stop = new AbortController();
  const waits: number[] = [];
  client.onChange(() => {
    waits.push(Math.round((client.limiter.hold?.until ?? 0) - performance.now()));
    if (client.limiter.hold) client.limiter.hold.until = 0;
    if (waits.length === 5) stop.abort();
  });
  await assert.rejects(client.ask({ ask: { get: '/things' } }, stop.signal), { code: 'CLOSED' });
  assert.equal(seen.length, 5);
  for (const [i, least] of [0, 1_000, 2_000, 4_000, 8_000].entries())
    assert.ok((waits[i] ?? -1) >= least - 100, String(waits));
});

test('requests that are refused together wait as one', async (t) => {
  const { client, get } = await rig(
    t,
    () => ({ status: 403, body: { message: 'You have exceeded a secondary rate limit.' } }),
    { declaration: named('github') },
  );
  const waits: number[] = [];
  client.onChange(() => waits.push((client.limiter.hold?.until ?? 0) - performance.now()));
  const asked = [get(), get(), get(), get()].map((one) => one.catch(() => undefined));
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.ok(Math.max(...waits) < 61_000, String(waits));
  client.close();
  void asked;
});

test('HubSpot’s limit of ten seconds is not the one of a second', async (t) => {
  for (const [policyName, least] of [
    ['TEN_SECONDLY_ROLLING', 10_000],
    ['SECONDLY', 1_000],
  ] as const) {
    const { client, get } = await rig(t, () => ({ status: 429, body: { policyName } }), {
      declaration: named('hubspot'),
    });
    const wait = new Promise<number>((resolve) =>
      client.onChange(() => resolve((client.limiter.hold?.until ?? 0) - performance.now())),
    );
    get().catch(() => undefined);
    const found = await wait;
    assert.ok(found > least - 100 && found <= least, `${policyName}: ${found}`);
    client.close();
  }
});

test('a token that no header can carry is said, without it', async (t) => {
  const { get } = await rig(t, () => ({}), { values: { token: 'pasted\u200btoken' } });
  await assert.rejects(get(), (error: Error & { code?: string; retryable?: boolean }) => {
    assert.deepEqual([error.code, error.retryable], ['API_LOGIN', false]);
    assert.match(error.message, /no header can carry/);
    assert.doesNotMatch(error.message, /pasted/);
    return true;
  });
});

const granting: Declaration = {
  ...minimal,
  auth: [{ kind: 'oauth', url: '{baseUrl}/token', form: { client_id: '{user}', client_secret: '{secret}' } }],
};
const granted = (t: TestContext, ...replies: Reply[]) =>
  rig(t, ({ path }, count) => (path === '/token' ? (replies[count - 1] ?? replies.at(-1) ?? {}) : {}), {
    declaration: granting,
    values: { user: 'me', secret: 'a-very-secret-secret' },
  });

test('a token is taken as a form, and after a gateway’s page', async (t) => {
  const type = { 'content-type': 'application/x-www-form-urlencoded' };
  const form = { headers: type, body: 'access_token=abc&token_type=bearer' };
  const page = { status: 403, headers: { 'content-type': 'text/html' }, body: '<html>no</html>' };
  const { get, seen } = await granted(t, page, form);
  assert.equal((await get()).verdict, 'ok');
  assert.equal(seen.at(-1)?.headers.authorization, 'Bearer abc');
});

for (const access_token of ['', 'a\nb', 'ü'])
  test(`an access token ${JSON.stringify(access_token)} is none`, async (t) => {
    const { get } = await granted(t, { body: { access_token } });
    await assert.rejects(get(), {
      code: 'API_LOGIN',
      retryable: false,
      message: /no header can carry/,
    });
  });

test('G4: a primary limit of GitHub waits for its reset, a secondary one a minute and more', async (t) => {
  const reset = Math.ceil(Date.now() / 1_000) + 3_000;
  const { client, get } = await rig(
    t,
    (_, count): Reply =>
      count === 1
        ? {
            status: 403,
            headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(reset) },
            body: { message: 'API rate limit exceeded for user ID 1.' },
          }
        : {
            status: 403,
            headers: { 'x-ratelimit-remaining': '17' },
            body: { message: 'You have exceeded a secondary rate limit.' },
          },
    { declaration: named('github') },
  );
  const waits: number[] = [];
  client.onChange(() => waits.push((client.limiter.hold?.until ?? 0) - performance.now()));
  const asked = get();
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.ok((waits[0] ?? 0) > 2_900_000, String(waits[0]));
  client.limiter.hold = undefined;
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  assert.ok((waits.at(-1) ?? 0) > 55_000, waits.join());
  client.close();
  asked.catch(() => undefined);
});

test('an error of the API is asked again, and told after the fourth time', async (t) => {
  const { get, seen } = await rig(t, () => ({
    status: 502,
    headers: { 'retry-after': '0' },
    body: '<html>',
  }));
  await assert.rejects(get(), {
    code: 'API_UNREACHABLE',
    retryable: true,
    message: /failed 4 times.*a web page/,
  });
  assert.equal(seen.length, 4);
});

test('a refusal says what the API says, and never the token', async (t) => {
  const { get } = await rig(t, () => ({ status: 400, body: { message: `what is ${TOKEN}?` } }));
  await assert.rejects(get(), {
    code: 'API_REFUSED',
    retryable: false,
    message: 'Test answered /things with 400: what is ***?',
  });
});

test('a token that is refused is no reason to try again and again', async (t) => {
  const { get, seen } = await rig(t, () => ({ status: 401, body: { message: 'Bad credentials' } }));
  await assert.rejects(get(), { code: 'API_LOGIN', retryable: false });
  assert.equal(seen.length, 1);
});

test('what has moved is followed; to another host without the token', async (t) => {
  const other = await answeringApi(t, () => ({ body: { found: true } }));
  const { get, seen } = await rig(t, ({ path }) =>
    path === '/old'
      ? { status: 301, headers: { location: '/new' } }
      : path === '/away'
        ? { status: 302, headers: { location: `${other.baseUrl}/x` } }
        : { body: { moved: true } },
  );
  assert.deepEqual((await get('/old')).body, { moved: true });
  assert.equal(seen.at(-1)?.headers.authorization, `Bearer ${TOKEN}`);
  await get('/away').catch(() => undefined);
  assert.ok(other.seen.every(({ headers }) => headers.authorization === undefined));
});

test('the budget is a share of what headers say is permitted', async (t) => {
  const quota = { limit: 'x-limit', remaining: 'x-left', reset: 'x-reset|after' };
  const { client, get } = await rig(
    t,
    (_, count) => ({ headers: { 'x-limit': '100', 'x-left': String(52 - count), 'x-reset': '600' } }),
    { declaration: { ...minimal, rates: { quota } }, budget: 50 },
  );
  await get();
  assert.equal(client.unavailable, undefined);
  await get();
  const { unavailable } = client as { unavailable?: { code: string } };
  assert.equal(unavailable?.code, 'API_BUDGET_SPENT');
});

test('calls go out as a declared window permits, side by side', async (t) => {
  const rates = { windows: [{ calls: 10, per: '1s' }] };
  const { get, seen } = await rig(t, () => ({}), { declaration: { ...minimal, rates }, budget: 50 });
  await Promise.all(Array.from({ length: 8 }, () => get()));
  const times = seen.map(({ at }) => at).sort((a, b) => a - b);
  assert.ok((times[5] ?? 0) - (times[0] ?? 0) >= 900, 'the sixth waits for the window of five');
});

test('OAuth: a token is fetched once for all, again when it has ended, and a rotated one is kept', async (t) => {
  let granted = 0;
  const kept: string[] = [];
  const { get, seen } = await rig(
    t,
    ({ path, body, headers }) => {
      if (path === '/token') {
        kept.push((body as { refresh_token: string }).refresh_token);
        return { body: { access_token: `access-${++granted}`, refresh_token: `refresh-${granted}` } };
      }
      return headers.authorization === `Bearer access-${granted}` && !(granted === 1 && seen.length > 3)
        ? {}
        : { status: 401, body: { message: 'expired' } };
    },
    {
      declaration: {
        ...minimal,
        auth: [
          {
            kind: 'oauth',
            url: '{baseUrl}/token',
            form: { grant_type: 'refresh_token', client_id: '{user}', refresh_token: '{token}' },
            refresh: 'token',
          },
        ],
      },
      values: { user: 'client' },
      refreshTokens: refreshTokens(undefined, () => undefined),
    },
  );
  await Promise.all([get(), get()]);
  assert.equal(granted, 1);
  await get();
  assert.equal(granted, 2);
  assert.deepEqual(kept, [TOKEN, 'refresh-1']);
});

test('a base URL that would send the token in the clear is refused', () => {
  const open = (baseUrl: string) =>
    new RestClient({ declaration: minimal, budget: 100, values: { baseUrl, token: TOKEN } });
  assert.throws(() => open('http://api.example.com'), /not https/);
  assert.throws(() => open('ftp://x'), /is no URL/);
  assert.throws(() => open(''), /needs the base URL/);
  assert.throws(
    () => new RestClient({ declaration: minimal, budget: 100, values: { baseUrl: 'https://x.test' } }),
    { code: 'NO_CREDENTIALS', message: 'To log in to Test, enter its Token' },
  );
});

for (const [which, days] of [
  ['forward', 1],
  ['back', -1],
] as const)
  test(`a clock that is set ${which} by a day takes nothing for passed that is still to come`, async (t) => {
    const began = Date.now();
    mock.timers.enable({ apis: ['Date'], now: began });
    t.after(() => mock.timers.reset());
    const headers = { date: new Date(began).toUTCString() };
    const { client } = await rig(t, () => ({ body: {}, headers }));
    await client.ask({ ask: { get: '/x' } }, never);
    mock.timers.setTime(began + days * 86_400_000);
    assert.ok(client.past() < began + 60_000);
    assert.ok(Math.abs(client.now() - began) < 60_000, 'the API says what time it is');
  });
