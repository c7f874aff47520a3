import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Connection } from '../../nodes/jetstream/server/connection';
import { Consumer } from '../../nodes/jetstream/consume/consumer';
import { consumerSettings } from '../../nodes/jetstream/consume/consumer-settings';
import { freePort } from '../support/cleanup';
import { embedNodeRed, type EmbeddedNodeRed, type FlowNode } from '../support/node-red';
import { until } from '../support/until';
import { functionNode, inNode, openRoom, placed, serverNode, TAB, type Room } from './room';

const delayNode = (timeout: number, wires: string[][]): FlowNode => ({
  id: 'delay',
  type: 'delay',
  z: 'tab',
  pauseType: 'delay',
  timeout: String(timeout),
  timeoutUnits: 'milliseconds',
  rate: '1',
  nbRateUnits: '1',
  rateUnits: 'second',
  drop: false,
  outputs: 1,
  wires,
});

describe('redeploy under load', () => {
  for (const type of ['full', 'flows', 'nodes'] as const) {
    test(`${type}: nothing is lost, nothing is left behind, no delivery is counted`, async () => {
      const monitor = await freePort();
      const room = await openRoom({ config: `http: "127.0.0.1:${monitor}"` });
      const flows = (round: number): FlowNode[] =>
        [
          TAB,
          serverNode(room.nats.url, { name: 'load' }),
          inNode({
            wires: [['delay']],
            prefetch: 50,
            maxDeliver: 3,
            name: type === 'nodes' ? '' : `round ${round}`,
          }),
          delayNode(30 + round, [['out']]),
          {
            id: 'out',
            type: 'jetstream-out',
            z: 'tab',
            server: 'server',
            subject: 'done.{{payload.n}}',
            msgId: '',
            headers: [],
            window: 16,
            wires: [['end']],
          },
          functionNode('end', 'return null;'),
        ].map(placed);
      await room.jsm.streams.add({ name: 'done', subjects: ['done.>'] });
      const red = await embedNodeRed({ flows: flows(0) });
      const total = 1_000;
      const publishing = (async () => {
        for (let n = 1; n <= total; n++) await room.publish('crm.contacts.x', { n });
      })();
      for (let round = 1; round <= 12; round++) {
        await red.deploy(flows(round), type);
        await until(() => red.received('end').length > round * 5, { what: 'the flow to move on' });
      }
      await publishing;
      await until(
        async () =>
          (await room.jsm.streams.info('done', { subjects_filter: '>' })).state.num_subjects === total,
        {
          timeout: 30_000,
          what: 'every message to have come through',
        },
      );
      await until(async () => (await room.jsm.consumers.info('crm', 'flow')).num_ack_pending === 0, {
        timeout: 20_000,
        what: 'everything to be acknowledged',
      });
      assert.ok(!red.log.some(({ text }) => /close timed out/i.test(text)));
      const dead = (await room.jsm.streams.info('crm', { subjects_filter: 'crm.dead' })).state.subjects;
      assert.deepEqual(dead ?? {}, {}, 'no dead letters: a deploy is not the fault of a message');
      const left = (name: string | undefined): boolean => name?.startsWith('node-red') ?? false;
      await until(async () => (await connectionsOf(monitor)).filter(left).length === 1, {
        timeout: 20_000,
        what: 'one connection to be left',
      });
      assert.equal((await room.jsm.streams.info('crm')).state.consumer_count, 1);
      await red.stop();
      await until(async () => (await connectionsOf(monitor)).length === 1, {
        what: 'only the connection of the test to be left',
      });
      await room.stop();
    });
  }

  test('whatever moment of its start it is stopped at, nothing of it is left', async () => {
    const room = await openRoom();
    const settings = consumerSettings({ stream: 'crm', durable: 'flow', provision: true, batchSize: 1 });
    const silent = (): void => undefined;
    for (let moment = 0; moment < 80; moment++) {
      const connection = new Connection({ servers: room.nats.url, auth: 'none' });
      const consumer = new Consumer(connection, settings, { deliver: silent, state: silent, log: silent });
      consumer.start();
      const at = performance.now() + moment / 8;
      while (performance.now() < at) await new Promise(setImmediate);
      await consumer.stop(0);
      let finished = false;
      void consumer.finished.then(() => (finished = true));
      await until(() => finished, { what: `what was stopped after ${moment / 8} ms to end` });
      assert.equal(connection.state.phase, 'idle');
    }
    await room.stop();
  });

  async function connectionsOf(monitor: number): Promise<(string | undefined)[]> {
    const answer = await fetch(`http://127.0.0.1:${monitor}/connz`);
    const { connections } = (await answer.json()) as { connections: { name?: string }[] };
    return connections.map(({ name }) => name);
  }

  test('close ends within 5 s whatever the state: connecting, disconnected, a flow that never ends', async () => {
    const room: Room = await openRoom();
    const flows = [
      TAB,
      serverNode(room.nats.url),
      inNode({ wires: [['f']] }),
      functionNode('f', '/* node.done() */ if (false) node.done();'),
    ].map(placed);
    const closing = async (red: EmbeddedNodeRed): Promise<void> => {
      const began = Date.now();
      await red.deploy([TAB]);
      assert.ok(Date.now() - began < 5_000, `closed after ${Date.now() - began} ms`);
      assert.ok(!red.log.some(({ text }) => /close timed out/i.test(text)));
      await red.stop();
    };

    let red = await embedNodeRed({ flows });
    await until(() => red.statusOf('in')?.text === 'ready');
    const sequence = await room.publish('crm.contacts.x', {});
    await until(() => red.received('f').length === 1);
    await closing(red);
    await room.waitSettled(sequence, '-NAK');

    red = await embedNodeRed({ flows });
    await until(() => red.received('f').length === 1);
    room.nats.suspend();
    await closing(red);
    room.nats.resume();

    red = await embedNodeRed({ flows });
    await until(() => red.received('f').length === 1, { timeout: 40_000 });
    await room.nats.kill();
    await until(() => red.statusOf('in')?.text === 'disconnected');
    await closing(red);

    red = await embedNodeRed({ flows });
    await until(() => red.statusOf('in')?.text === 'no answer');
    await closing(red);
    await room.nats.restart();
    await room.stop();
  });
});
