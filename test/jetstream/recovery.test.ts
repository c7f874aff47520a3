import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test, type TestContext } from 'node:test';
import { connect, type JetStreamManager } from 'nats';
import { Connection } from '../../nodes/jetstream/server/connection';
import { Consumer } from '../../nodes/jetstream/consume/consumer';
import type { ConsumerSettings } from '../../nodes/jetstream/consume/consumer-settings';
import { embedNodeRed, type EmbeddedNodeRed, type FlowNode } from '../support/node-red';
import { startCluster, startNats } from '../support/nats';
import { temporaryFolder } from '../support/cleanup';
import { until } from '../support/until';
import { functionNode, inNode, openRoom, placed, serverNode, TAB } from './room';

const flow = (url: string, more: object = {}, server: object = {}): FlowNode[] =>
  [TAB, serverNode(url, server), inNode({ wires: [['f']], ...more }), functionNode('f', 'return null;')].map(
    placed,
  );

/** Payload numbers that have reached the node "f". */
const numbers = (red: EmbeddedNodeRed): number[] =>
  red.received('f').map(({ payload }) => (payload as { n: number }).n);

const waitStatus = (red: EmbeddedNodeRed, text: string, timeout = 15_000): Promise<unknown> =>
  until(() => red.statusOf('in')?.text === text, { timeout, what: `the status "${text}"` });

/** Everything that was published has been through the flow and is acknowledged, whatever happened in between. */
async function drained(jsm: JetStreamManager, timeout = 30_000): Promise<void> {
  await until(
    async () => {
      const { num_pending, num_ack_pending } = await jsm.consumers.info('crm', 'flow');
      return num_pending === 0 && num_ack_pending === 0;
    },
    { timeout, what: 'the durable to be drained' },
  );
}

