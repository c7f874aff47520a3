import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startNodeRed, type FlowNode, type NodeRed } from '../support/node-red';
import { until } from '../support/until';
import { functionNode, inNode, openRoom, placed, serverNode, TAB, type Room } from './room';

/** Every message is worked on for a moment, then written to the stream "done" under its number. */
const flows = (room: Room, more: object = {}): FlowNode[] =>
  [
    TAB,
    serverNode(room.nats.url),
    inNode({ wires: [['work']], ackWait: '2s', maxDeliver: -1, prefetch: 50, ...more }),
    functionNode('work', 'await new Promise((r) => setTimeout(r, 5)); return msg;', { wires: [['out']] }),
    {
      id: 'out',
      type: 'jetstream-out',
      z: 'tab',
      server: 'server',
      subject: 'done.{{payload.n}}',
      msgId: '',
      headers: [],
      window: 64,
      wires: [[]],
    },
  ].map(placed);

async function openWithDone(config = ''): Promise<Room> {
  const room = await openRoom({ config });
  await room.jsm.streams.add({ name: 'done', subjects: ['done.>'] });
  return room;
}

async function allDone(room: Room, total: number): Promise<void> {
  await until(async () => (await room.jsm.streams.info('done')).state.num_subjects === total, {
    timeout: 40_000,
    what: `${total} messages to be done`,
  });
  await until(async () => (await room.jsm.consumers.info('crm', 'flow')).num_ack_pending === 0, {
    timeout: 20_000,
    what: 'all to be acknowledged',
  });
}

describe('several instances, and rough treatment', () => {
  test('two Node-REDs share a durable; one is killed -9: the other does the rest', async () => {
    const room = await openWithDone();
    const both: NodeRed[] = await Promise.all([
      startNodeRed({ flows: flows(room) }),
      startNodeRed({ flows: flows(room) }),
    ]);
    await until(() => room.jsm.consumers.info('crm', 'flow'));
    for (let n = 1; n <= 500; n++) await room.publish('crm.contacts.x', { n });
    await both[0]?.kill();
    for (let n = 501; n <= 1_000; n++) await room.publish('crm.contacts.x', { n });
    await allDone(room, 1_000);
    assert.equal((await room.jsm.streams.info('crm')).state.consumer_count, 1);
    await Promise.all(both.map((red) => red.stop()));
    await room.stop();
  });

  test('a client that the server cuts off for slow reading reads on where it was', async () => {
    const room = await openWithDone('max_pending: 1100000\nwrite_deadline: "300ms"');
    const red = await startNodeRed({ flows: flows(room, { prefetch: 1_000 }) });
    await until(async () => (await room.jsm.consumers.info('crm', 'flow')).num_waiting > 0, {
      what: 'messages to be asked for',
    });
    const filler = 'x'.repeat(50_000);
    process.kill(red.pid, 'SIGSTOP');
    await Promise.all(
      Array.from({ length: 400 }, (_, i) => room.publish('crm.contacts.x', { n: i + 1, filler })),
    );
    await until(() => room.nats.log.some((line) => /Slow Consumer/i.test(line)), {
      timeout: 15_000,
      what: 'the server to cut the client off',
    });
    process.kill(red.pid, 'SIGCONT');
    await allDone(room, 400);
    await red.stop();
    await room.stop();
  });

  test('an orderly stop gives back what is in the flow at once', async () => {
    const room = await openWithDone();
    const red = await startNodeRed({
      flows: flows(room, { ackWait: '60s' }).map((node) =>
        node.id === 'work' ? { ...node, func: '/* node.done() */ if (false) node.done();' } : node,
      ),
    });
    await until(() => room.jsm.consumers.info('crm', 'flow'));
    for (let n = 1; n <= 20; n++) await room.publish('crm.contacts.x', { n });
    await until(async () => (await room.jsm.consumers.info('crm', 'flow')).num_ack_pending === 20);
    const userDir = await startNodeRedAgain(red, room);
    await allDone(room, 20);
    await userDir.stop();
    await room.stop();
  });
});

/** Stops the first in an orderly way and starts another whose flow works. */
async function startNodeRedAgain(red: NodeRed, room: Room): Promise<NodeRed> {
  await red.stop();
  return startNodeRed({ flows: flows(room, { ackWait: '60s' }) });
}
