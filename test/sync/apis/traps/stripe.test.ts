import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Position } from '../../../../nodes/sync/engine/provider';
import type { SourceRecord } from '../../../../nodes/sync/engine/record';
import { changes, history } from '../../providers/rest/drain';
import { DAY, distinct, ids, longAgo, many, reading, settled } from './reading';

const never = new AbortController().signal;
const FAST = {
  limits: { global: { max: 10_000 }, endpoint: { max: 10_000 } },
  switches: { eventLagMs: 0 },
};
const customer = (i: number) => ({ email: `p${i}@ex.test` });

test('S1: a change of what was created long ago is told by its event', async (t) => {
  const { api, collection } = await reading(t, 'stripe', 'customers', FAST);
  const [old] = api.write('customers', many(5, customer), longAgo());
  const position = await settled(collection);
  api.write('customers', [{ id: old?.id, email: 'changed@ex.test' }]);
  const { records } = await changes(collection, position);
  assert.deepEqual(
    records.map(({ id, data }) => [id, data.email]),
    [[old?.id, 'changed@ex.test']],
  );
});

test('S2: after a pause of more than events are kept everything is read again', async (t) => {
  const { api, collection } = await reading(t, 'stripe', 'customers', FAST);
  api.write('customers', many(5, customer), longAgo());
  const position = await settled(collection);
  api.clock.advance(31 * DAY);
  await history(collection);
  assert.match((await changes(collection, position)).gap ?? '', /longer than the API remembers/);
});

test('S3: canceled subscriptions are in the history', async (t) => {
  const { api, collection, rows } = await reading(t, 'stripe', 'subscriptions', FAST);
  const [one] = api.write(
    'subscriptions',
    many(4, () => ({})),
    longAgo(),
  );
  api.remove('subscriptions', [String(one?.id)]);
  const records = await history(collection);
  assert.deepEqual(distinct(records), ids(rows()));
  assert.equal(records.find(({ id }) => id === one?.id)?.data.status, 'canceled');
});

test('S4: a list goes on where the record that its next page begins after was deleted', async (t) => {
  const { api, collection, rows, calls } = await reading(t, 'stripe', 'customers', FAST);
  for (let i = 0; i < 1_000; i += 100) api.write('customers', many(100, customer), longAgo() + i * 60_000);
  const found: SourceRecord[] = [];
  let from: Position | undefined;
  do {
    const page = await collection.page(from, never);
    found.push(...page.records);
    from = page.next;
    const last = page.records.at(-1)?.id;
    if (from && last !== undefined) api.remove('customers', [last]);
  } while (from);
  const living = ids(rows().filter(({ deleted }) => deleted !== true));
  assert.deepEqual(
    living.filter((id) => !distinct(found).includes(id)),
    [],
  );
  assert.ok(calls('/customers') < 30, `${calls('/customers')} calls`);
});

test('S5: events that carry another object, or one without an id, tell of nothing', async (t) => {
  const { api, collection } = await reading(t, 'stripe', 'customers', FAST);
  const position = await settled(collection);
  api.act('event', 'customers', [
    { type: 'customer.updated', object: { id: 'di_1', object: 'discount' } },
    { type: 'customer.updated', object: { object: 'customer' } },
  ]);
  assert.deepEqual((await changes(collection, position)).records, []);
});

test('S6: of two events in one second the later one is seen, and the first not again', async (t) => {
  const { api, collection } = await reading(t, 'stripe', 'customers', FAST);
  const [one, other] = api.write('customers', many(2, customer), longAgo());
  const position = await settled(collection);
  const at = Date.now();
  api.write('customers', [{ id: one?.id, email: 'a@ex.test' }], at);
  const first = await changes(collection, position);
  assert.deepEqual(distinct(first.records), [one?.id]);
  api.write('customers', [{ id: other?.id, email: 'b@ex.test' }], at);
  assert.deepEqual(distinct((await changes(collection, first.position)).records), [other?.id]);
});

test('a change whose event shows late is told, although the position has passed its time', async (t) => {
  const { api, collection } = await reading(t, 'stripe', 'customers', {
    ...FAST,
    switches: { eventLagMs: 60_000 },
  });
  const [one] = api.write('customers', [customer(1)], longAgo());
  api.clock.advance(61_000);
  const position = await settled(collection);
  const at = Date.now() - 5_000;
  api.write('customers', [{ id: one?.id, email: 'late@ex.test' }], at);
  const first = await changes(collection, position);
  const [{ since } = { since: 0 }] = Object.values(
    (first.position as { parts: Record<string, { since: number }> }).parts,
  );
  assert.deepEqual([first.records, since > at], [[], true]);
  api.clock.advance(61_000);
  assert.deepEqual(distinct((await changes(collection, first.position)).records), [one?.id]);
});
