import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jira } from '../../../../nodes/sync/providers/jira';
import { history, idsOf, opened } from './drain';
import { answeringApi } from './server';

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
