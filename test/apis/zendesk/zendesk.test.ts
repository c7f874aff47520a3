import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClient, type ZendeskClientOptions } from 'node-zendesk';
import { type FaultAction } from '../../support/simulated/faults';
import { type Api } from '../api';
import { apiFor, call, type Answer } from '../support';

const SECOND = 1_000;
const MINUTE = 60_000;
const DAY = 86_400_000;
/** 2026-01-02T03:04:05Z */
const THEN = 1_767_323_045_000;

interface Row {
  id: number;
  status?: string;
  subject?: string;
  name?: string;
  active?: boolean;
  tags: string[];
  updated_at: string;
  deleted_at?: string | null;
  generated_timestamp: number;
}

interface Page {
  tickets: Row[];
  users: Row[];
  organizations: Row[];
  after_cursor: string | null;
  after_url: string | null;
  end_time: number | null;
  next_page: string | null;
  end_of_stream: boolean;
  count: number;
  meta: { has_more: boolean; after_cursor: string; before_cursor: string };
  links: { next: string | null; prev: string | null };
}

const clientOf = (api: Api, options: Partial<ZendeskClientOptions> = {}): ReturnType<typeof createClient> =>
  createClient({
    username: api.user ?? '',
    token: api.token,
    endpointUri: `${api.baseUrl}/api/v2`,
    ...options,
  });

async function pageOf(api: Api, path: string): Promise<Page> {
  const { status, json, text } = await call(api, path.startsWith('http') ? path : `/api/v2/${path}`);
  assert.equal(status, 200, text);
  return json as Page;
}

const ids = (rows: readonly { id: number }[]): number[] => rows.map(({ id }) => id);

const bulk = (count: number): { subject: string }[] =>
  Array.from({ length: count }, (_, n) => ({ subject: `${n}` }));

/** All pages of an export by cursor, from a time or a cursor on. */
async function exported(
  api: Api,
  kind: 'tickets' | 'users',
  start: string,
): Promise<{ rows: Row[]; cursor: string }> {
  const rows: Row[] = [];
  let page = await pageOf(api, `incremental/${kind}/cursor.json?${start}`);
  rows.push(...page[kind]);
  while (!page.end_of_stream) {
    page = await pageOf(api, page.after_url ?? '');
    rows.push(...page[kind]);
  }
  return { rows, cursor: `cursor=${encodeURIComponent(page.after_cursor ?? '')}` };
}

const limits = { incremental: { max: 1_000 }, usersCursor: { max: 1_000 } };

test('the client pages through all users by cursor, and reads one', async (t) => {
  const api = await apiFor(t, 'zendesk', { seed: { users: 250 } });
  const zendesk = clientOf(api);
  const users = await zendesk.users.list();
  assert.equal(new Set(ids(users)).size, 250);
  assert.deepEqual(
    api
      .requests()
      .map(({ path, records }) => [path.includes('page%5Bsize%5D') || path.includes('page[size]'), records]),
    [
      [true, 100],
      [true, 100],
      [true, 50],
    ],
  );
  const { result } = await zendesk.users.show(users[0]?.id ?? 0);
  assert.equal(result.name, users[0]?.name);
  const { result: me } = await zendesk.users.me();
  assert.equal(me.role, 'admin');
});

test('the client reads an export by cursor, and one by time', async (t) => {
  const api = await apiFor(t, 'zendesk', { seed: { tickets: 120, organizations: 30 } });
  const zendesk = clientOf(api);
  const { result } = (await zendesk.tickets.get([
    'incremental',
    'tickets',
    'cursor',
    { start_time: 0, per_page: 50 },
  ])) as unknown as { result: Row[] };
  assert.equal(result.length, 50);
  assert.equal((await zendesk.organizations.incremental('0')).length, 30);
});

test('history by cursor: a hundred thousand tickets in a hundred pages, each once', async (t) => {
  const api = await apiFor(t, 'zendesk', { seed: { tickets: 100_000 }, limits });
  const { rows } = await exported(api, 'tickets', 'start_time=0');
  assert.equal(new Set(ids(rows)).size, 100_000);
  assert.equal(rows.length, 100_000);
  assert.equal(api.requests().length, 100);
});

