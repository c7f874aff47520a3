import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Org } from '../../../org/org';
import { until } from '../../../support/until';
import { startRig } from '../../rig';

/** What the org was asked, in words. */
const asked = (org: Org): string[] =>
  org
    .requests()
    .filter(({ path }) => path.includes('/services/data/'))
    .map(({ method, path }) => `${method} ${decodeURIComponent(path).replace(/^.*\/v[\d.]+/, '')}`)
    .map((call) => call.replace(/750\w{15}/, 'JOB').replace(/\?q=.*(COUNT\(\)|ORDER BY).*/, ' $1'));

test('a sync of a large object asks for nothing twice', async (t) => {
  const { org, instance, equal } = await startRig(t, {
    org: { pubsub: true, generate: { Contact: 10_000 } },
  });
  org.clearRequests();
  await instance({ cdc: true }).live();
  await equal();
  assert.deepEqual(asked(org), [
    'GET /sobjects/contact/describe',
    'GET /query COUNT()',
    'POST /jobs/query',
    'GET /jobs/query/JOB',
    'GET /jobs/query/JOB/results?maxRecords=100000',
  ]);
  org.clearRequests();
  const ids = org.records('Contact').map(({ Id }) => Id);
  org.write('Contact', ...ids.slice(0, 100).map((Id) => ({ Id, LastName: 'Changed' })));
  await equal();
  const calls = asked(org);
  assert.equal(calls[0], 'GET /queryAll ORDER BY', 'the pass that the first event leads to');
  assert.ok(calls.length <= 3, String(calls));
});

test('a collection is found by its name in any case, and that there is none by the list, once the API version is known to be there', async (t) => {
  const { org, instance } = await startRig(t);
  org.clearRequests();
  const one = instance({ sync: { collections: ['salesforce:nothing__c'] } });
  const failed = () => one.progress.some(({ error }) => error?.code === 'NO_SUCH_OBJECT');
  await until(failed, { what: 'it to be said' });
  assert.deepEqual(asked(org).slice(0, 3), [
    'GET /sobjects/nothing__c/describe',
    'GET /limits',
    'GET /sobjects',
  ]);
});
