import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Version3Client } from 'jira.js' with { 'resolution-mode': 'import' };
import { type FaultAction } from '../../support/simulated/faults';
import { type Api } from '../api';
import { apiFor, call, type Answer } from '../support';
import { EMAIL, SCOPED_TOKEN } from './access';
import { CLOUD_ID } from './jira';

const MINUTE = 60_000;
const HOUR = 3_600_000;
const DAY = 86_400_000;
/** 2026-01-02T03:04:05.678Z */
const THEN = 1_767_323_045_678;
const SEARCH = '/rest/api/3/search/jql';
const GATEWAY = `/ex/jira/${CLOUD_ID}`;
const BY_CHANGE = 'ORDER BY updated ASC, id ASC';

/** It is described as a package of ES modules. */
async function clientOf(api: Api, place = '', apiToken = api.token): Promise<Version3Client> {
  const { Version3Client: Client } = await import('jira.js');
  return new Client({
    host: api.baseUrl + place,
    authentication: { basic: { email: EMAIL, apiToken } },
  });
}

interface Found {
  id: string;
  key?: string;
  fields?: { summary: string; created: string; updated: string; project: { key: string } };
}

interface Page {
  issues: Found[];
  nextPageToken?: string;
  isLast: boolean;
}

async function pageOf(api: Api, body: object): Promise<Page> {
  const { status, json, text } = await call(api, SEARCH, { method: 'POST', body });
  assert.equal(status, 200, text);
  return json as Page;
}

/** All that a query finds, in as many pages as it takes. */
async function all(api: Api, body: object): Promise<Found[]> {
  const issues: Found[] = [];
  let nextPageToken: string | undefined;
  do {
    const page = await pageOf(api, { ...body, nextPageToken });
    issues.push(...page.issues);
    nextPageToken = page.nextPageToken;
    assert.equal(page.isLast, nextPageToken === undefined);
  } while (nextPageToken !== undefined);
  return issues;
}

const ids = (rows: readonly { id?: unknown }[]): number[] => rows.map(({ id }) => Number(id));
const summaries = (rows: readonly Found[]): (string | undefined)[] =>
  rows.map(({ fields }) => fields?.summary);
const since = (ms: number): string => `updated >= ${ms} ${BY_CHANGE}`;
const now = { switches: { indexLagMs: 0 } };
const unlimited = { limits: { burst: { max: 100_000 } } };

test('the client pages through the issues of a project, by GET and by POST', async (t) => {
  const api = await apiFor(t, 'jira', { seed: { issues: 250 } });
  const jira = await clientOf(api);
  const found: string[] = [];
  let nextPageToken: string | undefined;
  do {
    const page = await jira.issueSearch.searchForIssuesUsingJqlEnhancedSearch({
      jql: `project = PAY ${BY_CHANGE}`,
      fields: ['summary', 'updated'],
      nextPageToken,
    });
    found.push(...(page.issues ?? []).map(({ id }) => id));
    nextPageToken = page.nextPageToken;
  } while (nextPageToken !== undefined);
  assert.equal(new Set(found).size, 125);
  assert.deepEqual(
    api.requests().map(({ records }) => records),
    [50, 50, 25],
  );
  const posted = await jira.issueSearch.searchForIssuesUsingJqlEnhancedSearchPost({
    jql: 'project = PAY',
    maxResults: 5_000,
  });
  assert.equal(posted.issues?.length, 125);
  assert.deepEqual(Object.keys(posted.issues[0] ?? {}), ['id']);
  assert.equal((await jira.issueSearch.countIssues({ jql: 'project = PAY' })).count, 125);
});