test('what changes while an export is read comes again at its end', async (t) => {
  const api = await apiFor(t, 'zendesk', { seed: { users: 30 }, limits, switches: { recentMs: 0 } });
  const first = await pageOf(api, 'incremental/users/cursor?start_time=0&per_page=20');
  const [seen, unseen] = [first.users[3]?.id, 25];
  api.write('users', [
    { id: seen, name: 'New' },
    { id: unseen, name: 'Newer' },
  ]);
  api.clock.advance(SECOND);
  const rest = await pageOf(api, first.after_url ?? '');
  assert.deepEqual(
    new Set(ids(rest.users)),
    new Set([...Array.from({ length: 10 }, (_, n) => n + 21), seen as number]),
  );
  assert.deepEqual(
    rest.users
      .slice(-2)
      .map(({ name }) => name)
      .sort(),
    ['New', 'Newer'],
  );
});

test('the newest minute is held back, also from a cursor; a start within it is refused', async (t) => {
  for (const recentMs of [MINUTE, 5 * MINUTE]) {
    const api = await apiFor(t, 'zendesk', { limits, switches: { recentMs } });
    api.write('tickets', [{ subject: 'A' }]);
    const now = Math.floor(api.clock.now() / 1000);
    const start = now - recentMs / 1000 - 5;
    assert.deepEqual((await pageOf(api, `incremental/tickets/cursor?start_time=${start}`)).tickets, []);
    const refused = await call(api, `/api/v2/incremental/tickets/cursor?start_time=${now}`);
    assert.deepEqual([refused.status, (refused.json as { error: string }).error], [422, 'InvalidValue']);
    api.clock.advance(recentMs + SECOND);
    const { tickets, end_of_stream } = await pageOf(api, `incremental/tickets/cursor?start_time=${start}`);
    assert.deepEqual([tickets.length, end_of_stream], [1, true]);
  }
});

test('a cursor is kept between polls; of a page without rows it is the one given, or null', async (t) => {
  const api = await apiFor(t, 'zendesk', { limits });
  api.write('tickets', bulk(3), THEN);
  const { cursor } = await exported(api, 'tickets', 'start_time=0');
  const empty = await pageOf(api, `incremental/tickets/cursor?${cursor}`);
  assert.deepEqual([empty.tickets, empty.end_of_stream], [[], true]);
  assert.equal(`cursor=${encodeURIComponent(empty.after_cursor ?? '')}`, cursor);
  api.switches({ emptyCursor: 'null' });
  assert.equal((await pageOf(api, `incremental/tickets/cursor?${cursor}`)).after_cursor, null);
  api.write('tickets', [{ subject: 'Later' }]);
  api.clock.advance(400 * DAY);
  assert.deepEqual(
    (await pageOf(api, `incremental/tickets/cursor?${cursor}`)).tickets.map(({ subject }) => subject),
    ['Later'],
  );
  api.switches({ cursorLivesMs: DAY });
  assert.equal((await call(api, `/api/v2/incremental/tickets/cursor?${cursor}`)).status, 400);
});

test('Z1: rows of the second at which an export by time ended come again from there, with what joined them', async (t) => {
  const api = await apiFor(t, 'zendesk', { limits });
  const [a] = api.write('organizations', [{ name: 'A' }], THEN);
  const first = await pageOf(api, 'incremental/organizations.json?start_time=0');
  assert.deepEqual([first.end_time, first.count], [THEN / 1000, 1]);
  const [b] = api.write('organizations', [{ name: 'B' }], THEN + 300);
  const again = await pageOf(api, first.next_page ?? '');
  assert.deepEqual(ids(again.organizations), [a?.id, b?.id]);
  const after = await pageOf(api, `incremental/organizations?start_time=${THEN / 1000 + 1}`);
  assert.deepEqual([after.organizations, after.end_time, after.next_page], [[], null, null]);
});

