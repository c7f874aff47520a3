/** The calls of the Pub/Sub API, by raw requests on the npm package's proto file. */
import assert from 'node:assert/strict';
import { before, after, describe, test } from 'node:test';
import { Type } from 'avsc';
import { until } from '../../support/until';
import { orgFor, rawClient } from '../connect';
import { startOrg, type Org } from '../org';
import { control, rawPubSub, refusalOf, type RawPubSub } from './client';
import { type PublishResponse } from './messages';

const TOPIC = '/event/OrderStatus__e';
const MB = 1024 * 1024;

let org: Org;
before(async () => {
  org = await startOrg({ pubsub: true });
});
after(() => org.close());

/** Events of a topic by its schema as it is now. */
async function maker(pubsub: RawPubSub, topicName = TOPIC) {
  const { schemaId } = await pubsub.call('GetTopic', { topicName });
  const { schemaJson } = await pubsub.call('GetSchema', { schemaId });
  const type = Type.forSchema(JSON.parse(schemaJson) as Parameters<typeof Type.forSchema>[0]);
  const nothing = Object.fromEntries(
    (JSON.parse(schemaJson) as { fields: { name: string }[] }).fields.map(({ name }) => [name, null]),
  );
  return (id: string, fields: Record<string, unknown> = {}) => ({
    id,
    schemaId,
    payload: type.toBuffer({ ...nothing, CreatedDate: 1, CreatedById: org.userId, ...fields }),
  });
}

function outcomes({
  results,
}: PublishResponse): [key: string, published: boolean, error: number | undefined][] {
  return results.map(({ correlationKey, replayId, error }) => [
    correlationKey,
    replayId.length > 0,
    error?.code,
  ]);
}

describe('metadata', () => {
  test('a token that is no session’s, another org’s id or instance: UNAUTHENTICATED, service.auth.error', async (t) => {
    const pubsub = await rawPubSub(t, org);
    for (const [name, value] of [
      ['accesstoken', `${org.orgId.slice(0, 15)}!nonsense`],
      ['tenantid', '00D000000000062'],
      ['instanceurl', 'https://elsewhere.my.salesforce.com'],
    ] as const) {
      const good = pubsub.metadata.get(name)[0] ?? '';
      pubsub.metadata.set(name, value);
      const { code, errorCode, details } = await pubsub.refusal('GetTopic', { topicName: TOPIC });
      assert.deepEqual([code, errorCode], [16, 'service.auth.error']);
      assert.match(details, /^An authentication exception occurred\. .* rpcId: [0-9a-f-]{36}$/);
      pubsub.metadata.set(name, good);
    }
    assert.equal((await pubsub.call('GetTopic', { topicName: TOPIC })).topicName, TOPIC);
  });

  test('a missing or malformed header: service.auth.headers.invalid, on streams too', async (t) => {
    const pubsub = await rawPubSub(t, org);
    for (const name of ['accesstoken', 'tenantid', 'instanceurl']) {
      const [good = ''] = pubsub.metadata.get(name);
      pubsub.metadata.remove(name);
      const refusals = await Promise.all([
        pubsub.refusal('Publish', { topicName: TOPIC }),
        pubsub.stream('Subscribe', { topicName: TOPIC, numRequested: 1 }).status.then(refusalOf),
        pubsub.stream('PublishStream').status.then(refusalOf),
        pubsub.stream('ManagedSubscribe').status.then(refusalOf),
      ]);
      for (const { code, errorCode } of refusals)
        assert.deepEqual([code, errorCode], [16, 'service.auth.headers.invalid']);
      pubsub.metadata.set(name, good);
    }
  });

  test('an expired session ends unary calls and, when something happens on them, open streams', async (t) => {
    const own = await orgFor(t, { pubsub: true });
    const pubsub = await rawPubSub(t, own);
    const idle = pubsub.stream('Subscribe', { topicName: TOPIC, numRequested: 10 });
    const publishing = pubsub.stream('PublishStream', {
      topicName: TOPIC,
      events: [(await maker(pubsub))('1')],
    });
    await until(() => publishing.received.length === 1);
    own.expireSessions();
    own.bus().publish(TOPIC, {});
    assert.equal((await pubsub.refusal('GetTopic', { topicName: TOPIC })).code, 16);
    publishing.write({ topicName: TOPIC });
    for (const stream of [idle, publishing])
      assert.deepEqual(refusalOf(await stream.status).errorCode, 'service.auth.error');
  });

  test('switched, open streams outlive their session', async (t) => {
    const own = await orgFor(t, { pubsub: true, switches: { streamsOutliveSessions: true } });
    const pubsub = await rawPubSub(t, own);
    const stream = pubsub.stream('Subscribe', { topicName: TOPIC, numRequested: 1 });
    await until(() => own.bus().log.listenerCount('published') === 1);
    own.expireSessions();
    own.bus().publish(TOPIC, {});
    await until(() => stream.received.length === 1);
  });
});

