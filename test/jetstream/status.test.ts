import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { embedNodeRed, type EmbeddedNodeRed, type FlowNode } from '../support/node-red';
import { until } from '../support/until';
import { functionNode, inNode, openRoom, placed, serverNode, TAB, type Room } from './room';

/** What a jetstream-in says of itself when nothing arrives and nothing fails. */
describe('the status of jetstream-in', () => {
  let room: Room;
  let red: EmbeddedNodeRed;
  before(async () => {
    room = await openRoom();
    const { streams } = room.jsm;
    await streams.add({
      name: 'turned',
      subjects: ['turned.in.>'],
      subject_transform: { src: 'turned.in.>', dest: 'turned.out.>' },
    });
    await streams.add({ name: 'fed', subjects: ['fed.x'], sources: [{ name: 'crm' }] });
    await streams.add({ name: 'wild', subjects: ['wild.*.c'] });
    red = await embedNodeRed({ flows: [] });
  });
  after(async () => {
    await red.stop();
    await room.stop();
  });

  const reader = (id: string, more: object = {}): FlowNode =>
    inNode({
      ...{ id, name: id, durable: id, subject: `crm.${id}`, provision: false, deadLetter: '' },
      wires: [['work']],
      ...more,
    });
  const deploy = (...nodes: FlowNode[]): Promise<unknown> => {
    const work = functionNode(
      'work',
      `if (msg.payload !== 'good') throw Object.assign(new Error('no'), { retryable: msg.payload === 'later' })`,
    );
    return red.deploy([TAB, serverNode(room.nats.url), work, ...nodes].map(placed));
  };
  const says = (id: string, text: RegExp): Promise<unknown> =>
    until(() => text.test(red.statusOf(id)?.text ?? ''), {
      timeout: 30_000,
      what: `${id} to say ${text}, not "${red.statusOf(id)?.text}"`,
    });
  const said = (text: RegExp): string[] => red.log.map((line) => line.text).filter((line) => text.test(line));

  test('tells how many wait for a retry, and until when, where they hold up the others', async () => {
    await deploy(
      // One at a time is a wish for order: nothing passes what waits.
      reader('stalled', { maxAckPending: 1, backoff: '5m' }),
      reader('shared', { maxAckPending: 1 }),
      reader('free', { maxAckPending: 6, backoff: '5m' }),
    );
    await says('stalled', /^ready/);
    await says('shared', /^ready/);
    // Another instance has what is unacknowledged.
    await room.publish('crm.shared', 'good');
    await until(async () => (await room.jsm.consumers.info('crm', 'shared')).ack_floor.stream_seq > 0);
    await room.publish('crm.stalled', 'later');
    for (let n = 0; n < 5; n++) await room.publish('crm.free', 'later');
    await until(async () => (await room.jsm.consumers.info('crm', 'stalled')).num_ack_pending === 1);
    for (let n = 0; n < 5; n++) await room.publish('crm.stalled', 'good');
    await says('stalled', /^1 retry \d\d:\d\d$/);
    await says('free', /^ready$/);
    const lines = said(/The durable "stalled" delivers nothing/);
    assert.equal(lines.length, 1);
    assert.match(
      lines[0] ?? '',
      /1 messages? (is|are) unacknowledged.*; 1 of them waits? for a retry, (the first )?until 20\d\d.*; 5 wait behind/,
    );
  });

  test('says that no subject of the stream matches, but not where its messages come another way', async () => {
    await deploy(
      reader('never', { subject: 'elsewhere.x' }),
      reader('some', { subject: 'elsewhere.x, crm.some' }),
      reader('turned', { stream: 'turned', subject: 'turned.out.>' }),
      reader('fed', { stream: 'fed', subject: 'crm.fed' }),
      reader('wild', { stream: 'wild', subject: 'wild.a.*' }),
    );
    await says('never', /^no subject matches$/);
    for (const id of ['some', 'turned', 'fed', 'wild']) await says(id, /^ready$/);
    assert.equal(said(/nothing can ever arrive for "elsewhere.x"/).length, 2);
    assert.equal(said(/nothing can ever arrive/).length, 2);
    await room.jsm.streams.update('crm', { subjects: ['crm.>', 'elsewhere.x'] });
    await says('never', /^ready$/);
  });

  test('counts what was given up, over deploys, until somebody has looked', async () => {
    const nodes = [reader('lost'), reader('kept', { deadLetter: 'wild.dead.c' })];
    await deploy(...nodes);
    await says('lost', /^ready$/);
    for (const id of ['lost', 'kept']) {
      await room.publish(`crm.${id}`, 'never');
      await room.publish(`crm.${id}`, 'never');
      await room.publish(`crm.${id}`, 'good');
    }
    await says('lost', /^2 given up$/);
    await until(async () => (await room.jsm.streams.info('wild')).state.messages === 2);
    await says('kept', /^2 given up$/);
    await deploy(...nodes.map((node) => ({ ...node, name: 'again' })));
    await says('lost', /^2 given up$/);
  });

  test('says that dead letters wait, and no more when they are written', async () => {
    await deploy(reader('parked', { deadLetter: 'comes.later', prefetch: 1 }));
    await says('parked', /^no dead letters$/);
    const sequence = await room.publish('crm.parked', 'never');
    const good = await room.publish('crm.parked', 'good');
    await says('parked', /^(dead letter failing|no dead letters)$/);
    await room.waitSettled(good, '+ACK');
    await room.jsm.streams.add({ name: 'later', subjects: ['comes.later'] });
    await room.waitSettled(sequence, '+TERM');
    await says('parked', /^1 given up$/);
  });

  test('a dead letter that comes back to it is a wrong setting, until the stream is another', async () => {
    await deploy(reader('loop', { stream: 'fed', subject: '', deadLetter: 'crm.dead' }));
    await says('loop', /^wrong settings$/);
    assert.equal(said(/"crm.dead" would be read by this node again/).length, 1);
    await room.jsm.streams.update('fed', { sources: [] });
    // What came from there before is worked on now, and some of it can't be.
    await says('loop', /^(ready|\d+ given up)$/);
  });
});
