import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import { compileCodec } from '../../../nodes/salesforce/pubsub/avro';
import { EventReader, type Replay, type ReplayGap } from '../../../nodes/salesforce/events/reader';
import {
  SETTLEMENT,
  type EventAttempt,
  type SettlementSettings,
} from '../../../nodes/salesforce/events/settlement';
import { type FlowError } from '../../../nodes/shared/errors';
import { watchHeartbeat } from '../../support/heartbeat';
import { Kept } from './kept';
import { Desk, definition, deferred, position, replayId, rpc, turns, unreachable } from '../pubsub/played';

watchHeartbeat(5_000);

const TOPIC = '/event/Order__e';
const ORG = '00D000000000001AAA';

class Store extends Kept {
  keep(n: number, more: object = {}): void {
    this.saved = JSON.stringify({ organizationId: ORG, topic: TOPIC, replayId: position(n), at: 0, ...more });
  }
}

let desk: Desk;
let store: Store;
let attempts: EventAttempt[];
let said: string[];
let lost: { error: FlowError; gap: ReplayGap }[];
let changes: number;
let wall: number;
let reader: EventReader;

beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  wall = Date.parse('2026-01-01T00:00:00Z');
  mock.method(Date, 'now', () => wall);
  mock.method(Math, 'random', () => 0.5);
  desk = new Desk();
  store = new Store();
  [attempts, said, lost, changes] = [[], [], [], 0];
  make();
});
afterEach(async () => {
  await stopped(0);
  desk.close();
  mock.timers.reset();
  mock.restoreAll();
});

function make(options: { store?: Kept; settings?: Partial<SettlementSettings> } = { store }): void {
  reader = new EventReader(
    desk.pubsub,
    TOPIC,
    options.store,
    {
      deliver: (attempt) => attempts.push(attempt),
      changed: () => changes++,
      positionLost: (error, gap) => lost.push({ error, gap }),
      log: (level, text) => said.push(`${level}: ${text}`),
    },
    { ...SETTLEMENT, ...options.settings },
  );
}
async function start(replay: Replay = 'stored'): Promise<void> {
  reader.start(replay);
  await turns();
}
async function pass(ms: number): Promise<void> {
  wall += ms;
  mock.timers.tick(ms);
  await turns();
}
/** Stops; time passes as it must. */
async function stopped(grace: number): Promise<void> {
  let over = false;
  const stopping = reader.stop(grace).then(() => (over = true));
  for (let i = 0; i < 50 && !over; i++) await pass(100);
  assert.ok(over, 'it stopped within 5 s');
  await stopping;
}
const stream = () => desk.reading.at(-1) ?? assert.fail('no stream is open');
const codec = compileCodec(definition('Order_ID__c', 'Status__c'));
async function send(...numbers: number[]): Promise<void> {
  stream().data({
    events: numbers.map((n) => ({
      event: {
        id: `id-${n}`,
        schema_id: 'schema-1',
        payload: codec.encode({ CreatedDate: 1, CreatedById: 'u', Order_ID__c: `O-${n}`, Status__c: null }),
      },
      replay_id: replayId(n),
    })),
    latest_replay_id: replayId(numbers.at(-1) ?? 0),
    pending_num_requested: 1,
  });
  await turns();
}
const ends = async (i: number, error?: unknown) => {
  attempts[i]?.finished(error === undefined ? undefined : { error });
  await turns();
};