test('Z2: more rows than a page share one second: the page goes on to its end, or the export stays where it is', async (t) => {
  const api = await apiFor(t, 'zendesk', { limits });
  const [before] = api.write('organizations', [{ name: 'Before' }], THEN - 5_000);
  api.write(
    'organizations',
    Array.from({ length: 1_500 }, (_, n) => ({ name: `${n}` })),
    THEN,
  );
  api.write('organizations', [{ name: 'After' }], THEN + 5_000);
  const start = 'incremental/organizations?start_time=';
  const whole = await pageOf(api, `${start}0`);
  assert.deepEqual([whole.count, whole.end_time, whole.end_of_stream], [1_501, THEN / 1000, false]);
  assert.equal(whole.organizations[0]?.id, before?.id);
  api.switches({ ties: 'cut' });
  const cut = await pageOf(api, `${start}${THEN / 1000}`);
  assert.deepEqual([cut.count, cut.end_time, cut.end_of_stream], [1_000, THEN / 1000, false]);
  assert.deepEqual(await pageOf(api, cut.next_page ?? ''), cut);
  api.write('tickets', bulk(1_500), THEN);
  const { rows } = await exported(api, 'tickets', 'start_time=0');
  assert.equal(new Set(ids(rows)).size, 1_500);
});

test('Z3: an export by time has a next page for ever; end_of_stream ends it', async (t) => {
  const api = await apiFor(t, 'zendesk', { limits, seed: { organizations: 3 } });
  let page = await pageOf(api, 'incremental/organizations?start_time=0&per_page=2');
  const ends: boolean[] = [];
  for (let n = 0; n < 4; n++) {
    ends.push(page.end_of_stream);
    assert.ok(page.next_page);
    page = await pageOf(api, page.next_page);
  }
  assert.deepEqual(ends, [false, true, true, true]);
});

test('Z4: the system changes a ticket: generated_timestamp moves, updated_at doesn’t, and exports have it', async (t) => {
  const api = await apiFor(t, 'zendesk', { limits });
  const [one] = api.write('tickets', bulk(2), THEN) as unknown as Row[];
  const { cursor } = await exported(api, 'tickets', 'start_time=0');
  api.act('touch', 'tickets', { ids: [one?.id] }, THEN + 60_000);
  const { rows } = await exported(api, 'tickets', cursor);
  assert.deepEqual(
    rows.map(({ id, updated_at, generated_timestamp }) => [id, updated_at, generated_timestamp]),
    [[one?.id, '2026-01-02T03:04:05Z', THEN / 1000 + 60]],
  );
});

test('Z5: exports say too many in JSON, the general limit in plain text, both with when to come back', async (t) => {
  const api = await apiFor(t, 'zendesk', { limits: { general: { max: 3 }, incremental: { max: 1 } } });
  const path = '/api/v2/incremental/tickets/cursor?start_time=0';
  const first = await call(api, path);
  assert.match(
    first.headers.get('zendesk-ratelimit-incremental-exports-cursor') ?? '',
    /^total=1; remaining=0; resets=\d+$/,
  );
  assert.deepEqual([first.headers.get('x-rate-limit'), first.headers.get('ratelimit-remaining')], ['3', '2']);
  const wait = ({ headers }: Answer): number => Number(headers.get('retry-after'));
  const limited = await call(api, path);
  assert.deepEqual(
    [limited.status, (limited.json as { error: string }).error],
    [429, 'APIRateLimitExceeded'],
  );
  assert.ok(wait(limited) > 0 && wait(limited) <= 60);
  assert.equal((await call(api, '/api/v2/users/me')).status, 200);
  const plain = await call(api, '/api/v2/users/me');
  assert.deepEqual(
    [plain.status, plain.json, /text\/plain/.test(plain.headers.get('content-type') ?? '')],
    [429, undefined, true],
  );
  assert.ok(wait(plain) > 0);
  // The client gives its error as a result.
  const { result } = await clientOf(api).users.me();
  assert.match((result as unknown as Error).message, /rate limits/);
  api.clock.advance(MINUTE);
  assert.equal((await call(api, path)).status, 200);
});

