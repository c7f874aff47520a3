import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Acks } from '../../nodes/jetstream/consume/acks';
import { Connection } from '../../nodes/jetstream/server/connection';
import { Consumer } from '../../nodes/jetstream/consume/consumer';
import type { ConsumerSettings } from '../../nodes/jetstream/consume/consumer-settings';
import { Publisher } from '../../nodes/jetstream/publish/publisher';
import { Pull } from '../../nodes/jetstream/consume/pull';
import { RequestMany } from '../../nodes/jetstream/publish/request-many';
import type { MessageBatch } from '../../nodes/jetstream/consume/settlement';
import { FlowError } from '../../nodes/shared/errors';
import { watchHeartbeat } from '../support/heartbeat';
import { startNats } from '../support/nats';
import { stopAtEach, type Gates } from '../support/stops';
import { until } from '../support/until';
import { openRoom, type Room } from './room';

/** Whatever is stopped, at whatever moment, ends in time, and the event loop never stands still. */
watchHeartbeat(3_000);

const never = new AbortController().signal;

const settings = (more: Partial<ConsumerSettings> = {}): ConsumerSettings => ({
  stream: 'crm',
  durable: 'flow',
  filters: ['crm.contacts.>'],
  deliver: 'all',
  provision: { name: 'crm', subjects: ['crm.>'] },
  ackWait: 60_000,
  maxDeliver: 1,
  maxAckPending: 1_000,
  backoff: [],
  processingLimit: 60_000,
  prefetch: 100,
  deadLetter: undefined,
  format: 'json',
  batchSize: 1,
  batchWait: 1_000,
  ...more,
});