test('the client reads many at once, projects, users, and who it is', async (t) => {
  const api = await apiFor(t, 'jira', { seed: { issues: 3, users: 120, projects: 60 } });
  const jira = await clientOf(api);
  const { issues } = await jira.issues.bulkFetchIssues({ issueIdsOrKeys: ['PAY-1', 'PAY-2', 'PAY-99'] });
  assert.deepEqual(
    issues?.map(({ key }) => key),
    ['PAY-1', 'PAY-2'],
  );
  const projects = await jira.projects.searchProjects({ startAt: 50 });
  assert.deepEqual([projects.total, projects.values?.length, projects.isLast], [62, 12, true]);
  const users = await jira.users.getAllUsers({ maxResults: 1_000 });
  assert.deepEqual([users.length, users[0]?.active], [120, true]);
  assert.equal((await jira.myself.getCurrentUser()).timeZone, 'Europe/Berlin');
  assert.equal((await jira.serverInfo.getServerInfo()).deploymentType, 'Cloud');
});

test('history: a hundred thousand issues, each once, in pages of a hundred with fields and of five thousand with ids', async (t) => {
  const api = await apiFor(t, 'jira', { ...unlimited, seed: { issues: 100_000 } });
  const listed = await all(api, { jql: 'project in (PAY, OPS)', maxResults: 5_000 });
  assert.equal(new Set(ids(listed)).size, 100_000);
  assert.equal(api.requests().length, 20);
  const half = await all(api, { jql: `project = PAY ${BY_CHANGE}`, fields: ['summary'], maxResults: 5_000 });
  assert.equal(new Set(ids(half)).size, 50_000);
  assert.equal(api.requests().length, 20 + 500);
});

test('an issue shows its id alone unless fields are asked for', async (t) => {
  const api = await apiFor(t, 'jira', now);
  api.write('issues', [{ summary: 'A', labels: ['x'] }], THEN);
  const jql = 'project = PAY';
  const of = async (fields?: string[]): Promise<Found | undefined> =>
    (await pageOf(api, { jql, fields })).issues[0];
  assert.deepEqual(Object.keys((await of()) ?? {}), ['id']);
  assert.deepEqual((await of(['key']))?.key, 'PAY-1');
  assert.deepEqual(Object.keys((await of(['summary', 'nothing']))?.fields ?? {}), ['summary']);
  const whole = (await of(['*all', '-labels']))?.fields ?? {};
  assert.ok('created' in whole && 'status' in whole && !('labels' in whole));
});

test('what is wrong is refused in Jira’s words', async (t) => {
  const api = await apiFor(t, 'jira', unlimited);
  const refused: [body: object, words: RegExp][] = [
    [{ jql: '' }, /^Unbounded/],
    [{ jql: BY_CHANGE }, /^Unbounded/],
    [{}, /^Unbounded/],
    [{ jql: 'project = NONE' }, /'NONE' does not exist for the field 'project'/],
    [{ jql: 'nothing = 1' }, /Field 'nothing' does not exist/],
    [{ jql: 'updated >= "soon"' }, /Date value 'soon' for field 'updated' is invalid/],
    [{ jql: `updated >= "${THEN}"` }, /is invalid/],
    [{ jql: 'updated >= "2026-13-01"' }, /is invalid/],
    [{ jql: 'project = PAY updated > 1' }, /'OR' or 'AND' but got 'updated'/],
    [{ jql: '(project = PAY' }, /'\)' but the query ended/],
    [{ jql: 'project PAY' }, /an operator/],
    [{ jql: 'project = "PAY' }, /unexpected/],
    [{ jql: 'project > PAY' }, /not supported/],
    [{ jql: `project = PAY ORDER BY ${Array(8).fill('id').join(',')}` }, /maximum number of fields/],
    [{ jql: 'project = PAY', startAt: 0 }, /^Invalid request payload/],
    [{ jql: 'project = PAY', fields: 'summary' }, /^Invalid request payload/],
    [{ jql: 'project = PAY', maxResults: 5_001 }, /maxResults/],
    [{ jql: 'project = PAY', nextPageToken: 'nonsense' }, /token is invalid or expired/],
    [{ jql: 'project = PAY', reconcileIssues: Array(51).fill(1) }, /reconcileIssues/],
  ];
  for (const [body, words] of refused) {
    const { status, json } = await call(api, SEARCH, { method: 'POST', body });
    const { errorMessages, errors } = json as { errorMessages: string[]; errors: object };
    assert.deepEqual([status, errors], [400, {}], JSON.stringify(body));
    assert.match(errorMessages[0] ?? '', words, JSON.stringify(body));
  }
  for (const path of [
    'users/search?maxResults=1001',
    'project/search?orderBy=nothing',
    'project/search?status=gone',
  ])
    assert.equal((await call(api, `/rest/api/3/${path}`)).status, 400, path);
  const many = { issueIdsOrKeys: Array(101).fill('1') };
  assert.equal((await call(api, '/rest/api/3/issue/bulkfetch', { method: 'POST', body: many })).status, 400);
  api.switches({ overLimit: 'clamp' });
  assert.equal((await call(api, '/rest/api/3/users/search?maxResults=1001')).status, 200);
});

