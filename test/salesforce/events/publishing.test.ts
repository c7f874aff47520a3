import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { FlowError } from '../../../nodes/shared/errors';
import { until } from '../../support/until';
import { TOPIC, order, orders, startPubSubRig, type PubSubRig } from '../pubsub/rig';

async function rigFor(
  t: TestContext,
  options: Parameters<typeof startPubSubRig>[0] = {},
): Promise<PubSubRig> {
  const rig = await startPubSubRig(options);
  t.after(() => rig.close());
  return rig;
}

const paths = ({ org }: PubSubRig, end: string) => org.requests().filter(({ path }) => path.endsWith(end));
const numbers = (count: number) => Array.from({ length: count }, (_, i) => `O-${i}`);
const failed = (promise: Promise<unknown>) =>
  promise.then(
    () => assert.fail('it was published'),
    (error: unknown) => error as FlowError,
  );

test('an event is in the org when its message has its result', async (t) => {
  const rig = await rigFor(t);
  const results = await rig.publish(order(1, { Status__c: 'paid', Amount__c: 12.5 }));
  const [event] = rig.org.events(TOPIC);
  assert.deepEqual(results, [{ replayId: event?.replayId, success: true }]);
  assert.equal(event?.id, 'id-0');
  assert.equal(event?.payload?.CreatedById, rig.org.userId);
  assert.equal(event?.payload?.Status__c, 'paid');
});

test('an idle publisher sends at once; what comes meanwhile goes together, and each message has its own result', async (t) => {
  const rig = await rigFor(t, { org: { latencyMs: 30 } });
  await rig.publish(order('first'));
  const alone = rig.publish(order(0));
  await until(() => rig.requests().length === 2, { interval: 1 });
  const results = await Promise.all([alone, ...orders(9, 1).map((event) => rig.publish(event))]);
  assert.deepEqual(rig.requests(), [1, 1, 9]);
  assert.deepEqual(rig.orders(), ['O-first', ...numbers(10)]);
  const ids = rig.org.events(TOPIC).map(({ replayId }) => replayId);
  assert.deepEqual(
    results.map(([result]) => result?.replayId),
    ids.slice(1),
  );
});

test('a request has 200 events at most, and a larger message is split, its results in order', async (t) => {
  const rig = await rigFor(t);
  const results = await rig.publish(...orders(450));
  assert.deepEqual(rig.requests(), [200, 200, 50]);
  assert.deepEqual(
    results.map(({ replayId }) => replayId),
    rig.org.events(TOPIC).map(({ replayId }) => replayId),
  );
  assert.deepEqual(rig.orders(), numbers(450));
});

test('with several requests under way events keep their order, and so they do when one of them fails', async (t) => {
  const rig = await rigFor(t, { org: { latencyMs: 5 }, publisher: { maxRequests: 4 } });
  await rig.publish(order('first'));
  for (const code of ['UNAVAILABLE', 'INVALID_ARGUMENT', 'UNAUTHENTICATED'])
    rig.org.faults.add({
      match: { topic: TOPIC, path: '/PublishStream' },
      action: { grpc: { code } },
      times: 1,
    });
  let most = 0;
  const watch = setInterval(() => (most = Math.max(most, rig.publisher.state.requests)), 1);
  await Promise.all(orders(3_000).map((event) => rig.publish(event)));
  clearInterval(watch);
  assert.deepEqual(rig.orders(), ['O-first', ...numbers(3_000)]);
  assert.equal(most, 4);
});

test('an idle stream is opened again without a word', async (t) => {
  const rig = await rigFor(t, { org: { switches: { publishIdleMs: 30 } } });
  await rig.publish(order(0));
  await new Promise((resolve) => setTimeout(resolve, 80));
  await rig.publish(order(1));
  assert.deepEqual(rig.orders(), ['O-0', 'O-1']);
  assert.equal(rig.pubsub.availability.current, undefined);
});

test('a request has 3 MB at most', async (t) => {
  const rig = await rigFor(t, {
    org: {
      schema: [
        { name: 'OrderStatus__e', fields: [{ name: 'Text__c', type: 'textarea', length: 2_000_000 }] },
      ],
    },
  });
  await rig.publish(...orders(8).map((event) => ({ ...event, Text__c: 'x'.repeat(900_000) })));
  assert.deepEqual(rig.requests(), [3, 3, 2]);
});