test('a deleted ticket is exported as deleted, and scrubbed after thirty days; lists and reads don’t have it', async (t) => {
  const api = await apiFor(t, 'zendesk', { limits });
  const [kept, gone] = api.write('tickets', bulk(2), THEN) as unknown as Row[];
  const id = gone?.id ?? 0;
  api.remove('tickets', [String(id)]);
  api.clock.advance(MINUTE + SECOND);
  const { rows, cursor } = await exported(api, 'tickets', 'start_time=0');
  assert.deepEqual(
    rows.map((row) => [row.id, row.status, row.subject]),
    [
      [kept?.id, 'new', '0'],
      [id, 'deleted', '1'],
    ],
  );
  const live = await pageOf(api, 'incremental/tickets/cursor?start_time=0&exclude_deleted=true');
  assert.deepEqual(ids(live.tickets), [kept?.id]);
  assert.deepEqual(ids((await pageOf(api, 'tickets')).tickets), [kept?.id]);
  const bin = (await call(api, '/api/v2/deleted_tickets.json')).json as { deleted_tickets: Row[] };
  assert.deepEqual(ids(bin.deleted_tickets), [id]);
  api.clock.advance(31 * DAY);
  const { rows: later } = await exported(api, 'tickets', cursor);
  assert.deepEqual(
    later.map((row) => [row.id, row.status, row.subject]),
    [[id, 'deleted', 'SCRUBBED']],
  );
});

test('X1: what a deleted ticket had is a 404, as the ticket is', async (t) => {
  const api = await apiFor(t, 'zendesk', { seed: { tickets: [{ subject: 'A', description: 'Help' }] } });
  const { comments } = (await call(api, '/api/v2/tickets/1/comments.json')).json as {
    comments: { body: string }[];
  };
  assert.deepEqual(
    comments.map(({ body }) => body),
    ['Help'],
  );
  api.remove('tickets', ['1']);
  for (const path of ['tickets/1', 'tickets/1/comments']) {
    const { status, json } = await call(api, `/api/v2/${path}`);
    assert.deepEqual([status, (json as { error: string }).error], [404, 'RecordNotFound']);
  }
  await assert.rejects(clientOf(api).tickets.show(1), /404|Not Found/i);
});

test('a restored ticket is in exports again, as it was', async (t) => {
  const api = await apiFor(t, 'zendesk', { limits, switches: { recentMs: 0 } });
  api.write('tickets', [{ subject: 'A', status: 'open' }], THEN);
  api.remove('tickets', ['1']);
  api.clock.advance(SECOND);
  const { cursor } = await exported(api, 'tickets', 'start_time=0');
  api.act('restore', 'tickets', { ids: [1] });
  api.clock.advance(SECOND);
  const { rows } = await exported(api, 'tickets', cursor);
  assert.deepEqual(
    rows.map(({ status, subject }) => [status, subject]),
    [['open', 'A']],
  );
});

test('deleted users are inactive, organizations bear deleted_at', async (t) => {
  const api = await apiFor(t, 'zendesk', {
    limits,
    seed: { users: [{ name: 'Ana' }, { name: 'Ben' }], organizations: [{ name: 'Acme' }] },
    switches: { recentMs: 0 },
  });
  api.remove('users', ['1']);
  api.remove('organizations', ['3']);
  api.clock.advance(SECOND);
  const { rows } = await exported(api, 'users', 'start_time=0');
  assert.equal(rows.find(({ id }) => id === 1)?.active, false);
  const { organizations } = await pageOf(api, 'incremental/organizations?start_time=0');
  assert.ok(organizations[0]?.deleted_at);
  assert.deepEqual(ids((await pageOf(api, 'users')).users), [2]);
  assert.equal((await call(api, '/api/v2/users/1')).status, 200);
  assert.equal((await call(api, '/api/v2/organizations/3')).status, 404);
  assert.deepEqual(
    (await pageOf(api, 'users/show_many?ids=2,99')).users.map(({ id }) => id),
    [2],
  );
});

