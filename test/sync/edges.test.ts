import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../support/until';
import { contacts, SYNC_ID, startRig } from './rig';

const USERS = `authorization { users: [
  { user: admin, password: admin },
  { user: prefix, password: p, permissions: {
    publish: ["sequin-records.>"], subscribe: ["_INBOX_prefix.>"] } },
  { user: least, password: p, permissions: {
    publish: ["sequin-records.>", "$JS.API.STREAM.INFO.SEQUIN-RECORDS", "$JS.API.STREAM.CREATE.SEQUIN-RECORDS",
      "$JS.API.STREAM.UPDATE.SEQUIN-RECORDS", "$JS.API.DIRECT.GET.SEQUIN-RECORDS.>", "$KV.api-sync.>",
      "$JS.API.STREAM.INFO.KV_api-sync", "$JS.API.STREAM.CREATE.KV_api-sync", "$JS.API.STREAM.MSG.GET.KV_api-sync"],
    subscribe: ["_INBOX_least.>"] } }
] }`;
const as = (user: string): object => ({
  auth: 'userpass',
  user,
  password: 'p',
  inboxPrefix: `_INBOX_${user}`,
});

test('a user restricted to the prefix and its inbox can publish, and is told what it can’t', async (t) => {
  const { org, instance, equal, jsm } = await startRig(t, { nats: { config: USERS } });
  await jsm.streams.add({ name: 'SEQUIN-RECORDS', subjects: ['sequin-records.>'], max_msgs_per_subject: 1 });
  org.write('Contact', ...contacts(2_500));
  const one = instance({ connection: as('prefix'), checkpoint: 'context', target: { provision: false } });
  await one.live();
  await equal();
  assert.match(
    one.lines.map(({ text }) => text).join(),
    /may not publish to "\$JS\.API\.[^"]*SEQUIN-RECORDS/,
  );
  const Id = org.records('Contact')[0]?.Id;
  for (const LastName of ['x', 'y', 'x', 'y']) {
    org.write('Contact', { Id, LastName });
    await equal();
  }
  const two = instance({ connection: as('prefix'), checkpoint: 'context' });
  await until(() => two.sync.status[0]?.error?.code === 'PERMISSION_DENIED', {
    what: 'provisioning to be refused',
  });
  assert.match(two.sync.status[0]?.error?.message ?? '', /\$JS\.API\.STREAM\.INFO\.SEQUIN-RECORDS/);
});

test('the rights that the help names are enough', async (t) => {
  const { org, instance, equal } = await startRig(t, { nats: { config: USERS } });
  org.write('Contact', ...contacts(10));
  const one = instance({ connection: as('least') });
  await one.live();
  await equal();
  assert.deepEqual(
    one.lines.filter(({ level }) => level !== 'log'),
    [],
  );
});

test('a budget of API calls that is spent is waited out', async (t) => {
  const { org, instance, equal } = await startRig(t);
  org.write('Contact', ...contacts(10));
  const one = instance();
  await one.live();
  org.limits({ DailyApiRequests: { Max: 1_000, Remaining: 0 } });
  await until(() => one.phase() === 'waiting', { what: 'the sync to wait' });
  assert.match(one.sync.status[0]?.error?.code ?? '', /API_BUDGET_SPENT|REQUEST_LIMIT_EXCEEDED/);
  org.write('Contact', ...contacts(10, 10));
  org.limits({ DailyApiRequests: { Max: 1_000_000, Remaining: 1_000_000 } });
  await equal();
});

