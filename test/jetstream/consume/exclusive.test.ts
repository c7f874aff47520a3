import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { RetentionPolicy } from 'nats';
import { Consumer } from '../../../nodes/jetstream/consume/consumer';
import type { ConsumerSettings } from '../../../nodes/jetstream/consume/consumer-settings';
import type { ConsumerState } from '../../../nodes/jetstream/consume/reader';
import { startsOf, type ConsumerConfig } from '../../../nodes/jetstream/consume/durable-config';
import { jetStreamProperties } from '../../../nodes/jetstream/consume/message';
import type { MessageBatch } from '../../../nodes/jetstream/consume/settlement';
import { TURNS_BUCKET } from '../../../nodes/jetstream/consume/turn';
import { Connection } from '../../../nodes/jetstream/server/connection';
import { startChild, type Child } from '../../support/child';
import { until } from '../../support/until';
import type { Room } from '../room';
import type { FlowProcess } from './flow-process';
import { openWith, SETTINGS as DEFAULTS, written } from './rig';

const KILLS = Number(process.env.KILLS ?? 3);
const RECORDS = 7;

const SETTINGS: ConsumerSettings = { ...DEFAULTS, sharing: 'exclusive' };

/** A consumer whose flow is the test. */
interface Instance {
  consumer: Consumer;
  batches: MessageBatch[];
  /** `n` of what came into the flow, in that order. */
  seen: number[];
  log: string[];
  phase(): ConsumerState['phase'] | undefined;
  error(): string;
}

function instance(t: TestContext, room: Room, more: Partial<ConsumerSettings> = {}): Instance {
  const batches: MessageBatch[] = [];
  const seen: number[] = [];
  const log: string[] = [];
  let last: ConsumerState | undefined;
  const connection = new Connection({ servers: room.nats.url, auth: 'none' });
  const consumer = new Consumer(
    connection,
    { ...SETTINGS, ...more },
    {
      deliver: (batch, [payload]) => {
        batches.push(batch);
        seen.push((payload as { n: number }).n);
      },
      state: (state) => void (last = state),
      log: (level, text) => void log.push(`${level}: ${text}`),
    },
  );
  t.after(async () => {
    await consumer.stop(0);
    for (const batch of batches) batch.finished(undefined);
    await consumer.finished;
  });
  consumer.start();
  const error = (): string => (last?.phase === 'failing' ? last.error.code : '');
  return { consumer, batches, seen, log, phase: () => last?.phase, error };
}

const is = (one: Instance, phase: ConsumerState['phase']): Promise<unknown> =>
  until(() => one.phase() === phase, { timeout: 20_000, what: `an instance to be ${phase}` });
const sees = (one: Instance, count: number): Promise<unknown> =>
  until(() => one.seen.length >= count, { timeout: 20_000, what: `${count} messages` });
const send = async (room: Room, ...numbers: number[]): Promise<void> => {
  for (const n of numbers) await room.publish('crm.contacts.x', { n });
};