test('an event above 1 MB fails its message before anything of it is sent, and no other', async (t) => {
  const rig = await rigFor(t, {
    org: {
      schema: [
        { name: 'OrderStatus__e', fields: [{ name: 'Text__c', type: 'textarea', length: 2_000_000 }] },
      ],
    },
  });
  const large = failed(rig.publish(order(0), order(1, { Text__c: 'x'.repeat(1_100_000) })));
  await rig.publish(order(2));
  const { code, retryable } = await large;
  assert.deepEqual([code, retryable], ['EVENT_TOO_LARGE', false]);
  assert.deepEqual(rig.orders(), ['O-2']);
});

test('a message that does not fit the event fails alone, for good, and nothing of it is published', async (t) => {
  const rig = await rigFor(t);
  const [wrong] = await Promise.all([
    failed(rig.publish(order(0), order(1, { Statu__c: 'x' }))),
    rig.publish(order(2)),
  ]);
  assert.deepEqual([wrong.code, wrong.retryable, wrong.details], ['UNKNOWN_FIELD', false, undefined]);
  assert.match(wrong.message, /did you mean Status__c/);
  assert.deepEqual(rig.orders(), ['O-2']);
});

test('the definition is asked for once, however many messages wait for it', async (t) => {
  const rig = await rigFor(t);
  await Promise.all(orders(50).map((event) => rig.publish(event)));
  await rig.publish(order(50));
  assert.equal(paths(rig, '/GetTopic').length, 1);
  assert.equal(paths(rig, '/GetSchema').length, 1);
});

test('a field that the event has just got is taken up by the next message', async (t) => {
  const rig = await rigFor(t);
  await rig.publish(order(0));
  rig.org.declare({ name: 'OrderStatus__e', fields: [{ name: 'New__c' }] });
  await rig.publish(order(1, { New__c: 'yes' }));
  assert.equal(rig.events()[1]?.New__c, 'yes');
  await failed(rig.publish(order(2, { Never__c: 'no' })));
  await rig.publish(order(3));
  assert.deepEqual(rig.orders(), ['O-0', 'O-1', 'O-3']);
});

for (const staleSchema of ['published', 'event error', 'call error'] as const) {
  test(`definitions that change under load lose and double nothing, where an old one is: ${staleSchema}`, async (t) => {
    const rig = await rigFor(t, {
      org: { latencyMs: 5, switches: { staleSchema } },
      publisher: { maxRequests: 3 },
    });
    const all: Promise<unknown>[] = [];
    for (let round = 0; round < 6; round++) {
      all.push(...orders(150, round * 150).map((event) => rig.publish(event)));
      await until(() => rig.orders().length > round * 100);
      rig.org.declare({ name: 'OrderStatus__e', fields: [{ name: `Round${round}__c` }] });
    }
    await Promise.all(all);
    assert.deepEqual(rig.orders(), numbers(900));
    const schemas = new Set(rig.org.events(TOPIC).map(({ schemaId }) => schemaId)).size;
    assert.equal(schemas > 1, staleSchema !== 'published');
  });
}

test('a waiting event whose field has been removed fails by name, the others are published', async (t) => {
  const rig = await rigFor(t, { org: { latencyMs: 30, switches: { staleSchema: 'event error' } } });
  await rig.publish(order('first'));
  rig.org.declare({ name: 'OrderStatus__e', removeFields: ['Urgent__c'] });
  const [error] = await Promise.all([
    failed(rig.publish(order(0, { Urgent__c: true }))),
    rig.publish(order(1)),
    rig.publish(order(2)),
  ]);
  assert.match(error.message, /no field Urgent__c/);
  assert.equal(error.retryable, false);
  assert.deepEqual(rig.orders(), ['O-first', 'O-1', 'O-2']);
});

test('an event that is refused by itself is repeated alone', async (t) => {
  const rig = await rigFor(t);
  rig.org.faults.add({
    match: { topic: TOPIC, record: 'O-1' },
    action: { rowError: 'SERVER_BUSY' },
    times: 2,
  });
  const results = await Promise.all(orders(3).map((event) => rig.publish(event)));
  assert.ok(results.every(([result]) => result?.success));
  assert.deepEqual(rig.requests(), [3, 1, 1]);
  assert.deepEqual(rig.orders(), ['O-0', 'O-2', 'O-1']);
});