describe('where it begins', () => {
  for (const replay of ['latest', 'earliest'] as const) {
    test(`${replay}: there, whatever is stored`, async () => {
      store.keep(7);
      await start(replay);
      assert.equal(stream().written[0]?.replay_preset, replay.toUpperCase());
    });
  }

  test('stored: behind the position of this org and topic', async () => {
    store.keep(7);
    await start();
    assert.deepEqual(stream().written[0]?.replay_id, replayId(7));
    assert.deepEqual(said, []);
  });

  for (const [what, more] of [
    ['of another org', { organizationId: '00DOTHER' }],
    ['of another topic', { topic: '/event/Other__e' }],
    ['without a replay id', { replayId: undefined }],
    ['with an empty replay id', { replayId: '' }],
    ['with a replay id that is no text', { replayId: 7 }],
    ['without a time', { at: undefined }],
  ] as const) {
    test(`stored: a position ${what} is none, and that is said`, async () => {
      store.keep(7, more);
      await start();
      assert.equal(stream().written[0]?.replay_preset, 'EARLIEST');
      assert.deepEqual(said, [
        `info: No position is stored for ${TOPIC}: reading from the earliest event the org has`,
      ]);
    });
  }

  for (const text of ['not JSON', 'null', '7', '"x"', '[]', '']) {
    test(`stored: ${JSON.stringify(text)} is no position`, async () => {
      store.saved = text;
      await start();
      assert.equal(stream().written[0]?.replay_preset, 'EARLIEST');
    });
  }

  test('stored: nothing is read before the store has answered', async () => {
    const slow = deferred();
    store.onGet = () => slow.promise;
    store.keep(7);
    await start();
    await pass(60_000);
    assert.equal(desk.reading.length, 0);
    slow.resolve();
    await turns();
    assert.deepEqual(stream().written[0]?.replay_id, replayId(7));
  });

  test('stored: while the store can’t be read nothing is: it asks after 0.5, 1, 2, 4, 8, 10, 10 s, and says so once', async () => {
    let loads = 0;
    store.onGet = () => {
      loads++;
      throw new Error('no server');
    };
    store.keep(7);
    await start();
    for (const [i, pause] of [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000].entries()) {
      assert.equal(loads, i + 1);
      await pass(pause - 1);
      assert.equal(loads, i + 1, `${pause}`);
      await pass(1);
    }
    const sentence = `The position of ${TOPIC} can't be read, so nothing is: no server`;
    assert.deepEqual(said, [`error: ${sentence}`]);
    const { state } = reader;
    assert.ok(state.phase === 'failing');
    assert.deepEqual([state.error.code, state.error.message], ['POSITION_UNREADABLE', sentence]);
    store.onGet = () => undefined;
    await pass(10_000);
    assert.deepEqual(stream().written[0]?.replay_id, replayId(7));
  });

  test('with the org held, not before it is back', async () => {
    desk.pubsub.begin(unreachable(), TOPIC);
    await start();
    assert.equal(desk.session.logins, 0);
    await pass(20);
    assert.equal(desk.reading.length, 1);
  });

  test('with a login that fails, not before it succeeds; the position is not what is wrong', async () => {
    desk.session.onLogin = () => {
      throw unreachable();
    };
    await start();
    assert.deepEqual([desk.session.logins, said], [1, []]);
    assert.ok(desk.session.availability.current);
    desk.session.onLogin = () => undefined;
    await pass(20);
    assert.equal(desk.reading.length, 1);
  });

  test('of an org that was closed meanwhile: it asks with pauses, not without end in one turn', async () => {
    desk.session.onLogin = () => {
      throw unreachable();
    };
    desk.session.availability.close();
    desk.pubsub.ownAvailability.close();
    await start();
    assert.equal(desk.session.logins, 1);
    await pass(500);
    assert.equal(desk.session.logins, 2);
    await pass(999);
    assert.equal(desk.session.logins, 2);
    assert.deepEqual(said, []);
  });
});

