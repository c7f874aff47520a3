import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { AckPolicy, DiscardPolicy, RetentionPolicy, type ConsumerInfo } from 'nats';
import { Connection } from '../../../nodes/jetstream/server/connection';
import { Consumer } from '../../../nodes/jetstream/consume/consumer';
import type { ConsumerSettings } from '../../../nodes/jetstream/consume/consumer-settings';
import type { ConsumerState } from '../../../nodes/jetstream/consume/reader';
import type { MessageBatch } from '../../../nodes/jetstream/consume/settlement';
import { FlowError } from '../../../nodes/shared/errors';
import { watchHeartbeat } from '../../support/heartbeat';
import { until } from '../../support/until';
import { openRoom, type Room } from '../room';
import { SETTINGS as DEFAULTS } from './rig';

watchHeartbeat();

const SETTINGS: ConsumerSettings = { ...DEFAULTS, batchWait: 60_000 };

/** A consumer whose flow is the test: batches stay in it until the test ends them. */
interface Rig {
  consumer: Consumer;
  batches: MessageBatch[];
  payloads: unknown[][];
  states: ConsumerState[];
  log: string[];
  /** The first of its filters. */
  filter: string;
  info(): Promise<ConsumerInfo>;
  ready(): Promise<unknown>;
}

/** Without a stream for its dead letters it is not well, and reads all the same. */
function isReading(state: ConsumerState | undefined): boolean {
  return state?.phase === 'failing' ? state.error.code === 'NO_DEAD_LETTER_STREAM' : state?.phase === 'ready';
}

async function end(consumer: Consumer, batches: MessageBatch[]): Promise<void> {
  await consumer.stop(0);
  for (const batch of batches) batch.finished(undefined);
  await consumer.finished;
}

