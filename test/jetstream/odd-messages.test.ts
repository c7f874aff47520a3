import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { rawHeaders } from '../../nodes/jetstream/publish/raw-headers';
import { embedNodeRed, type EmbeddedNodeRed } from '../support/node-red';
import { until } from '../support/until';
import { functionNode, inNode, openRoom, placed, serverNode, TAB, type Room } from './room';

/** Fails for good what holds the word, and passes the rest. */
const WORK = `if (JSON.stringify(msg.payload).includes('bad'))
  node.error(Object.assign(new Error('bad one'), { code: 'BAD', retryable: false }), msg);
else return msg;`;

describe('messages that can not be dead-lettered as they are', () => {
  let room: Room;
  let red: EmbeddedNodeRed;
  before(async () => {
    room = await openRoom();
    await room.jsm.streams.add({ name: 'dead', subjects: ['dead.>'] });
    await room.jsm.streams.add({ name: 'tiny', subjects: ['tiny.>'], max_msg_size: 100 });
    red = await embedNodeRed({ flows: [] });
  });
  after(async () => {
    await red.stop();
    await room.stop();
  });

  async function deploy(durable: string, more: object = {}): Promise<void> {
    await red.deploy(
      [
        TAB,
        serverNode(room.nats.url),
        inNode({
          durable,
          subject: `crm.contacts.${durable}`,
          deadLetter: `dead.${durable}`,
          prefetch: 2,
          wires: [['work']],
          ...more,
        }),
        functionNode('work', WORK, { wires: [['end']] }),
        functionNode('end', 'return null;'),
      ].map(placed),
    );
  }
  const raw = async (durable: string, lines: string[], data: string): Promise<void> => {
    const headers = rawHeaders(lines.map((line) => `${line}\r\n`).join(''));
    await room.nc.jetstream().publish(`crm.contacts.${durable}`, data, { headers: headers as never });
  };
  const dead = (durable: string) => room.jsm.streams.getMessage('dead', { last_by_subj: `dead.${durable}` });
  const passed = (from: number): unknown[] =>
    red
      .received('end')
      .slice(from)
      .map((msg) => (msg as { payload: unknown }).payload);

  test('odd headers keep neither themselves nor others from the flow, and the payload goes on', async () => {
    const from = red.received('end').length;
    await deploy('odd');
    for (const word of ['good', 'bad']) {
      room.nc.publish('crm.contacts.odd', `"${word}"`, {
        headers: rawHeaders('test header: 1\r\nGröße: 1\r\nNats-TTL: \r\n: x\r\nOk: yes\r\n'),
      });
    }
    for (let n = 0; n < 3; n++) await room.publish('crm.contacts.odd', n);
    await until(() => passed(from).length === 4);
    assert.deepEqual(passed(from), ['good', 0, 1, 2]);
    const first = red.received('end')[from] as { jetstream: { headers: Record<string, string> } };
    assert.equal(first.jetstream.headers['test header'], '1');
    const { data, header } = await until(() => dead('odd').catch(() => undefined));
    assert.equal(Buffer.from(data).toString(), '"bad"');
    assert.equal(header.get('Ok'), 'yes');
    assert.equal(header.get('Jetforce-Left-Out'), '"test header", "Größe", Nats-TTL, ""');
  });

  test('whatever a payload or a header is called or holds, its message alone is concerned', async () => {
    const from = red.received('end').length;
    await deploy('hostile', { prefetch: 1 });
    await raw('hostile', [], '['.repeat(100_000) + ']'.repeat(100_000));
    await raw('hostile', [], '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}');
    await raw('hostile', ['__proto__: polluted', 'constructor: x', 'toString: x', 'length: 7'], '"named"');
    await raw('hostile', [`Long: ${'x'.repeat(60_000)}`], '"long"');
    await room.nc.jetstream().publish('crm.contacts.hostile', '{"n": 1e400, "id": 12345678901234567890}');
    await room.publish('crm.contacts.hostile', 'last');
    await until(() => passed(from).includes('last'), { timeout: 20_000 });
    const [own, named, long, numbers] = red.received('end').slice(from) as {
      payload: unknown;
      jetstream: { headers: Record<string, string> };
    }[];
    assert.deepEqual(Object.keys(own?.payload as object), ['__proto__', 'constructor']);
    assert.deepEqual(Object.keys(named?.jetstream.headers ?? {}).sort(), [
      '__proto__',
      'constructor',
      'length',
      'toString',
    ]);
    assert.equal(long?.jetstream.headers.Long?.length, 60_000);
    assert.deepEqual(numbers?.payload, { n: '1e400', id: '12345678901234567890' });
    assert.equal('polluted' in {}, false);
    const { data, header } = await until(() => dead('hostile').catch(() => undefined));
    assert.equal(data.length, 200_000);
    assert.equal(header.get('Jetforce-Code'), 'BAD_PAYLOAD');
  });

  test('a payload at max_payload goes to the dead letter, and the next one goes on', async () => {
    const from = red.received('end').length;
    await deploy('large', { prefetch: 1 });
    const size = (room.nc.info?.max_payload ?? 0) - 276;
    await raw('large', ['A: b'], `"bad${'x'.repeat(size - 5)}"`);
    await room.publish('crm.contacts.large', 'next');
    await until(() => passed(from).length === 1, { timeout: 20_000 });
    assert.equal((await dead('large')).data.length, size);
  });

  test('a dead letter that can never be written is said once, and lets the next ones go on', async () => {
    const from = red.received('end').length;
    await deploy('refused', { prefetch: 1, deadLetter: 'tiny.x' });
    const sequence = await room.publish('crm.contacts.refused', `bad${'x'.repeat(200)}`);
    await room.publish('crm.contacts.refused', 'next');
    await until(() => passed(from).length === 1, { timeout: 20_000 });
    await room.waitSettled(sequence, '+TERM');
    const message = await room.jsm.streams.getMessage('crm', { seq: sequence });
    assert.match(message.string(), /^"badx+"$/);
    const said = red.log.filter(({ level, text }) => level === 'error' && /can never be written/.test(text));
    assert.equal(said.length, 1);
    assert.match(
      said[0]?.text ?? '',
      new RegExp(`the payload stays in the stream "crm" at sequence ${sequence}`),
    );
  });
});
