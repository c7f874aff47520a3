import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import { compileCodec } from '../../../nodes/salesforce/pubsub/avro';
import {
  Subscription,
  type Coming,
  type ReceivedEvent,
  type ReplayStart,
  type SubscriptionHandler,
  type SubscriptionState,
} from '../../../nodes/salesforce/pubsub/subscription';
import { FlowError } from '../../../nodes/shared/errors';
import { watchHeartbeat } from '../../support/heartbeat';
import { Desk, definition, deferred, position, replayId, rpc, turns, unreachable } from './played';

watchHeartbeat(5_000);

const TOPIC = '/event/Order__e';
let desk: Desk;
let now: number;
let room: number;
let said: string[];
let events: ReceivedEvent[];
let idle: string[];
let states: SubscriptionState[];
let lost: FlowError[];
let subscription: Subscription;
let handler: SubscriptionHandler;

/** Time passes, for timers and for the clock. */
async function pass(ms: number): Promise<void> {
  now += ms;
  mock.timers.tick(ms);
  await turns();
}

beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout'] });
  now = 1_000;
  mock.method(performance, 'now', () => now);
  room = 100;
  [said, events, idle, states, lost] = [[], [], [], [], []];
  desk = new Desk();
  handler = {
    event: (event) => {
      events.push(event);
      room--;
    },
    idle: (id) => idle.push(id),
    room: () => room,
    positionLost: (error) => lost.push(error),
    state: (state) => states.push(state),
    log: (level, text) => said.push(`${level}: ${text}`),
  };
  subscription = new Subscription(desk.pubsub, TOPIC, handler);
});
afterEach(async () => {
  await subscription.stop();
  desk.close();
  mock.timers.reset();
  mock.restoreAll();
});

async function start(from: ReplayStart = 'earliest'): Promise<void> {
  subscription.start(from);
  await turns();
}

/** The stream that is open, the latest. */
const stream = () => desk.reading.at(-1) ?? assert.fail('no stream is open');
const streams = () => desk.reading.length;
const outage = () => desk.pubsub.availability.current;
const phase = () => states.at(-1)?.phase;
const codec = compileCodec(definition('Order_ID__c', 'Status__c'));
const event = (n: number, more: object = {}) => ({
  event: {
    id: `id-${n}`,
    schema_id: 'schema-1',
    payload: codec.encode({ CreatedDate: 1, CreatedById: 'u', Order_ID__c: `O-${n}`, Status__c: null }),
    ...more,
  },
  replay_id: replayId(n),
});
/** The org sends these events of those it was asked for. */
async function send(...numbers: number[]): Promise<void> {
  stream().data({
    events: numbers.map((n) => event(n)),
    latest_replay_id: replayId(numbers.at(-1) ?? 0),
    pending_num_requested: 1,
  });
  await turns();
}
async function keepalive(latest: Buffer, pending: number): Promise<void> {
  stream().data({ events: [], latest_replay_id: latest, pending_num_requested: pending });
  await turns();
}
async function breaks(...error: Parameters<typeof rpc> | []): Promise<void> {
  const [status, ...more] = error;
  stream().over(status === undefined ? undefined : rpc(status, ...more));
  await turns();
}
const asked = () => desk.reading.map(({ written }) => written.map(({ num_requested }) => num_requested));
const numbers = () => events.map(({ payload }) => payload?.Order_ID__c);

describe('where it begins', () => {
  for (const [from, request] of [
    ['latest', { replay_preset: 'LATEST' }],
    ['earliest', { replay_preset: 'EARLIEST' }],
    [{ replayId: position(7) }, { replay_preset: 'CUSTOM', replay_id: replayId(7) }],
  ] as const) {
    test(`at ${typeof from === 'object' ? 'a position' : from}`, async () => {
      await start(from);
      assert.deepEqual(stream().written, [{ topic_name: TOPIC, num_requested: 100, ...request }]);
      assert.equal(stream().auth.accessToken, 'token-1');
    });
  }
});

