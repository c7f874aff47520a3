import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import jetstreamAck from '../../nodes/jetstream/jetstream-ack';
import jetstreamIn from '../../nodes/jetstream/jetstream-in';
import jetstreamServer from '../../nodes/jetstream/jetstream-server';
import { openRoom, type Room } from '../jetstream/room';
import { catcher, errorOf, inbox, stage } from './helper';

const red = stage(jetstreamServer, jetstreamIn, jetstreamAck);
let room: Room;
before(async () => (room = await openRoom()));
after(() => room.stop());
afterEach(async () => {
  await room.jsm.consumers.delete('crm', 'writer').catch(() => undefined);
  await room.jsm.streams.purge('crm');
});

/** A flow that holds its messages until the test hands one to `ack`. */
const load = (more: object = {}) =>
  red.load(
    { id: 'server', type: 'jetstream-server', servers: room.nats.url },
    {
      id: 'in',
      type: 'jetstream-in',
      server: 'server',
      stream: 'crm',
      durable: 'writer',
      ack: 'manual',
      wires: [['held']],
    },
    inbox('held'),
    { id: 'ack', type: 'jetstream-ack', action: 'ack', wires: [['next']], ...more },
    inbox('next'),
    ...catcher(),
  );
const hold = async () => {
  const sequence = await room.publish('crm.held', 1);
  return { sequence, msg: await red.one('held') };
};

test('is registered, with what its form says', async () => {
  await load({ name: 'done' });
  assert.equal(red.node('ack').type, 'jetstream-ack');
  assert.equal(red.node('ack').name, 'done');
});

for (const [action, verb] of [
  ['ack', '+ACK'],
  ['nak', '-NAK'],
  ['term', '+TERM'],
] as const) {
  test(`${action} settles the message with ${verb}, and hands it on`, async () => {
    await load({ action });
    const { sequence, msg } = await hold();
    red.node('ack').receive(msg);
    await room.waitSettled(sequence, verb);
    assert.equal((await red.one('next')).topic, 'crm.held');
  });
}

test('msg.ack says what and when', async () => {
  await load({ action: 'msg' });
  const { sequence, msg } = await hold();
  red.node('ack').receive({ ...msg, ack: { action: 'nak', delay: '1h' } });
  const { body } = await room.waitSettled(sequence, '-NAK');
  assert.equal((JSON.parse(body.slice(5)) as { delay: number }).delay, 3_600e9);
});

test('progress asks for more time: the message can still be acknowledged', async () => {
  await load({ action: 'msg' });
  const { sequence, msg } = await hold();
  red.node('ack').receive({ ...msg, ack: 'progress' });
  await room.waitSettled(sequence, '+WPI');
  red.node('ack').receive({ ...msg, ack: 'ack' });
  await room.waitSettled(sequence, '+ACK');
});

test('an action that is none fails the message', async () => {
  await load({ action: 'msg' });
  red.node('ack').receive({ ack: 'perhaps' });
  assert.equal(errorOf(await red.one('caught')).code, 'INVALID_ACTION');
});

test('a message that nobody delivered is passed on with a warning', async () => {
  await load();
  red.node('ack').receive({ payload: 1 });
  await red.one('next');
  assert.match(red.logged('WARN').join('\n'), /Nothing to ack/);
});

test('it shows no status, and closes at once', async () => {
  await load();
  await red.close();
  assert.deepEqual(red.logged('ERROR'), []);
});
