/** The Pub/Sub side held to facts by salesforce-pubsub-api-client, which nobody here wrote. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { until } from '../../support/until';
import { startOrg, type Org, type OrgOptions } from '../org';
import { npmPubSub, type Callback, type NpmPubSub } from './client';

const TOPIC = '/event/OrderStatus__e';
const DAY = 24 * 60 * 60_000;

async function start(t: TestContext, options: OrgOptions = {}): Promise<NpmPubSub & { org: Org }> {
  const org = await startOrg({ ...options, pubsub: { tls: true } });
  return { org, ...(await npmPubSub(t, org)) };
}

/** An event as the package wants it: unions name their branch. */
function order(org: Org, number: string): Record<string, unknown> {
  return {
    CreatedDate: org.store.now(),
    CreatedById: org.userId,
    Order_ID__c: { string: number },
    Status__c: null,
    Timestamp__c: { long: 1_700_000_000_123 },
    Amount__c: { double: 12.5 },
    Urgent__c: { boolean: true },
  };
}

interface Received {
  id: string;
  replayId: number;
  payload: Record<string, unknown> & { ChangeEventHeader: Record<string, unknown> };
}

function received(calls: Callback[]): Received[] {
  return calls.filter(({ type }) => type === 'event').map(({ data }) => data as Received);
}

/** A subscription from LATEST has its place. */
const subscribed = (org: Org): Promise<true> => until(() => org.bus().log.listenerCount('published') > 0);

const orderIds = (calls: Callback[]): unknown[] => received(calls).map(({ payload }) => payload.Order_ID__c);

test('a published event has a replay id, its correlation key, and its values in the org', async (t) => {
  const { org, client } = await start(t);
  const result = await client.publish(TOPIC, order(org, 'A-1'), 'key-1');
  assert.equal(result.correlationKey, 'key-1');
  const [event] = org.events(TOPIC);
  assert.equal(Buffer.from(event?.replayId ?? '', 'base64').readBigUInt64BE(), BigInt(result.replayId));
  assert.deepEqual(
    [event?.id, event?.payload?.Order_ID__c, event?.payload?.Timestamp__c],
    ['key-1', 'A-1', 1_700_000_000_123],
  );
});

test('a batch goes through PublishStream, with results in the order of its events', async (t) => {
  const { org, client, listener } = await start(t);
  const { calls, callback } = listener();
  const batch = (from: number): { id: string; payload: Record<string, unknown> }[] =>
    Array.from({ length: 200 }, (_, i) => ({ id: `k${from + i}`, payload: order(org, `B-${from + i}`) }));
  await client.publishBatch(TOPIC, batch(0), callback);
  await client.publishBatch(TOPIC, batch(200), callback);
  const responses = await until(() => {
    const found = calls.filter(({ type }) => type === 'publishResponse');
    return found.length === 2 && found;
  });
  const keys = responses.flatMap(({ data }) =>
    (data as { results: { correlationKey: string }[] }).results.map(({ correlationKey }) => correlationKey),
  );
  assert.deepEqual(
    keys,
    Array.from({ length: 400 }, (_, i) => `k${i}`),
  );
  assert.equal(org.events(TOPIC).length, 400);
});

test('a subscription from LATEST gets what is published from now on, decoded by its schema', async (t) => {
  const { org, client, listener } = await start(t);
  await client.publish(TOPIC, order(org, 'before'));
  const { calls, callback } = listener();
  client.subscribe(TOPIC, callback);
  await subscribed(org);
  await client.publish(TOPIC, order(org, 'after'));
  const [event] = await until(() => received(calls).length === 1 && received(calls));
  assert.deepEqual(
    { ...event?.payload },
    {
      CreatedDate: event?.payload.CreatedDate,
      CreatedById: org.userId,
      Order_ID__c: 'after',
      Status__c: null,
      Timestamp__c: 1_700_000_000_123,
      Amount__c: 12.5,
      Urgent__c: true,
    },
  );
});

test('from EARLIEST it gets every event that is kept, in order, hundred after hundred', async (t) => {
  const { org, client, listener } = await start(t);
  const ids = Array.from({ length: 250 }, (_, i) => `E-${i}`);
  org.bus().publish(TOPIC, ...ids.map((id) => ({ Order_ID__c: id })));
  const { calls, callback } = listener();
  client.subscribeFromEarliestEvent(TOPIC, callback);
  await until(() => received(calls).length === 250);
  assert.deepEqual(orderIds(calls), ids);
});

test('from a replay id it gets what came after it', async (t) => {
  const { org, client, listener } = await start(t);
  const results = [];
  for (const id of ['1', '2', '3', '4']) results.push(await client.publish(TOPIC, order(org, id)));
  const { calls, callback } = listener();
  client.subscribeFromReplayId(TOPIC, callback, 2, Number(results[1]?.replayId));
  await until(() => calls.some(({ type }) => type === 'lastEvent'));
  assert.deepEqual(orderIds(calls), ['3', '4']);
});