describe('what is wrong is said in words, and mended by itself', () => {
  let red: EmbeddedNodeRed | undefined;
  after(() => red?.stop());

  test('a wrong password, corrected in the credentials file', async () => {
    const nats = await startNats({ config: 'authorization { user: "app", password: "right" }' });
    const folder = temporaryFolder('credentials');
    const file = join(folder.path, 'nats.json');
    const write = (password: string): void => writeFileSync(file, JSON.stringify({ user: 'app', password }));
    write('wrong');
    red = await embedNodeRed({ flows: flow(nats.url, {}, { auth: 'file', credentialsPath: file }) });
    await waitStatus(red, 'login refused');
    await red.waitForLog(/refused the login: check the authentication/);
    assert.ok(!red.log.some(({ text }) => text.includes('wrong')), 'the log never holds the password');
    write('right');
    await waitStatus(red, 'ready');
    await red.stop();
    await nats.stop();
    folder.remove();
  });

  test('a server that is not there yet', async () => {
    const nats = await startNats();
    await nats.kill();
    red = await embedNodeRed({ flows: flow(nats.url) });
    await waitStatus(red, 'no answer');
    await red.waitForLog(/Nothing answers at .*is nats-server running there/);
    await nats.restart();
    await waitStatus(red, 'ready');
    await red.stop();
    await nats.stop();
  });

  test('a stream that is missing, with provision off', async () => {
    const nats = await startNats();
    red = await embedNodeRed({ flows: flow(nats.url, { provision: false }) });
    await waitStatus(red, 'no such stream');
    await red.waitForLog(/There is no stream "crm": create it, or tick "Create/);
    const nc = await connect({ servers: nats.url });
    await (await nc.jetstreamManager()).streams.add({ name: 'crm', subjects: ['crm.>'] });
    await waitStatus(red, 'ready');
    assert.equal(red.log.filter(({ text }) => /There is no stream/.test(text)).length, 1, 'said once');
    await nc.close();
    await red.stop();
    await nats.stop();
  });

  test('a credentials file that is missing, or not JSON', async () => {
    const nats = await startNats({ config: 'authorization { token: "s3cret" }' });
    const folder = temporaryFolder('credentials');
    const file = join(folder.path, 'nats.json');
    red = await embedNodeRed({ flows: flow(nats.url, {}, { auth: 'file', credentialsPath: file }) });
    await waitStatus(red, 'bad credentials');
    await red.waitForLog(/credentials file .* can't be read/);
    writeFileSync(file, '{"token": s3cret');
    await red.waitForLog(/credentials file .* is not valid JSON/);
    writeFileSync(file, '{"token": "s3cret"}');
    await waitStatus(red, 'ready');
    assert.ok(!red.log.some(({ text }) => text.includes('s3cret')));
    await red.stop();
    await nats.stop();
    folder.remove();
  });
});

describe('recovery', () => {
  test('a server that is killed and restarted: the flow gets every message, and the status says how it is', async () => {
    const room = await openRoom();
    const red = await embedNodeRed({ flows: flow(room.nats.url) });
    const seen = (count: number) => until(() => new Set(numbers(red)).size === count, { timeout: 20_000 });
    const publish = async (from: number, to: number): Promise<void> => {
      for (let n = from; n <= to; n++) await room.publish('crm.contacts.x', { n });
    };
    await waitStatus(red, 'ready');
    await publish(1, 50);
    await seen(50);
    await room.nats.kill();
    await waitStatus(red, 'disconnected');
    await room.restart();
    await publish(51, 100);
    await seen(100);
    await drained(room.jsm);
    await waitStatus(red, 'ready');
    await red.stop();
    await room.stop();
  });
});

/** A consumer alone, whose flow takes `work` ms for each message. */
function receive(t: TestContext, url: string, more: Partial<ConsumerSettings> = {}, work = 0) {
  const numbers: number[] = [];
  let phase = '';
  const consumer = new Consumer(
    new Connection({ servers: url, auth: 'none' }),
    {
      stream: 'crm',
      durable: 'flow',
      filters: ['crm.contacts.>'],
      deliver: 'all',
      provision: { name: 'crm', subjects: ['crm.>'] },
      ackWait: 30_000,
      maxDeliver: 3,
      maxAckPending: 1_000,
      backoff: [100],
      processingLimit: 20_000,
      prefetch: 100,
      deadLetter: 'crm.dead',
      format: 'json',
      batchSize: 1,
      batchWait: 50,
      ...more,
    },
    {
      deliver: (unit, payloads) => {
        numbers.push((payloads[0] as { n: number }).n);
        setTimeout(() => unit.finished(undefined), work);
      },
      state: (state) => void (phase = state.phase),
      log: () => undefined,
    },
  );
  t.after(() => consumer.stop(1_000).then(() => consumer.finished));
  consumer.start();
  const seen = () => [...new Set(numbers)].sort((a, b) => a - b);
  return {
    numbers,
    seen,
    ready: () => until(() => phase === 'ready', { timeout: 20_000, what: 'the consumer to be ready' }),
    /** All numbers up to this one have come. */
    all: async (to: number, timeout = 20_000): Promise<void> => {
      await until(() => seen().length >= to, { timeout, what: `${to} messages` });
      assert.deepEqual(
        seen(),
        Array.from({ length: to }, (_, index) => index + 1),
      );
    },
  };
}

describe('recovery of a consumer', { concurrency: true }, () => {
  describe('alone', { concurrency: true }, () => {
    async function open(t: TestContext) {
      const room = await openRoom();
      t.after(() => room.stop());
      const publish = async (from: number, to: number): Promise<void> => {
        for (let n = from; n <= to; n++) await room.publish('crm.contacts.x', { n });
      };
      return { room, publish };
    }
    const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

    test('a server that restarts again and again: afterwards as many messages as before are in the flow at once', async (t) => {
      const { room, publish } = await open(t);
      const { ready, all } = receive(t, room.nats.url, {}, 200);
      await ready();
      for (let n = 1; n <= 4; n++) {
        await room.restart();
        await publish(n, n);
        await all(n);
      }
      await publish(5, 400);
      // A few at a time they would take more than half a minute.
      await all(400);
      await drained(room.jsm);
    });

    test('a server that hangs for 10 s and then drops the connection', async (t) => {
      const { room, publish } = await open(t);
      const { ready, all } = receive(t, room.nats.url);
      await ready();
      await publish(1, 10);
      await all(10);
      room.nats.suspend();
      await pause(10_000);
      room.nats.resume();
      await publish(11, 20);
      await all(20);
      await room.restart();
      await publish(21, 21);
      await all(21);
      room.nats.suspend();
      await pause(4_000);
      room.nats.resume();
      await publish(22, 30);
      await all(30);
      await drained(room.jsm);
    });

    test('a durable that is deleted is made again, and starts by its deliver policy', async (t) => {
      const { room, publish } = await open(t);
      const { all, numbers } = receive(t, room.nats.url);
      await publish(1, 5);
      await all(5);
      await drained(room.jsm);
      await room.jsm.consumers.delete('crm', 'flow');
      await publish(6, 10);
      await all(10);
      await drained(room.jsm);
      assert.equal(numbers.filter((n) => n === 1).length, 2);
    });

    test('a stream that is deleted is provisioned again', async (t) => {
      const { room, publish } = await open(t);
      const { all } = receive(t, room.nats.url);
      await publish(1, 5);
      await all(5);
      await room.jsm.streams.delete('crm');
      await until(() => room.jsm.streams.info('crm'), { timeout: 15_000, what: 'the stream to be back' });
      await publish(6, 10);
      await all(10);
    });
  });

  /** One cluster after the other: six servers at once would be busy with themselves. */
  describe('in a cluster', () => {
    async function open(t: TestContext, config?: string) {
      const cluster = await startCluster(3, { config });
      const nc = await connect({
        servers: cluster.url.split(','),
        maxReconnectAttempts: -1,
        reconnectTimeWait: 100,
      });
      t.after(async () => {
        await nc.close();
        await cluster.stop();
      });
      const jsm = await until(() => nc.jetstreamManager(), { timeout: 20_000 });
      const config3 = { name: 'crm', subjects: ['crm.>'], num_replicas: 3 };
      await until(() => jsm.streams.add(config3), { timeout: 20_000 });
      const js = nc.jetstream();
      const publish = async (from: number, to: number): Promise<void> => {
        for (let n = from; n <= to; n++) {
          const options = { msgID: `m${n}`, timeout: 1_000 };
          await until(() => js.publish('crm.contacts.x', JSON.stringify({ n }), options), {
            timeout: 20_000,
          });
        }
      };
      return { cluster, jsm, publish };
    }

    test('a server in lame-duck mode hands its clients over', async (t) => {
      const { cluster, publish } = await open(t, 'lame_duck_grace_period: "100ms"');
      const { all, ready } = receive(t, cluster.server('n1').url, { provision: undefined });
      await ready();
      await publish(1, 20);
      await all(20);
      const { pid, log } = cluster.server('n1');
      process.kill(pid, 'SIGUSR2');
      await until(() => log.some((line) => /lame duck mode/i.test(line)));
      await publish(21, 40);
      await all(40);
    });

    test('the leader of a three-server cluster is killed: delivery goes on within 10 s', async (t) => {
      const { cluster, jsm, publish } = await open(t);
      const { all } = receive(t, cluster.url, { provision: undefined });
      await publish(1, 20);
      await all(20);
      const name = await until(async () => (await jsm.consumers.info('crm', 'flow')).cluster?.leader, {
        timeout: 20_000,
        what: 'the consumer to have a leader',
      });
      await cluster.server(name).kill();
      await publish(21, 21);
      await all(21, 10_000);
      await publish(22, 40);
      await all(40);
    });
  });
});