test('JQL: what finds an issue and what doesn’t', async (t) => {
  const api = await apiFor(t, 'jira', { ...now, ...unlimited });
  api.write('issues', [{ summary: 'A', status: 'Done', labels: ['x'] }], THEN);
  api.write('issues', [{ summary: 'B', project: 'OPS' }], THEN + HOUR);
  const queries: [jql: string, found: string][] = [
    ['project = PAY', 'A'],
    ['project != "PAY"', 'B'],
    ["project in (pay, 'OPS') order by updated desc", 'BA'],
    ['project not in (OPS)', 'A'],
    [`updated > ${THEN}`, 'B'],
    [`updated >= ${THEN} AND updated < ${THEN + HOUR}`, 'A'],
    [`(project = PAY OR project = OPS) AND created <= ${THEN} `, 'A'],
    ['status = Done OR status = "To Do" ORDER BY created ASC', 'AB'],
    ['labels is EMPTY', 'B'],
    ['labels = x', 'A'],
    ['key = PAY-1', 'A'],
    ['created <= now() and created >= -520w order by id', 'AB'],
    ['updated >= -1m', ''],
  ];
  for (const [jql, found] of queries)
    assert.equal(summaries(await all(api, { jql, fields: ['summary'] })).join(''), found, jql);
});

test('J1: quoted times are read in the account’s zone to the minute, epoch milliseconds in none', async (t) => {
  const api = await apiFor(t, 'jira', now);
  api.write('issues', [{ summary: 'A' }], THEN);
  const finds = async (bound: string): Promise<number> =>
    (await pageOf(api, { jql: `updated >= ${bound}` })).issues.length;
  const times = async (): Promise<string | undefined> =>
    (await pageOf(api, { jql: 'project = PAY', fields: ['updated'] })).issues[0]?.fields?.updated;
  assert.deepEqual([await finds('"2026-01-02 04:04"'), await finds('"2026-01-02 04:05"')], [1, 0]);
  assert.equal(await times(), '2026-01-02T04:04:05.678+0100');
  api.switches({ timeZone: 'America/New_York' });
  assert.deepEqual([await finds('"2026/01/01 22:04"'), await finds('"2026-01-01 22:05"')], [1, 0]);
  assert.equal(await times(), '2026-01-01T22:04:05.678-0500');
  assert.deepEqual([await finds(`${THEN}`), await finds(`${THEN + 1}`)], [1, 0]);
  api.switches({ epochPrecision: 'minute' });
  assert.deepEqual([await finds(`${THEN + 1}`), await finds(`${THEN + MINUTE}`)], [1, 0]);
});

test('J1: the hour that an autumn night has twice is the first of them', async (t) => {
  const api = await apiFor(t, 'jira', now);
  const [first, second] = ['2025-10-26T00:30:00Z', '2025-10-26T01:30:00Z'].map((text) => Date.parse(text));
  api.write('issues', [{ summary: 'A' }], first);
  api.write('issues', [{ summary: 'B' }], second);
  const found = await all(api, {
    jql: `updated >= "2025-10-26 02:30" ${BY_CHANGE}`,
    fields: ['summary', 'updated'],
  });
  assert.deepEqual(
    found.map(({ fields }) => [fields?.summary, fields?.updated]),
    [
      ['A', '2025-10-26T02:30:00.000+0200'],
      ['B', '2025-10-26T02:30:00.000+0100'],
    ],
  );
});

