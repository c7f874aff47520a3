import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Check } from '../../nodes/shared/checks';
import sfdcOrg from '../../nodes/salesforce/sfdc-org';
import apiSource, { type SourceNode } from '../../nodes/sync/api-source';
import { startOrg, type Org } from '../org/org';
import { orgNode } from '../salesforce/event-flows';
import { stage } from './helper';

const red = stage(sfdcOrg, apiSource);
let org: Org;
before(async () => (org = await startOrg()));
after(() => org.close());

const SYNC_ID = '7a1f0f2e-4b8a-4c55-9a0e-2f8f6f0f5b11';
const source = (more: object = {}) => ({
  id: 'source',
  type: 'api-source',
  syncId: SYNC_ID,
  org: 'org',
  collections: ['salesforce:contact'],
  ...more,
});
const settings = () => (red.node('source') as unknown as SourceNode).settings;

test('is registered, with what its form says', async () => {
  await red.load(orgNode(org), source({ name: 'CRM' }));
  assert.equal(red.node('source').type, 'api-source');
  assert.equal(red.node('source').name, 'CRM');
  assert.equal(settings()?.syncId, SYNC_ID);
});

test('has defaults for all that is not said', async () => {
  await red.load(orgNode(org), source());
  assert.deepEqual(settings(), {
    name: '',
    baseUrl: undefined,
    definition: undefined,
    user: '',
    account: undefined,
    privateKey: undefined,
    associations: undefined,
    token: undefined,
    secret: undefined,
    provider: 'salesforce',
    syncId: SYNC_ID,
    collections: ['salesforce:contact'],
    org: 'org',
    mode: 'cdc',
    pollInterval: 60_000,
    lookback: 600_000,
    apiBudget: undefined,
    reconcile: 0,
  });
});

test('names of Salesforce objects may be in any case, and without the provider', async () => {
  await red.load(orgNode(org), source({ collections: 'Contact, salesforce:Account contact' }));
  assert.deepEqual(settings()?.collections, ['salesforce:contact', 'salesforce:account']);
});

for (const [what, more, error] of [
  ['no collection', { collections: [] }, /The api-source has no collections/],
  ['an unknown provider', { provider: 'fax' }, /"fax" is not a provider/],
  ['too long a look back', { lookback: '2d' }, /Look back: at most 1d/],
] as const) {
  test(`with ${what} it has no settings, and the log says why`, async () => {
    await red.load(orgNode(org), source(more));
    assert.equal(settings(), undefined);
    assert.match(red.logged('ERROR').join('\n'), error);
  });
}

test('answers the form: collections of the org, and whether all are there', async () => {
  await red.load(orgNode(org), source());
  const { credentials, ...config } = orgNode(org);
  const ask = (action: string, collections: string[]) =>
    red.ask(`/jetforce/api-source/${action}`, {
      id: 'source',
      config: { provider: 'salesforce', collections },
      references: { org: { id: 'org', config, credentials } },
    });
  const listed = (await ask('collections', [])) as { data: { value: string }[] };
  assert.ok(listed.data.some(({ value }) => value === 'salesforce:contact'));
  const works = (await ask('test', ['salesforce:contact'])) as { data: { checks: Check[] } };
  assert.deepEqual(
    works.data.checks.slice(2).map(({ state, text }) => [state, text]),
    [
      ['good', 'check_collections'],
      ['fair', 'check_pubsubFailed'],
    ],
  );
  const missing = (await ask('test', ['salesforce:ghost'])) as { data: { checks: Check[] } };
  const [, , there] = missing.data.checks;
  assert.deepEqual([there?.state, there?.error?.code], ['bad', 'NO_SUCH_OBJECT']);
});

test('closing it waits for those that use it to stop', async () => {
  await red.load(orgNode(org), source());
  const node = red.node('source');
  let stopped = 0;
  (node as unknown as SourceNode)
    .sourceFor(node as never)
    ?.use(() => new Promise((resolve) => setImmediate(() => resolve(void stopped++))));
  await red.close();
  assert.equal(stopped, 1);
});