describe('sharing: exclusive', () => {
  test('one instance gets all messages; the other stands by, and follows when it is stopped', async (t) => {
    const room = await openWith(t);
    const first = instance(t, room);
    await is(first, 'ready');
    const second = instance(t, room);
    await is(second, 'standby');
    await send(room, 1, 2, 3);
    await sees(first, 3);
    assert.deepEqual(second.seen, []);

    const stopped = first.consumer.stop(30_000);
    await send(room, 4);
    assert.equal(second.phase(), 'standby', 'what is in the flow of the first has not ended');
    for (const batch of first.batches) batch.finished(undefined);
    await stopped;
    const began = performance.now();
    await is(second, 'ready');
    t.diagnostic(`after an orderly stop the other is ready in ${Math.round(performance.now() - began)} ms`);
    await sees(second, 1);
    assert.deepEqual([first.seen, second.seen], [[1, 2, 3], [4]]);
  });

  test('what was acknowledged above one that was not comes again behind it, in order', async (t) => {
    const room = await openWith(t);
    const first = instance(t, room);
    await send(room, 1, 2, 3, 4);
    await sees(first, 4);
    for (const done of [0, 2, 3]) first.batches[done]?.finished(undefined);
    await room.waitSettled(4, '+ACK');
    first.batches[1]?.finished({ error: new Error('not this one') });
    await first.consumer.stop(1_000);
    const second = instance(t, room);
    await sees(second, 3);
    assert.deepEqual(second.seen, [2, 3, 4]);
    for (const batch of second.batches) batch.finished(undefined);
    await until(async () => (await room.jsm.consumers.info('crm', 'flow')).num_ack_pending === 0);
    await send(room, 5);
    await sees(second, 4);
    assert.deepEqual(second.seen, [2, 3, 4, 5]);
  });

  test('failures are counted over the turns, and then it is given up', async (t) => {
    const room = await openWith(t);
    await room.jsm.streams.add({ name: 'dead', subjects: ['dead.>'] });
    await send(room, 1);
    for (let turn = 1; turn <= 3; turn++) {
      const one = instance(t, room, { deadLetter: 'dead.crm' });
      await sees(one, 1);
      assert.equal((await room.jsm.streams.info('dead')).state.messages, 0);
      one.batches[0]?.finished({ error: new Error('not this one') });
      await until(() => one.consumer.inFlow === 0);
      if (turn < 3) await one.consumer.stop(1_000);
    }
    await until(async () => (await room.jsm.streams.info('dead')).state.messages === 1);
  });

  test('the server starts anew: the holder goes on, and nothing of its flow comes twice', async (t) => {
    const room = await openWith(t);
    const one = instance(t, room);
    await send(room, 1, 2, 3);
    await sees(one, 3);
    await room.restart();
    one.batches[1]?.finished(undefined);
    await is(one, 'ready');
    await send(room, 4);
    await sees(one, 4);
    for (const batch of one.batches) batch.finished(undefined);
    await until(async () => (await room.jsm.consumers.info('crm', 'flow')).num_ack_pending === 0, {
      timeout: 20_000,
    });
    assert.deepEqual(one.seen, [1, 2, 3, 4]);
  });

  test('what failed comes again after the durable began anew as what was delivered before', async (t) => {
    const room = await openWith(t);
    const one = instance(t, room);
    await send(room, 1, 2);
    await sees(one, 2);
    one.batches[0]?.finished({ error: new Error('not this one') });
    one.batches[1]?.finished(undefined);
    await room.waitSettled(2, '+ACK');
    await room.restart();
    await sees(one, 3);
    await send(room, 3);
    await sees(one, 4);
    const delivered = one.batches.map(
      ({ items: [item] }) => item && jetStreamProperties(item, '').deliveries,
    );
    assert.deepEqual(
      [one.seen, delivered],
      [
        [1, 2, 1, 3],
        [1, 1, 2, 1],
      ],
    );
  });

  test('a durable that was to be made anew when the process ended is made where it was', async (t) => {
    const room = await openWith(t);
    await send(room, 1, 2, 3);
    const one = instance(t, room);
    await sees(one, 3);
    one.batches[0]?.finished(undefined);
    await room.waitSettled(1, '+ACK');
    await one.consumer.stop(0);
    one.batches.forEach((batch) => batch.failed({ error: new Error('no') }, { delay: 0 }));
    await one.consumer.finished;
    const { config, ack_floor } = await room.jsm.consumers.info('crm', 'flow');
    assert.equal(ack_floor.stream_seq, 1);
    if (Number(room.nc.info?.version.split('.')[1]) >= 14) return t.diagnostic('this server does it itself');
    const kv = await room.nc.jetstream().views.kv(TURNS_BUCKET);
    await kv.put(
      'crm.flow.from',
      JSON.stringify({
        ...config,
        deliver_policy: 'by_start_sequence',
        opt_start_seq: 2,
        metadata: { ...config.metadata, ...startsOf({ ...config } as unknown as ConsumerConfig) },
      }),
    );
    await room.jsm.consumers.delete('crm', 'flow');
    const next = instance(t, room);
    await sees(next, 2);
    assert.deepEqual(next.seen, [2, 3]);
    assert.equal((await kv.get('crm.flow.from'))?.string(), '');
  });

  test('a stream that deletes what is acknowledged is refused', async (t) => {
    const room = await openWith(t);
    await room.jsm.streams.add({ name: 'work', subjects: ['work'], retention: RetentionPolicy.Workqueue });
    const one = instance(t, room, { stream: 'work', filters: [] });
    await is(one, 'failing');
    assert.equal(one.error(), 'SHARING_IMPOSSIBLE');
    assert.match(one.log.join(), /retention workqueue/);
  });
});

test('the one that reads is killed -9 again and again: none is lost, no record ends as an older message says', async (t) => {
  const room = await openWith(t);
  await room.jsm.streams.add({ name: 'done', subjects: ['done.>'] });
  const how: FlowProcess = { url: room.nats.url, settings: { ...SETTINGS, prefetch: 20 }, work: 20 };
  const script = join(__dirname, 'flow-process.ts');
  let reads: { child: Child; since: number } | undefined;
  const start = (): Child => {
    const onLine = (line: string): void => {
      if (line === 'is ready') reads = { child, since: performance.now() };
    };
    const args = ['--import=tsx', script, JSON.stringify(how)];
    const child: Child = startChild(process.execPath, args, { onLine });
    t.after(() => child.end('SIGKILL'));
    return child;
  };
  const reading = (): Promise<NonNullable<typeof reads>> =>
    until(() => (reads?.child.running ? reads : undefined), { timeout: 60_000, what: 'one that reads' });
  const instances = [start(), start(), start()];
  await reading();
  for (const child of instances)
    await until(() => child.log.some((line) => /is (ready|standby)/.test(line)), { timeout: 60_000 });

  let state = 0;
  const publish = async (count: number): Promise<void> => {
    for (const last = state + count; state < last;)
      await room.publish('crm.contacts.x', { n: state % RECORDS, state: state++ });
  };
  const gaps: number[] = [];
  for (let kill = 1; kill <= KILLS; kill++) {
    await publish(60);
    const { child } = await reading();
    await until(async () => (await room.jsm.consumers.info('crm', 'flow')).num_ack_pending > 0, {
      timeout: 20_000,
    });
    const killed = performance.now();
    await child.end('SIGKILL');
    const next = await reading();
    gaps.push(Math.round(next.since - killed));
    start();
  }
  await publish(20);
  await until(
    async () => {
      const { num_pending, num_ack_pending } = await room.jsm.consumers.info('crm', 'flow');
      return num_pending + num_ack_pending === 0;
    },
    { timeout: 60_000, what: 'all to be acknowledged' },
  );
  t.diagnostic(`another reads after ${gaps.join(', ')} ms`);
  const found = await written(room);
  const expected = Array.from({ length: RECORDS }, (_, n) => ({
    record: `done.${n}`,
    states: Array.from({ length: state }, (_, i) => i).filter((i) => i % RECORDS === n),
  }));
  for (const { record, states } of expected) {
    const wrote = found.get(record) ?? [];
    assert.equal(wrote.at(-1), states.at(-1), `${record} ends ${wrote.slice(-5).join(', ')}`);
    assert.deepEqual(
      [...new Set(wrote)].sort((a, b) => a - b),
      states,
    );
  }
});