describe('GetTopic and GetSchema', () => {
  test('a platform event can be published, its schema has the system fields and the custom ones', async (t) => {
    const pubsub = await rawPubSub(t, org);
    const topic = await pubsub.call('GetTopic', { topicName: TOPIC });
    assert.deepEqual(
      [topic.canPublish, topic.canSubscribe, topic.tenantGuid],
      [true, true, `CORE/prod/${org.orgId}`],
    );
    assert.match(topic.schemaId, /^[\w-]{22}$/);
    const { schemaJson, schemaId } = await pubsub.call('GetSchema', { schemaId: topic.schemaId });
    assert.equal(schemaId, topic.schemaId);
    const schema = JSON.parse(schemaJson) as { fields: { name: string; type: unknown; doc: string }[] };
    assert.deepEqual(
      { ...schema, fields: schema.fields.map(({ name, type }) => [name, type]) },
      {
        name: 'OrderStatus__e',
        namespace: 'com.sforce.eventbus',
        type: 'record',
        fields: [
          ['CreatedDate', 'long'],
          ['CreatedById', 'string'],
          ['Order_ID__c', ['null', 'string']],
          ['Status__c', ['null', 'string']],
          ['Timestamp__c', ['null', 'long']],
          ['Amount__c', ['null', 'double']],
          ['Urgent__c', ['null', 'boolean']],
        ],
        uuid: schemaId,
      },
    );
    assert.deepEqual(
      schema.fields.slice(0, 2).map(({ doc }) => doc),
      ['CreatedDate:DateTime', 'CreatedBy:EntityId'],
    );
  });

  test('the schema id changes with the fields and not otherwise; the old schema can still be read', async (t) => {
    const own = await orgFor(t, { pubsub: true });
    const pubsub = await rawPubSub(t, own);
    const idOf = async (topicName: string): Promise<string> =>
      (await pubsub.call('GetTopic', { topicName })).schemaId;
    const first = await idOf(TOPIC);
    const contact = await idOf('/data/ContactChangeEvent');
    assert.notEqual(first, contact);
    await control(own, 'POST', 'schema', { name: 'OrderStatus__e', label: 'Another label' });
    assert.equal(await idOf(TOPIC), first);
    own.declare({ name: 'OrderStatus__e', fields: [{ name: 'Note__c' }] });
    own.declare({ name: 'Contact', fields: [{ name: 'Note__c' }] });
    const second = await idOf(TOPIC);
    assert.notEqual(second, first);
    assert.notEqual(await idOf('/data/ContactChangeEvent'), contact);
    const { schemaJson } = await pubsub.call('GetSchema', { schemaId: first });
    assert.equal(schemaJson.includes('Note__c'), false);
    own.declare({ name: 'OrderStatus__e', removeFields: ['Note__c'] });
    assert.equal(await idOf(TOPIC), first);
  });

  test('change events of standard and custom objects have topics, and all of them one channel', async (t) => {
    const pubsub = await rawPubSub(t, org);
    for (const topicName of ['/data/ContactChangeEvent', '/data/Order__ChangeEvent']) {
      const topic = await pubsub.call('GetTopic', { topicName });
      assert.deepEqual([topic.canPublish, topic.canSubscribe], [false, true]);
      const { schemaJson } = await pubsub.call('GetSchema', { schemaId: topic.schemaId });
      assert.equal((JSON.parse(schemaJson) as { name: string }).name, topicName.split('/')[2]);
    }
    const channel = await pubsub.call('GetTopic', { topicName: '/data/ChangeEvents' });
    assert.deepEqual([channel.canSubscribe, channel.schemaId], [true, '']);
  });

  test('what doesn’t exist is NOT_FOUND or, switched, PERMISSION_DENIED; names are case sensitive', async (t) => {
    const own = await orgFor(t, { pubsub: true, switches: { changeDataCapture: ['Contact'] } });
    const pubsub = await rawPubSub(t, own);
    const refusal = async (topicName: string): Promise<unknown[]> => {
      const { code, errorCode } = await pubsub.refusal('GetTopic', { topicName });
      return [code, errorCode];
    };
    for (const name of [
      '/event/Nope__e',
      '/event/orderstatus__e',
      '/data/AccountChangeEvent',
      'OrderStatus__e',
    ])
      assert.deepEqual(await refusal(name), [5, 'topic.not.found']);
    own.switches.deniedTopics = [TOPIC];
    assert.deepEqual(await refusal(TOPIC), [7, 'topic.meta.permission']);
    own.switches.unknownTopic = 'denied';
    assert.deepEqual(await refusal('/event/Nope__e'), [7, 'topic.meta.permission']);
    assert.deepEqual(await refusal(''), [3, 'topic.validation.empty']);
    const schema = await pubsub.refusal('GetSchema', { schemaId: 'nonsense' });
    assert.deepEqual([schema.code, schema.errorCode], [5, 'schema.meta.permission']);
  });
});

