/** Faults of the Pub/Sub side. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { until } from '../../support/until';
import { orgFor, rawClient } from '../connect';
import { type Org, type OrgOptions } from '../org';
import { control, events, rawPubSub, refusalOf, type RawPubSub } from './client';

const TOPIC = '/event/OrderStatus__e';
const ALL = { topicName: TOPIC, replayPreset: 1, numRequested: 100 };

interface Rig {
  org: Org;
  pubsub: RawPubSub;
  request: { topicName: string; events: { id: string; schemaId: string; payload: Buffer }[] };
}

/** `request` publishes events a, b and c, whose order ids are these letters. */
async function start(t: TestContext, options: OrgOptions = {}): Promise<Rig> {
  const org = await orgFor(t, { pubsub: true, ...options });
  const pubsub = await rawPubSub(t, org);
  const { schemaId } = await pubsub.call('GetTopic', { topicName: TOPIC });
  const codec = org.bus().schemas.byId(schemaId)?.codec;
  const value = {
    CreatedDate: 1,
    CreatedById: 'me',
    Status__c: null,
    Timestamp__c: null,
    Amount__c: null,
    Urgent__c: null,
  };
  const made = ['a', 'b', 'c'].map((id) => ({
    id,
    schemaId,
    payload: codec?.toBuffer({ ...value, Order_ID__c: id }) as Buffer,
  }));
  return { org, pubsub, request: { topicName: TOPIC, events: made } };
}

test('a status with its error code, before the publish or after it', async (t) => {
  const { org, pubsub, request } = await start(t);
  const grpc = { code: 'INTERNAL', errorCode: 'service.unavailable', message: 'The service is unavailable.' };
  org.faults.add({ match: { topic: TOPIC }, action: { grpc }, times: 1 });
  const refusal = await pubsub.refusal('Publish', request);
  assert.deepEqual([refusal.code, refusal.errorCode], [13, 'service.unavailable']);
  assert.equal(org.events().length, 0);

  org.faults.add({ match: { topic: TOPIC }, action: { grpc: { ...grpc, when: 'after' } }, times: 1 });
  assert.equal((await pubsub.refusal('Publish', request)).code, 13);
  assert.equal(org.events().length, 3);
  assert.equal((await pubsub.call('Publish', request)).results.length, 3);
});

for (const tls of [false, true]) {
  test(`a cut connection, before the publish or after it${tls ? ', behind TLS' : ''}`, async (t) => {
    const { org, pubsub, request } = await start(t, { pubsub: { tls } });
    const match = { path: 'PubSub/Publish', topic: TOPIC };
    org.faults.add({ match, action: { reset: 'before' }, times: 1 });
    const cut = await pubsub.refusal('Publish', request);
    assert.deepEqual([cut.code, cut.errorCode], [14, undefined]);
    assert.equal(org.events().length, 0);
    org.faults.add({ match, action: { grpc: { drop: true, when: 'after' } }, times: 1 });
    assert.equal((await pubsub.refusal('Publish', request)).code, 14);
    assert.equal(org.events().length, 3);
    // The next call comes on a connection of its own.
    assert.equal((await pubsub.call('Publish', request)).results.length, 3);
  });
}

test('a row error is the event’s own: the others are published', async (t) => {
  const { org, pubsub, request } = await start(t);
  org.faults.add({
    match: { topic: TOPIC, record: { Order_ID__c: 'b' } },
    action: { rowError: 'PLATFORM_EVENT_PUBLISHING_UNAVAILABLE' },
    times: 1,
  });
  const { results } = await pubsub.call('Publish', request);
  assert.deepEqual(
    results.map(({ error }) => error?.code),
    [undefined, 1, undefined],
  );
  assert.deepEqual(
    org.events().map(({ id }) => id),
    ['a', 'c'],
  );
});