test('replay ids that are not given out, or older than 72 h, are corrupted: INVALID_ARGUMENT', async (t) => {
  const { org, client, listener } = await start(t);
  const { replayId } = await client.publish(TOPIC, order(org, '1'));
  await client.publish(TOPIC, order(org, '2'));
  org.store.clockOffset = 3 * DAY + 60_000;
  await client.connect();
  for (const [topic, wrong] of [
    [TOPIC, replayId],
    ['/data/ContactChangeEvent', replayId + 1_000_000],
  ] as const) {
    const { calls, callback } = listener();
    client.subscribeFromReplayId(topic, callback, 10, wrong);
    const { data } = await until(() => calls.find(({ type }) => type === 'error'));
    const error = data as { code: number; metadata: { get(name: string): string[] } };
    assert.equal(error.code, 3);
    assert.deepEqual(error.metadata.get('error-code'), [
      'sfdc.platform.eventbus.grpc.subscription.fetch.replayid.corrupted',
    ]);
  }
});

test('a managed subscription goes on behind the replay id that was committed', async (t) => {
  const { org, client, listener } = await start(t);
  const { id } = org
    .bus()
    .managed.declare({ developerName: 'Orders', topicName: TOPIC, defaultReplay: 'EARLIEST' });
  org.bus().publish(TOPIC, { Order_ID__c: '1' }, { Order_ID__c: '2' }, { Order_ID__c: '3' });
  const first = listener();
  await client.subscribeWithManagedSubscription('Orders', first.callback, 3);
  await until(() => received(first.calls).length === 3);
  client.commitReplayId(id, Number(received(first.calls)[1]?.replayId));
  await until(() => org.bus().managed.list()[0]?.committed);
  org.bus().dropConnections();
  await until(() => org.bus().managed.list()[0]?.active === false);

  const second = await npmPubSub(t, org);
  const { calls, callback } = second.listener();
  await second.client.subscribeWithManagedSubscription(id, callback, 1);
  await until(() => received(calls).length === 1);
  assert.deepEqual(orderIds(calls), ['3']);
});

test('CDC of a create and an update: headers, compound fields and bitmaps as the package decodes them', async (t) => {
  const { org, client, listener } = await start(t);
  const { calls, callback } = listener();
  client.subscribe('/data/ContactChangeEvent', callback);
  await subscribed(org);
  const [contact] = org.write('Contact', { FirstName: 'Ada', LastName: 'King', Birthdate: '1815-12-10' });
  org.write('Contact', {
    Id: contact?.id,
    FirstName: null,
    LastName: 'Lovelace',
    MailingCity: 'London',
    Title: 'Ms',
  });
  org.remove('Contact', [String(contact?.id)]);
  const [create, update, remove] = await until(() => received(calls).length === 3 && received(calls));
  const commits = org.store.commits.slice(-3);

  const header = { ...create?.payload.ChangeEventHeader };
  assert.deepEqual(header, {
    entityName: 'Contact',
    recordIds: [contact?.id],
    changeType: 'CREATE',
    changeOrigin: 'com/salesforce/api/soap/65.0;client=SfdcInternalAPI/',
    transactionKey: commits[0]?.transactionKey,
    sequenceNumber: 1,
    commitTimestamp: Math.floor((commits[0]?.commitTimestamp ?? 0) / 1000) * 1000,
    commitNumber: BigInt(org.switches.firstCommitNumber) + BigInt(commits[0]?.number ?? 0),
    commitUser: commits[0]?.user,
    nulledFields: [],
    diffFields: [],
    changedFields: [],
  });
  assert.deepEqual(
    { ...(create?.payload.Name as object) },
    { Salutation: null, FirstName: 'Ada', LastName: 'King' },
  );
  assert.equal(create?.payload.Birthdate, Date.UTC(1815, 11, 10));

  const { changeType, changedFields, nulledFields } = update?.payload.ChangeEventHeader ?? {};
  assert.equal(changeType, 'UPDATE');
  assert.deepEqual(changedFields, [
    'LastModifiedDate',
    'Title',
    'Name.FirstName',
    'Name.LastName',
    'MailingAddress.City',
  ]);
  // The package skips a list that has no bitmap of plain fields.
  assert.deepEqual(nulledFields, []);
  assert.deepEqual(org.events('/data/ContactChangeEvent')[1]?.payload?.ChangeEventHeader, {
    ...(org.events('/data/ContactChangeEvent')[1]?.payload?.ChangeEventHeader as object),
    nulledFields: ['Name.FirstName'],
  });
  assert.deepEqual([update?.payload.Title, update?.payload.Birthdate], ['Ms', null]);

  assert.equal(remove?.payload.ChangeEventHeader.changeType, 'DELETE');
  assert.equal(remove?.payload.Name, null);
});

test('with an empty first bitmap the package reads parts of compound fields that were nulled, too', async (t) => {
  const { org, client, listener } = await start(t, { switches: { emptyBitmap: 'sent' } });
  const { calls, callback } = listener();
  const [contact] = org.write('Contact', { FirstName: 'Ada', LastName: 'King' });
  org.write('Contact', { Id: contact?.id, FirstName: null });
  client.subscribeFromEarliestEvent('/data/ChangeEvents', callback);
  const [, update] = await until(() => received(calls).length === 2 && received(calls));
  assert.deepEqual(update?.payload.ChangeEventHeader.nulledFields, ['Name.FirstName']);
});