describe('the position', () => {
  test('is stored behind what is finished with all before it, with when, and of which org and topic', async () => {
    await start();
    await send(1, 2, 3);
    await ends(1);
    assert.equal(store.saved, undefined);
    wall += 5_000;
    await ends(0);
    assert.deepEqual(store.position, {
      organizationId: ORG,
      topic: TOPIC,
      replayId: position(2),
      at: wall,
    });
  });

  test('moves with a keepalive, not past what the flow holds', async () => {
    await start();
    await send(1);
    stream().data({ events: [], latest_replay_id: replayId(5), pending_num_requested: 1 });
    await turns();
    assert.equal(store.saved, undefined);
    await ends(0);
    assert.equal(store.position?.replayId, position(5));
  });

  test('is left by a keepalive with nothing requested', async () => {
    make({ store, settings: { window: 1 } });
    await start();
    await send(1);
    stream().data({ events: [], latest_replay_id: replayId(5), pending_num_requested: 0 });
    await ends(0);
    assert.equal(store.position?.replayId, position(1));
  });

  test('that can’t be stored is said, and reading goes on', async () => {
    store.onPut = () => {
      throw new Error('disk full');
    };
    await start();
    await send(1, 2);
    await ends(0);
    assert.equal(
      said.at(-1),
      `error: The position of ${TOPIC} can't be stored: disk full. Events since the last one stored come again after a restart`,
    );
    store.onPut = () => undefined;
    await ends(1);
    await pass(100);
    assert.equal(store.position?.replayId, position(2));
  });

  test('without a store is nobody’s concern', async () => {
    make({});
    await start('stored');
    assert.equal(stream().written[0]?.replay_preset, 'EARLIEST');
    await send(1);
    await ends(0);
    assert.equal(reader.inFlow, 0);
  });

  test('that is lost is an error with the gap in time, and what the org still has comes', async () => {
    const ago = 5 * 24 * 3_600_000;
    store.keep(7, { at: wall - ago });
    await start();
    stream().over(rpc('INVALID_ARGUMENT', 'subscription.fetch.replayid.corrupted'));
    await turns();
    assert.equal(lost.length, 1);
    const [{ error, gap }] = lost as [(typeof lost)[number]];
    assert.deepEqual(gap, { from: '2025-12-27T00:00:00.000Z', to: '2026-01-01T00:00:00.000Z', ms: ago });
    assert.deepEqual([error.code, error.retryable, error.details], ['REPLAY_POSITION_LOST', false, gap]);
    assert.match(
      error.message,
      /it was reached 120h ago \(2025-12-27T00:00:00\.000Z\), .*a gap of at most 120h\. Reading goes on with the earliest event/,
    );
    assert.equal(stream().written[0]?.replay_preset, 'EARLIEST');
  });

  test('that was reached since the start counts from then', async () => {
    store.keep(7, { at: wall - 3_600_000 });
    await start();
    await send(8);
    await ends(0);
    wall += 60_000;
    stream().over(rpc('INVALID_ARGUMENT', 'subscription.fetch.replayid.corrupted'));
    await turns();
    assert.equal(lost[0]?.gap.ms, 60_000);
  });

  test('of a later time, as the clock was set back, leaves a gap of nothing, not a negative one', async () => {
    store.keep(7, { at: wall + 3_600_000 });
    await start();
    stream().over(rpc('INVALID_ARGUMENT', 'subscription.fetch.replayid.corrupted'));
    await turns();
    assert.deepEqual([lost[0]?.gap.ms, lost[0]?.gap.from], [0, '2026-01-01T00:00:00.000Z']);
  });
});

describe('what a status shows', () => {
  test('connecting, subscribed, and how many events are in the flow, each told when it changes', async () => {
    assert.deepEqual([reader.state, reader.inFlow], [{ phase: 'connecting' }, 0]);
    await start();
    let before = changes;
    await send(1, 2);
    assert.ok(changes >= before + 2);
    assert.deepEqual([reader.state.phase, reader.inFlow], ['subscribed', 2]);
    before = changes;
    await ends(0);
    assert.ok(changes > before);
    assert.equal(reader.inFlow, 1);
  });

  test('failing, with the reason', async () => {
    await start();
    stream().over(rpc('NOT_FOUND', 'topic.not.found'));
    await turns();
    assert.ok(reader.state.phase === 'failing');
    assert.equal(reader.state.error.code, 'TOPIC_NOT_FOUND');
    assert.match(said.at(-1) ?? '', /^error: The org has no topic/);
  });
});

