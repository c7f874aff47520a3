import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import jetstreamIn from '../../nodes/jetstream/jetstream-in';
import jetstreamServer from '../../nodes/jetstream/jetstream-server';
import { openRoom, type Room } from '../jetstream/room';
import { until } from '../support/until';
import { inbox, stage } from './helper';

const red = stage(jetstreamServer, jetstreamIn);
let room: Room;
before(async () => (room = await openRoom()));
after(() => room.stop());
afterEach(async () => {
  await room.jsm.consumers.delete('crm', 'writer').catch(() => undefined);
  await room.jsm.streams.purge('crm');
});

const load = (more: object = {}) =>
  red.load(
    { id: 'server', type: 'jetstream-server', servers: room.nats.url },
    {
      id: 'in',
      type: 'jetstream-in',
      server: 'server',
      stream: 'crm',
      durable: 'writer',
      wires: [['next']],
      ...more,
    },
    inbox('next'),
  );
const consumer = () => room.jsm.consumers.info('crm', 'writer');

test('is registered, with what its form says', async () => {
  await load({ name: 'from the CRM' });
  assert.equal(red.node('in').type, 'jetstream-in');
  assert.equal(red.node('in').name, 'from the CRM');
});

test('makes its durable with the defaults', async () => {
  await load();
  await red.waitForStatus('in', 'status.ready');
  const { config } = await consumer();
  assert.equal(config.deliver_policy, 'all');
  assert.equal(config.ack_policy, 'explicit');
  assert.equal(config.ack_wait, 120e9);
  assert.equal(config.max_ack_pending, 1_000);
});

test('sends what the stream has, and acknowledges it when the flow has finished', async () => {
  await load();
  const sequence = await room.publish('crm.contact', { id: 1 });
  const { topic, payload, jetstream } = await red.one('next');
  assert.equal(topic, 'crm.contact');
  assert.deepEqual(payload, { id: 1 });
  const { stream, consumer, subject, sequence: told, deliveries } = jetstream as Record<string, unknown>;
  assert.deepEqual(
    { stream, consumer, subject, told, deliveries },
    { stream: 'crm', consumer: 'writer', subject: 'crm.contact', told: sequence, deliveries: 1 },
  );
  await room.waitSettled(sequence, '+ACK');
});

test('with a batch size the payload is an array, and so are sequence and subject', async () => {
  const sequences = [await room.publish('crm.a', 1), await room.publish('crm.b', 2)];
  await load({ batchSize: 2, batchWait: '10s' });
  const { payload, jetstream } = await red.one('next');
  const { sequence, subject } = jetstream as Record<string, unknown>;
  assert.deepEqual(
    { payload, sequence, subject },
    { payload: [1, 2], sequence: sequences, subject: ['crm.a', 'crm.b'] },
  );
});

test('without a server it shows wrong settings', async () => {
  await load({ server: '' });
  await red.waitForStatus('in', 'status.misconfigured');
  assert.match(red.logged('ERROR').join('\n'), /No jetstream-server is chosen/);
});

test('a setting that makes no sense is named', async () => {
  await load({ ackWait: 'soon' });
  await red.waitForStatus('in', 'status.misconfigured');
  assert.match(red.logged('ERROR').join('\n'), /Ack wait: "soon" is not a duration/);
});

test('not wired, it shows so and reads nothing', async () => {
  await load({ wires: [] });
  await red.waitForStatus('in', 'status.unwired');
  await assert.rejects(consumer, /consumer not found/);
});

test('closing it ends its pull, and leaves the durable', async () => {
  await load();
  await until(async () => (await consumer()).num_waiting === 1);
  await red.close();
  await until(async () => (await consumer()).num_waiting === 0);
});
