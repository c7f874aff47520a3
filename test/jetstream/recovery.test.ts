import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { connect, type JetStreamManager } from 'nats';
import { embedNodeRed, type EmbeddedNodeRed, type FlowNode } from '../support/node-red';
import { startCluster, startNats } from '../support/nats';
import { temporaryFolder } from '../support/cleanup';
import { until } from '../support/until';
import { functionNode, inNode, openRoom, placed, serverNode, TAB, type Room } from './room';

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
    await red.waitForLog(/There is no stream "crm": create it, or tick "provision"/);
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
  let room: Room;
  let red: EmbeddedNodeRed;

  async function open(more: object = {}): Promise<void> {
    room = await openRoom();
    red = await embedNodeRed({ flows: flow(room.nats.url, more) });
    await waitStatus(red, 'ready');
  }
  async function close(): Promise<void> {
    await red.stop();
    await room.stop();
  }
  async function publish(from: number, to: number): Promise<void> {
    for (let n = from; n <= to; n++) await room.publish('crm.contacts.x', { n });
  }
  const all = (to: number): number[] => Array.from({ length: to }, (_, index) => index + 1);
  const seen = (): number[] => [...new Set(numbers(red))].sort((a, b) => a - b);

  test('a server that is killed and restarted', async () => {
    await open();
    await publish(1, 50);
    await until(() => seen().length === 50);
    await room.nats.kill();
    await waitStatus(red, 'disconnected');
    await room.nats.restart();
    await until(() => publish(51, 51).then(() => true));
    await publish(52, 100);
    await until(() => seen().length === 100, { timeout: 20_000 });
    await drained(room.jsm);
    assert.deepEqual(seen(), all(100));
    await waitStatus(red, 'ready');
    await close();
  });

  test('a server that restarts again and again: afterwards as many messages as before are in the flow at once', async () => {
    await open();
    const working = flow(room.nats.url).map((node) =>
      node.id === 'f'
        ? { ...node, func: 'await new Promise((r) => setTimeout(r, 200)); return null;' }
        : node,
    );
    await red.deploy(working);
    for (let n = 1; n <= 4; n++) {
      await room.nats.restart();
      await until(() => publish(n, n).then(() => true));
      await until(() => seen().length === n, { timeout: 20_000 });
    }
    await publish(5, 400);
    // A few at a time they would take more than half a minute.
    await until(() => seen().length === 400, { timeout: 20_000, what: '400 messages' });
    await drained(room.jsm);
    await close();
  });

  test('a server that hangs for 10 s and then drops the connection', async () => {
    await open();
    await publish(1, 10);
    await until(() => seen().length === 10);
    room.nats.suspend();
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    room.nats.resume();
    await publish(11, 20);
    await until(() => seen().length === 20, { timeout: 15_000 });
    await room.nats.restart();
    await until(() => publish(21, 21).then(() => true));
    await until(() => seen().length === 21, { timeout: 15_000 });
    room.nats.suspend();
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    room.nats.resume();
    await publish(22, 30);
    await until(() => seen().length === 30, { timeout: 15_000 });
    await drained(room.jsm);
    await close();
  });

  test('a durable that is deleted is made again', async () => {
    await open({ deliver: 'all' });
    await publish(1, 5);
    await until(() => seen().length === 5);
    await drained(room.jsm);
    await room.jsm.consumers.delete('crm', 'flow');
    await publish(6, 10);
    await until(() => seen().length === 10, { timeout: 15_000 });
    assert.equal(
      numbers(red).filter((n) => n === 1).length,
      2,
      'a durable made anew starts by its deliver policy',
    );
    await close();
  });

  test('a stream that is deleted is provisioned again', async () => {
    await open();
    await publish(1, 5);
    await until(() => seen().length === 5);
    await room.jsm.streams.delete('crm');
    await until(() => room.jsm.streams.info('crm'), { timeout: 15_000, what: 'the stream to be back' });
    await until(() => publish(6, 6).then(() => true));
    await publish(7, 10);
    await until(() => seen().length === 10, { timeout: 15_000 });
    await close();
  });

  test('an acknowledgement that was lost with the connection is sent again, not the work', async () => {
    await open({ wires: [['f']], ackWait: '2s' });
    await red.deploy(
      [
        TAB,
        serverNode(room.nats.url),
        inNode({ wires: [['f']], ackWait: '2s' }),
        functionNode('f', 'await new Promise((r) => setTimeout(r, 700)); return null;'),
      ].map(placed),
    );
    await waitStatus(red, 'ready');
    const sequence = await room.publish('crm.contacts.x', { n: 1 });
    await until(() => red.received('f').length === 1);
    await room.nats.kill();
    await until(() => red.log.some(({ text }) => /connection .* is lost/.test(text)));
    // The flow ends while there is no server to tell.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await room.nats.restart();
    await drained(room.jsm);
    assert.equal(red.received('f').length, 1, `message ${sequence} went through the flow once`);
    await close();
  });

  test('a server in lame-duck mode hands its clients over', async () => {
    const cluster = await startCluster(3, { config: 'lame_duck_grace_period: "100ms"' });
    const nc = await connect({ servers: cluster.url.split(',').slice(1), ignoreClusterUpdates: true });
    const jsm = await until(() => nc.jetstreamManager(), { timeout: 20_000 });
    await until(() => jsm.streams.add({ name: 'crm', subjects: ['crm.>'], num_replicas: 3 }), {
      timeout: 20_000,
    });
    red = await embedNodeRed({ flows: flow(cluster.server('n1').url, { provision: false }) });
    await waitStatus(red, 'ready', 20_000);
    const js = nc.jetstream();
    for (let n = 1; n <= 20; n++)
      await until(() => js.publish('crm.contacts.x', JSON.stringify({ n }), { msgID: `m${n}` }), {
        timeout: 20_000,
      });
    await until(() => seen().length === 20);
    process.kill(cluster.server('n1').pid, 'SIGUSR2');
    await red.waitForLog(/connection to .* is lost/);
    for (let n = 21; n <= 40; n++)
      await until(() => js.publish('crm.contacts.x', JSON.stringify({ n }), { msgID: `m${n}` }), {
        timeout: 20_000,
      });
    await until(() => seen().length === 40, { timeout: 20_000 });
    await red.stop();
    await nc.close();
    await cluster.stop();
  });

  test('the leader of a three-server cluster is killed: delivery goes on within 10 s', async () => {
    const cluster = await startCluster(3);
    const nc = await connect({ servers: cluster.url.split(','), maxReconnectAttempts: -1 });
    const jsm = await until(() => nc.jetstreamManager(), { timeout: 20_000 });
    await until(() => jsm.streams.add({ name: 'crm', subjects: ['crm.>'], num_replicas: 3 }), {
      timeout: 20_000,
    });
    red = await embedNodeRed({ flows: flow(cluster.url, { provision: false }) });
    await waitStatus(red, 'ready', 20_000);
    const js = nc.jetstream();
    for (let n = 1; n <= 20; n++)
      await until(() => js.publish('crm.contacts.x', JSON.stringify({ n }), { msgID: `m${n}` }), {
        timeout: 20_000,
      });
    await until(() => seen().length === 20);
    const name = await until(async () => (await jsm.consumers.info('crm', 'flow')).cluster?.leader, {
      timeout: 20_000,
      what: 'the consumer to have a leader',
    });
    const leader = cluster.server(name);
    await leader.kill();
    await until(() => js.publish('crm.contacts.x', JSON.stringify({ n: 21 }), { msgID: 'm21' }), {
      timeout: 20_000,
    });
    await until(() => seen().length === 21, { timeout: 10_000 });
    for (let n = 22; n <= 40; n++)
      await until(() => js.publish('crm.contacts.x', JSON.stringify({ n }), { msgID: `m${n}` }), {
        timeout: 20_000,
      });
    await until(() => seen().length === 40, { timeout: 20_000 });
    await red.stop();
    await nc.close();
    await cluster.stop();
  });
});