describe('consumer', () => {
  let room: Room;
  let serial = 0;
  before(async () => (room = await openRoom()));
  after(() => room.stop());

  function open(t: TestContext, more: Partial<ConsumerSettings> = {}, where = room): Rig {
    const settings = { ...SETTINGS, durable: `d${++serial}`, filters: [`crm.contacts.${serial}`], ...more };
    const rig: Rig = {
      batches: [],
      payloads: [],
      states: [],
      log: [],
      filter: settings.filters[0] ?? '',
      consumer: new Consumer(new Connection({ servers: where.nats.url, auth: 'none' }), settings, {
        deliver: (batch, payloads) => {
          rig.batches.push(batch);
          rig.payloads.push(payloads);
        },
        state: (state) => {
          if (rig.states.at(-1)?.phase !== state.phase) rig.states.push(state);
        },
        log: (level, text) => void rig.log.push(`${level}: ${text}`),
      }),
      info: () => where.jsm.consumers.info(settings.stream, settings.durable),
      ready: () => until(() => isReading(rig.states.at(-1)), { what: 'the consumer to be ready' }),
    };
    t.after(() => end(rig.consumer, rig.batches));
    return rig;
  }
  const publish = (payload: unknown = {}, where = room, subject = `crm.contacts.${serial}`) =>
    where.publish(subject, payload);
  const seen = (rig: Rig, count: number) =>
    until(() => rig.batches.length === count, { what: `${count} batches in the flow` });
  async function pending(rig: Rig, count: number, timeout?: number): Promise<void> {
    await until(async () => (await rig.info()).num_ack_pending === count, {
      what: `${count} waiting for their ack`,
      timeout,
    });
  }

  test('hands out each message once, and acknowledges it when the flow is done', async (t) => {
    const rig = open(t);
    rig.consumer.start();
    await rig.ready();
    const sequence = await publish({ n: 1 });
    await seen(rig, 1);
    assert.deepEqual([rig.payloads, rig.consumer.inFlow], [[[{ n: 1 }]], 1]);
    assert.deepEqual(room.settled(sequence), []);
    rig.batches[0]?.finished(undefined);
    await room.waitSettled(sequence, '+ACK');
    assert.equal(rig.consumer.inFlow, 0);
  });

  test('messages that wait for a retry never stop others', async (t) => {
    const rig = open(t, { maxAckPending: 5, backoff: [60_000] });
    rig.consumer.start();
    await rig.ready();
    for (let n = 0; n < 40; n++) await publish({ n });
    for (let n = 0; n < 40; n++) {
      await until(() => rig.batches.length > n, { what: `message ${n + 1} in the flow` });
      rig.batches[n]?.finished({ error: new Error('not now') });
    }
    assert.ok(((await rig.info()).config.max_ack_pending ?? 0) >= 40);
    await pending(rig, 40);
  });

  test('one at a time stays one at a time: what waits for its retry holds the others', async (t) => {
    const rig = open(t, { maxAckPending: 1, backoff: [300] });
    rig.consumer.start();
    await rig.ready();
    for (const n of [1, 2]) await publish({ n });
    await seen(rig, 1);
    rig.batches[0]?.finished({ error: new Error('not now') });
    await seen(rig, 2);
    assert.deepEqual(rig.payloads[1], [{ n: 1 }]);
  });

  test('what nodes gather takes no place of a prefetch from 1,000 on, and is no more than that below', async (t) => {
    for (const prefetch of [1_000, 5]) {
      const rig = open(t, { prefetch, maxAckPending: prefetch });
      rig.consumer.start();
      await rig.ready();
      const count = prefetch + 10;
      await Promise.all(Array.from({ length: count }, (_, n) => publish({ n })));
      await seen(rig, prefetch);
      for (const batch of rig.batches.slice(0, 600)) batch.gathering(true);
      if (prefetch < 1_000) continue;
      await seen(rig, count);
      assert.equal(rig.consumer.inFlow, count);
      for (const batch of rig.batches.splice(0)) batch.finished(undefined);
      await pending(rig, 0);
      assert.equal(rig.consumer.inFlow, 0);
    }
  });

  describe('a dead letter that the consumer would read itself is refused', () => {
    const loops: [string[], string][] = [
      [[], 'crm.dead'],
      [['crm.>'], 'crm.dead'],
      [['crm.contacts.>', 'crm.*'], 'crm.dead'],
      [['crm.dead', 'crm.contacts.>'], 'crm.dead'],
      [[], 'behind.dead'],
    ];
    before(async () => {
      await room.jsm.streams.add({ name: 'behind', subjects: ['behind.>'] });
      await room.jsm.streams.add({ name: 'front', subjects: ['front.>'], sources: [{ name: 'behind' }] });
    });
    for (const [filters, deadLetter] of loops)
      test(`${deadLetter} of ${filters.join(' and ') || 'everything'}`, async (t) => {
        const stream = deadLetter.startsWith('crm') ? 'crm' : 'front';
        const rig = open(t, { stream, filters, deadLetter });
        rig.consumer.start();
        const state = await until(() => rig.states.find(({ phase }) => phase === 'failing'));
        assert.ok(state.phase === 'failing');
        assert.equal(state.error.code, 'DEAD_LETTER_LOOP');
        assert.match(state.error.message, /would be read by this node again/);
        await assert.rejects(rig.info(), /consumer not found/);
      });

    const others: [string, string[], string][] = [
      ['everything of a stream, and the dead letter in another one', [], 'behind.dead'],
      ['everything there is, and a stream that takes it not', ['>'], 'behind.dead'],
      ['a subject that nobody takes', [], 'nowhere.dead'],
    ];
    for (const [what, filters, deadLetter] of others)
      test(`but not ${what}`, async (t) => {
        const rig = open(t, { filters, deadLetter, deliver: 'new' });
        rig.consumer.start();
        await rig.ready();
      });

    test('and so is one that is no subject', (t) => {
      for (const deadLetter of ['crm.*', 'a.>.b', 'a b'])
        assert.throws(() => open(t, { deadLetter }).consumer.start(), { code: 'INVALID_SUBJECT' });
    });

    test('but not one beside its filters', async (t) => {
      const rig = open(t, { filters: ['crm.contacts.>', 'crm.x.*'], deadLetter: 'crm.dead' });
      rig.consumer.start();
      await rig.ready();
    });
  });

  test('a payload that is not what the format says fails alone, for good', async (t) => {
    const rig = open(t);
    rig.consumer.start();
    await rig.ready();
    const { seq } = await room.nc.jetstream().publish(`crm.contacts.${serial}`, '{"broken');
    await publish({ n: 2 });
    await room.waitSettled(seq, '+TERM');
    await seen(rig, 1);
    assert.match(
      rig.log.join('\n'),
      /error: .*JSON.* Message \d+ .* failed for good and is dropped, as no dead letter/,
    );
  });

  test('a flow that throws at once fails the message', async (t) => {
    const rig = open(t, { backoff: [7] });
    const deliver = rig.batches;
    Object.defineProperty(deliver, 'push', {
      value: () => {
        throw new Error('not today');
      },
    });
    rig.consumer.start();
    await rig.ready();
    const sequence = await publish();
    assert.match((await room.waitSettled(sequence, '-NAK')).body, /7000000/);
  });

  test('deliveries to others are no tries', async (t) => {
    await room.jsm.consumers.add('crm', {
      durable_name: `d${serial + 1}`,
      filter_subject: `crm.contacts.${serial + 1}`,
      ack_policy: AckPolicy.Explicit,
      ack_wait: 1e8,
    });
    const rig = open(t, { maxDeliver: 1, deadLetter: 'crm.dead', ackWait: 100 });
    const sequence = await publish();
    const taken = await (await room.nc.jetstream().consumers.get('crm', `d${serial}`)).next();
    assert.equal(taken?.seq, sequence);
    rig.consumer.start();
    await seen(rig, 1);
    rig.batches[0]?.finished(undefined);
    await room.waitSettled(sequence, '+ACK');
  });

  test('a batch is as many as it may be, or what has come within its wait', async (t) => {
    const rig = open(t, { batchSize: 2, batchWait: 100 });
    rig.consumer.start();
    await rig.ready();
    for (const n of [1, 2, 3]) await publish({ n });
    await seen(rig, 2);
    assert.deepEqual(rig.payloads, [[{ n: 1 }, { n: 2 }], [{ n: 3 }]]);
  });

  test('no more than prefetch are in the flow or on their way, however many wait', async (t) => {
    const rig = open(t, { prefetch: 4 });
    rig.consumer.start();
    await rig.ready();
    for (let n = 0; n < 20; n++) await publish({ n });
    await seen(rig, 4);
    rig.batches.slice(0, 2).forEach((batch) => batch.finished(undefined));
    await seen(rig, 6);
    await pending(rig, 4);
    for (let n = 0; n < 3; n++) assert.equal((await rig.info()).num_ack_pending, 4);
    assert.equal(rig.batches.length, 6);
  });

  test('what arrives at once goes into the flow over several turns of the event loop, all of it and in order', async (t) => {
    const inTurn: number[] = [];
    let turn: NodeJS.Immediate | undefined;
    const settings = { ...SETTINGS, durable: 'turns', filters: ['crm.turns'], prefetch: 1_000 };
    const seen: unknown[] = [];
    const consumer = new Consumer(new Connection({ servers: room.nats.url, auth: 'none' }), settings, {
      deliver(batch, [payload]) {
        seen.push(payload);
        turn ??= setImmediate(() => ((turn = undefined), void inTurn.push(0)));
        inTurn.push((inTurn.pop() ?? 0) + 1);
        batch.finished(undefined);
      },
      state: () => undefined,
      log: () => undefined,
    });
    t.after(() => end(consumer, []));
    const payloads = Array.from({ length: 1_000 }, (_, n) => n);
    await Promise.all(payloads.map((n) => publish(n, room, 'crm.turns')));
    consumer.start();
    await until(() => seen.length === payloads.length, { what: 'all in the flow' });
    assert.deepEqual(seen, payloads);
    assert.ok(Math.max(...inTurn) <= 256, `${Math.max(...inTurn)} went in one turn`);
  });

  test('a dead letter that no stream takes holds its message, is said once, and is written when one does', async (t) => {
    const subject = `elsewhere.${serial}`;
    const rig = open(t, { deadLetter: subject });
    rig.consumer.start();
    await rig.ready();
    const sequence = await publish();
    await seen(rig, 1);
    rig.batches[0]?.finished({ error: new FlowError('X' as string, 'for good', false) });
    await until(() => rig.log.some((line) => line.includes('could not be written')));
    assert.equal(rig.states.at(-1)?.phase, 'failing');
    assert.deepEqual(room.settled(sequence), []);
    await room.jsm.streams.add({ name: `elsewhere${serial}`, subjects: [subject] });
    await room.waitSettled(sequence, '+TERM');
    await until(() => rig.states.at(-1)?.phase === 'ready');
    assert.equal(rig.log.filter((line) => line.includes('could not be written')).length, 1);
  });

  describe('while its dead letter can not be written a message', () => {
    const fail = (rig: Rig, batch: number) =>
      rig.batches[batch]?.finished({ error: new FlowError('X' as string, 'for good', false) });
    const said = (rig: Rig) => rig.log.filter((line) => line.includes('could not be written'));

    test('holds up nobody, however little there may be in the flow', async (t) => {
      const subject = `late.${serial}`;
      const rig = open(t, { deadLetter: subject, prefetch: 1 });
      rig.consumer.start();
      await rig.ready();
      const [one, two] = [await publish(1), await publish(2)];
      const three = await publish(3);
      await seen(rig, 1);
      fail(rig, 0);
      await seen(rig, 2);
      fail(rig, 1);
      await seen(rig, 3);
      rig.batches[2]?.finished(undefined);
      await room.waitSettled(three, '+ACK');
      assert.equal(rig.states.at(-1)?.phase, 'failing');
      assert.deepEqual([room.settled(one), room.settled(two)], [[], []]);
      await room.jsm.streams.add({ name: `late${serial}`, subjects: [subject] });
      await room.waitSettled(one, '+TERM');
      await room.waitSettled(two, '+TERM');
      await until(() => rig.states.at(-1)?.phase === 'ready');
      assert.equal(said(rig).length, 1);
      assert.equal((await room.jsm.streams.info(`late${serial}`)).state.messages, 2);
      assert.ok(rig.log.includes('info: Dead letters are written again'));
      // The next time is another one.
      await room.jsm.streams.delete(`late${serial}`);
      await publish(4);
      await seen(rig, 4);
      fail(rig, 3);
      await until(() => said(rig).length === 2);
    });

    test('a stream that is full is another reason, and is said too', async (t) => {
      const [subject, name] = [`full.${serial}`, `full${serial}`];
      const rig = open(t, { deadLetter: subject, prefetch: 1 });
      rig.consumer.start();
      await rig.ready();
      const sequences = [await publish(1), await publish(2), await publish(3)];
      const config = { name, subjects: [subject], max_msgs: 1, discard: DiscardPolicy.New };
      for (const n of [0, 1, 2]) {
        await seen(rig, n + 1);
        fail(rig, n);
        if (n === 0) await until(() => said(rig).length === 1);
        if (n === 0) await room.jsm.streams.add(config);
      }
      await until(() => said(rig).length === 2);
      await until(() => sequences.filter((sequence) => room.settled(sequence).length > 0).length === 1);
      await room.jsm.streams.update(name, { max_msgs: 3 });
      for (const sequence of sequences) await room.waitSettled(sequence, '+TERM');
      await until(() => rig.states.at(-1)?.phase === 'ready');
      assert.equal(said(rig).length, 2, said(rig).join('\n'));
      assert.equal((await room.jsm.streams.info(name)).state.messages, 3);
    });

    test('that is too large for it stays in its work queue, and the others go on', async (t) => {
      const [stream, dead] = [`work${serial}`, `small.${serial}`];
      await room.jsm.streams.add({
        name: stream,
        subjects: [`work.${serial}`],
        retention: RetentionPolicy.Workqueue,
      });
      await room.jsm.streams.add({ name: `small${serial}`, subjects: [dead], max_msg_size: 50 });
      const filters = [`work.${serial}`];
      const rig = open(t, { stream, filters, deadLetter: dead, prefetch: 1, format: 'string' });
      rig.consumer.start();
      await rig.ready();
      for (const payload of ['x'.repeat(100), 'y'.repeat(100), 'good'])
        await room.nc.jetstream().publish(`work.${filters[0]?.slice(5)}`, payload);
      for (const n of [0, 1]) {
        await seen(rig, n + 1);
        fail(rig, n);
      }
      await seen(rig, 3);
      rig.batches[2]?.finished(undefined);
      const left = async () => (await room.jsm.streams.info(stream)).state.messages;
      await until(async () => (await left()) === 2);
      assert.equal(said(rig).length, 1);
      assert.match(said(rig)[0] ?? '', /deletes what is given up, so the message stays, unacknowledged/);
      assert.deepEqual(
        rig.log.filter((line) => line.includes('can never be written')),
        [],
      );
    });
  });

  test('a message that goes round between dead letters is given up in words, and published no more', async (t) => {
    await room.jsm.streams.add({ name: 'round', subjects: ['round'] });
    const one = open(t, { deadLetter: 'round' });
    const two = open(t, { stream: 'round', filters: [], deadLetter: one.filter });
    const failing = [one, two].map((rig) => {
      rig.consumer.start();
      return rig.ready();
    });
    await Promise.all(failing);
    await room.publish(one.filter, 'x');
    const ends = () => [...one.log, ...two.log].filter((line) => /was a dead letter 8 times/.test(line));
    await until(() => {
      for (const { batches } of [one, two])
        for (const batch of batches)
          batch.finished({ error: new FlowError('X' as string, 'for good', false) });
      return ends().length === 1;
    });
    assert.deepEqual([one.batches.length, two.batches.length], [5, 4]);
  });

  describe('bytes in flight', () => {
    const filled = (bytes: number) => Buffer.alloc(bytes, 'x');
    const inFlow = (rig: Rig) => rig.consumer.inFlow;

    test('no more than fit are in the flow, and all come', async (t) => {
      const rig = open(t, { format: 'buffer', maxBytesInFlight: 1_000_000 });
      rig.consumer.start();
      await rig.ready();
      const js = room.nc.jetstream();
      for (let n = 0; n < 12; n++) await js.publish(`crm.contacts.${serial}`, filled(150_000));
      let most = 0;
      let done = 0;
      await until(() => {
        most = Math.max(most, inFlow(rig));
        if (rig.batches[done]) rig.batches[done++]?.finished(undefined);
        return done === 12;
      });
      assert.ok(most <= 3, `${most} in the flow`);
      await pending(rig, 0);
    });

    test('one that is larger than all of it passes alone', async (t) => {
      const rig = open(t, { format: 'buffer', maxBytesInFlight: 500_000 });
      rig.consumer.start();
      await rig.ready();
      const js = room.nc.jetstream();
      for (const size of [10, 900_000, 900_000, 10, 10])
        await js.publish(`crm.contacts.${serial}`, filled(size));
      await seen(rig, 1);
      rig.batches[0]?.finished(undefined);
      await seen(rig, 2);
      assert.equal(inFlow(rig), 1);
      rig.batches[1]?.finished(undefined);
      await seen(rig, 3);
      assert.equal(inFlow(rig), 1);
      rig.batches[2]?.finished(undefined);
      await seen(rig, 4);
      rig.batches[3]?.finished(undefined);
      await seen(rig, 5);
      rig.batches[4]?.finished(undefined);
      await pending(rig, 0);
    });

    test('what grows as it is parsed counts as what it becomes', async (t) => {
      const rig = open(t, { maxBytesInFlight: 10_000_000 });
      rig.consumer.start();
      await rig.ready();
      const payload = Array.from({ length: 60_000 }, () => ({}));
      for (let n = 0; n < 9; n++) await publish(payload);
      let most = 0;
      let done = 0;
      await until(() => {
        most = Math.max(most, inFlow(rig));
        if (rig.batches[done]) rig.batches[done++]?.finished(undefined);
        return done === 9;
      });
      assert.ok(most <= 3, `${most} of 3.6 MB in the flow`);
    });

    test('a message whose dead letter can not be written keeps only its own bytes', async (t) => {
      const rig = open(t, { format: 'buffer', maxBytesInFlight: 500_000, deadLetter: 'nowhere.bytes' });
      rig.consumer.start();
      await rig.ready();
      const js = room.nc.jetstream();
      for (let n = 0; n < 4; n++) await js.publish(`crm.contacts.${serial}`, filled(400_000));
      for (let n = 0; n < 4; n++) {
        await seen(rig, n + 1);
        rig.batches[n]?.finished({ error: new FlowError('X' as string, 'for good', false) });
      }
      await pending(rig, 4);
    });
  });

  test('stopped while a dead letter can not be written: the message goes back at once', async (t) => {
    const rig = open(t, { deadLetter: `nowhere.${serial}` });
    rig.consumer.start();
    await rig.ready();
    const sequence = await publish();
    await seen(rig, 1);
    rig.batches[0]?.finished({ error: new FlowError('X' as string, 'for good', false) });
    await until(() => rig.log.some((line) => line.includes('could not be written')));
    await rig.consumer.stop(60_000);
    assert.equal((await room.waitSettled(sequence, '-NAK')).body, '-NAK');
  });

  describe('stop', () => {
    test('gives back what the flow has not seen, and waits for what it has', async (t) => {
      const rig = open(t, { batchSize: 2 });
      rig.consumer.start();
      await rig.ready();
      const [one, two, three] = [await publish(), await publish(), await publish()];
      await seen(rig, 1);
      await pending(rig, 3);
      let stopped = false;
      const stop = rig.consumer.stop(60_000).then(() => (stopped = true));
      await room.waitSettled(three, '-NAK');
      assert.deepEqual([room.settled(one), room.settled(two), stopped], [[], [], false]);
      rig.batches[0]?.finished(undefined);
      await stop;
      await room.waitSettled(one, '+ACK');
      await room.waitSettled(two, '+ACK');
      assert.equal(room.settled(three).length, 1);
      await rig.consumer.finished;
    });

    test('does not wait longer than its grace; what ends later is still settled by its outcome', async (t) => {
      const rig = open(t);
      rig.consumer.start();
      await rig.ready();
      const sequence = await publish();
      await seen(rig, 1);
      await rig.consumer.stop(10);
      assert.deepEqual(room.settled(sequence), []);
      rig.batches[0]?.finished(undefined);
      await rig.consumer.finished;
      await room.waitSettled(sequence, '+ACK');
    });
  });
});

