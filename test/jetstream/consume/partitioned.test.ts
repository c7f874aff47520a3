import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { RetentionPolicy } from 'nats';
import type { ConsumerSettings } from '../../../nodes/jetstream/consume/consumer-settings';
import type { ConsumerState } from '../../../nodes/jetstream/consume/reader';
import { copyName } from '../../../nodes/jetstream/consume/partition-copy';
import { PartitionedConsumer } from '../../../nodes/jetstream/consume/partitioned';
import type { MessageBatch } from '../../../nodes/jetstream/consume/settlement';
import { TURNS_BUCKET } from '../../../nodes/jetstream/consume/turn';
import { Connection } from '../../../nodes/jetstream/server/connection';
import { startChild, type Child } from '../../support/child';
import { until } from '../../support/until';
import type { Room } from '../room';
import type { FlowProcess } from './flow-process';
import { openWith, SETTINGS as DEFAULTS, written } from './rig';

const KILLS = Number(process.env.KILLS ?? 3);
const RECORDS = 40;

const SETTINGS: ConsumerSettings = { ...DEFAULTS, sharing: 'partitioned', partitions: 4 };

/** A consumer whose flow is the test: it holds what comes, or ends it at once. */
interface Instance {
  consumer: PartitionedConsumer;
  batches: MessageBatch[];
  /** What came into the flow, in that order: the subject, and the number. */
  seen: { subject: string; n: number }[];
  log: string[];
  owned(): number;
  phase(): ConsumerState['phase'] | undefined;
  error(): string;
  finishAll(): void;
}

function instance(
  t: TestContext,
  room: Room,
  more: Partial<ConsumerSettings> = {},
  { holds = false } = {},
): Instance {
  const batches: MessageBatch[] = [];
  const seen: Instance['seen'] = [];
  const log: string[] = [];
  let last: ConsumerState | undefined;
  const consumer = new PartitionedConsumer(
    new Connection({ servers: room.nats.url, auth: 'none' }),
    { ...SETTINGS, ...more },
    {
      deliver: (batch, [payload]) => {
        const [message] = batch.items;
        seen.push({ subject: message?.msg.subject ?? '', n: (payload as { n: number }).n });
        batches.push(batch);
        if (!holds) setImmediate(() => batch.finished(undefined));
      },
      state: (state) => void (last = state),
      log: (level, text) => void log.push(`${level}: ${text}`),
    },
  );
  const finishAll = (): void => batches.forEach((batch) => batch.finished(undefined));
  t.after(async () => {
    const stopped = consumer.stop(0);
    finishAll();
    await stopped;
    await consumer.finished;
  });
  consumer.start();
  return {
    ...{ consumer, batches, seen, log, finishAll },
    owned: () => (last?.phase === 'ready' ? (last.partitions?.owned ?? 0) : 0),
    phase: () => last?.phase,
    error: () => (last?.phase === 'failing' ? last.error.code : ''),
  };
}

const owns = (one: Instance, count: number): Promise<unknown> =>
  until(() => one.owned() === count, {
    timeout: 20_000,
    what: `an instance to own ${count}, not ${one.owned()}`,
  });

let number = 0;
async function send(room: Room, ...records: number[]): Promise<void> {
  for (const record of records) await room.publish(`crm.contacts.${record}`, { n: ++number });
}

const all = Array.from({ length: RECORDS }, (_, record) => record);
const numbers = (seen: Instance['seen']): number[] => seen.map(({ n }) => n);
const records = (one: Instance): Set<string> => new Set(one.seen.map(({ subject }) => subject));

/** Each record's messages, in the order in which they were published. */
function assertInOrder(...instances: Pick<Instance, 'seen'>[]): void {
  for (const { seen } of instances) {
    const latest = new Map<string, number>();
    for (const { subject, n } of seen) {
      assert.ok(n > (latest.get(subject) ?? 0), `${subject}: ${n} came after ${latest.get(subject)}`);
      latest.set(subject, n);
    }
  }
}