test('a bulk job that fails gives way to queries, one that is lost to a new one', async (t) => {
  const { org, instance, equal } = await startRig(t, { org: { generate: { Contact: 11_000 } } });
  org.faults.add({
    match: { path: '/jobs/query', method: 'POST' },
    action: { status: 400, errorCode: 'INVALIDENTITY', message: 'Entity is not supported by the Bulk API' },
    times: 1,
  });
  const one = instance({ salesforce: { pollInterval: 60_000 } });
  await one.live();
  await equal();
  assert.match(one.lines.map(({ text }) => text).join(), /read by queries, as Bulk API 2.0 refuses/);
  await one.stop();
  org.faults.add({
    match: { path: '/jobs/query/*/results*' },
    action: { status: 404 },
    times: 1,
  });
  const two = instance({ sync: { syncId: 'second' }, salesforce: { pollInterval: 60_000 } });
  await two.live();
  assert.equal(two.sync.status[0]?.published, 11_000);
  assert.match(two.lines.map(({ text }) => text).join(), /a new one begins/);
});

test('an object with more fields than a URL can hold is read by ids', async (t) => {
  const fields = Array.from({ length: 600 }, (_, i) => ({ name: `Quite_A_Long_Name_Of_A_Field_${i}__c` }));
  const { org, instance, equal } = await startRig(t, { org: { schema: [{ name: 'Contact', fields }] } });
  org.write('Contact', ...contacts(30).map((one) => ({ ...one, Quite_A_Long_Name_Of_A_Field_599__c: 'x' })));
  await instance().live();
  await equal();
  const [first, second] = org.records('Contact').map(({ Id }) => String(Id));
  org.write('Contact', { Id: first, Quite_A_Long_Name_Of_A_Field_0__c: 'y' });
  org.remove('Contact', [second as string]);
  await equal();
  assert.ok(org.requests().every(({ status }) => status !== 414));
});

test('a field that is taken away does not stop the sync', async (t) => {
  const { org, instance, equal } = await startRig(t);
  org.write('Contact', ...contacts(5));
  const one = instance();
  await one.live();
  await equal();
  org.declare({ name: 'Contact', removeFields: ['Score__c'], fields: [{ name: 'Added__c' }] });
  org.write('Contact', ...contacts(1, 5).map(({ Score__c: _, ...rest }) => ({ ...rest, Added__c: 'new' })));
  await until(() => one.lines.some(({ text }) => /\+Added__c, -Score__c/.test(text)), {
    what: 'the change to be said',
  });
  await one.sync.command('resync');
  await equal();
});