test('J2: no total and no startAt: a token goes on, isLast ends; the old search is gone', async (t) => {
  const api = await apiFor(t, 'jira', { seed: { issues: 4 } });
  const { json } = await call(api, `${SEARCH}?jql=project+in+(PAY,OPS)&maxResults=3&startAt=3`);
  assert.deepEqual(Object.keys(json as object).sort(), ['isLast', 'issues', 'nextPageToken']);
  assert.equal((json as Page).issues.length, 3);
  for (const method of ['GET', 'POST']) {
    const old = await call(api, '/rest/api/3/search?jql=project=PAY', { method });
    assert.equal(old.status, 410);
    assert.match(old.text, /search\/jql/);
  }
});

test('J3: by a switch an answer gives the token that it was asked with', async (t) => {
  const api = await apiFor(t, 'jira', { seed: { issues: 10 }, switches: { repeatTokens: 1 } });
  const jql = since(0);
  const { nextPageToken } = await pageOf(api, { jql, maxResults: 4 });
  const again = await pageOf(api, { jql, maxResults: 4, nextPageToken });
  assert.deepEqual([again.nextPageToken, again.isLast], [nextPageToken, false]);
  assert.equal((await all(api, { jql, maxResults: 4 })).length, 10);
});

test('J4: search is behind, of some issues more than of others; reconcileIssues names those to be known', async (t) => {
  const api = await apiFor(t, 'jira', { switches: { indexLagMs: 40_000, unevenLag: true } });
  const rows = api.write(
    'issues',
    Array.from({ length: 4 }, (_, n) => ({ summary: `${n}` })),
    api.clock.now(),
  );
  const jql = 'project = PAY ORDER BY id';
  const found = async (more = {}): Promise<number[]> => ids((await pageOf(api, { jql, ...more })).issues);
  assert.deepEqual(await found(), []);
  api.clock.advance(11_000);
  const early = await found();
  assert.equal(early.length, 1);
  const late = ids(rows).filter((id) => !early.includes(id));
  assert.ok(
    late.some((id) => id < (early[0] ?? 0)),
    'one that came later is found first',
  );
  assert.equal((await found({ reconcileIssues: late.slice(0, 2) })).length, 3);
  api.clock.advance(30_000);
  assert.deepEqual(await found(), ids(rows));
});

test('J5: what the caller can no longer see is silently absent, and is told apart by nothing', async (t) => {
  const api = await apiFor(t, 'jira', { ...unlimited, seed: { issues: 20 } });
  const jql = since(0);
  const [first] = await all(api, { jql });
  api.switches({ hiddenProjects: ['OPS'], hiddenIssues: [first?.id] });
  assert.equal((await all(api, { jql })).length, 9);
  const { json } = await call(api, '/rest/api/3/search/approximate-count', { method: 'POST', body: { jql } });
  assert.deepEqual(json, { count: 9 });
  assert.equal((await call(api, `/rest/api/3/issue/${first?.id}`)).status, 404);
  const bulk = { issueIdsOrKeys: ['OPS-1', 'PAY-2', first?.id] };
  const fetched = await call(api, '/rest/api/3/issue/bulkfetch', { method: 'POST', body: bulk });
  assert.equal(fetched.status, 200);
  assert.equal((fetched.json as Page).issues.length, 1);
  const named = await call(api, `${SEARCH}?jql=project+%3D+OPS`);
  assert.equal(named.status, 400);
  const projects = (await call(api, '/rest/api/3/project/search')).json as { total: number };
  assert.equal(projects.total, 1);
});