describe('sharing: partitioned', () => {
  test('each of two instances has half of the partitions, and a record is in one of them', async (t) => {
    const room = await openWith(t);
    const first = instance(t, room);
    await owns(first, 4);
    const second = instance(t, room);
    await Promise.all([owns(first, 2), owns(second, 2)]);
    for (let round = 0; round < 3; round++) await send(room, ...all);
    await until(() => first.seen.length + second.seen.length === 3 * RECORDS, { timeout: 20_000 });
    assert.ok(records(first).size > 5 && records(second).size > 5, 'both work');
    assert.deepEqual(
      [...records(first)].filter((record) => records(second).has(record)),
      [],
      'no record is in both',
    );
    assertInOrder(first, second);
  });

  test('a message is of its stream: subject, sequence, stream, durable', async (t) => {
    const room = await openWith(t);
    await room.publish('crm.other', {});
    await send(room, 7);
    const one = instance(t, room, { deliver: 'all' }, { holds: true });
    await until(() => one.seen.length === 1, { timeout: 20_000 });
    const [message] = one.batches[0]?.items ?? [];
    const { stream, consumer, sequence } = message?.info ?? {};
    assert.deepEqual(
      [stream, consumer, sequence, message?.msg.subject],
      ['crm', 'flow', 2, 'crm.contacts.7'],
    );
    assert.deepEqual(JSON.parse(String(message?.msg.data)), { n: number });
  });

  test('one that is stopped in order gives its partitions up when its flow has finished', async (t) => {
    const room = await openWith(t);
    const first = instance(t, room, {}, { holds: true });
    await owns(first, 4);
    await send(room, ...all);
    await until(() => first.seen.length === RECORDS, { timeout: 20_000 });
    const second = instance(t, room);
    await until(() => second.phase() === 'standby', { timeout: 20_000 });
    await send(room, ...all);
    await until(async () => (await waiting(room)) >= RECORDS / 2, { timeout: 20_000 });
    assert.deepEqual(second.seen, [], 'what is in the flow of the first has not ended');
    const stopped = first.consumer.stop(30_000);
    first.finishAll();
    const began = performance.now();
    await stopped;
    await owns(second, 4);
    t.diagnostic(`the other owns all ${Math.round(performance.now() - began)} ms after the flow has ended`);
    await until(() => first.seen.length + second.seen.length === 2 * RECORDS, { timeout: 20_000 });
    assertInOrder({ seen: [...first.seen, ...second.seen] });
  });

  test('more partitions: all are given up, and reading goes on where it was, in order', async (t) => {
    const room = await openWith(t);
    const first = instance(t, room);
    await owns(first, 4);
    await send(room, ...all);
    await until(() => first.seen.length === RECORDS, { timeout: 20_000 });
    await until(async () => (await waiting(room)) === 0, { timeout: 20_000 });
    const second = instance(t, room, { partitions: 6 });
    await Promise.all([owns(first, 3), owns(second, 3)]);
    await send(room, ...all);
    await until(() => first.seen.length + second.seen.length >= 2 * RECORDS, { timeout: 20_000 });
    assert.equal(first.seen.length + second.seen.length, 2 * RECORDS, 'nothing comes twice');
    assertInOrder(first, second);
    const former = (): Promise<boolean> =>
      room.jsm.streams.info(copyName('crm', 'flow', 1)).then(
        () => false,
        () => true,
      );
    await until(former, { timeout: 20_000, what: 'the former copy to be gone' });
    assert.match(first.log.join('\n') + second.log.join('\n'), /is read in 6 partitions/);
  });

  test('other subjects are read from where the former ones were', async (t) => {
    const room = await openWith(t);
    const first = instance(t, room);
    await owns(first, 4);
    await send(room, 1, 2);
    await until(() => first.seen.length === 2, { timeout: 20_000 });
    await until(async () => (await waiting(room)) === 0, { timeout: 20_000 });
    await first.consumer.stop(5_000);
    await room.publish('crm.accounts.1', { n: ++number });
    const second = instance(t, room, { filters: ['crm.accounts.*', 'crm.contacts.>'] });
    await send(room, 3);
    await until(() => second.seen.length === 2, { timeout: 8_000 });
    assert.deepEqual(numbers(second.seen).sort(), [number - 1, number].sort());
  });

  test('what is done is not kept in the copy', async (t) => {
    const room = await openWith(t);
    const one = instance(t, room);
    await owns(one, 4);
    await send(room, ...all);
    await until(() => one.seen.length === RECORDS, { timeout: 20_000 });
    await until(async () => (await room.jsm.streams.info(copyName('crm', 'flow', 1))).state.messages === 0, {
      timeout: 30_000,
      what: 'the copy to be empty',
    });
    await room.restart();
    await send(room, 1);
    await until(() => one.seen.length === RECORDS + 1, { timeout: 20_000 });
  });

  test('a stream that is deleted and made anew is read from its start', async (t) => {
    const room = await openWith(t);
    const one = instance(t, room);
    await owns(one, 4);
    await send(room, 1, 2, 3);
    await until(() => one.seen.length === 3, { timeout: 20_000 });
    await room.jsm.streams.delete('crm');
    await room.jsm.streams.add({ name: 'crm', subjects: ['crm.>'] });
    await send(room, 4);
    await until(() => one.seen.length === 4, { timeout: 40_000 });
  });

  test('what can not be read again in order is refused', async (t) => {
    const room = await openWith(t);
    await room.jsm.streams.add({ name: 'work', subjects: ['work'], retention: RetentionPolicy.Workqueue });
    const one = instance(t, room, { stream: 'work', filters: [] });
    const other = instance(t, room, { deliver: 'last_per_subject' });
    for (const refused of [one, other]) {
      await until(() => refused.phase() === 'failing', { timeout: 20_000 });
      assert.equal(refused.error(), 'SHARING_IMPOSSIBLE');
    }
    assert.match(one.log.join(), /retention workqueue/);
  });
});

