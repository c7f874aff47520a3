/** Subscribe and ManagedSubscribe, by raw requests on the npm package's proto file. */
import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { until } from '../../support/until';
import { orgFor, rawClient } from '../connect';
import { type Org, type OrgOptions } from '../org';
import { control, events, rawPubSub, refusalOf, type RawPubSub } from './client';

const TOPIC = '/event/OrderStatus__e';
const HOUR = 60 * 60_000;
const EARLIEST = 1;
const CUSTOM = 2;

async function start(t: TestContext, options: OrgOptions = {}): Promise<{ org: Org; pubsub: RawPubSub }> {
  const org = await orgFor(t, { ...options, pubsub: true });
  return { org, pubsub: await rawPubSub(t, org) };
}

/** Publishes events whose order ids are the numbers of a range. */
function fill(org: Org, from: number, to: number): void {
  const ids = Array.from({ length: to - from }, (_, i) => ({ Order_ID__c: String(from + i) }));
  org.bus().publish(TOPIC, ...ids);
}

const subscribers = (org: Org): number => org.bus().log.listenerCount('published');
const replayIds = (org: Org): Buffer[] => org.events().map(({ replayId }) => Buffer.from(replayId, 'base64'));

test('an object that is deselected for a while: its subscribers hear nothing, and never of what was changed then', async (t) => {
  const { org, pubsub } = await start(t);
  const topicName = '/data/ContactChangeEvent';
  const stream = pubsub.stream('Subscribe', { topicName, replayPreset: EARLIEST, numRequested: 100 });
  org.write('Contact', { LastName: 'before' });
  await until(() => events(stream).length === 1);
  org.switches.changeDataCapture = ['Account'];
  org.write('Contact', { LastName: 'meanwhile' });
  assert.match((await pubsub.refusal('GetTopic', { topicName })).errorCode ?? '', /topic\.not\.found/);
  org.switches.changeDataCapture = 'all';
  org.write('Contact', { LastName: 'after' });
  await until(() => events(stream).length === 2);
  assert.equal(org.events(topicName).length, 2);
  const again = pubsub.stream('Subscribe', { topicName, replayPreset: EARLIEST, numRequested: 100 });
  await until(() => events(again).length === 2);
});

describe('fetch accounting', () => {
  test('no more events come than were asked for; requests add up; responses say what is outstanding', async (t) => {
    const { org, pubsub } = await start(t);
    fill(org, 0, 10);
    const stream = pubsub.stream('Subscribe', { topicName: TOPIC, replayPreset: EARLIEST, numRequested: 3 });
    await until(() => events(stream).length === 3);
    assert.equal(stream.received.at(-1)?.pendingNumRequested, 0);
    stream.write({ numRequested: 4 });
    stream.write({ numRequested: 5 });
    await until(() => events(stream).length === 10);
    assert.equal(stream.received.at(-1)?.pendingNumRequested, 2);
    assert.deepEqual(
      events(stream).map(({ replayId }) => replayId),
      replayIds(org),
    );
    assert.deepEqual(stream.received.at(-1)?.latestReplayId, replayIds(org).at(-1));
    fill(org, 10, 20);
    await until(() => events(stream).length === 12);
    assert.equal(stream.received.at(-1)?.pendingNumRequested, 0);

    const waiting = pubsub.stream('Subscribe', { topicName: TOPIC, numRequested: 3 }, { numRequested: 4 });
    await until(() => subscribers(org) === 2);
    await pubsub.call('GetTopic', { topicName: TOPIC });
    fill(org, 20, 30);
    await until(() => events(waiting).length === 7);
    assert.equal(waiting.received.at(-1)?.pendingNumRequested, 0);
  });

  test('a hundred outstanding is the most: who asks for more gets a hundred', async (t) => {
    const { org, pubsub } = await start(t);
    const first = { topicName: TOPIC, numRequested: 90 };
    const stream = pubsub.stream('Subscribe', first, { numRequested: 90 }, { numRequested: 500 });
    await until(() => subscribers(org) === 1);
    // The requests before it on the connection have been taken, too.
    await pubsub.call('GetTopic', { topicName: TOPIC });
    fill(org, 0, 150);
    const last = await until(() => events(stream).length >= 100 && stream.received.at(-1));
    assert.deepEqual([events(stream).length, last.pendingNumRequested], [100, 0]);
    stream.write({ numRequested: 1 });
    await until(() => events(stream).length === 101);
  });

  test('who has got all and asks for nothing within the time is let go without an error', async (t) => {
    const { org, pubsub } = await start(t, { switches: { fetchIdleMs: 50 } });
    fill(org, 0, 1);
    const stream = pubsub.stream('Subscribe', { topicName: TOPIC, replayPreset: EARLIEST, numRequested: 1 });
    assert.equal((await stream.status).code, 0);
    assert.equal(events(stream).length, 1);
  });

  test('events that would not fit into a message come in several', async (t) => {
    const { org, pubsub } = await start(t, {
      schema: [{ name: 'Big__e', fields: [{ name: 'Text__c', type: 'textarea', length: 131_072 }] }],
    });
    const big = Array.from({ length: 60 }, () => ({ Text__c: 'x'.repeat(120_000) }));
    org.bus().publish('/event/Big__e', ...big);
    const stream = pubsub.stream('Subscribe', {
      topicName: '/event/Big__e',
      replayPreset: EARLIEST,
      numRequested: 100,
    });
    await until(() => events(stream).length === 60);
    assert.ok(stream.received.length > 2);
  });

  test('asking for no events, for another topic, or for none: INVALID_ARGUMENT', async (t) => {
    const { pubsub } = await start(t);
    for (const [code, ...requests] of [
      ['subscription.fetch.requested.events.invalid', { topicName: TOPIC }],
      ['topic.validation.empty', { numRequested: 1 }],
      [
        'subscription.fetch.topic.mismatch',
        { topicName: TOPIC, numRequested: 1 },
        { topicName: '/data/ChangeEvents', numRequested: 1 },
      ],
      [
        'subscription.fetch.replayid.validation.failed',
        { topicName: TOPIC, numRequested: 1, replayPreset: CUSTOM },
      ],
    ] as const) {
      const refusal = refusalOf(await pubsub.stream('Subscribe', ...requests).status);
      assert.deepEqual([refusal.code, refusal.errorCode], [3, code]);
    }
    const unknown = pubsub.stream('Subscribe', { topicName: '/event/Nope__e', numRequested: 1 });
    assert.deepEqual(refusalOf(await unknown.status).errorCode, 'topic.not.found');
  });

  test('above the daily delivery limit the stream ends with subscription.limit.exceeded', async (t) => {
    const { org, pubsub } = await start(t);
    org.limits({ DailyDeliveredPlatformEvents: { Remaining: 2 } });
    fill(org, 0, 2);
    const stream = pubsub.stream('Subscribe', { topicName: TOPIC, replayPreset: EARLIEST, numRequested: 9 });
    await until(() => events(stream).length === 2);
    fill(org, 2, 3);
    assert.deepEqual(refusalOf(await stream.status).errorCode, 'subscription.limit.exceeded');
  });
});

