import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SalesforceProvider } from '../../../../nodes/sync/providers/salesforce';
import { startOrg } from '../../../org/org';
import { sessionWith } from '../../../salesforce/rig';
import { until } from '../../../support/until';
import { contacts, startRig } from '../../rig';

const NAME = 'salesforce:contact';

test('records that permissions hide are not deleted: the sync holds, says so, and heals', async (t) => {
  const { org, instance, equal, table } = await startRig(t);
  org.write('Contact', ...contacts(100));
  const one = instance({ sync: { reconcile: 1_000 } });
  await one.live();
  await equal();
  org.switches.unshared = { Contact: 'all' };
  await until(() => one.sync.status[0]?.error?.code === 'MASS_LOSS', { timeout: 20_000 });
  org.write('Contact', { Id: org.records('Contact')[0]?.Id, LastName: 'Changed out of sight' });
  assert.ok([...(await table()).values()].every(({ deleted }) => !deleted));
  org.switches.unshared = {};
  await equal();
  await one.live();
  const said = one.lines.filter(({ text }) => text.includes('100 of 100 records'));
  assert.equal(said.length, 1, 'it is said once');
});

test('a few that are out of sight for a while are there again when they can be seen', async (t) => {
  const { org, instance, equal, table } = await startRig(t);
  org.write('Contact', ...contacts(100));
  const one = instance({ sync: { reconcile: 1_000 } });
  await one.live();
  await equal();
  const hidden = org
    .records('Contact')
    .slice(0, 30)
    .map(({ Id }) => String(Id));
  org.switches.unshared = { Contact: hidden };
  await until(() => one.sync.status[0]?.error?.code === 'MASS_LOSS', { timeout: 20_000 });
  assert.ok(
    [...(await table()).values()].every(({ deleted }) => !deleted),
    '30 of 100 are no deletions either',
  );
  org.switches.unshared = { Contact: hidden.slice(0, 3) };
  await until(async () => [...(await table()).values()].filter(({ deleted }) => deleted).length === 3, {
    timeout: 20_000,
    what: 'what little is gone to be taken for deleted',
  });
  org.switches.unshared = {};
  await equal();
});

test('archived activities are part of the whole history', async (t) => {
  const { org, instance, equal } = await startRig(t);
  const ids = org.write('Task', ...Array.from({ length: 10 }, (_, i) => ({ Subject: `Task ${i}` })));
  org.archive(
    'Task',
    ids.slice(0, 5).map(({ id }) => String(id)),
  );
  org.remove('Task', [String(ids[9]?.id)]);
  const one = instance({ sync: { collections: ['salesforce:task'] } });
  await one.live('salesforce:task');
  await equal('Task');
  assert.equal(org.records('Task').filter(({ IsArchived }) => IsArchived === true).length, 5);
});

test('a field that came while nobody looked has its values in every record', async (t) => {
  const { org, instance, equal } = await startRig(t);
  org.write('Contact', ...contacts(20));
  const one = instance();
  await one.live();
  await equal();
  await one.stop();
  org.declare({ name: 'Contact', fields: [{ name: 'Added__c' }] });
  const table = org.store.table(org.schema.type('Contact') as never);
  // As a default is filled in: without a change of the records.
  for (const number of table.numbers()) table.put(number, { ...table.row(number), Added__c: 'x' } as never);
  const two = instance();
  await equal();
  assert.match(two.lines.map(({ text }) => text).join(), /fields that it did not have \(Added__c\)/);
});

test('a sandbox refreshed under the same login is said, and read anew; what it lacks is held where it is most', async (t) => {
  const { org, instance, equal } = await startRig(t);
  org.write('Contact', ...contacts(20));
  const one = instance();
  await one.live();
  await equal();
  // What the new organization has, the old one had, or not.
  const before = org.records('Contact').map(({ Id }) => String(Id));
  const table = org.store.table(org.schema.type('Contact') as never);
  org.refreshSandbox();
  for (const number of [...table.numbers()].slice(0, 15)) table.put(number, undefined);
  const problem = () => one.sync.status.find(({ collection }) => collection === NAME)?.error?.code;
  await until(() => problem() === 'MASS_LOSS', { timeout: 20_000 });
  await one.sync.command('resync');
  await equal();
  assert.equal(before.length - org.records('Contact').length, 15);
  await one.live();
  assert.match(one.lines.map(({ text }) => text).join(), /leads to the organization 00D.* instead of 00D/);
  assert.equal(one.sync.status.find(({ collection }) => collection === NAME)?.error, undefined);
});

test('an organization by the 15 characters of its id is the same one', async (t) => {
  const org = await startOrg();
  const session = sessionWith(org);
  t.after(async () => {
    session.close();
    await org.close();
  });
  const { signal } = new AbortController();
  const provider = new SalesforceProvider(session, { pollInterval: 0, lookback: 0, log: () => undefined });
  const collection = await provider.open(NAME, signal);
  const at = { ...(await collection.now(signal)), org: session.organizationId?.slice(0, 15) };
  assert.equal((await collection.changes(at, signal)).gap, undefined);
  assert.match((await collection.changes({ ...at, org: '00D000000000000' }, signal)).gap ?? '', /instead of/);
});

test('a deleted record keeps what is known of it, however many fields it has, and has no nulls for the rest', async (t) => {
  const fields = Array.from({ length: 600 }, (_, i) => ({ name: `Quite_A_Long_Name_Of_A_Field_${i}__c` }));
  const { org, instance, equal, table } = await startRig(t, {
    org: { schema: [{ name: 'Contact', fields }] },
  });
  org.write('Contact', ...contacts(3).map((one) => ({ ...one, Quite_A_Long_Name_Of_A_Field_599__c: 'x' })));
  await instance().live();
  await equal();
  const [soft, hard] = org.records('Contact').map(({ Id }) => String(Id));
  org.remove('Contact', [soft as string]);
  org.remove('Contact', [hard as string], { hard: true });
  org.store.clockOffset += 120_000;
  await equal();
  const found = await table();
  assert.equal(found.get(soft as string)?.data.Quite_A_Long_Name_Of_A_Field_599__c, 'x');
  assert.deepEqual(found.get(hard as string)?.data, { upstream_id: hard });
});
