import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import jetstreamOut from '../../nodes/jetstream/jetstream-out';
import jetstreamServer from '../../nodes/jetstream/jetstream-server';
import { codeOf, isRetryable } from '../../nodes/shared/errors';
import { openRoom, type Room } from '../jetstream/room';
import { until } from '../support/until';
import { catcher, errorOf, inbox, stage } from './helper';

const red = stage(jetstreamServer, jetstreamOut);
let room: Room;
before(async () => (room = await openRoom()));
after(() => room.stop());

const load = (more: object = {}) =>
  red.load(
    { id: 'server', type: 'jetstream-server', servers: room.nats.url },
    { id: 'out', type: 'jetstream-out', server: 'server', subject: 'crm.a', wires: [['next']], ...more },
    inbox('next'),
    ...catcher(),
  );
const stored = async (subject: string) => {
  const message = await room.jsm.streams.getMessage('crm', { last_by_subj: subject });
  return { text: message.string(), header: (name: string) => message.header.get(name) };
};

test('is registered, with what its form says', async () => {
  await load({ name: 'to the CRM' });
  assert.equal(red.node('out').type, 'jetstream-out');
  assert.equal(red.node('out').name, 'to the CRM');
});

test('by default publishes the payload as JSON, and hands the message on with its PubAck', async () => {
  await load();
  red.node('out').receive({ payload: { id: 1 }, kept: true });
  const { payload, kept, jetstream } = await red.one('next');
  const { text } = await stored('crm.a');
  assert.equal(text, '{"id":1}');
  assert.deepEqual({ payload, kept }, { payload: { id: 1 }, kept: true });
  assert.equal((jetstream as { ack: { stream: string } }).ack.stream, 'crm');
});

test('subject, message id and headers are templates over the message', async () => {
  await load({
    subject: 'crm.{{payload.kind}}.upsert',
    msgId: '{{payload.id}}',
    headers: [{ name: 'Tenant', value: '{{payload.tenant}}' }],
  });
  red.node('out').receive({ payload: { kind: 'contact', id: 'c-1', tenant: 'acme' } });
  await red.one('next');
  const { header } = await stored('crm.contact.upsert');
  assert.deepEqual([header('Nats-Msg-Id'), header('Tenant')], ['c-1', 'acme']);
});

test('a BigInt is published as the number that it is, in payload and header', async () => {
  await load({ headers: [{ name: 'Id', value: '{{payload.id}}' }] });
  red.node('out').receive({ payload: { id: 1234567890123456789n } });
  await red.one('next');
  const { text, header } = await stored('crm.a');
  assert.equal(text, '{"id":1234567890123456789}');
  assert.equal(header('Id'), '1234567890123456789');
});

test('what has no JSON fails for good, and says why', async () => {
  await load();
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  red.node('out').receive({ payload: circular });
  const error = errorOf(await red.one('caught'));
  assert.equal(error.code, 'BAD_PAYLOAD');
  assert.match(error.message, /holds itself/);
});

test('shows that it connects, then that it is ready', async () => {
  await load();
  await red.waitForStatus('out', 'status.ready');
  assert.deepEqual(red.statuses('out').at(-1), { fill: 'green', shape: 'dot', text: 'status.ready' });
});

test('a message that can never be published fails', async () => {
  await load();
  red.node('out').receive({ topic: 'no payload' });
  assert.equal(errorOf(await red.one('caught')).code, 'NO_PAYLOAD');
  assert.deepEqual(red.received('next'), []);
});

test('without a server it shows wrong settings, and fails what it gets', async () => {
  await load({ server: '' });
  await red.waitForStatus('out', 'status.misconfigured');
  red.node('out').receive({ payload: 1 });
  await red.one('caught');
  assert.match(red.logged('ERROR').join('\n'), /No jetstream-server is chosen/);
});

test('closing it fails what waits for its PubAck, so that it is delivered again', async () => {
  await load();
  await red.waitForStatus('out', 'status.ready');
  const failed = red.failures('out');
  room.nats.suspend();
  try {
    red.node('out').receive({ payload: 1 });
    await red.close();
    await until(() => failed.length > 0);
    assert.match(codeOf(failed[0]), /^(CLOSED|DISCONNECTED)$/);
    assert.ok(isRetryable(failed[0]));
  } finally {
    room.nats.resume();
  }
});
