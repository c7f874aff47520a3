import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../../support/until';
import { contacts, startRig, SYNC_ID } from '../../rig';

test('everything there is comes first, then every change', async (t) => {
  const { org, instance, table, equal } = await startRig(t);
  org.write('Contact', ...contacts(50));
  const { live } = instance();
  await live();
  await equal();
  const [first] = org.records('Contact');
  org.write('Contact', { Id: first?.Id, LastName: 'Changed' }, ...contacts(2, 50));
  await equal();
  org.remove('Contact', [String(first?.Id)]);
  await equal();
  assert.equal((await table()).get(String(first?.Id))?.deleted, true);
  org.undelete('Contact', [String(first?.Id)]);
  await equal();
});

test('a record looks as the guide says', async (t) => {
  const { org, instance, table, jsm, equal } = await startRig(t);
  org.write('Contact', ...contacts(1));
  instance();
  await equal();
  const [record] = org.records('Contact');
  const id = String(record?.Id);
  const message = (await table()).get(id);
  const { MailingAddress: _, ...parts } = record ?? {};
  assert.deepEqual(message, {
    collection_id: 'salesforce:contact',
    sync_id: SYNC_ID,
    provider: 'salesforce',
    data: { ...parts, upstream_id: id },
    upstream_created_at: String(record?.CreatedDate).replace('.000+0000', 'Z'),
    upstream_updated_at: String(record?.SystemModstamp).replace('.000+0000', 'Z'),
    deleted: false,
  });
  const subject = `sequin-records.default.${SYNC_ID}.salesforce.salesforce:contact.${id}`;
  const msgId = async (): Promise<string> => {
    const stored = await jsm.streams.getMessage('SEQUIN-RECORDS', { last_by_subj: subject });
    return stored.header.get('Nats-Msg-Id');
  };
  // The sequence that is expected already makes a repetition of the history harmless.
  assert.equal(await msgId(), '');
  org.write('Contact', { Id: id, Title: 'Changed' });
  const changed = new RegExp(`^${SYNC_ID}:salesforce:contact:${id}:`);
  await until(async () => changed.test(await msgId()), { what: 'the change, with its id' });
});

test('large objects are read by bulk jobs and look the same', async (t) => {
  const { org, instance, equal } = await startRig(t, { org: { generate: { Contact: 12_000 } } });
  const { live, sync } = instance();
  await live();
  await equal();
  assert.ok(org.requests().some(({ path }) => path.includes('/jobs/query')));
  assert.equal(sync.status[0]?.published, 12_000);
  const [first] = org.records('Contact');
  org.write('Contact', { Id: first?.Id, LastName: 'Changed' });
  await equal();
  assert.equal(sync.status[0]?.published, 12_001, 'what bulk has read looks the same when it is polled');
});

test('nothing is published twice, however often it is seen', async (t) => {
  const { org, instance, jsm, equal } = await startRig(t);
  org.write('Contact', ...contacts(10));
  const one = instance();
  await one.live();
  await equal();
  await one.stop();
  const before = await jsm.streams.info('SEQUIN-RECORDS');
  const two = instance();
  await two.live();
  const passes = () => org.requests().filter(({ path }) => path.includes('/queryAll')).length;
  const from = passes();
  await until(() => passes() > from + 3, { what: 'some passes' });
  assert.equal((await jsm.streams.info('SEQUIN-RECORDS')).state.last_seq, before.state.last_seq);
});

test('two changes of a record within a second both come through', async (t) => {
  const { org, instance, equal } = await startRig(t);
  org.write('Contact', ...contacts(1));
  await instance().live();
  const Id = org.records('Contact')[0]?.Id;
  for (let i = 0; i < 8; i++) {
    org.write('Contact', { Id, LastName: `Version ${i % 2}` });
    await equal();
  }
});

test('rows that appear late with a time that has passed are found by looking back', async (t) => {
  const { org, instance, equal } = await startRig(t);
  await instance().live();
  const late = org.writeLate('Contact', 3_000, ...contacts(1));
  for (let i = 1; i < 25; i++) {
    org.write('Contact', ...contacts(1, i));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await late;
  await equal();
});

test('records that are gone for good are published as deleted', async (t) => {
  const { org, instance, equal, table } = await startRig(t);
  org.write('Contact', ...contacts(3));
  await instance().live();
  await equal();
  const [first, second] = org.records('Contact').map(({ Id }) => String(Id));
  org.remove('Contact', [first as string], { hard: true });
  org.remove('Contact', [second as string]);
  org.store.clockOffset += 120_000;
  await equal();
  assert.deepEqual((await table()).get(first as string)?.data, { upstream_id: first });
});

test('a backfill goes on at its last page', async (t) => {
  const { org, instance, equal } = await startRig(t);
  org.write('Contact', ...contacts(5_000));
  const one = instance();
  await until(() => (one.sync.status[0]?.done ?? 0) >= 2_000, { what: 'the first page', interval: 1 });
  await one.stop();
  assert.ok(one.sync.status[0]?.phase === 'backfill', 'stopped half way');
  org.clearRequests();
  await instance({ salesforce: { pollInterval: 10_000 } }).live();
  await equal();
  const pages = org.requests().filter(({ path }) => path.includes('ORDER%20BY%20Id'));
  assert.ok(pages.length > 0 && pages.every(({ path }) => path.includes('WHERE%20Id')));
});

test('only one of two instances runs a sync, and the other takes over', async (t) => {
  const { org, instance, equal } = await startRig(t);
  org.write('Contact', ...contacts(10));
  const one = instance();
  await one.live();
  const two = instance();
  await until(() => two.sync.status[0]?.error?.code === 'LEASED', { what: 'the second to wait' });
  org.write('Contact', ...contacts(5, 10));
  await equal();
  assert.equal(two.sync.status[0]?.published, 0);
  await one.stop();
  await two.live();
  org.write('Contact', ...contacts(5, 15));
  await equal();
});

test('start: now leaves out what was there before', async (t) => {
  const { org, instance, table } = await startRig(t);
  org.write('Contact', ...contacts(10));
  org.store.clockOffset += 120_000;
  await instance({ sync: { start: 'now' } }).live();
  org.write('Contact', ...contacts(1, 10));
  await until(async () => (await table()).size === 1, { what: 'the new record' });
});

test('stop, start and resync hold for all instances and across restarts', async (t) => {
  const { org, instance, equal, jsm } = await startRig(t);
  org.write('Contact', ...contacts(10));
  const one = instance();
  await one.live();
  const two = instance();
  await two.sync.command('stop');
  await until(() => one.phase() === 'stopped', { what: 'the first instance to stop' });
  await one.stop();
  await until(() => two.phase() === 'stopped', { what: 'the second instance to find it stopped' });
  await two.sync.command('start');
  await two.live();
  await equal();
  await jsm.streams.purge('SEQUIN-RECORDS');
  await two.sync.command('resync');
  await equal();
});

test('a record that was deleted, brought back and deleted for good is deleted in the end', async (t) => {
  const { org, instance, equal } = await startRig(t);
  org.write('Contact', ...contacts(2));
  await instance().live();
  const [first] = org.records('Contact').map(({ Id }) => String(Id));
  org.remove('Contact', [first as string]);
  await equal();
  org.undelete('Contact', [first as string]);
  await equal();
  org.remove('Contact', [first as string], { hard: true });
  org.store.clockOffset += 120_000;
  await equal();
});