describe('Publish', () => {
  test('results keep the order and echo the ids; replay ids rise, with gaps', async (t) => {
    const pubsub = await rawPubSub(t, org);
    const event = await maker(pubsub);
    const ids = Array.from({ length: 200 }, (_, i) => `p${i}`);
    const response = await pubsub.call('Publish', { topicName: TOPIC, events: ids.map((id) => event(id)) });
    assert.deepEqual(
      response.results.map(({ correlationKey }) => correlationKey),
      ids,
    );
    const numbers = response.results.map(({ replayId }) => Number(replayId.readBigUInt64BE()));
    const steps = numbers.slice(1).map((number, i) => number - (numbers[i] ?? 0));
    assert.ok(steps.every((step) => step > 0));
    assert.ok(new Set(steps).size > 1);
  });

  test('an event above 1 MB has an error in its own result, the others are published', async (t) => {
    const pubsub = await rawPubSub(t, org);
    const event = await maker(pubsub);
    const events = [event('a'), event('big', { Order_ID__c: 'x'.repeat(MB) }), event('c')];
    assert.deepEqual(outcomes(await pubsub.call('Publish', { topicName: TOPIC, events })), [
      ['a', true, undefined],
      ['big', false, 1],
      ['c', true, undefined],
    ]);
  });

  test('a request above 4 MB is UNAVAILABLE as from a proxy, and nothing is published', async (t) => {
    const own = await orgFor(t, { pubsub: true });
    const pubsub = await rawPubSub(t, own);
    const event = await maker(pubsub);
    const request = {
      topicName: TOPIC,
      events: [0, 1, 2, 3, 4].map((i) => event(`${i}`, { Order_ID__c: 'x'.repeat(0.9 * MB) })),
    };
    const upstream = {
      code: 14,
      errorCode: undefined,
      details: 'upstream connect error or disconnect/reset before headers. reset reason: remote reset',
    };
    assert.deepEqual(await pubsub.refusal('Publish', request), upstream);
    assert.deepEqual(refusalOf(await pubsub.stream('PublishStream', request).status), upstream);
    assert.deepEqual(own.events(), []);
  });

  test('no events, or more than the switch says: publish.event.count.invalid; 201 are taken', async (t) => {
    const own = await orgFor(t, { pubsub: true });
    const pubsub = await rawPubSub(t, own);
    const event = await maker(pubsub);
    const many = (count: number): Record<string, unknown> => ({
      topicName: TOPIC,
      events: Array.from({ length: count }, (_, i) => event(`${i}`)),
    });
    await pubsub.call('Publish', many(201));
    own.switches.publishEvents = 200;
    for (const count of [0, 201]) {
      const { code, errorCode } = await pubsub.refusal('Publish', many(count));
      assert.deepEqual([code, errorCode], [3, 'publish.event.count.invalid']);
    }
  });

  test('without CreatedDate or CreatedById the call fails; any user id will do, and a field may be missing', async (t) => {
    const own = await orgFor(t, { pubsub: true });
    const pubsub = await rawPubSub(t, own);
    const event = await maker(pubsub);
    const good = event('1', { CreatedById: 'nobody' });
    for (const payload of [
      Buffer.alloc(0),
      event('1', { CreatedById: '' }).payload,
      good.payload.subarray(0, 1),
    ]) {
      const { code } = await pubsub.refusal('Publish', {
        topicName: TOPIC,
        events: [event('0'), { ...good, payload }],
      });
      assert.equal(code, 3);
    }
    assert.deepEqual(own.events(), []);
    await pubsub.call('Publish', { topicName: TOPIC, events: [good] });
    assert.deepEqual(
      own.events().map(({ payload }) => [payload?.CreatedById, payload?.Order_ID__c]),
      [['nobody', null]],
    );
  });

  test('bytes that aren’t what the schema says are published: nobody checks them', async (t) => {
    const own = await orgFor(t, { pubsub: true });
    const pubsub = await rawPubSub(t, own);
    const { schemaId, payload } = (await maker(pubsub))('1');
    await pubsub.call('Publish', {
      topicName: TOPIC,
      events: [{ id: '1', schemaId, payload: Buffer.concat([payload, Buffer.from('more')]) }],
    });
    assert.deepEqual(
      own.events().map((event) => event.payload),
      [null],
    );
  });

  test('an event under an earlier schema: refused by itself, or the call, or published, as the org is switched', async (t) => {
    const own = await orgFor(t, { pubsub: true });
    const pubsub = await rawPubSub(t, own);
    const old = await maker(pubsub);
    own.declare({ name: 'OrderStatus__e', fields: [{ name: 'Note__c' }] });
    const now = await maker(pubsub);
    const foreign = { ...now('foreign'), schemaId: 'AAAAAAAAAAAAAAAAAAAAAA' };
    const request = { topicName: TOPIC, events: [old('old'), now('now'), foreign] };
    assert.deepEqual(outcomes(await pubsub.call('Publish', request)), [
      ['old', false, 1],
      ['now', true, undefined],
      ['foreign', false, 1],
    ]);
    own.switches.staleSchema = 'call error';
    assert.equal((await pubsub.refusal('Publish', request)).code, 3);
    own.switches.staleSchema = 'published';
    assert.deepEqual(outcomes(await pubsub.call('Publish', request)), [
      ['old', true, undefined],
      ['now', true, undefined],
      ['foreign', false, 1],
    ]);
    assert.deepEqual(
      own.events().map(({ id, payload }) => [id, payload && 'Note__c' in payload]),
      [
        ['now', true],
        ['old', false],
        ['now', true],
      ],
    );
  });

  test('change events can’t be published', async (t) => {
    const pubsub = await rawPubSub(t, org);
    const topicName = '/data/ContactChangeEvent';
    assert.equal((await pubsub.refusal('Publish', { topicName, events: [{ id: '1' }] })).code, 7);
  });

  test('above the hourly limit events are refused one by one', async (t) => {
    const own = await orgFor(t, { pubsub: true });
    const pubsub = await rawPubSub(t, own);
    const event = await maker(pubsub);
    own.limits({ HourlyPublishedPlatformEvents: { Remaining: 1 } });
    const response = await pubsub.call('Publish', { topicName: TOPIC, events: [event('1'), event('2')] });
    assert.deepEqual(outcomes(response), [
      ['1', true, undefined],
      ['2', false, 1],
    ]);
    assert.match(response.results[1]?.error?.msg ?? '', /LIMIT_EXCEEDED/);
  });

  test('the ledger has each request with its events, and how many were under way', async (t) => {
    const own = await orgFor(t, { pubsub: true, latencyMs: 50 });
    const pubsub = await rawPubSub(t, own);
    const event = await maker(pubsub);
    await Promise.all(
      [1, 2, 3].map((count) =>
        pubsub.call('Publish', { topicName: TOPIC, events: Array.from({ length: count }, () => event('')) }),
      ),
    );
    const calls = own.requests().filter(({ path }) => path === '/eventbus.v1.PubSub/Publish');
    assert.deepEqual(
      calls.map(({ method, status, records, concurrent }) => [method, status, records, concurrent]),
      [
        ['GRPC', 0, 1, 1],
        ['GRPC', 0, 2, 2],
        ['GRPC', 0, 3, 3],
      ],
    );
    assert.ok(own.events().every(({ id }) => id.length === 36));
  });
});