describe('consumer, after its server was away', () => {
  async function rig(t: TestContext, more: Partial<ConsumerSettings> = {}) {
    const room = await openRoom();
    const batches: MessageBatch[] = [];
    let phase = '';
    const consumer = new Consumer(
      new Connection({ servers: room.nats.url, auth: 'none' }),
      { ...SETTINGS, provision: { name: 'crm', subjects: ['crm.>'] }, ...more },
      {
        deliver: (batch) => void batches.push(batch),
        state: (state) => void (phase = state.phase),
        log: () => undefined,
      },
    );
    t.after(async () => {
      await end(consumer, batches);
      await room.stop();
    });
    consumer.start();
    await until(() => phase === 'ready');
    const is = (wanted: string) =>
      until(() => phase === wanted, { what: `to be ${wanted}`, timeout: 20_000 });
    return { room, batches, consumer, is };
  }

  test('an acknowledgement that was lost is sent again, long before the ack wait is over', async (t) => {
    const { room, batches, is } = await rig(t);
    await room.publish('crm.contacts.a', {});
    await until(() => batches.length === 1);
    await room.nats.kill();
    await is('failing');
    batches[0]?.finished(undefined);
    await room.restart();
    await is('ready');
    await until(async () => (await room.jsm.consumers.info('crm', 'flow')).num_ack_pending === 0, {
      timeout: 10_000, // of an ack wait of 60 s
      what: 'the message to be acknowledged',
    });
    assert.equal(batches.length, 1, 'the work was done once');
  });

  test('messages of a durable that was made anew meanwhile are not answered on the new one', async (t) => {
    const { room, batches, is } = await rig(t);
    await room.publish('crm.contacts.a', { n: 1 });
    await room.publish('crm.contacts.a', { n: 2 });
    await until(() => batches.length === 2);
    await room.nats.kill();
    await is('failing');
    batches[0]?.finished(undefined);
    rmSync(join(room.nats.dir, 'store'), { recursive: true });
    room.settlements.length = 0;
    await room.restart();
    await is('ready');
    await until(() => room.publish('crm.contacts.b', { n: 1 }));
    await room.publish('crm.contacts.b', { n: 2 });
    await until(() => batches.length >= 4);
    batches[1]?.finished(undefined);
    await room.nc.flush();
    const { num_ack_pending } = await room.jsm.consumers.info('crm', 'flow');
    assert.deepEqual([room.settlements.filter(({ verb }) => verb !== '+WPI'), num_ack_pending], [[], 2]);
    batches.slice(2).forEach((batch) => batch.finished(undefined));
    await until(async () => (await room.jsm.consumers.info('crm', 'flow')).num_ack_pending === 0);
  });

  test('a durable that was deleted is made again, and what was held of it is not acknowledged there', async (t) => {
    const { room, batches } = await rig(t);
    await room.publish('crm.contacts.a', {});
    await until(() => batches.length === 1);
    await room.jsm.consumers.delete('crm', 'flow');
    await until(() => batches.length === 2, { timeout: 15_000, what: 'the message of the new durable' });
    batches[0]?.finished(undefined);
    await room.nc.flush();
    assert.equal((await room.jsm.consumers.info('crm', 'flow')).num_ack_pending, 1);
    batches[1]?.finished(undefined);
    await until(async () => (await room.jsm.consumers.info('crm', 'flow')).num_ack_pending === 0);
  });
});
