import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apiRig } from './rig';

test('customers are synced by events: history, changes and deletions', async (t) => {
  const r = await apiRig(t, 'stripe', 'customers');
  r.api.write(
    'customers',
    Array.from({ length: 250 }, (_, i) => ({ email: `p${i}@ex.test` })),
  );
  const { live } = r.start();
  await live();
  await r.equal();
  const rows = r.api.records('customers');
  r.api.write('customers', [{ id: rows[0]?.id, email: 'changed@ex.test' }, { email: 'new@ex.test' }]);
  await r.equal();
  r.api.remove('customers', [String(rows[1]?.id)]);
  await r.equal();
  assert.equal((await r.table()).get(String(rows[1]?.id))?.deleted, true);
});

const seed: Record<string, Record<string, unknown>> = {
  subscriptions: {},
  invoices: {},
  charges: { amount: 100, currency: 'eur' },
  products: { name: 'thing' },
  prices: { unit_amount: 1, currency: 'eur' },
};
for (const [name, row] of Object.entries(seed))
  test(`${name} are synced`, async (t) => {
    const r = await apiRig(t, 'stripe', name);
    r.api.write(name, [row, row, row]);
    const { live } = r.start();
    await live();
    r.api.write(name, [{ id: r.api.records(name)[0]?.id, metadata: { changed: 'yes' } }, row]);
    await r.equal();
  });

test('a hundred changes cost a page of events, and each object that changed is read once', async (t) => {
  const r = await apiRig(t, 'stripe', 'customers', {
    limits: { global: { max: 10_000 }, endpoint: { max: 10_000 } },
    switches: { eventLagMs: 0 },
  });
  const rows = r.api.write(
    'customers',
    Array.from({ length: 100 }, (_, i) => ({ email: `p${i}@ex.test` })),
    Date.now() - 3_600_000,
  );
  const { live } = r.start();
  await live();
  await r.equal();
  r.api.clearRequests();
  r.api.write(
    'customers',
    rows.map(({ id }) => ({ id, email: 'changed@ex.test' })),
  );
  await r.equal();
  assert.equal(r.calls('/customers'), 100);
  // Three changes of each, on three pages of one poll.
  const of = (email: string) => rows.map(({ id }) => ({ id, email }));
  r.api.clearRequests();
  r.api.write('customers', [...of('a@ex.test'), ...of('b@ex.test'), ...of('c@ex.test')]);
  await r.equal();
  assert.ok(r.calls('/customers') <= 200, `${r.calls('/customers')} readings`);
});

test('products that changed are read a hundred at once', async (t) => {
  const r = await apiRig(t, 'stripe', 'products', { switches: { eventLagMs: 0 } });
  const rows = r.api.write(
    'products',
    Array.from({ length: 60 }, (_, i) => ({ name: `product ${i}` })),
    Date.now() - 3_600_000,
  );
  const { live } = r.start();
  await live();
  await r.equal();
  r.api.clearRequests();
  r.api.write('products', [
    ...rows.slice(0, 50).map(({ id }) => ({ id, name: 'changed' })),
    { id: rows[59]?.id, active: false },
  ]);
  await r.equal();
  assert.ok(r.calls('/products') <= 2, `${r.calls('/products')} readings`);
  r.api.remove('products', [String(rows[1]?.id)]);
  await r.equal();
  assert.equal((await r.table()).get(String(rows[1]?.id))?.deleted, true);
});

test('S2: a pause of more than 30 days is a gap: everything is read again, and compared', async (t) => {
  const r = await apiRig(t, 'stripe', 'customers');
  r.api.write(
    'customers',
    Array.from({ length: 12 }, (_, i) => ({ email: `p${i}@ex.test` })),
  );
  const first = r.start();
  await first.live();
  await r.equal();
  await first.stop();
  const rows = r.api.records('customers');
  r.api.remove('customers', [String(rows[0]?.id)]);
  r.api.write('customers', [{ id: rows[1]?.id, email: 'changed@ex.test' }]);
  r.api.clock.advance(31 * 86_400_000);
  const second = r.start();
  await r.equal();
  assert.match(second.lines.join(), /longer than the API remembers changes/);
});