describe('events', () => {
  test('are handed out in order, with their ids, as plain values by field name', async () => {
    await start();
    await send(1, 2);
    await send(3);
    assert.deepEqual(events[0], {
      replayId: position(1),
      id: 'id-1',
      schemaId: 'schema-1',
      size: 9,
      payload: { CreatedDate: 1, CreatedById: 'u', Order_ID__c: 'O-1', Status__c: null },
    });
    assert.deepEqual(numbers(), ['O-1', 'O-2', 'O-3']);
  });

  test('keep their order where one needs a definition that is long in coming', async () => {
    desk.schemas.set('schema-2', definition('Order_ID__c', 'Status__c'));
    const slow = deferred();
    desk.onSchema = (id) => (id === 'schema-2' ? slow.promise : undefined);
    await start();
    stream().data({
      events: [event(1), event(2, { schema_id: 'schema-2' })],
      latest_replay_id: replayId(2),
      pending_num_requested: 1,
    });
    await send(3);
    await keepalive(replayId(4), 1);
    assert.deepEqual([events, idle], [[], []]);
    slow.resolve();
    await turns();
    assert.deepEqual(numbers(), ['O-1', 'O-2', 'O-3']);
    assert.deepEqual(idle, [position(4)]);
  });

  test('of one definition ask for it once', async () => {
    await start();
    await send(1, 2, 3);
    await send(4);
    assert.equal(desk.schemaCalls, 1);
  });

  test('of Change Data Capture have names for their bitmaps', async () => {
    const header = {
      name: 'ChangeEventHeader',
      type: {
        type: 'record',
        name: 'Header',
        fields: [
          { name: 'changeType', type: 'string' },
          { name: 'recordIds', type: { type: 'array', items: 'string' } },
          { name: 'changedFields', type: { type: 'array', items: 'string' } },
        ],
      },
    };
    const fields = [header, ...['Email', 'Phone'].map((name) => ({ name, type: ['null', 'string'] }))];
    const json = JSON.stringify({ name: 'C', type: 'record', fields });
    desk.schemas.set('change', json);
    const ChangeEventHeader = { changeType: 'UPDATE', recordIds: ['003'], changedFields: ['0x04'] };
    const payload = compileCodec(json).encode({ ChangeEventHeader, Email: null, Phone: '1' });
    await start();
    stream().data({
      events: [event(1, { schema_id: 'change', payload })],
      latest_replay_id: replayId(1),
      pending_num_requested: 1,
    });
    await turns();
    const change = events[0]?.payload as { ChangeEventHeader: { changedFields: string[] } };
    assert.deepEqual(change.ChangeEventHeader.changedFields, ['Phone']);
    assert.deepEqual(Object.keys(change), ['ChangeEventHeader', 'Phone']);
  });

  for (const [what, more, why] of [
    ['without a schema', { schema_id: '' }, /^The event can't be read: it names no schema$/],
    ['of a schema the org does not have', { schema_id: 'gone' }, /can't be read: .*schema gone/],
    ['that is torn', { payload: Buffer.from([2, 200]) }, /can't be read: /],
  ] as const) {
    test(`one ${what} is handed out as one that can't be read, for good, and the next is`, async () => {
      await start();
      stream().data({
        events: [event(1, more), event(2)],
        latest_replay_id: replayId(2),
        pending_num_requested: 1,
      });
      await turns();
      const [first] = events;
      assert.deepEqual(
        [first?.payload, first?.error?.code, first?.error?.retryable],
        [undefined, 'UNREADABLE_EVENT', false],
      );
      assert.match(first?.error?.message ?? '', why);
      assert.equal(first?.replayId, position(1));
      assert.equal(events[1]?.payload?.Order_ID__c, 'O-2');
    });
  }

  test('a place without an event is one that can’t be read', async () => {
    await start();
    stream().data({
      events: [{ replay_id: replayId(1) }],
      latest_replay_id: replayId(1),
      pending_num_requested: 1,
    });
    await turns();
    assert.deepEqual([events[0]?.id, events[0]?.schemaId], ['', '']);
    assert.match(events[0]?.error?.message ?? '', /names no schema/);
  });

  test('one that can’t be read keeps its bytes, and not all that came with it', async () => {
    await start();
    const answer = Buffer.alloc(1_000_000, 0xff);
    stream().data({ events: [event(1, { payload: answer.subarray(10, 13) })] });
    await turns();
    const { bytes } = events[0] ?? assert.fail();
    assert.deepEqual(bytes, Buffer.from('ffffff', 'hex'));
    assert.ok((bytes?.buffer.byteLength ?? 0) < answer.length);
  });

  test('without data one can’t be read', async () => {
    await start();
    stream().data({
      events: [event(1, { payload: undefined })],
      latest_replay_id: replayId(1),
      pending_num_requested: 1,
    });
    await turns();
    assert.match(events[0]?.error?.message ?? '', /can't be read: it has no data/);
  });

  test('whose definition can’t be asked for just now are not handed out: they come again', async () => {
    desk.onSchema = () => {
      throw rpc('UNAVAILABLE');
    };
    await start();
    await send(1);
    assert.deepEqual(events, []);
    assert.equal(desk.pubsub.availability.current?.reason, 'unreachable');
    desk.onSchema = () => undefined;
    await pass(20);
    assert.equal(stream().written[0]?.replay_preset, 'EARLIEST');
    await send(1);
    assert.deepEqual(numbers(), ['O-1']);
  });

  test('behind those are not handed out either, nor is a keepalive: the position would go past them', async () => {
    const slow = deferred();
    desk.onSchema = (id) => (id === 'schema-2' ? slow.promise : undefined);
    await start();
    await send(1);
    stream().data({
      events: [event(2, { schema_id: 'schema-2' })],
      latest_replay_id: replayId(2),
      pending_num_requested: 1,
    });
    await send(3);
    await keepalive(replayId(4), 1);
    slow.reject(rpc('UNAVAILABLE'));
    await turns();
    assert.deepEqual([numbers(), idle], [['O-1'], []]);
    await pass(20);
    assert.equal(desk.reading[0]?.cancelled, true);
    assert.deepEqual(stream().written[0]?.replay_id, replayId(1));
  });

  test('behind those, where a keepalive came next, leave the position as well', async () => {
    desk.onSchema = () => {
      throw rpc('UNAVAILABLE');
    };
    await start();
    stream().data({ events: [event(2)], latest_replay_id: replayId(2), pending_num_requested: 1 });
    await keepalive(replayId(4), 1);
    assert.deepEqual(idle, []);
  });

  test('are not passed over because the org was closed meanwhile', async () => {
    await start();
    desk.pubsub.open = () => Promise.reject(new FlowError('CLOSED', 'The org was closed'));
    await send(1);
    assert.deepEqual(events, []);
    assert.equal(phase(), 'failing');
  });
});

describe('room', () => {
  test('no more is asked for than there is room, and 100 at most', async () => {
    room = 30;
    await start();
    assert.deepEqual(asked(), [[30]]);
    await subscription.stop();
  });

  test('without room no stream is opened, until there is', async () => {
    room = 0;
    await start();
    assert.equal(streams(), 0);
    subscription.more();
    await turns();
    assert.equal(streams(), 0);
    room = 5;
    subscription.more();
    await turns();
    assert.deepEqual(asked(), [[5]]);
  });

  test('what is asked for already, and what has come and is not handed out, is subtracted', async () => {
    room = 10;
    await start();
    await send(1, 2, 3);
    // 7 are owed; the three that came are in the flow.
    assert.deepEqual([room, asked()], [7, [[10]]]);
    room = 9;
    subscription.more();
    assert.deepEqual(asked(), [[10, 2]]);
    subscription.more();
    assert.deepEqual(asked(), [[10, 2]]);
    const slow = deferred();
    desk.schemas.set('schema-2', definition('Order_ID__c', 'Status__c'));
    desk.onSchema = () => slow.promise;
    stream().data({
      events: [4, 5, 6, 7].map((n) => event(n, { schema_id: 'schema-2' })),
      latest_replay_id: replayId(7),
      pending_num_requested: 1,
    });
    await turns();
    subscription.more();
    assert.deepEqual(asked(), [[10, 2]], '5 owed and 4 on their way are 9');
    room = 10;
    subscription.more();
    assert.deepEqual(asked(), [[10, 2, 1]]);
    slow.resolve();
    await turns();
    assert.equal(events.length, 7);
    assert.equal(room, 6);
    subscription.more();
    assert.deepEqual(asked(), [[10, 2, 1]]);
  });

  test('never are more than 100 asked for, however much room there is', async () => {
    room = 1_000;
    await start();
    await send(...Array.from({ length: 60 }, (_, i) => i));
    assert.deepEqual(asked(), [[100, 60]]);
  });

  test('the next are asked for when some have come, before they are handed out', async () => {
    room = 1_000;
    await start();
    const before: unknown[] = [];
    const one = event(1);
    stream().data({ events: Array.from({ length: 100 }, () => one), pending_num_requested: 0 });
    before.push(events.length, asked());
    await turns();
    assert.deepEqual(before, [0, [[100, 100]]]);
    assert.deepEqual([events.length, asked()], [100, [[100, 100]]]);
  });

  test('what has come and is not handed out is told with its bytes, and is no more when it is, or is lost', async () => {
    const told: Coming[] = [];
    await subscription.stop();
    subscription = new Subscription(desk.pubsub, TOPIC, {
      ...handler,
      room: (coming) => {
        told.push({ ...coming });
        return 100;
      },
    });
    await start();
    const both = [event(1), event(2)];
    const bytes = both.reduce((sum, { event: { payload } }) => sum + payload.length, 0);
    stream().data({ events: both });
    assert.deepEqual(told.at(-1), { events: 2, bytes });
    await turns();
    assert.deepEqual(told.at(-1), { events: 0, bytes: 0 });
    stream().data({ events: both });
    await breaks('UNAVAILABLE');
    assert.deepEqual(told.at(-1), { events: 0, bytes: 0 });
  });

  test('a few more are asked for only when few are left: 25 of 100', async () => {
    await start();
    await send(...Array.from({ length: 74 }, (_, i) => i));
    room = 26 + 24;
    subscription.more();
    assert.deepEqual(asked(), [[100]], 'not 24 while 26 are left');
    await send(100);
    room = 25 + 24;
    subscription.more();
    assert.deepEqual(asked(), [[100, 24]], 'but while 25 are');
  });

  test('25 at once are asked for whatever is left', async () => {
    await start();
    await send(...Array.from({ length: 30 }, (_, i) => i));
    room = 70 + 25;
    subscription.more();
    assert.deepEqual(asked(), [[100, 25]]);
  });

  test('a stream that the org lets go when it was sent all it asked for is opened again without a word', async () => {
    room = 2;
    await start();
    await send(1, 2);
    await breaks();
    assert.equal(streams(), 1, 'there is no room');
    room = 2;
    subscription.more();
    await turns();
    assert.equal(streams(), 2);
    assert.deepEqual(stream().written[0]?.replay_id, replayId(2));
    await send(3, 4);
    await breaks();
    room = 1;
    subscription.more();
    await turns();
    assert.deepEqual([streams(), desk.pubsub.availability.current, said], [3, undefined, []]);
  });
});

describe('keepalives', () => {
  test('one moves the position on, as there is nothing up to it', async () => {
    await start();
    await keepalive(replayId(5), 100);
    assert.deepEqual(idle, [position(5)]);
    await breaks('UNAVAILABLE');
    assert.deepEqual(stream().written[0]?.replay_id, replayId(5));
  });

  test('one with nothing requested leaves it: the org could not have sent what there is', async () => {
    room = 2;
    await start();
    await send(1, 2);
    await keepalive(replayId(9), 0);
    assert.deepEqual(idle, []);
    await breaks('UNAVAILABLE');
    room = 5;
    subscription.more();
    await turns();
    assert.deepEqual(stream().written[0]?.replay_id, replayId(2));
  });

  test('one that says nothing at all, as when nothing is there but zeros, leaves it', async () => {
    await start();
    stream().data({ events: [] });
    await turns();
    assert.deepEqual([idle, states.at(-1)], [[], { phase: 'subscribed' }]);
  });

  test('one without a replay id leaves it', async () => {
    await start();
    await keepalive(Buffer.alloc(0), 100);
    assert.deepEqual(idle, []);
  });
});

describe('a stream that breaks', () => {
  test('is opened again at once, behind the last event that was handed out, and holds nobody', async () => {
    await start();
    await send(1, 2);
    await breaks('UNAVAILABLE');
    assert.equal(streams(), 2);
    assert.deepEqual(stream().written[0]?.replay_id, replayId(2));
    assert.equal(desk.pubsub.availability.current, undefined);
    await send(3);
    assert.deepEqual(numbers(), ['O-1', 'O-2', 'O-3']);
  });

  test('under events that wait for their definition hands them out no more: they come again', async () => {
    const slow = deferred();
    desk.onSchema = () => slow.promise;
    await start();
    await send(1, 2);
    const [first] = desk.reading;
    first?.over(rpc('UNAVAILABLE'));
    await turns();
    slow.resolve();
    await turns();
    const handedOut = numbers().length;
    assert.ok(handedOut === 0 || handedOut === 2, 'all of them or none');
    assert.deepEqual(
      stream().written[0]?.replay_preset,
      handedOut === 0 ? 'EARLIEST' : 'CUSTOM',
      'and the next stream begins behind what was handed out',
    );
  });

  test('again before it has delivered anything, is an outage: it waits for the probe', async () => {
    await start();
    desk.onTopic = () => {
      throw rpc('UNAVAILABLE');
    };
    await breaks('UNAVAILABLE');
    assert.equal(streams(), 2);
    await breaks('UNAVAILABLE');
    assert.equal(desk.pubsub.availability.current?.reason, 'unreachable');
    await pass(50);
    assert.equal(streams(), 2);
    desk.onTopic = () => undefined;
    await pass(20);
    assert.equal(desk.pubsub.availability.current, undefined);
    assert.equal(streams(), 3);
  });

  test('each time as soon as it has said something, is one too: it is not opened over and over', async () => {
    await start();
    desk.onTopic = () => {
      throw rpc('UNAVAILABLE');
    };
    for (let i = 0; i < 5 && !desk.pubsub.availability.current; i++) {
      await keepalive(replayId(i), 100);
      await breaks('UNAVAILABLE');
    }
    assert.equal(streams(), 2);
    assert.ok(desk.pubsub.availability.current);
  });

  test('after events or a while, is none, however often', async () => {
    await start();
    for (let i = 1; i <= 5; i++) {
      await send(i);
      await breaks('UNAVAILABLE');
    }
    for (let i = 1; i <= 5; i++) {
      await pass(2_000);
      await breaks('UNAVAILABLE');
    }
    assert.equal(desk.pubsub.availability.current, undefined);
    assert.equal(streams(), 11);
  });

  test('ended by the org while it owes events, counts as broken', async () => {
    await start();
    await breaks();
    assert.equal(outage()?.reason, undefined);
    await breaks();
    assert.equal(outage()?.reason, 'unreachable');
    assert.match(outage()?.message ?? '', /the org ended the stream/);
  });

  test('over the org’s limit waits at once', async () => {
    await start();
    await breaks('RESOURCE_EXHAUSTED', 'subscription.limit.exceeded');
    assert.equal(desk.pubsub.availability.current?.reason, 'limit');
    await pass(20);
    assert.equal(streams(), 2);
  });

  test('while somebody else holds the org is opened again when that is over', async () => {
    desk.pubsub.begin(unreachable(), TOPIC);
    await start();
    assert.equal(streams(), 0);
    await pass(20);
    assert.equal(streams(), 1);
  });

  test('each response says that the API is well', async () => {
    const worked = mock.method(desk.pubsub, 'worked');
    await start();
    assert.equal(worked.mock.callCount(), 0);
    await keepalive(replayId(1), 100);
    await send(1);
    assert.equal(worked.mock.callCount(), 2);
  });

  test('silent for 5 minutes is taken for broken', async () => {
    await start();
    await pass(200_000);
    await keepalive(replayId(1), 100);
    await pass(299_999);
    assert.equal(streams(), 1);
    await pass(1);
    assert.equal(desk.reading[0]?.cancelled, true);
    assert.equal(streams(), 2);
    assert.deepEqual(stream().written[0]?.replay_id, replayId(1));
  });

  test('silent from its first moment on, too', async () => {
    await start();
    await pass(299_999);
    assert.equal(streams(), 1);
    await pass(1);
    assert.equal(streams(), 2);
  });
});

describe('state', () => {
  test('it is subscribed with the first response', async () => {
    await start();
    assert.deepEqual(states, [{ phase: 'connecting' }]);
    await keepalive(replayId(1), 100);
    await send(1);
    assert.deepEqual(states, [{ phase: 'connecting' }, { phase: 'subscribed' }]);
  });

  test('or when nothing has been refused for 2 s: the org says nothing until it has an event', async () => {
    await start();
    await pass(1_999);
    assert.equal(phase(), 'connecting');
    await pass(1);
    assert.equal(phase(), 'subscribed');
  });

  test('a stream that was refused by then is not', async () => {
    await start();
    await breaks('NOT_FOUND');
    await pass(900);
    assert.equal(phase(), 'failing');
  });
});

describe('a topic that is refused', () => {
  const missing = () => breaks('NOT_FOUND', 'topic.not.found');

  test('is said once, and tried again after 1, 2, 4 … 60 s', async () => {
    await start();
    for (const [i, pause] of [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000].entries()) {
      await missing();
      await pass(pause - 1);
      assert.equal(streams(), i + 1, `${pause}`);
      await pass(1);
      assert.equal(streams(), i + 2, `${pause}`);
    }
    assert.equal(said.length, 1);
    assert.match(said[0] ?? '', /^error: The org has no topic \/event\/Order__e/);
    const last = states.at(-1);
    assert.equal(last?.phase === 'failing' && last.error.code, 'TOPIC_NOT_FOUND');
  });

  test('behind a slow login is tried again with growing pauses all the same', async () => {
    await start();
    await missing();
    desk.session.accessToken = undefined;
    const slow = deferred();
    desk.session.onLogin = () => slow.promise;
    await pass(1_000);
    await pass(5_000);
    slow.resolve();
    await turns();
    await missing();
    await pass(1_999);
    assert.equal(streams(), 2);
    await pass(1);
    assert.equal(streams(), 3);
  });

  test('for another reason is said again', async () => {
    await start();
    await missing();
    await pass(1_000);
    await breaks('PERMISSION_DENIED');
    assert.equal(said.length, 2);
    await pass(2_000);
    await breaks('INVALID_ARGUMENT', 'fetch.count.invalid');
    assert.equal(said.length, 3);
    assert.match(said[2] ?? '', /refuses a call for topic/);
  });

  test('and then given is said, and the pauses begin anew', async () => {
    await start();
    for (const pause of [1_000, 2_000]) {
      await missing();
      await pass(pause);
    }
    await send(1);
    assert.equal(said.at(-1), `info: Receiving from ${TOPIC} again`);
    assert.equal(phase(), 'subscribed');
    await send(2);
    assert.equal(said.length, 2, 'once');
    await missing();
    assert.equal(said.length, 3);
    await pass(1_000);
    assert.equal(streams(), 4);
  });

  test('is not asked for again by every event that the flow finishes', async () => {
    await start();
    await send(1, 2, 3);
    await missing();
    for (let i = 0; i < 3; i++) {
      room++;
      subscription.more();
      await turns();
    }
    assert.equal(streams(), 1);
    await pass(1_000);
    assert.equal(streams(), 2);
  });

  test('and then given waits for room as before', async () => {
    await start();
    await missing();
    await pass(1_000);
    room = 1;
    await send(1);
    await breaks('UNAVAILABLE');
    assert.equal(streams(), 2);
    room = 1;
    subscription.more();
    await turns();
    assert.equal(streams(), 3);
  });

  test('is asked for again when something about the org has changed', async () => {
    await start();
    await missing();
    desk.pubsub.begin(unreachable(), TOPIC);
    await pass(20);
    assert.equal(streams(), 2);
  });
});

describe('a session that the org does not take any more', () => {
  test('is renewed, and reading goes on', async () => {
    await start();
    await breaks('UNAUTHENTICATED');
    assert.deepEqual(
      desk.reading.map(({ auth }) => auth.accessToken),
      ['token-1', 'token-2'],
    );
    assert.equal(desk.pubsub.availability.current, undefined);
  });

  test('just granted leads to a hold, not to one login after the other', async () => {
    await start();
    await breaks('UNAUTHENTICATED');
    await breaks('UNAUTHENTICATED');
    assert.equal(desk.session.logins, 2);
    assert.equal(desk.pubsub.availability.current?.reason, 'login');
    assert.match(
      desk.pubsub.availability.current?.message ?? '',
      /refuses a session that the org has just granted/,
    );
  });

  test('that can’t be renewed is waited for with everybody', async () => {
    await start();
    const down = () => {
      throw unreachable();
    };
    desk.session.onLogin = down;
    desk.session.probe = () => Promise.reject(unreachable());
    await breaks('UNAUTHENTICATED');
    assert.equal(desk.pubsub.availability.current, desk.session.availability.current);
    assert.equal(streams(), 1);
    desk.session.onLogin = () => undefined;
    desk.session.probe = () => desk.session.login().then(() => undefined);
    await pass(50);
    assert.equal(streams(), 2);
  });

  test('and a login that fails before the first stream are the same', async () => {
    desk.session.onLogin = () => {
      throw unreachable();
    };
    await start();
    assert.ok(desk.session.availability.current);
    desk.session.onLogin = () => undefined;
    await pass(20);
    assert.equal(streams(), 1);
  });

  test('of an org that was closed is asked for with pauses, not without end in one turn', async () => {
    desk.session.onLogin = () => {
      throw unreachable();
    };
    desk.session.availability.close();
    desk.pubsub.ownAvailability.close();
    await start();
    assert.equal(desk.session.logins, 1);
    await pass(1_000);
    assert.equal(desk.session.logins, 2);
  });
});

describe('a position that the org does not know', () => {
  test('is told, and reading goes on with the earliest event', async () => {
    await start({ replayId: position(7) });
    await breaks('INVALID_ARGUMENT', 'subscription.fetch.replayid.corrupted');
    assert.deepEqual(
      lost.map(({ code }) => code),
      ['REPLAY_ID_LOST'],
    );
    assert.equal(streams(), 2);
    assert.equal(stream().written[0]?.replay_preset, 'EARLIEST');
  });

  test('is not told again and again where the earliest is refused as well', async () => {
    await start({ replayId: position(7) });
    await breaks('INVALID_ARGUMENT', 'subscription.fetch.replayid.corrupted');
    await breaks('INVALID_ARGUMENT', 'subscription.fetch.replayid.corrupted');
    assert.equal(lost.length, 1);
    assert.equal(phase(), 'failing');
    await pass(1_999);
    assert.equal(streams(), 2);
    await pass(1);
    assert.equal(streams(), 3);
  });
});

describe('reading from the tip', () => {
  const missed = () => said.filter((text) => /are missed/.test(text));

  test('a stream that breaks before anything came leaves a gap, and the log says how long', async () => {
    await start('latest');
    await pass(2_000);
    await pass(60_000);
    await breaks('UNAVAILABLE');
    assert.deepEqual(missed(), []);
    await pass(2_000);
    assert.equal(missed().length, 1);
    assert.match(missed()[0] ?? '', /^error: .*events of the 2s until now are missed$/);
  });

  test('whatever the wall clock does meanwhile', async () => {
    await start('latest');
    await pass(2_000);
    await breaks('UNAVAILABLE');
    mock.method(Date, 'now', () => 0);
    await pass(2_000);
    assert.match(missed()[0] ?? '', /events of the 2s until now/);
  });

  test('one that breaks behind an event or a keepalive leaves none', async () => {
    await start('latest');
    await keepalive(replayId(4), 100);
    await breaks('UNAVAILABLE');
    assert.equal(stream().written[0]?.replay_preset, 'CUSTOM');
    await pass(2_000);
    assert.deepEqual(missed(), []);
  });

  test('one that was never accepted has missed nothing yet', async () => {
    await start('latest');
    await breaks('NOT_FOUND');
    await pass(1_000);
    await pass(2_000);
    assert.deepEqual(missed(), []);
  });

  test('reading from the earliest event misses none', async () => {
    await start();
    await pass(2_000);
    await breaks('UNAVAILABLE');
    await pass(2_000);
    assert.deepEqual(missed(), []);
  });
});

describe('stopping', () => {
  /** Stops with whatever is under way still under way. */
  async function stops(): Promise<void> {
    const before = [events.length, idle.length, states.length, said.length];
    await subscription.stop();
    await pass(400_000);
    assert.deepEqual([events.length, idle.length, states.length, said.length], before);
  }

  test('ends the stream, and nothing is handed out any more', async () => {
    await start();
    const worked = mock.method(desk.pubsub, 'worked');
    const stopping = subscription.stop();
    const [first] = desk.reading;
    first?.data({ events: [event(1)], latest_replay_id: replayId(1), pending_num_requested: 1 });
    first?.data({ events: [], latest_replay_id: replayId(2), pending_num_requested: 1 });
    await stopping;
    await turns();
    assert.equal(first?.cancelled, true);
    assert.deepEqual([events, idle, worked.mock.callCount()], [[], [], 0]);
    assert.equal(streams(), 1);
  });

  test('needs no answer to a login', async () => {
    const slow = deferred();
    desk.session.onLogin = () => slow.promise;
    await start();
    await stops();
    slow.resolve();
    await turns();
    assert.equal(streams(), 0);
  });

  test('needs no answer to a login that renews the session', async () => {
    await start();
    const slow = deferred();
    desk.session.onLogin = () => slow.promise;
    await breaks('UNAUTHENTICATED');
    await stops();
    slow.reject(unreachable());
    await turns();
    assert.equal(streams(), 1);
  });

  test('needs no answer to a look-up of a definition, and a late one hands nothing out', async () => {
    const slow = deferred();
    desk.onSchema = () => slow.promise;
    await start();
    await send(1);
    await stops();
    slow.resolve();
    await turns();
    assert.deepEqual(events, []);
  });

  test('needs no answer of the connection', async () => {
    desk.pubsub.open = () => new Promise(() => undefined);
    await start();
    await stops();
  });

  test('ends the wait for room, for the org, and between two tries', async () => {
    room = 0;
    await start();
    await stops();
    subscription = new Subscription(desk.pubsub, TOPIC, {
      event: () => undefined,
      idle: () => undefined,
      room: () => 1,
      positionLost: () => undefined,
      state: () => undefined,
      log: () => undefined,
    });
    await start();
    await breaks('NOT_FOUND');
    await subscription.stop();
    await pass(60_000);
    assert.equal(streams(), 1);
  });

  test('while the org is held ends at once', async () => {
    desk.pubsub.begin(unreachable(), TOPIC);
    await start();
    await subscription.stop();
    await pass(60_000);
    assert.equal(streams(), 0);
  });

  test('what breaks the stream at the same moment is nobody’s trouble', async () => {
    await start();
    const [first] = desk.reading;
    first?.over(rpc('INVALID_ARGUMENT', 'subscription.fetch.replayid.corrupted'));
    await subscription.stop();
    await turns();
    assert.deepEqual([lost, said, desk.pubsub.availability.current], [[], [], undefined]);
  });

  test('it listens to the org no more', async () => {
    const before = listeners();
    await start();
    assert.equal(listeners(), before + 1);
    await subscription.stop();
    assert.equal(listeners(), before);
  });

  const listeners = () => (desk.pubsub as unknown as { listeners: Set<unknown> }).listeners.size;

  test('before it was started is nothing', async () => {
    await subscription.stop();
    assert.equal(streams(), 0);
  });
});
