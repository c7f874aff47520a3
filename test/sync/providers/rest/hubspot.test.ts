import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apiRig } from './rig';

const contacts = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ properties: { email: `p${i}@ex.test` } }));

test('contacts are synced with all their properties: history, changes, archivals, restores and merges', async (t) => {
  const r = await apiRig(t, 'hubspot', 'contacts');
  r.api.write('contacts', contacts(250));
  const { live } = r.start({}, { reconcile: 2_000 });
  await live();
  await r.equal();
  const rows = r.api.records('contacts');
  const id = (i: number): string => String(rows[i]?.id);
  r.api.write('contacts', [{ id: id(0), properties: { email: 'changed@ex.test' } }, ...contacts(3)]);
  await r.equal();
  r.api.remove('contacts', [id(1), id(2)]);
  await r.equal();
  r.api.act('restore', 'contacts', { ids: [id(1)] });
  await r.equal();
  r.api.act('merge', 'contacts', { ids: [id(4), id(5)] });
  await r.equal();
  r.api.remove('contacts', [id(3)], { purge: true });
  await r.equal();
  assert.equal((await r.table()).get(id(3))?.deleted, true);
});

test('whatever its limits refuse, no page is lost or skipped', async (t) => {
  const r = await apiRig(t, 'hubspot', 'contacts', {
    limits: { secondly: { max: 2, windowMs: 200 }, tenSecondly: { max: 3, windowMs: 200 } },
    switches: { retryAfter: true },
  });
  r.api.write('contacts', contacts(350));
  const { live } = r.start();
  await live();
  await r.equal(60_000);
  assert.ok(r.api.requests().some(({ status }) => status === 429));
});
