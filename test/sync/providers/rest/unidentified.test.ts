import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Declaration } from '../../../../nodes/sync/providers/rest/declaration';
import { changes, history, idsOf, opened, start } from './drain';
import { answeringApi } from './server';

/** Rows that have no id, where the declaration says that it is. */

const THINGS: Declaration = {
  name: 'custom',
  label: 'Things',
  auth: [{ kind: 'none' }],
  collections: {
    things: {
      label: 'Things',
      id: 'id',
      list: { get: '/things', records: 'data' },
      compare: { every: '1h' },
    },
  },
};

test('a row without an id is left out, counted and named once, and nothing else waits for it', async (t) => {
  const nameless: object = { name: 'x', [`long${'g'.repeat(400)}`]: 1 };
  let rows: object[] = [{ id: 1 }, nameless, { id: 2 }, nameless];
  const { baseUrl } = await answeringApi(t, () => ({ body: { data: rows } }));
  const collection = await opened(t, THINGS, baseUrl, 'things');
  const from = await start(collection);
  assert.deepEqual(idsOf(await history(collection)), ['1', '2']);
  assert.equal(collection.unidentified, 1);
  const { message = '' } = collection.problem ?? {};
  assert.match(message, /^Records without an id are left out: .*"id", but only name, longg.*\(\/things\)$/);
  assert.ok(message.length < 500, 'it is cut');

  rows = [nameless, { id: 3 }, { other: 1 }];
  assert.deepEqual(idsOf((await changes(collection, from)).records), ['3']);
  assert.equal(collection.unidentified, 2);
  assert.equal(collection.problem?.message, message, 'the first is named');

  const listed = async () => {
    const ids: string[] = [];
    for await (const page of collection.ids?.(new AbortController().signal) ?? []) ids.push(...page);
    return ids;
  };
  assert.deepEqual(await listed(), ['3']);
  assert.equal(collection.unidentified, 2);
  rows = [{ id: 3 }];
  assert.deepEqual(await listed(), ['3']);
  assert.equal(collection.unidentified, 0, 'all have one now');
  assert.equal(collection.problem, undefined);
});

test('where no row has an id the declaration is wrong', async (t) => {
  const { baseUrl } = await answeringApi(t, () => ({ body: { data: [{ key: 1 }, { key: 2 }] } }));
  const collection = await opened(t, THINGS, baseUrl, 'things');
  await start(collection);
  await assert.rejects(history(collection), { code: 'INVALID_DECLARATION', message: /only key/ });
});
