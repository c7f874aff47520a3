import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jira } from '../../../../nodes/sync/providers/jira';
import { changes, history, idsOf, listed, opened, start } from './drain';
import { answeringApi, type Reply, type Seen } from './server';

interface Issue {
  id: string;
  key: string;
  fields: { created: string; updated: string; summary?: string };
}

const time = (ms: number): string => new Date(ms).toISOString().replace('Z', '+0000');
const issue = (id: number, updated = Date.now() - 86_400_000): Issue => ({
  id: String(id),
  key: `PAY-${id}`,
  fields: { created: time(1_700_000_000_000 + id), updated: time(updated) },
});

/** Strict: bounded JQL with epoch ms, its order, pages by token; a token that comes again after `loops`. */
function searched(issues: Issue[], pageSize: number, { loops = 0 } = {}) {
  let looped = 0;
  return ({ path, body }: Seen): Reply => {
    if (path === '/rest/api/3/issue/bulkfetch') {
      const { issueIdsOrKeys } = body as { issueIdsOrKeys: string[] };
      return { body: { issues: issues.filter(({ id }) => issueIdsOrKeys.includes(id)), issueErrors: [] } };
    }
    if (path !== '/rest/api/3/search/jql') return { status: 404, body: { errorMessages: ['null for uri'] } };
    const { jql, nextPageToken } = body as { jql: string; nextPageToken?: string };
    const match = /^(created|updated) >= (\d+) ORDER BY \1 ASC, id ASC$/.exec(jql);
    if (!match) return { status: 400, body: { errorMessages: [`Unbounded JQL: ${jql}`] } };
    const field = match[1] as 'created' | 'updated';
    const ordered = issues
      .filter(({ fields }) => Date.parse(fields[field]) >= Number(match[2]))
      .sort(
        (a, b) => Date.parse(a.fields[field]) - Date.parse(b.fields[field]) || Number(a.id) - Number(b.id),
      );
    const from = Number(nextPageToken ?? 0);
    const end = looped++ < loops ? pageSize : from + pageSize;
    const page = ordered.slice(from, from + pageSize);
    if (end >= ordered.length) return { body: { issues: page, isLast: true } };
    return { body: { issues: page, nextPageToken: String(end), isLast: false } };
  };
}

test('issues: by tokens to the end, then what was updated, in a time zone of their own (J1, J2)', async (t) => {
  const issues = Array.from({ length: 25 }, (_, i) => issue(i));
  const { baseUrl, seen } = await answeringApi(t, searched(issues, 10));
  const collection = await opened(t, jira, baseUrl, 'issues');
  const from = await start(collection);
  assert.deepEqual(
    idsOf(await history(collection)),
    issues.map(({ id }) => id),
  );
  const quiet = await changes(collection, from);
  const calls = seen.length;
  await changes(collection, quiet.position);
  assert.equal(seen.length, calls + 1, 'a quiet poll is one call');
  issues[3] = issue(3, Date.now());
  assert.deepEqual(idsOf((await changes(collection, quiet.position)).records), ['3']);
  assert.equal((await listed(collection)).length, 25);
  const [there, lost] = (await collection.read?.(['3', '99'], new AbortController().signal)) ?? [];
  assert.deepEqual([there?.id, lost?.gone], ['3', true]);
});

test('a token that comes again begins the query anew where it was (J3)', async (t) => {
  const issues = Array.from({ length: 45 }, (_, i) => issue(i));
  const { baseUrl, seen } = await answeringApi(t, searched(issues, 10, { loops: 3 }));
  const collection = await opened(t, jira, baseUrl, 'issues');
  assert.deepEqual([...new Set(idsOf(await history(collection)))].length, 45);
  assert.ok(seen.length < 15, String(seen.length));
});

test('a row that shows late is seen by looking back (J4)', async (t) => {
  const issues = [issue(1)];
  const { baseUrl } = await answeringApi(t, searched(issues, 10));
  const collection = await opened(t, jira, baseUrl, 'issues');
  const first = await changes(collection, await start(collection));
  issues.push(issue(2, Date.now() - 50 * 60_000));
  assert.deepEqual(idsOf((await changes(collection, first.position)).records), ['2']);
});

test('users: short pages go on, an empty one is the last; projects by pages that the API may cut', async (t) => {
  const { baseUrl, seen } = await answeringApi(t, ({ path, query }) => {
    const from = Number(query.get('startAt') ?? 0);
    if (path === '/rest/api/3/users/search')
      return { body: from >= 2_000 ? [] : [{ accountId: `a${from}` }, { accountId: `b${from}` }] };
    const values = Array.from({ length: 25 }, (_, i) => ({ id: String(from + i) })).filter(
      ({ id }) => Number(id) < 60,
    );
    return { body: { values, maxResults: 25, startAt: from, total: 60, isLast: from + 25 >= 60 } };
  });
  const users = await opened(t, jira, baseUrl, 'users');
  assert.deepEqual(idsOf(await history(users)), ['a0', 'b0', 'a1000', 'b1000']);
  assert.equal(seen.length, 3);
  const projects = await opened(t, jira, baseUrl, 'projects');
  assert.equal((await history(projects)).length, 60);
});