/** Messages that the partitions have and nobody has acknowledged. */
async function waiting(room: Room, generation = 1): Promise<number> {
  let count = 0;
  for await (const { num_pending, num_ack_pending } of room.jsm.consumers.list(
    copyName('crm', 'flow', generation),
  ))
    count += num_pending + num_ack_pending;
  return count;
}

test('processes are killed -9 and stopped for a time: none is lost, no record ends as an older message says', async (t) => {
  const room = await openWith(t);
  await room.jsm.streams.add({ name: 'done', subjects: ['done.>'] });
  const how: FlowProcess = { url: room.nats.url, settings: { ...SETTINGS, prefetch: 40 }, work: 20 };
  const script = join(__dirname, 'flow-process.ts');
  const start = (): Child => {
    const child = startChild(process.execPath, ['--import=tsx', script, JSON.stringify(how)], {});
    t.after(() => child.end('SIGKILL'));
    return child;
  };
  const isReady = (child: Child): Promise<unknown> =>
    until(() => child.log.some((line) => /is ready/.test(line)), { timeout: 60_000, what: 'one to read' });
  const instances = [start(), start(), start()];
  for (const child of instances) await isReady(child);
  const kv = await room.nc.jetstream().views.kv(TURNS_BUCKET);
  const ownedByDead = async (dead: Set<string>): Promise<boolean> => {
    const { owners } = JSON.parse((await kv.get('crm.flow.partitions'))?.string() ?? '{}') as {
      owners: string[];
    };
    return owners.some((owner) => owner === '' || dead.has(owner));
  };

  let state = 0;
  const publish = async (count: number): Promise<void> => {
    for (const last = state + count; state < last;) {
      const n = state % RECORDS;
      await room.publish(`crm.contacts.${n}`, { n, state: state++ });
    }
  };
  const gaps: number[] = [];
  for (let kill = 1; kill <= KILLS; kill++) {
    await publish(120);
    const [child] = instances.splice(0, 1) as [Child];
    const table = JSON.parse((await kv.get('crm.flow.partitions'))?.string() ?? '{}') as { owners: string[] };
    const killed = performance.now();
    if (kill % 2 === 1) await child.end('SIGKILL');
    else child.signal('SIGSTOP');
    const before = new Set(table.owners);
    await until(
      async () => {
        const now = JSON.parse((await kv.get('crm.flow.partitions'))?.string() ?? '{}') as {
          owners: string[];
        };
        const gone = [...before].filter((id) => !now.owners.includes(id));
        return gone.length > 0 && !(await ownedByDead(new Set(gone)));
      },
      { timeout: 20_000, interval: 20, what: 'the partitions to be owned by others' },
    );
    gaps.push(Math.round(performance.now() - killed));
    await publish(40);
    if (kill % 2 === 0) {
      child.signal('SIGCONT');
      instances.push(child);
    } else {
      const next = start();
      instances.push(next);
      await isReady(next);
    }
  }
  await publish(40);
  await until(async () => (await waiting(room)) === 0, { timeout: 60_000, what: 'all to be acknowledged' });
  await until(async () => (await written(room)).size === RECORDS);
  t.diagnostic(`all partitions owned again after ${gaps.join(', ')} ms`);
  const found = await written(room);
  for (const n of all) {
    const states = Array.from({ length: state }, (_, i) => i).filter((i) => i % RECORDS === n);
    const wrote = found.get(`done.${n}`) ?? [];
    assert.equal(wrote.at(-1), states.at(-1), `${n} ends ${wrote.slice(-5).join(', ')}`);
    assert.deepEqual(
      [...new Set(wrote)].sort((a, b) => a - b),
      states,
    );
  }
});