test('a publish stream dies of it, with what was answered before', async (t) => {
  const { org, pubsub, request } = await start(t);
  const stream = pubsub.stream('PublishStream', request);
  await until(() => stream.received.length === 1);
  org.faults.add({
    match: { path: 'PublishStream', topic: TOPIC },
    action: { grpc: { code: 14 } },
    times: 1,
  });
  stream.write(request);
  assert.equal((await stream.status).code, 14);
  assert.equal(org.events().length, 3);
});

test('a subscription is refused, or cut after its events were sent', async (t) => {
  const { org, pubsub, request } = await start(t);
  await pubsub.call('Publish', request);
  const match = { path: 'Subscribe', topic: TOPIC };
  org.faults.add({ match, action: { grpc: { code: 14, errorCode: 'service.unavailable' } }, times: 1 });
  const refused = pubsub.stream('Subscribe', ALL);
  assert.equal(refusalOf(await refused.status).errorCode, 'service.unavailable');
  assert.equal(events(refused).length, 0);

  org.faults.add({ match, action: { grpc: { code: 14, when: 'after' } }, times: 1 });
  const after = pubsub.stream('Subscribe', ALL);
  assert.equal((await after.status).code, 14);
  assert.equal(events(after).length, 3);

  org.faults.add({ match, action: { reset: 'after' }, times: 1 });
  assert.equal((await pubsub.stream('Subscribe', ALL).status).code, 14);
  const whole = pubsub.stream('Subscribe', ALL);
  await until(() => events(whole).length === 3);
});

test('an open subscription meets it at its next delivery: before the events, or after them', async (t) => {
  const { org, pubsub, request } = await start(t);
  const match = { path: 'Subscribe', topic: TOPIC };
  for (const [when, count] of [
    ['before', 0],
    ['after', 3],
  ] as const) {
    const stream = pubsub.stream('Subscribe', { topicName: TOPIC, numRequested: 10 });
    await until(() => org.bus().log.listenerCount('published') === 1);
    await pubsub.call('GetTopic', { topicName: TOPIC });
    org.faults.add({ match, action: { grpc: { code: 14, when } }, times: 1 });
    // A request for more finds nothing to deliver yet.
    if (when === 'after') stream.write({ numRequested: 1 });
    await pubsub.call('Publish', request);
    assert.equal((await stream.status).code, 14);
    assert.equal(events(stream).length, count);
  }
});

test('by control all connections are cut, and clients come back', async (t) => {
  const { org, pubsub } = await start(t);
  const stream = pubsub.stream('Subscribe', ALL);
  await until(() => org.bus().log.listenerCount('published') === 1);
  await control(org, 'POST', 'drop-connections');
  assert.equal((await stream.status).code, 14);
  await until(() => org.bus().log.listenerCount('published') === 0);
  assert.equal((await pubsub.call('GetTopic', { topicName: TOPIC })).topicName, TOPIC);
});

test('a delay holds the call; REST and Pub/Sub don’t take each other’s faults', async (t) => {
  const { org, pubsub, request } = await start(t);
  const call = await rawClient(org);
  org.faults.add(
    { action: { status: 500 }, times: 1 },
    { action: { grpc: { delayMs: 60, code: 'ABORTED' } }, times: 1 },
  );
  assert.equal((await pubsub.refusal('Publish', request)).code, 10);
  assert.equal((await call('GET', '/limits')).status, 500);
  assert.equal((await call('GET', '/limits')).status, 200);
});

test('an org that takes its time answers after it, and takes calls side by side', async (t) => {
  const { org, pubsub, request } = await start(t, { latencyMs: 30 });
  await Promise.all(Array.from({ length: 10 }, () => pubsub.call('Publish', request)));
  const calls = org.requests().filter(({ path }) => path.endsWith('/Publish'));
  assert.equal(Math.max(...calls.map(({ concurrent }) => concurrent)), 10);
  assert.ok(calls.every(({ at, endedAt = 0 }) => endedAt - at >= 25));
});
