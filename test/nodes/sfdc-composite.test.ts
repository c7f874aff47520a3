import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import sfdcComposite from '../../nodes/salesforce/sfdc-composite';
import sfdcOrg from '../../nodes/salesforce/sfdc-org';
import { startOrg, type Org } from '../org/org';
import { orgNode } from '../salesforce/event-flows';
import { until } from '../support/until';
import { catcher, errorOf, inbox, stage } from './helper';

const red = stage(sfdcOrg, sfdcComposite);
let org: Org;
before(async () => (org = await startOrg()));
after(() => org.close());

const load = (more: object = {}) =>
  red.load(
    orgNode(org),
    {
      id: 'write',
      type: 'sfdc-composite',
      org: 'org',
      operation: 'upsert',
      sobject: 'Contact',
      externalIdField: 'ExternalId__c',
      wires: [['results'], ['failed']],
      ...more,
    },
    inbox('results'),
    inbox('failed'),
    ...catcher(),
  );

test('is registered, with what its form says', async () => {
  await load({ name: 'contacts' });
  assert.equal(red.node('write').type, 'sfdc-composite');
  assert.equal(red.node('write').name, 'contacts');
});

test('by default writes msg.payload, and hands on one result for each record', async () => {
  await load();
  red.node('write').receive({ payload: { ExternalId__c: 'e-1', LastName: 'Doe' }, kept: true });
  const { payload, kept, sfdc } = await red.one('results');
  const [result] = payload as { id: string; success: boolean; created: boolean }[];
  const [stored] = org.records('Contact').filter((record) => record.ExternalId__c === 'e-1');
  assert.deepEqual([result?.id, result?.success, result?.created], [stored?.Id, true, true]);
  const { operation, sobject } = sfdc as Record<string, unknown>;
  assert.deepEqual({ kept, operation, sobject }, { kept: true, operation: 'upsert', sobject: 'Contact' });
});

test('msg overrides operation, sObject and fields', async () => {
  const [made] = org.write('Account', { Name: 'Acme' });
  await load();
  red.node('write').receive({ operation: 'get', sobject: 'Account', ids: [made?.id], fields: ['Name'] });
  const [result] = (await red.one('results')).payload as { record: { Name: string } }[];
  assert.equal(result?.record.Name, 'Acme');
});

test('records that are refused for good leave by the second output', async () => {
  await load();
  red
    .node('write')
    .receive({ payload: [{ ExternalId__c: 'e-2', LastName: 'Roe' }, { ExternalId__c: 'e-3' }] });
  assert.equal(((await red.one('results')).payload as unknown[]).length, 2);
  const [refused] = (await red.one('failed')).payload as { errors: { statusCode: string }[] }[];
  assert.equal(refused?.errors[0]?.statusCode, 'REQUIRED_FIELD_MISSING');
});

test('where the second output is not wired they fail the message', async () => {
  await load({ wires: [['results'], []] });
  red.node('write').receive({ payload: { ExternalId__c: 'e-4' } });
  assert.equal(errorOf(await red.one('caught')).code, 'REQUIRED_FIELD_MISSING');
  assert.deepEqual(red.received('results'), []);
});

test('shows that it connects, then that it is ready', async () => {
  await load();
  await red.waitForStatus('write', 'status.connecting');
  await red.waitForStatus('write', 'status.ready');
});

for (const [what, more, error] of [
  ['no org', { org: '' }, /No sfdc-org is chosen/],
  [
    'a batch of no size',
    { batch: { records: 0 } },
    /Records a call: 0 is not a whole number between 1 and 1000/,
  ],
] as const) {
  test(`with ${what} it shows wrong settings, and fails what it gets`, async () => {
    await load(more);
    await red.waitForStatus('write', 'status.misconfigured');
    red.node('write').receive({ payload: {} });
    assert.match(errorOf(await red.one('caught')).message, error);
  });
}

test('closing it lets the call under way end, so that nothing is written twice', async () => {
  await load();
  await red.waitForStatus('write', 'status.ready');
  org.faults.add({ match: { path: '/composite' }, times: 1, action: { delayMs: 300 } });
  org.clearRequests();
  red.node('write').receive({ payload: { ExternalId__c: 'e-5', LastName: 'Poe' } });
  await until(() => org.requests().some(({ path }) => path.includes('/composite')));
  await red.close();
  assert.equal(org.records('Contact').filter((record) => record.ExternalId__c === 'e-5').length, 1);
});