test('what is permanently deleted leaves a scrubbed row in exports, or, by a switch, nothing', async (t) => {
  const api = await apiFor(t, 'zendesk', { limits, seed: { users: 3 }, switches: { recentMs: 0 } });
  api.remove('users', ['1'], { purge: true });
  api.switches({ purged: 'gone' });
  api.remove('users', ['2'], { purge: true });
  api.clock.advance(SECOND);
  const { rows } = await exported(api, 'users', 'start_time=0');
  assert.deepEqual(
    rows.map(({ id, name, active }) => [id, name, active]),
    [
      [3, 'Person 3', true],
      [1, 'Permanently Deleted User', false],
    ],
  );
  assert.equal((await call(api, '/api/v2/users/1')).status, 404);
});

test('a ticket merged into another is closed; a user merged into another is inactive', async (t) => {
  const api = await apiFor(t, 'zendesk', { seed: { tickets: 2, users: 2 } });
  api.act('merge', 'tickets', { ids: [1, 2] });
  const [, loser] = api.records('tickets') as unknown as Row[];
  assert.deepEqual([loser?.status, loser?.tags], ['closed', ['closed_by_merge']]);
  api.act('merge', 'users', { ids: [3, 4] });
  assert.deepEqual(
    (api.records('users') as unknown as Row[]).map(({ active }) => active),
    [true, false],
  );
});

test('lists page by cursor in both directions, and by number to 10,000 rows', async (t) => {
  const api = await apiFor(t, 'zendesk', { seed: { tickets: 10_200 }, limits: { general: { max: 10_000 } } });
  const first = await pageOf(api, 'tickets.json?page[size]=3&sort=-updated_at');
  assert.deepEqual([ids(first.tickets), first.meta.has_more], [[10_200, 10_199, 10_198], true]);
  const second = await pageOf(api, first.links.next ?? '');
  assert.deepEqual(ids(second.tickets), [10_197, 10_196, 10_195]);
  assert.deepEqual(ids((await pageOf(api, second.links.prev ?? '')).tickets), ids(first.tickets));
  const last = await pageOf(api, 'tickets?page=100&per_page=100');
  assert.deepEqual([last.tickets.length, last.count], [100, 10_200]);
  for (const path of [last.next_page ?? '', '/api/v2/tickets?page=101&per_page=1'])
    assert.equal((await call(api, path)).status, 400);
});

test('the last page of a list has no next link, or, by a switch, one to an empty page', async (t) => {
  const api = await apiFor(t, 'zendesk', { seed: { users: 2 } });
  assert.equal((await pageOf(api, 'users?page[size]=2')).links.next, null);
  api.switches({ lastNext: 'link' });
  const last = await pageOf(api, 'users?page[size]=2');
  assert.equal(last.meta.has_more, false);
  const beyond = await pageOf(api, last.links.next ?? '');
  assert.deepEqual([beyond.users, beyond.meta.has_more, beyond.links.next], [[], false, null]);
});

test('what is wrong is refused; sizes over the highest too, or taken as the highest', async (t) => {
  const api = await apiFor(t, 'zendesk', { seed: { tickets: 1_100 }, limits });
  const { cursor } = await exported(api, 'tickets', 'start_time=0');
  const refused: [path: string, status: number][] = [
    ['incremental/tickets/cursor', 400],
    ['incremental/tickets/cursor?start_time=soon', 400],
    ['incremental/tickets/cursor?cursor=nonsense', 400],
    [`incremental/tickets/cursor?start_time=0&${cursor}`, 400],
    ['incremental/tickets/cursor?start_time=0&per_page=1001', 400],
    ['incremental/tickets/cursor?start_time=0&support_type_scope=none', 400],
    ['incremental/organizations/cursor?start_time=0', 404],
    ['incremental/organizations', 400],
    ['tickets?page[size]=101', 400],
    ['tickets?page[after]=nonsense', 400],
    ['tickets?per_page=0', 400],
    ['tickets?page=0', 400],
    ['tickets?sort=nothing', 400],
    ['tickets/show_many', 400],
    ['tickets/99999', 404],
    ['nothing', 404],
  ];
  for (const [path, status] of refused)
    assert.equal((await call(api, `/api/v2/${path}`)).status, status, path);
  api.switches({ overLimit: 'clamp', bothStarts: 'cursor' });
  assert.equal(
    (await pageOf(api, 'incremental/tickets/cursor?start_time=0&per_page=1001')).tickets.length,
    1_000,
  );
  assert.deepEqual((await pageOf(api, `incremental/tickets/cursor?start_time=0&${cursor}`)).tickets, []);
  api.switches({ heavyPage: 500 });
  assert.equal((await call(api, '/api/v2/incremental/tickets/cursor?start_time=0')).status, 504);
  assert.equal(
    (await pageOf(api, 'incremental/tickets/cursor?start_time=0&per_page=499')).tickets.length,
    499,
  );
});