test('a field that describe has and queries refuse is left out, and said', async (t) => {
  const { org, instance } = await startRig(t);
  org.write('Contact', ...contacts(5));
  org.faults.add({
    match: { path: 'Score__c' },
    action: {
      status: 400,
      errorCode: 'INVALID_FIELD',
      message: "ERROR at Row:1:Column:9\nNo such column 'Score__c' on entity 'Contact'.",
    },
  });
  const one = instance();
  await one.live();
  assert.match(one.lines.map(({ text }) => text).join(), /Contact\.Score__c can't be read, .* left out/);
});

test('a comparison by ids finds what vanished without a trace', async (t) => {
  const { org, instance, equal } = await startRig(t);
  org.write('Contact', ...contacts(5));
  const one = instance({ sync: { reconcile: 1_000 } });
  await one.live();
  await equal();
  const table = org.store.table(org.schema.type('Contact') as never);
  const [victim] = [...table.numbers()];
  table.put(victim as number, undefined);
  await equal();
});

test('messages of strangers under the sync’s subjects are left alone, and stop neither comparison nor resync', async (t) => {
  const { org, instance, equal, nc, jsm } = await startRig(t);
  org.write('Contact', ...contacts(5));
  const one = instance({ sync: { reconcile: 1_000 } });
  await one.live();
  await equal();
  const under = (token: string) => `sequin-records.default.${SYNC_ID}.salesforce.salesforce:contact.${token}`;
  const claiming = (upstream_id: unknown) => JSON.stringify({ data: { upstream_id }, deleted: false });
  const strange: Record<string, string> = {
    hello: 'hello',
    null: 'null',
    list: '[1]',
    no_data: '{}',
    null_data: '{"data":null}',
    numeric: claiming(7),
    // What it claims is not what it stands under.
    another: claiming('003000000000001AAA'),
    '%2E%2E%2F%2E%2E%2Fx': claiming('../../x'),
    not_an_id: claiming('not_an_id'),
    '003000000000ZZZ': '',
  };
  for (const [token, body] of Object.entries(strange)) await nc.jetstream().publish(under(token), body);
  const table = org.store.table(org.schema.type('Contact') as never);
  const [victim] = [...table.numbers()];
  const victimId = String(org.records('Contact')[0]?.Id);
  table.put(victim as number, undefined);
  const bodyOf = async (token: string) =>
    jsm.streams.getMessage('SEQUIN-RECORDS', { last_by_subj: under(token) }).then((msg) => msg.string());
  await until(async () => /"deleted":true/.test(await bodyOf(victimId)), { timeout: 20_000 });
  await one.sync.command('resync');
  await until(() => one.progress.some(({ phase }) => phase === 'backfill'));
  await one.live();
  for (const [token, body] of Object.entries(strange)) assert.equal(await bodyOf(token), body, token);
});

test('deletions that the org has forgotten lead to a comparison, and are said', async (t) => {
  const { org, instance, equal } = await startRig(t);
  org.write('Contact', ...contacts(5));
  const one = instance();
  await one.live();
  await equal();
  await one.stop();
  org.remove('Contact', [String(org.records('Contact')[0]?.Id)], { hard: true });
  org.store.clockOffset += 16 * 24 * 60 * 60_000;
  org.write('Contact', ...contacts(1, 5));
  const two = instance();
  await equal();
  assert.match(
    two.lines.map(({ text }) => text).join(),
    /Deletions of salesforce:contact are lost: the sync stood still since .* compared with the API/,
  );
});

test('a server that hangs for a while loses nothing', async (t) => {
  const { org, instance, equal, nats } = await startRig(t);
  org.write('Contact', ...contacts(3_000));
  const one = instance();
  await until(() => (one.sync.status[0]?.done ?? 0) > 0, { what: 'the first page', interval: 5 });
  nats.suspend();
  org.write('Contact', ...contacts(500, 3_000));
  await new Promise((resolve) => setTimeout(resolve, 12_000));
  nats.resume();
  await equal('Contact', 60_000);
});

test('subjects are made of the sync, the collection and the id', async (t) => {
  const { org, instance, nc, equal } = await startRig(t);
  const subjects: string[] = [];
  nc.subscribe('sequin-records.>', { callback: (_error, { subject }) => void subjects.push(subject) });
  org.write('Contact', ...contacts(1));
  instance();
  await equal();
  const id = String(org.records('Contact')[0]?.Id);
  assert.deepEqual(subjects, [`sequin-records.default.${SYNC_ID}.salesforce.salesforce:contact.${id}`]);
});

test('whatever moment it is stopped at, nothing of it is left', async (t) => {
  const rig = await startRig(t, { org: { pubsub: true } });
  rig.org.write('Contact', ...contacts(300));
  for (let moment = 0; moment < 40; moment++) {
    const instance = rig.instance({ cdc: true });
    const at = performance.now() + moment * 4;
    while (performance.now() < at) await new Promise(setImmediate);
    let stopped = false;
    void instance.stop().then(() => (stopped = true));
    await until(() => stopped, { what: `what was stopped after ${moment * 4} ms to end` });
  }
  const last = rig.instance({ cdc: true });
  await last.live();
  await rig.equal();
});

test('a stream that is deleted is made again, with everything in it', async (t) => {
  const { org, instance, equal, jsm } = await startRig(t);
  org.write('Contact', ...contacts(200));
  const one = instance();
  await one.live();
  await equal();
  await jsm.streams.delete('SEQUIN-RECORDS');
  org.write('Contact', ...contacts(1, 200));
  await until(() => jsm.streams.info('SEQUIN-RECORDS'), { timeout: 20_000 });
  await equal();
  assert.ok(one.lines.some(({ text }) => /made anew.*read from the beginning/.test(text)));
  await one.stop();
  await jsm.streams.delete('SEQUIN-RECORDS');
  // Nobody saw it happen.
  await instance().live();
  await equal();
});