/** The same connection, but each wait for it, and each question over it, passes a gate. */
function gated(connection: Connection, gates: Gates): Connection {
  return new Proxy(connection, {
    get(target, key) {
      if (key === 'ready')
        return async (signal: AbortSignal) => {
          const nc = await gates.pass(() => target.ready(signal));
          return gates.wrap(nc, 'request', 'flush');
        };
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

describe('stopped at each of its awaits', { concurrency: true }, () => {
  async function open(t: TestContext): Promise<Room> {
    const room = await openRoom();
    t.after(() => room.stop());
    return room;
  }

  test('a consumer gives back its messages and leaves nothing behind', async (t) => {
    const room = await open(t);
    await room.publish('crm.contacts.a', {});
    let serial = 0;
    const awaits = await stopAtEach((gates) => {
      const connection = new Connection({ servers: room.nats.url, auth: 'none' });
      const batches: MessageBatch[] = [];
      const durable = `d${++serial}`;
      const consumer = new Consumer(
        gated(connection, gates),
        settings({ durable, deadLetter: 'nowhere.x' }),
        {
          deliver: (batch) => {
            batches.push(batch);
            batch.failed({ error: new FlowError('X' as string, 'for good', false) }); // the dead letter never arrives
          },
          state: () => undefined,
          log: () => undefined,
        },
      );
      consumer.start();
      return async () => {
        await consumer.stop(0);
        await consumer.finished;
        assert.equal(connection.state.phase, 'idle');
        const info = await room.jsm.consumers.info('crm', durable).catch(() => undefined);
        assert.ok((info?.num_waiting ?? 0) + (info?.num_ack_pending ?? 0) <= 1);
      };
    });
    assert.ok(awaits >= 6, `it was stopped at ${awaits} awaits`);
  });

  test('a publisher answers every message', async (t) => {
    const room = await open(t);
    await stopAtEach((gates) => {
      const connection = new Connection({ servers: room.nats.url, auth: 'none' });
      const release = connection.use({});
      const publisher = new Publisher(gated(connection, gates), {
        window: 1,
        queue: 1_000,
        whenFull: 'hold',
      });
      const all = [1, 2, 3].map((n) => publisher.publish({ subject: 'crm.p', data: `${n}`, headers: {} }));
      const answered = Promise.allSettled(all);
      return async () => {
        void publisher.stop();
        await answered;
        await release();
        assert.equal(publisher.pending, 0);
      };
    });
  });

  test('many requests are answered, or end with CLOSED', async (t) => {
    const room = await open(t);
    await stopAtEach((gates) => {
      const connection = new Connection({ servers: room.nats.url, auth: 'none' });
      const many = new RequestMany(gated(connection, gates));
      const stop = new AbortController();
      const asking = { request: (n: number) => ({ subject: `crm.${n}` }), read: () => true };
      const outcome = many.send([1, 2, 3], 1, stop.signal, asking).catch(() => undefined);
      return async () => {
        stop.abort();
        await outcome;
        await many.close();
        assert.equal(connection.state.phase, 'idle');
      };
    });
  });
});

const disturbances: [string, (room: Room) => Promise<void> | void, (room: Room) => Promise<void> | void][] = [
  ['hangs', (room) => room.nats.suspend(), () => undefined],
  ['is gone', (room) => room.nats.kill(), () => undefined],
  ['answers late', (room) => room.nats.suspend(), async (room) => (await pause(700), room.nats.resume())],
];

describe('with the server in trouble', { concurrency: true }, () => {
  for (const [what, disturb, afterwards] of disturbances) {
    describe(`a server that ${what}`, { concurrency: true }, () => {
      /** A consumer whose flow holds what it gets until `end`. */
      function consumerOf(connection: Connection, more: Partial<ConsumerSettings> = {}) {
        const batches: MessageBatch[] = [];
        const consumer = new Consumer(connection, settings(more), {
          deliver: (batch) => void batches.push(batch),
          state: () => undefined,
          log: () => undefined,
        });
        return { consumer, batches };
      }
      /** All of it has to end within 10 s. */
      async function ends(room: Room, ...stops: Promise<unknown>[]): Promise<void> {
        const late = afterwards(room);
        const bound = new AbortController();
        const over = pause(10_000, 'too late', { signal: bound.signal }).catch(() => undefined);
        const ended = await Promise.race([Promise.all(stops), over]);
        bound.abort();
        assert.notEqual(ended, 'too late', 'all has ended within 10 s');
        await late;
      }
      async function open(t: TestContext): Promise<{ room: Room; connection: Connection }> {
        const room = await openRoom();
        const connection = new Connection({ servers: room.nats.url, auth: 'none' });
        t.after(async () => {
          if (what === 'hangs') room.nats.resume();
          await room.stop();
        });
        return { room, connection };
      }

      test('while the first connection is made', async (t) => {
        const { room, connection } = await open(t);
        await disturb(room);
        const release = connection.use({});
        const { consumer } = consumerOf(connection);
        consumer.start();
        const publisher = new Publisher(connection, { window: 1, queue: 1_000, whenFull: 'hold' });
        const waiting = assert.rejects(publisher.publish({ subject: 'crm.a', data: '', headers: {} }), {
          code: 'CLOSED',
        });
        await pause(50);
        void publisher.stop();
        await waiting;
        await ends(
          room,
          consumer.stop(0).then(() => consumer.finished),
          release(),
        );
        assert.equal(connection.state.phase, 'idle');
      });

      test('while a consumer looks at its stream', async (t) => {
        const { room, connection } = await open(t);
        const release = connection.use({});
        await connection.ready(never);
        await disturb(room);
        const { consumer } = consumerOf(connection);
        consumer.start();
        await pause(50);
        await ends(
          room,
          consumer.stop(0).then(() => consumer.finished),
          release(),
        );
      });

      test('while messages are in the flow, gather, or become dead letters', async (t) => {
        const { room, connection } = await open(t);
        const { consumer, batches } = consumerOf(connection, { batchSize: 2, deadLetter: 'crm.dead' });
        consumer.start();
        for (let n = 0; n < 5; n++) await room.publish('crm.contacts.a', { n });
        await until(() => batches.length === 2);
        await disturb(room);
        batches[0]?.finished({ error: new FlowError('X' as string, 'for good', false) });
        const stopped = consumer.stop(100);
        batches[1]?.finished(undefined);
        await ends(
          room,
          stopped.then(() => consumer.finished),
        );
        assert.equal(connection.state.phase, 'idle');
      });

      test('while messages wait for their PubAck', async (t) => {
        const { room, connection } = await open(t);
        const release = connection.use({});
        const publisher = new Publisher(connection, { window: 1, queue: 1_000, whenFull: 'hold' });
        const many = new RequestMany(connection);
        await publisher.publish({ subject: 'crm.a', data: '', headers: {} });
        await disturb(room);
        const all = [1, 2, 3].map(() => publisher.publish({ subject: 'crm.a', data: '', headers: {} }));
        const stop = new AbortController();
        const asking = { request: (n: number) => ({ subject: `crm.${n}` }), read: () => true };
        const asked = many.send([1, 2, 3], 1, stop.signal, asking).catch(() => undefined);
        await pause(50);
        void publisher.stop();
        stop.abort();
        await ends(room, Promise.allSettled(all), asked, many.close());
        assert.equal(publisher.pending, 0);
        await ends(room, release());
      });

      test('while acknowledgements and requests are under way', async (t) => {
        const { room, connection } = await open(t);
        const release = connection.use({});
        const nc = await connection.ready(never);
        const acks = new Acks(() => connection.open);
        const nobody = { onMessage: () => undefined, onProblem: () => undefined, onAlive: () => undefined };
        const options = { inbox: '_INBOX.stops', domain: undefined, stream: 'crm', durable: 'none' };
        const pull = new Pull({ nc, ...options, capacity: 10, inFlight: () => 0, ...nobody });
        await disturb(room);
        acks.ack('$JS.ACK.crm.none.1.1.1.1000000.0');
        const settled = acks.settle();
        const stopped = pull.stop();
        pull.ask();
        acks.repeat();
        await ends(room, settled, stopped, release());
        acks.progress('$JS.ACK.crm.none.1.1.1.1000000.0');
        await acks.settle();
      });
    });
  }
});

test('a connection that is used, left and used again in one turn is one connection', async (t) => {
  const nats = await startNats({ jetstream: false });
  t.after(() => nats.stop());
  const connection = new Connection({ servers: nats.url, auth: 'none' });
  const left = [connection.use({})(), connection.use({})()];
  const release = connection.use({});
  await connection.ready(never);
  await Promise.all(left.slice(0, 1));
  assert.equal(connection.state.phase, 'connected');
  await release();
  await release();
  assert.equal(connection.state.phase, 'idle');
});