describe('keepalives', () => {
  test('empty responses tell a newer position, from which nothing is missed', async (t) => {
    const { org, pubsub } = await start(t, { switches: { keepAliveMs: 30 } });
    fill(org, 0, 1);
    const stream = pubsub.stream('Subscribe', { topicName: TOPIC, numRequested: 10 });
    const first = await until(() => stream.received.length >= 2 && stream.received[0]);
    const second = stream.received[1];
    assert.deepEqual([first.events, first.pendingNumRequested], [[], 10]);
    assert.ok(Buffer.compare(second?.latestReplayId as Buffer, first.latestReplayId) > 0);
    stream.cancel();
    fill(org, 1, 2);
    const resumed = pubsub.stream('Subscribe', {
      topicName: TOPIC,
      replayPreset: CUSTOM,
      replayId: second?.latestReplayId,
      numRequested: 1,
    });
    await until(() => events(resumed).length === 1);
    assert.deepEqual(events(resumed)[0]?.replayId, replayIds(org)[1]);
  });

  test('never pass an event by', async (t) => {
    const { org, pubsub } = await start(t, { switches: { keepAliveMs: 1 } });
    const stream = pubsub.stream('Subscribe', { topicName: TOPIC, numRequested: 100 });
    await until(() => stream.received.length > 0);
    for (let i = 0; i < 90; i++) {
      fill(org, i, i + 1);
      // Long enough for a keepalive to be due before the event has been announced.
      for (const until = Date.now() + 2; Date.now() < until;);
      await new Promise((resolve) => setTimeout(resolve));
    }
    await until(() => events(stream).length === 90);
  });

  test('who has nothing outstanding gets none', async (t) => {
    const { org, pubsub } = await start(t, { switches: { keepAliveMs: 10, fetchIdleMs: 200 } });
    fill(org, 0, 1);
    const stream = pubsub.stream('Subscribe', { topicName: TOPIC, replayPreset: EARLIEST, numRequested: 1 });
    await stream.status;
    assert.equal(stream.received.length, 1);
  });
});