test('an event that stays refused fails its own message alone, to be tried later', async (t) => {
  const rig = await rigFor(t);
  rig.org.faults.add({ match: { topic: TOPIC, record: 'O-1' }, action: { rowError: 'SERVER_BUSY' } });
  const [, error] = await Promise.all([rig.publish(order(0)), failed(rig.publish(order(1)))]);
  assert.equal(error.code, 'PUBLISH');
  assert.match(error.message, /did not publish the event to \/event\/OrderStatus__e \(PUBLISH: SERVER_BUSY/);
  assert.equal(error.retryable, true);
  assert.deepEqual(rig.requests(), [2, 1, 1, 1]);
});

test('a message of which some events were published is not to be repeated, and says which', async (t) => {
  const rig = await rigFor(t);
  rig.org.faults.add({ match: { topic: TOPIC, record: 'O-1' }, action: { rowError: 'SERVER_BUSY' } });
  const error = await failed(rig.publish(...orders(3)));
  assert.equal(error.retryable, false);
  assert.match(error.message, /event 1 of the message.*2 of 3 events were published/);
  const results = error.details as { success: boolean }[];
  assert.deepEqual(
    results.map(({ success }) => success),
    [true, false, true],
  );
});

test('events whose answer was lost are sent again with the same ids', async (t) => {
  const rig = await rigFor(t);
  await rig.publish(order('first'));
  rig.org.faults.add({
    match: { path: '/Publish' },
    action: { grpc: { drop: true, when: 'after' } },
    times: 1,
  });
  const results = await Promise.all(orders(3).map((event) => rig.publish(event)));
  assert.ok(results.every(([result]) => result?.success));
  const ids = rig.org.events(TOPIC).map(({ id }) => id);
  assert.deepEqual(ids, ['id-0', 'id-1', 'id-2', 'id-3', 'id-1', 'id-2', 'id-3']);
});

test('while the Pub/Sub API is out of reach messages wait, their clocks stand, and their order stays', async (t) => {
  const rig = await rigFor(t);
  await rig.publish(order('first'));
  rig.org.faults.add({ match: { topic: TOPIC }, action: { grpc: { code: 'UNAVAILABLE' } } });
  const all = orders(5).map((event) => rig.publish(event));
  await until(() => rig.pubsub.availability.current);
  all.push(...orders(5, 5).map((event) => rig.publish(event)));
  await until(() => rig.paused() === 10);
  assert.equal(rig.pubsub.availability.current?.reason, 'unreachable');
  assert.equal(rig.session.availability.current, undefined, 'the REST API is not held with it');
  rig.org.faults.clear();
  await Promise.all(all);
  assert.equal(rig.paused(), 0);
  assert.deepEqual(rig.orders(), ['O-first', ...numbers(10)]);
});

test('with onOutage fail messages fail at once, retryable, and go through when it is over', async (t) => {
  const rig = await rigFor(t, { publisher: { onOutage: 'fail' } });
  await rig.publish(order('first'));
  rig.org.faults.add({ match: { topic: TOPIC }, action: { grpc: { code: 'UNAVAILABLE' } } });
  const error = await failed(rig.publish(order(0)));
  assert.equal(error.retryable, true);
  assert.equal((await failed(rig.publish(order(1)))).retryable, true);
  rig.org.faults.clear();
  await until(() => !rig.pubsub.availability.current);
  await rig.publish(order(2));
  assert.deepEqual(rig.orders(), ['O-first', 'O-2']);
});

test('a session that has ended is renewed once, and nothing is lost or doubled', async (t) => {
  const rig = await rigFor(t, { org: { latencyMs: 5 } });
  await rig.publish(order('first'));
  const logins = () => paths(rig, '/token').length;
  const before = logins();
  rig.org.expireSessions();
  await Promise.all(orders(300).map((event) => rig.publish(event)));
  assert.equal(logins() - before, 1);
  assert.deepEqual(rig.orders(), ['O-first', ...numbers(300)]);
});

test('without a login everybody waits for the session’s', async (t) => {
  const rig = await rigFor(t);
  rig.org.faults.add({ match: { path: '/token' }, action: { status: 400, errorCode: 'invalid_grant' } });
  const result = rig.publish(order(0));
  await until(() => rig.pubsub.availability.current?.reason === 'login');
  assert.ok(rig.session.availability.current);
  assert.equal(rig.pubsub.ownAvailability.current, undefined, 'one hold, so that logins are not tried twice');
  rig.org.faults.clear();
  await result;
  assert.deepEqual(rig.orders(), ['O-0']);
});

test('a spent REST limit does not stop events', async (t) => {
  const rig = await rigFor(t);
  await rig.publish(order(0));
  rig.session.availability.begin(rig.session.budgetOutage());
  await rig.publish(order(1));
  assert.deepEqual(rig.orders(), ['O-0', 'O-1']);
});

test('over the org’s limit of events messages wait, as it is not their fault', async (t) => {
  const rig = await rigFor(t);
  rig.org.limits({ HourlyPublishedPlatformEvents: { Max: 2, Remaining: 2 } });
  const all = orders(5).map((event) => rig.publish(event));
  await until(() => rig.pubsub.availability.current?.reason === 'limit');
  assert.deepEqual(rig.orders(), numbers(2));
  rig.org.limits({ HourlyPublishedPlatformEvents: { Max: 100, Remaining: 100 } });
  await Promise.all(all);
  assert.deepEqual(rig.orders(), numbers(5));
});

for (const unknownTopic of ['not found', 'denied'] as const) {
  test(`a topic that is ${unknownTopic} fails its messages in words, to be tried later`, async (t) => {
    const rig = await rigFor(t, {
      org: { switches: { unknownTopic } },
      publisher: { topic: '/event/Missing__e' },
    });
    const error = await failed(rig.publish(order(0)));
    assert.match(error.code, /TOPIC_(NOT_FOUND|DENIED)/);
    assert.match(error.message, /no topic \/event\/Missing__e.*check its name/);
    assert.equal(error.retryable, true);
    rig.org.declare({ name: 'Missing__e', fields: [{ name: 'Order_ID__c' }] });
    await rig.publish(order(1));
    assert.equal(rig.org.events('/event/Missing__e').length, 1);
  });
}

test('a topic that nobody can publish to is refused before anything is sent', async (t) => {
  const rig = await rigFor(t, { publisher: { topic: '/data/ContactChangeEvent' } });
  assert.equal((await failed(rig.publish(order(0)))).code, 'TOPIC_DENIED');
  assert.deepEqual(rig.requests(), []);
});

for (const maxRequests of [1, 4]) {
  test(`an event that spoils its requests is found, and fails alone, with ${maxRequests} under way`, async (t) => {
    const rig = await rigFor(t, { publisher: { maxRequests } });
    await rig.publish(order('first'));
    // Without CreatedById the org refuses the whole call.
    const { schema } = await rig.pubsub.schemas.ofTopic(TOPIC);
    const encode = schema.encode.bind(schema);
    schema.encode = (values) => (values.Order_ID__c === 'O-0' ? Buffer.from([0, 0]) : encode(values));
    const all = await Promise.allSettled(orders(8).map((event) => rig.publish(event)));
    const bad = all.flatMap(({ status }, i) => (status === 'rejected' ? [i] : []));
    assert.deepEqual(bad, [0]);
    assert.deepEqual(rig.orders(), ['O-first', ...numbers(8).slice(1)]);
  });
}

test('a session that the Pub/Sub API alone refuses holds the messages, and is not asked for over and over', async (t) => {
  const rig = await rigFor(t);
  await rig.publish(order('first'));
  rig.org.faults.add({ match: { topic: TOPIC }, action: { grpc: { code: 'UNAUTHENTICATED' } } });
  const result = rig.publish(order(0));
  await until(() => rig.pubsub.availability.current?.reason === 'login');
  assert.match(
    rig.pubsub.availability.current?.message ?? '',
    /refuses a session that the org has just granted/,
  );
  const logins = paths(rig, '/token').length;
  assert.ok(logins <= 4, `${logins} logins`);
  rig.org.faults.clear();
  await result;
});

test('a request that the org chokes on again and again is taken apart, and given up in the end', async (t) => {
  const rig = await rigFor(t);
  await rig.publish(order('first'));
  rig.org.faults.add({ match: { path: '/Publish' }, action: { grpc: { code: 'INTERNAL' } } });
  const error = await failed(rig.publish(order(0)));
  assert.deepEqual([error.code, error.retryable], ['ORG_FAILED_REPEATEDLY', true]);
});

test('closing lets requests finish, and fails what was not begun so that it comes again', async (t) => {
  const rig = await rigFor(t, { org: { latencyMs: 50 } });
  await rig.publish(order('first'));
  const begun = rig.publish(order(0));
  await until(() => rig.requests().length === 2, { interval: 1 });
  const waiting = failed(rig.publish(order(1)));
  await rig.publisher.close(5_000);
  assert.equal((await begun)[0]?.success, true);
  const { code, retryable } = await waiting;
  assert.deepEqual([code, retryable], ['NODE_CLOSED', true]);
  assert.equal((await failed(rig.publish(order(2)))).code, 'NODE_CLOSED');
});

test('closing does not wait longer than it may', async (t) => {
  const rig = await rigFor(t);
  await rig.publish(order('first'));
  rig.org.faults.add({ match: { topic: TOPIC }, action: { grpc: { delayMs: 2_000 } } });
  const slow = failed(rig.publish(order(0)));
  await until(() => rig.requests().length === 2);
  await rig.publisher.close(50);
  assert.equal((await slow).code, 'NODE_CLOSED');
});
