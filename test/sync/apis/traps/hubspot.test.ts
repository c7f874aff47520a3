import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Position } from '../../../../nodes/sync/engine/provider';
import { hubspot } from '../../../../nodes/sync/providers/hubspot';
import { changes, history, opened, start } from '../../providers/rest/drain';
import { answeringApi } from '../../providers/rest/server';
import { distinct, ids, longAgo, many, reading, settled } from './reading';

const named = (i: number) => ({ properties: { lastname: `Person ${i}` } });
const never = new AbortController().signal;
const FAST = { limits: { secondly: { max: 10_000 }, tenSecondly: { max: 10_000 } } };

test('H1: more changes than a search gives are read on from the last time', async (t) => {
  const { api, collection, rows } = await reading(t, 'hubspot', 'contacts', {
    ...FAST,
    switches: { indexLagMs: 0 },
  });
  const from = await start(collection);
  for (let i = 0; i < 103; i++) api.write('contacts', many(100, named), Date.now() - 200 + i);
  assert.deepEqual(distinct((await changes(collection, from)).records), ids(rows()));
});

for (const idOrder of ['numeric', 'text'])
  test(`H2: more changes of one millisecond than a search gives are read by ids (in ${idOrder} order)`, async (t) => {
    const { api, collection, rows } = await reading(t, 'hubspot', 'contacts', {
      ...FAST,
      switches: { indexLagMs: 0, idOrder },
    });
    const from = await start(collection);
    api.write('contacts', many(10_100, named));
    assert.deepEqual(distinct((await changes(collection, from)).records), ids(rows()));
  });

test('H2: what moves to the end while changes are read hides nobody', async (t) => {
  const { api, collection } = await reading(t, 'hubspot', 'contacts', {
    ...FAST,
    switches: { indexLagMs: 0 },
  });
  const from = await start(collection);
  // So long ago that the next look back doesn't come to them any more.
  const since = { parts: { '': { since: Date.now() - 30 * 3_600_000 } } };
  const made = many(10, (i) =>
    api.write('contacts', many(100, named), Date.now() - (20 - i) * 3_600_000),
  ).flat();
  const found: string[] = [];
  let position: Position = { ...from, ...since };
  for (let more = true; more;) {
    const step = await collection.changes(position, never);
    found.push(...step.records.map(({ id }) => id));
    ({ position, more } = step);
    if (more)
      api.write(
        'contacts',
        made.splice(0, 30).map(({ id }) => ({ id, properties: { lastname: 'moved' } })),
      );
  }
  assert.deepEqual([...new Set(found)].sort(), ids(api.records('contacts')));
});

test('H3: a page that is short, or empty, and says where to go on is not the last', async (t) => {
  const { api, collection } = await reading(t, 'hubspot', 'contacts', FAST);
  const written = api.write('contacts', many(350, named), longAgo());
  const archived = ids(written.slice(50, 270));
  api.remove('contacts', archived);
  const living = ids(written).filter((id) => !archived.includes(id));
  assert.deepEqual(distinct(await history(collection)), living);
});

test('H4: a page that leads to itself is refused, not read for ever', async (t) => {
  const { baseUrl, seen } = await answeringApi(t, ({ path }) =>
    path.includes('/properties/')
      ? { body: { results: [{ name: 'email' }] } }
      : { body: { results: [{ id: '1' }], paging: { next: { after: '1' } } } },
  );
  const collection = await opened(t, hubspot, baseUrl, 'contacts');
  await assert.rejects(history(collection), { code: 'API_PAGING' });
  assert.ok(seen.length < 20, String(seen.length));
});

test('H5: what is archived is told by when that was, not by when it changed', async (t) => {
  const { api, collection } = await reading(t, 'hubspot', 'contacts', FAST);
  const [one] = api.write('contacts', many(3, named), longAgo());
  const position = await settled(collection);
  api.remove('contacts', [String(one?.id)]);
  let found = await changes(collection, position);
  // The bin isn't read at every poll.
  for (let polls = 0; found.records.length === 0 && polls < 10; polls++)
    found = await changes(collection, found.position);
  assert.deepEqual(
    found.records.map(({ id, deleted }) => [id, deleted]),
    [[one?.id, true]],
  );
});

test('H6: more properties than a URL holds are read all the same', async (t) => {
  const { api, collection } = await reading(t, 'hubspot', 'contacts', FAST);
  const names = many(700, (i) => `a_rather_long_property_${i}`);
  api.act(
    'define',
    'contacts',
    names.map((name) => ({ name, type: 'string' })),
  );
  api.write(
    'contacts',
    many(120, (i) => ({ properties: { [names[i] as string]: `value ${i}` } })),
    longAgo(),
  );
  const records = await history(collection);
  assert.equal(records.length, 120);
  for (const [i, { data }] of records.entries()) {
    const { properties } = data as { properties: Record<string, unknown> };
    assert.equal(properties[names[i] as string], `value ${i}`);
    assert.equal(Object.keys(properties).length, 710);
  }
  assert.ok(api.requests().every(({ status }) => status !== 414));
});

test('H7: what search shows late, behind what is newer, is found by looking back', async (t) => {
  const { api, collection } = await reading(t, 'hubspot', 'contacts', {
    ...FAST,
    switches: { indexLagMs: 0 },
  });
  let position = await settled(collection);
  api.write('contacts', [named(1)]);
  ({ position } = await changes(collection, position));
  const [late] = api.write('contacts', [named(2)], Date.now() - 50 * 60_000);
  assert.deepEqual(distinct((await changes(collection, position)).records), [late?.id]);
});

test('what is restored while nobody is looking comes back at the next look into the bin', async (t) => {
  const { api, collection, reopen } = await reading(t, 'hubspot', 'contacts', FAST);
  const [one] = api.write('contacts', many(3, named), longAgo());
  let position = await settled(collection);
  api.remove('contacts', [String(one?.id)]);
  for (let polls = 0; polls < 10; polls++) ({ position } = await changes(collection, position));
  api.act('restore', 'contacts', { ids: [one?.id] });
  const another = await reopen();
  const found = [];
  for (let polls = 0; polls < 10; polls++) {
    const step = await changes(another, position);
    ({ position } = step);
    found.push(...step.records.map(({ id, deleted = false }) => [id, deleted]));
  }
  assert.deepEqual(found, [[one?.id, false]]);
});