describe('replay', () => {
  const from = (pubsub: RawPubSub, replayId: Buffer) =>
    pubsub.stream('Subscribe', { topicName: TOPIC, replayPreset: CUSTOM, replayId, numRequested: 100 });

  test('starts behind the event whose id is given, of whatever topic it was', async (t) => {
    const { org, pubsub } = await start(t);
    fill(org, 0, 3);
    org.write('Contact', { LastName: 'Other topic' });
    fill(org, 3, 5);
    const ids = replayIds(org);
    for (const [at, rest] of [
      [1, 3],
      [3, 2],
    ] as const) {
      const stream = from(pubsub, ids[at] as Buffer);
      await until(() => events(stream).length === rest);
      assert.deepEqual(events(stream).at(-1)?.replayId, ids.at(-1));
    }
  });

  test('an id that was computed, cut, or is from the future is corrupted', async (t) => {
    const { org, pubsub } = await start(t);
    fill(org, 0, 3);
    const [first, second] = replayIds(org).map((id) => id.readBigUInt64BE()) as [bigint, bigint];
    const gap = Buffer.alloc(8);
    gap.writeBigUInt64BE(second > first + 1n ? first + 1n : second + 1n);
    for (const id of [gap, Buffer.from([1, 2, 3]), Buffer.alloc(8, 0xff)]) {
      const { code, errorCode, details } = refusalOf(await from(pubsub, id).status);
      assert.deepEqual([code, errorCode], [3, 'subscription.fetch.replayid.corrupted']);
      assert.match(details, /^The Replay ID validation failed\./);
    }
  });

  test('events go after 72 h: their ids are corrupted, EARLIEST starts behind them', async (t) => {
    const { org, pubsub } = await start(t);
    fill(org, 0, 2);
    const [old] = replayIds(org);
    org.store.clockOffset = 71 * HOUR;
    fill(org, 2, 3);
    const fresh = await rawPubSub(t, org);
    const kept = from(fresh, old as Buffer);
    await until(() => events(kept).length === 2);
    org.store.clockOffset = 73 * HOUR;
    const later = await rawPubSub(t, org);
    assert.deepEqual(
      refusalOf(await from(later, old as Buffer).status).errorCode,
      'subscription.fetch.replayid.corrupted',
    );
    const earliest = later.stream('Subscribe', { topicName: TOPIC, replayPreset: EARLIEST, numRequested: 9 });
    await until(() => events(earliest).length === 1);
    assert.equal(org.events().length, 1);
    assert.ok(pubsub);
  });

  test('by control events go at once, but for the newest', async (t) => {
    const { org, pubsub } = await start(t);
    fill(org, 0, 5);
    const ids = replayIds(org);
    await control(org, 'DELETE', 'events?keep=2');
    assert.deepEqual(replayIds(org), ids.slice(3));
    assert.equal(refusalOf(await from(pubsub, ids[2] as Buffer).status).code, 3);
    const stream = from(pubsub, ids[3] as Buffer);
    await until(() => events(stream).length === 1);
  });

  test('replay ids may be longer than a number', async (t) => {
    const { org, pubsub } = await start(t, { switches: { replayIdBytes: 10 } });
    fill(org, 0, 2);
    const [first, second] = replayIds(org);
    assert.equal(first?.length, 10);
    const stream = from(pubsub, first);
    await until(() => events(stream).length === 1);
    assert.deepEqual(events(stream)[0]?.replayId, second);
  });
});

describe('channels', () => {
  test('have the events of the topics they are made of, each with its own schema', async (t) => {
    const { org, pubsub } = await start(t);
    await control(org, 'POST', 'channels', {
      name: '/data/Sales__chn',
      topics: ['/data/ContactChangeEvent', '/data/AccountChangeEvent'],
    });
    org.write('Contact', { LastName: 'C' });
    org.write('Order__c', { OrderNumber__c: '1' });
    org.write('Account', { Name: 'A' });
    for (const [topicName, count] of [
      ['/data/Sales__chn', 2],
      ['/data/ChangeEvents', 3],
    ] as const) {
      const stream = pubsub.stream('Subscribe', { topicName, replayPreset: EARLIEST, numRequested: 100 });
      await until(() => events(stream).length === count);
      assert.equal(new Set(events(stream).map(({ event }) => event.schemaId)).size, count);
    }
  });
});