test('a page is cut before what can’t be seen is left out: it can be empty and go on', async (t) => {
  const api = await apiFor(t, 'jira', { seed: { issues: 6 } });
  const everything = ids(await all(api, { jql: since(0) }));
  api.switches({ hiddenIssues: everything.slice(0, 2).map(String) });
  const short = await pageOf(api, { jql: since(0), maxResults: 2 });
  assert.deepEqual([short.issues, short.isLast], [[], false]);
  assert.deepEqual(ids(await all(api, { jql: since(0), maxResults: 2 })), everything.slice(2));
  api.switches({ shortPages: false });
  assert.deepEqual(ids((await pageOf(api, { jql: since(0), maxResults: 2 })).issues), everything.slice(2, 4));
});

test('a deleted issue is announced by nothing; an archived one can still be read', async (t) => {
  const api = await apiFor(t, 'jira', { ...now, seed: { issues: 3 } });
  const [gone, filed, kept] = ids(await all(api, { jql: since(0) }));
  api.remove('issues', [String(gone)]);
  api.act('archive', 'issues', { ids: [filed] });
  assert.deepEqual(ids(await all(api, { jql: since(0) })), [kept]);
  assert.equal((await call(api, `/rest/api/3/issue/${gone}`)).status, 404);
  const { json } = await call(api, `/rest/api/3/issue/${filed}`);
  assert.ok('archiveddate' in (json as { fields: object }).fields);
  api.act('restore', 'issues', { ids: [filed] });
  assert.deepEqual(new Set(ids(await all(api, { jql: since(0) }))), new Set([filed, kept]));
});

test('X1: a project in the trash takes its issues along: its name is unknown, they are 404', async (t) => {
  const api = await apiFor(t, 'jira', { ...now, seed: { issues: 4 } });
  const [project] = api.records('projects');
  api.remove('projects', [String(project?.id as string)]);
  assert.equal((await call(api, `${SEARCH}?jql=project%3DPAY`)).status, 400);
  assert.equal((await call(api, '/rest/api/3/issue/PAY-1')).status, 404);
  assert.equal((await call(api, '/rest/api/3/project/PAY')).status, 404);
  assert.equal((await all(api, { jql: since(0) })).length, 2);
  const trash = (await call(api, '/rest/api/3/project/search?status=deleted')).json as {
    values: { key: string }[];
  };
  assert.deepEqual(
    trash.values.map(({ key }) => key),
    ['PAY'],
  );
  api.act('restore', 'projects', { ids: ['PAY'] });
  assert.equal((await all(api, { jql: since(0) })).length, 4);
  api.remove('projects', ['OPS'], { purge: true });
  assert.equal(api.records('issues').length, 2);
});

test('an issue that moved keeps its id, and answers to each key that it had', async (t) => {
  const api = await apiFor(t, 'jira', now);
  const [made] = api.write('issues', [{ summary: 'A' }], THEN);
  const [moved] = api.act('move', 'issues', { ids: [made?.id], to: 'OPS' }, THEN + HOUR) as Found[];
  assert.deepEqual([moved?.id, moved?.key], [made?.id, 'OPS-1']);
  for (const key of ['PAY-1', 'OPS-1', made?.id as string])
    assert.equal(((await call(api, `/rest/api/3/issue/${key}`)).json as Found).key, 'OPS-1');
  assert.deepEqual(ids(await all(api, { jql: 'project = OPS' })), [Number(made?.id)]);
  assert.deepEqual(await all(api, { jql: 'project = PAY' }), []);
});

test('what changes while it is read, oldest change first, comes again at the end, and nothing is missed', async (t) => {
  const api = await apiFor(t, 'jira', { ...now, seed: { issues: 9 } });
  const jql = since(0);
  const first = await pageOf(api, { jql, maxResults: 4 });
  const [seen] = first.issues;
  api.write('issues', [{ id: seen?.id, summary: 'Again' }]);
  const rest = await pageOf(api, { jql, nextPageToken: first.nextPageToken });
  assert.equal(new Set([...ids(first.issues), ...ids(rest.issues)]).size, 9);
  assert.equal(rest.issues.at(-1)?.id, seen?.id);
});