test('who one is: an API token until it is retired, an agent who may not export, a stranger', async (t) => {
  const api = await apiFor(t, 'zendesk');
  const path = '/api/v2/incremental/users/cursor?start_time=0';
  api.switches({ role: 'agent' });
  const agent = await call(api, path);
  assert.deepEqual([agent.status, (agent.json as { error: string }).error], [403, 'Forbidden']);
  assert.equal((await call(api, '/api/v2/users')).status, 200);
  const stranger = { headers: { Authorization: 'Basic eDp5' } };
  const wrong = await call(api, '/api/v2/users/me', stranger);
  assert.deepEqual([wrong.status, wrong.json], [401, { error: "Couldn't authenticate you" }]);
  api.switches({ apiTokens: false });
  await assert.rejects(clientOf(api).users.me(), /401|Unauthorized/i);
});

test('OAuth: tokens of client credentials live thirty minutes and read what their scope says', async (t) => {
  const api = await apiFor(t, 'zendesk');
  const { clientId: client_id = '', clientSecret: client_secret = '', refreshToken } = api.oauth ?? {};
  const exchange = async (body: object): Promise<Answer> =>
    call(api, '/oauth/tokens', { method: 'POST', body: { client_id, client_secret, ...body } });
  const given = await exchange({ grant_type: 'client_credentials', scope: 'tickets:read' });
  const { access_token, expires_in, scope } = given.json as Record<string, string>;
  assert.deepEqual([expires_in, scope], [1_800, 'tickets:read']);
  const zendesk = clientOf(api, { token: access_token, oauth: true });
  assert.deepEqual(await zendesk.tickets.list(), []);
  await assert.rejects(zendesk.users.list(), /403|Forbidden/i);
  api.clock.advance(30 * MINUTE);
  const headers = { Authorization: `Bearer ${access_token}` };
  const expired = await call(api, '/api/v2/tickets', { headers });
  assert.deepEqual([expired.status, (expired.json as { error: string }).error], [401, 'invalid_token']);
  const refresh = { grant_type: 'refresh_token', refresh_token: refreshToken };
  const next = (await exchange(refresh)).json as { refresh_token: string };
  assert.equal((await exchange(refresh)).status, 400);
  assert.equal((await exchange({ ...refresh, refresh_token: next.refresh_token })).status, 200);
  assert.equal((await exchange({ grant_type: 'client_credentials', client_secret: 'x' })).status, 401);
  assert.equal((await exchange({ grant_type: 'client_credentials', scope: 'write' })).status, 400);
  assert.equal((await exchange({ grant_type: 'password' })).status, 400);
});

test('faults are said in Zendesk’s words', async (t) => {
  const api = await apiFor(t, 'zendesk');
  const answers: [action: FaultAction, words: RegExp][] = [
    [{ status: 429 }, /APIRateLimitExceeded/],
    [{ status: 429, errorCode: 'general' }, /^Number of allowed/],
    [{ status: 401 }, /invalid_token/],
    [{ status: 403 }, /Forbidden/],
    [{ status: 409, errorCode: 'Conflict' }, /Conflict/],
    [{ status: 503, headers: { 'Retry-After': '9' } }, /"title"/],
    [{ status: 504 }, /<html>/],
  ];
  for (const [action, words] of answers) {
    api.faults.add({ action, times: 1 });
    assert.match((await call(api, '/api/v2/users/me')).text, words);
  }
});