describe('managed subscriptions', () => {
  async function managed(t: TestContext, more: object = {}) {
    const { org, pubsub } = await start(t);
    const declaration = {
      developerName: 'Orders',
      topicName: TOPIC,
      defaultReplay: 'EARLIEST' as const,
      ...more,
    };
    return { org, pubsub, subscription: org.bus().managed.declare(declaration) };
  }

  test('commits are answered on the stream, and the next stream starts behind the last', async (t) => {
    const { org, pubsub, subscription } = await managed(t);
    fill(org, 0, 5);
    const stream = pubsub.stream('ManagedSubscribe', { developerName: 'Orders', numRequested: 3 });
    await until(() => events(stream).length === 3);
    const replayId = events(stream)[1]?.replayId;
    stream.write({ commitReplayIdRequest: { commitRequestId: 'c1', replayId } });
    const { commitResponse } = await until(() => stream.received.find((response) => response.commitResponse));
    assert.deepEqual(
      [commitResponse?.commitRequestId, commitResponse?.replayId, commitResponse?.error],
      ['c1', replayId, null],
    );
    assert.ok(Math.abs(Number(commitResponse?.processTime) - Date.now()) < 60_000);
    stream.end();
    await stream.status;
    const again = pubsub.stream('ManagedSubscribe', { subscriptionId: subscription.id, numRequested: 10 });
    await until(() => events(again).length === 3);
    assert.deepEqual(events(again)[0]?.replayId, replayIds(org)[2]);
  });

  test('what can’t be committed is an error in the answer, and the stream goes on', async (t) => {
    const { org, pubsub } = await managed(t);
    fill(org, 0, 5);
    const stream = pubsub.stream('ManagedSubscribe', { developerName: 'Orders', numRequested: 3 });
    await until(() => events(stream).length === 3);
    const ids = replayIds(org);
    const commits = [ids[2], ids[4], ids[1], Buffer.from('nonsense'), Buffer.alloc(0)];
    for (const [i, replayId] of commits.entries())
      stream.write({ commitReplayIdRequest: { commitRequestId: String(i), replayId } });
    const answers = await until(() => {
      const found = stream.received.flatMap(({ commitResponse }) => commitResponse ?? []);
      return found.length === commits.length && found;
    });
    assert.deepEqual(
      answers.map(({ error }) => error?.code),
      [undefined, 2, 2, 2, 2],
    );
    stream.write({ numRequested: 2 });
    await until(() => events(stream).length === 5);
  });

  test('a committed position that is gone is replaced by errorRecoveryReplay', async (t) => {
    const { org, pubsub, subscription } = await managed(t, { errorRecoveryReplay: 'EARLIEST' });
    fill(org, 0, 1);
    const [gone] = replayIds(org);
    subscription.committed = { position: 1, replayId: gone as Buffer };
    org.bus().log.forget();
    fill(org, 1, 3);
    const stream = pubsub.stream('ManagedSubscribe', { developerName: 'Orders', numRequested: 10 });
    await until(() => events(stream).length === 2);
  });

  test('a client is alone on its subscription, which must exist and run; requests say one thing', async (t) => {
    const { org, pubsub, subscription } = await managed(t);
    const open = pubsub.stream('ManagedSubscribe', { developerName: 'Orders', numRequested: 1 });
    await until(() => subscription.active);
    org.bus().managed.declare({ developerName: 'Stopped', topicName: TOPIC, state: 'STOP' });
    const first = async (request: object): Promise<string | undefined> =>
      refusalOf(await pubsub.stream('ManagedSubscribe', { ...request }).status).errorCode;
    const code = 'managed.subscription.';
    assert.equal(await first({ developerName: 'Orders', numRequested: 1 }), `${code}already.active`);
    assert.equal(await first({ developerName: 'Stopped', numRequested: 1 }), `${code}config.stopped`);
    assert.equal(await first({ developerName: 'Nope' }), `${code}developer.name.not.found`);
    assert.equal(await first({ subscriptionId: '18xHs0000000099' }), `${code}subscription.id.not.found`);
    assert.equal(await first({ subscriptionId: '18x' }), `${code}subscription.id.invalid`);
    assert.equal(await first({}), `${code}id.or.developer.name.empty`);
    assert.equal(
      await first({ developerName: 'Orders', commitReplayIdRequest: { commitRequestId: '1' } }),
      `${code}fetch.request.commit.request.restricted`,
    );
    assert.equal(
      await first({ developerName: 'Orders', numRequested: -1 }),
      `${code}fetch.request.events.invalid`,
    );
    open.write({});
    assert.equal(refusalOf(await open.status).errorCode, `${code}fetch.request.invalid`);
    assert.equal(subscription.active, false);
  });

  test('Tooling makes and finds them', async (t) => {
    const { org } = await start(t);
    const call = await rawClient(org);
    const made = await call('POST', '/tooling/sobjects/ManagedEventSubscription', {
      FullName: 'Made',
      Metadata: { label: 'Made', topicName: TOPIC, defaultReplay: 'LATEST', state: 'RUN' },
    });
    assert.equal(made.status, 201);
    const { id } = made.json as { id: string };
    const soql = `SELECT Id, DeveloperName, Metadata FROM ManagedEventSubscription WHERE Id='${id}' LIMIT 1`;
    const { json } = await call('GET', `/tooling/query/?q=${encodeURIComponent(soql)}`);
    const [record] = (json as { records: { DeveloperName: string; Metadata: { topicName: string } }[] })
      .records;
    assert.deepEqual([record?.DeveloperName, record?.Metadata.topicName], ['Made', TOPIC]);
  });
});