test('a token is good for its own query, and for seven days', async (t) => {
  const api = await apiFor(t, 'jira', { seed: { issues: 9 } });
  const { nextPageToken } = await pageOf(api, { jql: since(0), maxResults: 4 });
  const other = await call(api, SEARCH, { method: 'POST', body: { jql: since(1), nextPageToken } });
  assert.equal(other.status, 400);
  api.clock.advance(7 * DAY - MINUTE);
  assert.equal((await pageOf(api, { jql: since(0), nextPageToken })).issues.length, 5);
  api.clock.advance(2 * MINUTE);
  const expired = await call(api, SEARCH, { method: 'POST', body: { jql: since(0), nextPageToken } });
  assert.equal(expired.status, 400);
});

test('users are a bare array; pages are cut before the deleted are left out, or after, by a switch', async (t) => {
  const api = await apiFor(t, 'jira', { seed: { users: 5 } });
  const rows = api.records('users') as { accountId: string }[];
  api.remove('users', [rows[0]?.accountId ?? '', rows[1]?.accountId ?? '']);
  const page = async (startAt: number): Promise<number> =>
    ((await call(api, `/rest/api/3/users/search?maxResults=2&startAt=${startAt}`)).json as object[]).length;
  assert.deepEqual([await page(0), await page(2), await page(4)], [0, 2, 1]);
  api.switches({ shortUserPages: false });
  assert.deepEqual([await page(0), await page(2)], [2, 1]);
  api.switches({ browseUsers: false });
  assert.equal((await call(api, '/rest/api/3/users/search')).status, 403);
});

test('projects page by links to the last; archived ones are listed where they are asked for', async (t) => {
  const api = await apiFor(t, 'jira', {
    seed: { projects: 150 },
    switches: { projectPage: 50, overLimit: 'clamp' },
  });
  api.act('archive', 'projects', { ids: ['OPS'] });
  const keys: string[] = [];
  let next: string | undefined = '/rest/api/3/project/search?orderBy=-key&maxResults=100';
  while (next !== undefined) {
    const page = (await call(api, next)).json as {
      values: { key: string }[];
      nextPage?: string;
      isLast: boolean;
    };
    keys.push(...page.values.map(({ key }) => key));
    assert.equal(page.isLast, page.nextPage === undefined);
    next = page.nextPage;
  }
  assert.equal(new Set(keys).size, 151);
  assert.deepEqual(keys, [...keys].sort().reverse());
  const archived = (await call(api, '/rest/api/3/project/search?status=archived')).json as { total: number };
  assert.equal(archived.total, 1);
});

test('limits: bursts a second for everybody, points an hour for apps, with or without Retry-After', async (t) => {
  const api = await apiFor(t, 'jira', { limits: { burst: { max: 1, windowMs: HOUR } }, seed: { issues: 5 } });
  const myself = '/rest/api/3/myself';
  assert.equal((await call(api, myself)).status, 200);
  const limited = await call(api, myself);
  assert.equal(limited.status, 429);
  assert.equal(limited.headers.get('ratelimit-reason'), 'jira-burst-based');
  assert.ok(Number(limited.headers.get('retry-after')) > 0);
  assert.match(limited.headers.get('x-ratelimit-reset') ?? '', /^\d{4}-\d\d-\d\dT/);
  assert.equal((await call(api, '/rest/api/3/serverInfo')).status, 200);
  api.switches({ retryAfter: false });
  assert.equal((await call(api, myself)).headers.get('retry-after'), null);
  api.limits({ burst: { max: 100 }, points: { max: 8, aligned: false } });
  const { access_token } = (await exchange(api, { grant_type: 'client_credentials' })).json as {
    access_token: string;
  };
  const headers = { Authorization: `Bearer ${access_token}` };
  const path = `${GATEWAY}${SEARCH}?jql=updated>0`;
  const first = await call(api, path, { headers });
  assert.deepEqual([first.status, first.headers.get('x-ratelimit-remaining')], [200, '2']);
  const spent = await call(api, path, { headers });
  assert.deepEqual([spent.status, spent.headers.get('ratelimit-reason')], [429, 'jira-quota-global-based']);
  assert.equal((await call(api, `${SEARCH}?jql=updated>0`)).status, 200);
});

