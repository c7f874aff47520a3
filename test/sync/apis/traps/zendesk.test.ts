import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiOptions } from '../../../apis/api';
import { changes, history, start } from '../../providers/rest/drain';
import { distinct, ids, longAgo, many, reading, settled } from './reading';

const MAX = { max: 10_000 };
const fast = (switches: object = {}): ApiOptions => ({
  limits: { general: MAX, incremental: MAX, usersCursor: MAX },
  switches,
});
const MINUTE = 60_000;

for (const ties of ['whole', 'cut'])
  test(`Z1: what was changed in the second that was read last is seen (${ties} seconds)`, async (t) => {
    const { api, collection } = await reading(t, 'zendesk', 'organizations', fast({ ties }));
    const at = Date.now() - 5 * MINUTE;
    const [one] = api.write('organizations', [{ name: 'one' }], at);
    const first = await changes(collection, await start(collection));
    assert.deepEqual(distinct(first.records), [String(one?.id)]);
    const [other] = api.write('organizations', [{ name: 'other' }], at);
    const { records } = await changes(collection, first.position);
    assert.ok(distinct(records).includes(String(other?.id)));
  });

test('Z2: more records of one second than a page holds are read by the list, and then passed', async (t) => {
  const { api, collection, rows } = await reading(t, 'zendesk', 'organizations', fast({ ties: 'cut' }));
  api.write(
    'organizations',
    many(1_100, (i) => ({ name: `o ${i}` })),
    Date.now() - 5 * MINUTE,
  );
  const stuck = await changes(collection, await start(collection));
  assert.match(stuck.gap ?? '', /in one second/);
  assert.deepEqual(distinct(await history(collection)), ids(rows()));
  const [late] = api.write('organizations', [{ name: 'late' }], Date.now() - 2 * MINUTE);
  const after = await changes(collection, stuck.position);
  assert.equal(after.gap, undefined);
  assert.ok(distinct(after.records).includes(String(late?.id)));
});

test('Z2: more records of one second that come whole, in a larger page, are no gap', async (t) => {
  const { api, collection, rows } = await reading(t, 'zendesk', 'organizations', fast({ ties: 'whole' }));
  api.write(
    'organizations',
    many(1_100, (i) => ({ name: `o ${i}` })),
    Date.now() - 5 * MINUTE,
  );
  api.write('organizations', [{ name: 'late' }], Date.now() - 2 * MINUTE);
  const { records, gap } = await changes(collection, await start(collection));
  assert.equal(gap, undefined);
  assert.deepEqual(distinct(records), ids(rows()));
});

for (const collection of ['tickets', 'users', 'organizations'])
  test(`Z3: the end of the stream of ${collection} ends a poll, which costs one call`, async (t) => {
    const read = await reading(t, 'zendesk', collection, fast());
    read.api.write(
      collection,
      many(5, (i) => ({ name: `n ${i}` })),
      longAgo(),
    );
    const position = await settled(read.collection);
    const calls = read.calls();
    await changes(read.collection, position);
    assert.equal(read.calls(), calls + 1);
  });

test('Z4: a ticket that the system changed comes, although its updated_at stays', async (t) => {
  const { api, collection } = await reading(t, 'zendesk', 'tickets', fast());
  const [one] = api.write(
    'tickets',
    many(3, (i) => ({ subject: `t ${i}` })),
    longAgo(),
  );
  const position = await settled(collection);
  api.act('touch', 'tickets', { ids: [one?.id] }, Date.now() - 2 * MINUTE);
  const [record] = (await changes(collection, position)).records;
  assert.deepEqual([record?.id, record?.data.updated_at], [String(one?.id), one?.updated_at]);
});

test('Z5: a refusal in plain text is a limit, and loses no page', async (t) => {
  const { api, collection, rows } = await reading(t, 'zendesk', 'tickets', fast());
  api.write(
    'tickets',
    many(2_500, (i) => ({ subject: `t ${i}` })),
    longAgo(),
  );
  for (let page = 0; page < 3; page++)
    api.faults.add({
      match: { path: '/incremental/' },
      action: {
        status: 429,
        body: 'Number of allowed API requests per minute exceeded',
        headers: { 'Retry-After': '0', 'Content-Type': 'text/plain' },
      },
      times: 1,
    });
  assert.deepEqual(distinct(await history(collection)), ids(rows()));
  assert.equal(api.requests().filter(({ status }) => status === 429).length, 3);
});
