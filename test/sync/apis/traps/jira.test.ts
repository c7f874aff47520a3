import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../../support/until';
import { changes, history, start } from '../../providers/rest/drain';
import { apiRig } from '../../providers/rest/rig';
import { distinct, ids, longAgo, many, reading, settled } from './reading';

const limits = { burst: { max: 10_000 } };
const switches = { indexLagMs: 0 };
const summary = (i: number) => ({ summary: `issue ${i}` });

for (const timeZone of ['Asia/Kolkata', 'America/Los_Angeles'])
  for (const epochPrecision of ['ms', 'minute'])
    test(`J1: changes are read by the epoch: in ${timeZone}, to the ${epochPrecision}`, async (t) => {
      const { api, collection } = await reading(t, 'jira', 'issues', {
        limits,
        switches: { timeZone, epochPrecision, indexLagMs: 0 },
      });
      api.write('issues', many(3, summary), longAgo());
      // Of a few hours around now, which another zone would show, or hide.
      api.write('issues', many(3, summary), Date.now() - 3 * 3_600_000);
      const position = await settled(collection);
      const [fresh] = api.write('issues', [summary(9)]);
      assert.deepEqual(distinct((await changes(collection, position)).records), [fresh?.id]);
    });

test('J2: pages go on without a total', async (t) => {
  const { api, collection, rows } = await reading(t, 'jira', 'issues', { limits, switches });
  api.write('issues', many(250, summary), longAgo());
  assert.deepEqual(distinct(await history(collection)), ids(rows()));
});

test('J3: a token that comes again begins the query anew where it was', async (t) => {
  const { api, collection, rows, calls } = await reading(t, 'jira', 'issues', {
    limits,
    switches: { ...switches, repeatTokens: 2 },
  });
  for (let i = 0; i < 500; i += 10) api.write('issues', many(10, summary), longAgo() + i * 1_000);
  assert.deepEqual(distinct(await history(collection)), ids(rows()));
  assert.ok(calls('/search') < 15, String(calls('/search')));
});

test('J4: what search shows late, behind what is newer, is found by looking back', async (t) => {
  const { api, collection } = await reading(t, 'jira', 'issues', {
    limits,
    switches: { indexLagMs: 1_000, unevenLag: true },
  });
  const made = api.write('issues', many(8, summary), longAgo());
  const from = await settled(collection);
  api.write(
    'issues',
    made.map(({ id }) => ({ id, summary: 'changed' })),
  );
  const found = new Set<string>();
  let position = from;
  await until(
    async () => {
      const step = await changes(collection, position);
      ({ position } = step);
      for (const record of step.records)
        if ((record.data.fields as { summary: string }).summary === 'changed') found.add(record.id);
      return found.size === 8;
    },
    { what: 'all of them' },
  );
});

test('J5: a right that was taken away deletes nothing', async (t) => {
  const r = await apiRig(t, 'jira', 'issues', { limits });
  r.api.write('issues', many(30, summary), longAgo());
  const { live, progress } = r.start({}, { reconcile: 300 });
  await live();
  await r.equal();
  r.api.switches({ hiddenProjects: ['PAY'] });
  await until(() => progress().error?.code === 'MASS_LOSS', { what: 'the guard' });
  assert.ok([...(await r.table()).values()].every(({ deleted }) => !deleted));
});

test('J1: history begins at the epoch, whatever the time zone', async (t) => {
  const { api, collection, rows } = await reading(t, 'jira', 'issues', { limits, switches });
  await start(collection);
  api.write('issues', many(3, summary), 1_000);
  assert.deepEqual(distinct(await history(collection)), ids(rows()));
});