async function exchange(api: Api, body: object): Promise<Answer> {
  const { clientId, clientSecret } = api.oauth ?? {};
  return call(api, '/oauth/token', {
    method: 'POST',
    body: { client_id: clientId, client_secret: clientSecret, ...body },
  });
}

test('a scoped token is good at the gateway only, an unscoped one at the site only', async (t) => {
  const api = await apiFor(t, 'jira');
  const scoped = await clientOf(api, GATEWAY, SCOPED_TOKEN);
  assert.ok(await scoped.myself.getCurrentUser());
  for (const wrong of [await clientOf(api, '', SCOPED_TOKEN), await clientOf(api, GATEWAY)])
    await assert.rejects(wrong.myself.getCurrentUser(), { status: 401 });
  api.switches({ scopes: ['read:jira-work'] });
  await assert.rejects(scoped.myself.getCurrentUser(), { status: 401 });
  assert.ok(await scoped.projects.searchProjects());
  const { json } = await call(api, '/_edge/tenant_info');
  assert.deepEqual(json, { cloudId: CLOUD_ID });
});

test('OAuth: refresh tokens rotate, tokens live an hour and find their site', async (t) => {
  const api = await apiFor(t, 'jira');
  const refresh = { grant_type: 'refresh_token', refresh_token: api.oauth?.refreshToken };
  const { access_token, refresh_token } = (await exchange(api, refresh)).json as Record<string, string>;
  assert.equal((await exchange(api, refresh)).status, 403);
  assert.equal((await exchange(api, { ...refresh, refresh_token })).status, 200);
  const headers = { Authorization: `Bearer ${access_token}` };
  const { json } = await call(api, '/oauth/token/accessible-resources', { headers });
  assert.equal((json as { id: string }[])[0]?.id, CLOUD_ID);
  assert.equal((await call(api, `${GATEWAY}/rest/api/3/myself`, { headers })).status, 200);
  api.clock.advance(HOUR);
  assert.equal((await call(api, `${GATEWAY}/rest/api/3/myself`, { headers })).status, 401);
});

test('a 401 may be text, a page or JSON; logins that fail again and again lock the right one out', async (t) => {
  const api = await apiFor(t, 'jira', { switches: { captchaAfter: 3 } });
  const headers = { Authorization: 'Basic eDp5' };
  for (const [unauthorized, type] of [
    ['text', /plain/],
    ['html', /html/],
    ['json', /json/],
  ] as const) {
    api.switches({ unauthorized });
    const refused = await call(api, '/rest/api/3/myself', { headers });
    assert.equal(refused.status, 401);
    assert.match(refused.headers.get('content-type') ?? '', type);
  }
  const locked = await call(api, '/rest/api/3/myself');
  assert.deepEqual(
    [locked.status, locked.headers.get('x-seraph-loginreason')],
    [401, 'AUTHENTICATION_DENIED'],
  );
});

test('faults are said in Jira’s words', async (t) => {
  const api = await apiFor(t, 'jira');
  const answers: [action: FaultAction, words: RegExp][] = [
    [{ status: 429 }, /Rate limit/],
    [{ status: 401 }, /^Client must be authenticated/],
    [{ status: 400 }, /errorMessages/],
    [{ status: 503, headers: { 'Retry-After': '9' } }, /errorMessages/],
    [{ status: 504 }, /<html>/],
  ];
  for (const [action, words] of answers) {
    api.faults.add({ action, times: 1 });
    assert.match((await call(api, '/rest/api/3/myself')).text, words);
  }
});