test('the flow gets no more than its window, and the next as soon as one is finished', async () => {
  make({ store, settings: { window: 2 } });
  await start();
  assert.equal(stream().written[0]?.num_requested, 2);
  await send(1, 2);
  await ends(0);
  assert.deepEqual(
    stream().written.map(({ num_requested }) => num_requested),
    [2, 1],
  );
});

test('events that are finished at the same moment make room for one request', async () => {
  make({ store, settings: { window: 60 } });
  await start();
  await send(...Array.from({ length: 60 }, (_, i) => i));
  for (const attempt of attempts) attempt.finished(undefined);
  await turns();
  assert.deepEqual(
    stream().written.map(({ num_requested }) => num_requested),
    [60, 60],
  );
});

test('while the flow works on a hundred events, the next hundred are asked for', async () => {
  await start();
  await send(...Array.from({ length: 100 }, (_, i) => i));
  assert.deepEqual(
    stream().written.map(({ num_requested }) => num_requested),
    [100, 100],
  );
});

test('a warning of an event that failed is in the log', async () => {
  await start();
  await send(1);
  await ends(0, new Error('not yet'));
  assert.match(said.at(-1) ?? '', /^warn: not yet\. The event .* comes again in 10s$/);
});

describe('stopping', () => {
  test('gives the flow time to finish, and stores how far it came', async () => {
    await start();
    await send(1, 2, 3);
    let over = false;
    const stopping = reader.stop(1_000).then(() => (over = true));
    await turns();
    await ends(0);
    await ends(1);
    assert.equal(over, false);
    await pass(1_000);
    await stopping;
    assert.deepEqual([store.position?.replayId, store.closed], [position(2), 1]);
    await ends(2);
    assert.equal(store.position?.replayId, position(2), 'what is finished too late comes again');
  });

  test('waits for the last save, 2 s at most, and for the store to close no longer', async () => {
    await start();
    await send(1);
    const slow = deferred();
    store.onPut = () => slow.promise;
    await ends(0);
    let over = false;
    const stopping = reader.stop(0).then(() => (over = true));
    await turns();
    assert.equal(over, false);
    slow.resolve();
    await turns();
    await stopping;
    assert.equal(store.position?.replayId, position(1));
  });

  test('does not wait for a save or a store that hang', async () => {
    for (const hang of ['onPut', 'onClose'] as const) {
      store = new Store();
      make({ store });
      await start();
      await send(1);
      store[hang] = () => new Promise(() => undefined);
      await ends(attempts.length - 1);
      await stopped(0);
      assert.equal(store.closed, 1);
    }
  });

  test('a store that can’t be closed is nobody’s trouble any more', async () => {
    await start();
    store.onClose = () => {
      throw new Error('gone');
    };
    await stopped(0);
  });

  test('needs no answer of the store, and a late one starts nothing', async () => {
    const slow = deferred();
    store.onGet = () => slow.promise;
    await start();
    await stopped(0);
    slow.resolve();
    await turns();
    assert.deepEqual([desk.reading.length, store.closed], [0, 1]);
  });

  test('needs no answer to the login', async () => {
    const slow = deferred();
    desk.session.onLogin = () => slow.promise;
    await start();
    await stopped(0);
    slow.resolve();
    await turns();
    assert.equal(desk.reading.length, 0);
  });

  test('ends the wait for the org, and for the store', async () => {
    store.onGet = () => {
      throw new Error('no server');
    };
    await start();
    await stopped(0);
    const { length } = said;
    await pass(60_000);
    assert.equal(said.length, length);
    make();
    desk.pubsub.begin(unreachable(), TOPIC);
    await start();
    await stopped(0);
    await pass(60_000);
    assert.equal(desk.reading.length, 0);
  });

  test('it listens to the org no more', async () => {
    const { listeners } = desk.pubsub as unknown as { listeners: Set<unknown> };
    await start();
    assert.equal(listeners.size, 1);
    await stopped(0);
    assert.equal(listeners.size, 0);
  });

  test('before it was started is nothing', async () => {
    await stopped(0);
    assert.equal(store.closed, 1);
  });
});