describe('PublishStream', () => {
  test('answers requests in order, whether the client waits or not; later ones may leave out the topic', async (t) => {
    const own = await orgFor(t, { pubsub: true, latencyMs: 20 });
    const pubsub = await rawPubSub(t, own);
    const event = await maker(pubsub);
    const stream = pubsub.stream('PublishStream');
    for (let i = 0; i < 20; i++)
      stream.write({ topicName: i === 0 ? TOPIC : '', events: [event(`${i}a`), event(`${i}b`)] });
    stream.end();
    assert.equal((await stream.status).code, 0);
    const keys = stream.received.flatMap(outcomes).map(([key]) => key);
    assert.deepEqual(keys, Array.from({ length: 20 }, (_, i) => [`${i}a`, `${i}b`]).flat());
    assert.deepEqual(
      own.events().map(({ id }) => id),
      keys,
    );
  });

  test('another topic in the same stream: INVALID_ARGUMENT, what came before is published', async (t) => {
    const own = await orgFor(t, { pubsub: true, schema: [{ name: 'Other__e' }] });
    const pubsub = await rawPubSub(t, own);
    const event = await maker(pubsub);
    const stream = pubsub.stream(
      'PublishStream',
      { topicName: TOPIC, events: [event('1')] },
      { topicName: '/event/Other__e', events: [event('2')] },
    );
    const { code, errorCode } = refusalOf(await stream.status);
    assert.deepEqual([code, errorCode], [3, 'publish.topic.mismatch']);
    assert.deepEqual(
      own.events().map(({ id }) => id),
      ['1'],
    );
  });

  test('a stream without a request for the time it may idle is closed', async (t) => {
    const own = await orgFor(t, { pubsub: true, switches: { publishIdleMs: 50 } });
    const pubsub = await rawPubSub(t, own);
    const { errorCode } = refusalOf(await pubsub.stream('PublishStream').status);
    assert.equal(errorCode, 'publish.stream.sweeper.timeout');
  });
});

test('events that REST publishes are on the topic, with the event’s UUID', async (t) => {
  const own = await orgFor(t, { pubsub: true });
  const call = await rawClient(own);
  const reply = await call('POST', '/sobjects/OrderStatus__e', {
    Order_ID__c: 'R-1',
    Timestamp__c: '2026-01-31T12:00:00Z',
  });
  assert.equal(reply.status, 201);
  const { errors } = reply.json as { errors: { message: string }[] };
  const [event] = own.events(TOPIC);
  assert.equal(event?.id, errors[0]?.message);
  assert.deepEqual(
    [event?.payload?.Order_ID__c, event?.payload?.Timestamp__c, event?.payload?.CreatedById],
    ['R-1', Date.UTC(2026, 0, 31, 12), own.userId],
  );
});

test('behind TLS the certificate is signed by the org’s authority', async (t) => {
  const secure = await orgFor(t, { pubsub: { tls: true } });
  assert.match(secure.url, /^http:/);
  assert.match(secure.pubsub ?? '', /^localhost:\d+$/);
  const pubsub = await rawPubSub(t, secure);
  assert.equal((await pubsub.call('GetTopic', { topicName: TOPIC })).topicName, TOPIC);
});
