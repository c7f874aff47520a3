import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ensureDeadLetterStream } from '../../../nodes/jetstream/consume/dead-letter-stream';
import { openRoom, type Room } from '../room';

let room: Room;
before(async () => (room = await openRoom()));
after(() => room.stop());
const ensure = (subject: string, name?: string) =>
  ensureDeadLetterStream(room.nc as never, undefined, subject, name);

test('a dead letter subject that no stream takes is an error, one that some stream takes is not', async () => {
  await assert.rejects(ensure('nowhere.dead'), { code: 'NO_DEAD_LETTER_STREAM' });
  await room.jsm.streams.add({ name: 'there', subjects: ['there.>'] });
  await ensure('there.dead');
});

test('on request its stream is made, and gets the subjects of others besides', async () => {
  await ensure('made.one', 'DEAD');
  const done = await ensure('made.two', 'DEAD');
  assert.equal(done?.outcome, 'updated');
  assert.deepEqual((await room.jsm.streams.info('DEAD')).config.subjects?.sort(), ['made.one', 'made.two']);
  assert.equal((await ensure('made.two', 'DEAD'))?.outcome, 'unchanged');
});

test('a stream that takes it by an import is enough, and stores nothing of the question', async () => {
  // What a service import does: somebody else passes it on to a stream, and the answer back.
  await room.jsm.streams.add({ name: 'far', subjects: ['far.dead'] });
  const passing = room.nc.subscribe('near.dead', {
    callback: (_error, msg) =>
      room.nc.publish('far.dead', msg.data, { headers: msg.headers, reply: msg.reply }),
  });
  await ensure('near.dead');
  assert.equal((await room.jsm.streams.info('far')).state.messages, 0);
  passing.unsubscribe();
});
