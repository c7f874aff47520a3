import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import type { ConsumerInfo } from 'nats';
import type { ConsumerSettings } from '../../../nodes/jetstream/consume/consumer-settings';
import { startChild, waitForLine, type Child } from '../../support/child';
import { until } from '../../support/until';
import { openRoom, type Room } from '../room';
import type { FlowProcess, Order } from './flow-process';

const KILLS = Number(process.env.KILLS ?? 4);
/** What keeps a machine with other work to do from being taken for a crash. */
const ACK_WAIT = 2_000;

const SETTINGS: ConsumerSettings = {
  stream: 'crm',
  durable: 'flow',
  filters: ['crm.contacts.>'],
  deliver: 'all',
  provision: undefined,
  ackWait: ACK_WAIT,
  maxDeliver: 3,
  maxAckPending: 1_000,
  backoff: [50],
  processingLimit: 60_000,
  prefetch: 50,
  deadLetter: 'dead.crm',
  format: 'json',
  batchSize: 1,
  batchWait: 50,
};

interface Rig extends Room {
  log: string[];
  start(more?: Partial<FlowProcess>): Promise<Child>;
  send(...orders: Order[]): Promise<void>;
  /** Resolves when so many were written. */
  done(count: number): Promise<unknown>;
  written(): Promise<number>;
  dead(): Promise<number>;
  info(): Promise<ConsumerInfo>;
  codeOfLast(): Promise<string>;
}

async function open(t: TestContext, settings: Partial<ConsumerSettings> = {}): Promise<Rig> {
  const room = await openRoom();
  t.after(() => room.stop());
  await room.jsm.streams.add({ name: 'done', subjects: ['done.>'] });
  await room.jsm.streams.add({ name: 'dead', subjects: ['dead.>'] });
  const log: string[] = [];
  const messages = async (stream: string): Promise<number> =>
    (await room.jsm.streams.info(stream)).state.num_subjects ?? 0;
  const rig: Rig = {
    ...room,
    log,
    start: async (more = {}) => {
      const from = log.length;
      const how: FlowProcess = {
        url: room.nats.url,
        settings: { ...SETTINGS, ...settings },
        work: 20,
        ...more,
      };
      const script = join(__dirname, 'flow-process.ts');
      const child = startChild(process.execPath, ['--import=tsx', script, JSON.stringify(how)], { log });
      t.after(() => child.end('SIGKILL'));
      await waitForLine(child, /is ready/, { from, timeout: 60_000 });
      return child;
    },
    send: async (...orders) => {
      for (const order of orders) await room.publish('crm.contacts.x', order);
    },
    written: () => messages('done'),
    done: (count) =>
      until(async () => (await messages('done')) === count, {
        timeout: 90_000,
        what: `${count} to be written`,
      }),
    dead: async () => (await room.jsm.streams.info('dead')).state.messages,
    info: () => room.jsm.consumers.info('crm', 'flow'),
    codeOfLast: async () =>
      (await room.jsm.streams.getMessage('dead', { last_by_subj: 'dead.crm' })).header.get('Jetforce-Code'),
  };
  return rig;
}

const orders = (count: number, from = 0): Order[] =>
  Array.from({ length: count }, (_, i) => ({ n: from + i }));
const held = (rig: Rig, count: number) =>
  until(async () => (await rig.info()).delivered.consumer_seq >= count, {
    timeout: 30_000,
    what: `${count} deliveries`,
  });
const ended = (child: Child) => until(() => !child.running, { timeout: 60_000, what: 'the process to end' });

describe('what is no try of the message burns none', () => {
  test('orderly restarts while what the flow writes to is away: all are written when it is back', async (t) => {
    const rig = await open(t);
    await rig.send(...orders(5));
    for (let restart = 1; restart <= 5; restart++) {
      const child = await rig.start({ outage: true });
      await held(rig, 5 * restart);
      await child.end('SIGTERM');
    }
    assert.equal(await rig.dead(), 0);
    await rig.start();
    await rig.done(5);
    assert.equal(await rig.dead(), 0);
  });

  test('two instances, three rolling updates, what the flow writes to away: all are written', async (t) => {
    const rig = await open(t, { prefetch: 10, maxDeliver: 2 });
    await rig.send(...orders(20));
    const both = [await rig.start({ outage: true }), await rig.start({ outage: true })];
    for (let update = 1; update <= 3; update++)
      for (const at of [0, 1]) {
        await held(rig, 20 * update + 10 * at);
        await both[at]?.end('SIGTERM');
        both[at] = await rig.start({ outage: true });
      }
    await both[0]?.end('SIGTERM');
    await both[1]?.end('SIGTERM');
    await rig.start();
    await rig.done(20);
    assert.equal(await rig.dead(), 0);
  });

  test(`killed −9 ${KILLS} times under load: nothing is given up`, async (t) => {
    const rig = await open(t, { maxDeliver: 1 });
    let sent = 0;
    let child = await rig.start();
    for (let kill = 1; kill <= KILLS; kill++) {
      const before = await rig.written();
      await rig.send(...orders(60, sent));
      sent += 60;
      await until(async () => (await rig.written()) > before + 10, { timeout: 60_000 });
      await child.end('SIGKILL');
      child = await rig.start();
    }
    await rig.done(sent);
    assert.equal(await rig.dead(), 0);
  });
});

describe('failures count, wherever they happen', () => {
  test('over restarts and instances: given up after exactly as many as it may have', async (t) => {
    const rig = await open(t, { backoff: [500] });
    await rig.send({ n: 1, does: 'fail' });
    for (let failure = 1; failure <= 3; failure++) {
      const child = await rig.start();
      await until(() => rig.log.filter((line) => line === 'failed 1').length >= failure);
      await child.end('SIGTERM');
    }
    const last = await rig.start();
    await until(async () => (await rig.dead()) === 1, { timeout: 30_000, what: 'a dead letter' });
    assert.equal(rig.log.filter((line) => line === 'failed 1').length, 3);
    await last.end('SIGTERM');
  });
});

describe('a message that ends the process', () => {
  test('is found among good ones, which are written; it alone is given up', async (t) => {
    const rig = await open(t);
    await rig.send(...orders(15), { n: 99, does: 'end the process' }, ...orders(15, 15));
    let starts = 0;
    while ((await rig.dead()) === 0) {
      assert.ok(++starts <= 8, 'found within 8 starts');
      const child = await rig.start();
      await until(async () => !child.running || (await rig.dead()) > 0, { timeout: 60_000 });
    }
    await rig.done(30);
    assert.deepEqual([await rig.dead(), await rig.codeOfLast()], [1, 'ENDED_PROCESS']);
    const alone = rig.log.filter((line) => line.startsWith('ends with'));
    assert.deepEqual(alone.slice(1), Array<string>(5).fill('ends with 1 in the flow'));
    await until(async () => (await rig.info()).num_ack_pending === 0);
  });

  test('new messages flow as ever when it is done', async (t) => {
    const rig = await open(t, { maxDeliver: -1 });
    await rig.send({ n: 1, does: 'end the process' });
    await ended(await rig.start());
    await rig.jsm.streams.purge('crm');
    await rig.start();
    await rig.send(...orders(50));
    await rig.done(50);
  });
});
