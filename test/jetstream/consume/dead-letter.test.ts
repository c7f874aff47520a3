import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { connect, headers, type Msg, type NatsConnection } from 'nats';
import { publishDeadLetter } from '../../../nodes/jetstream/consume/dead-letter';
import { deliveryInfo, headerRecord } from '../../../nodes/jetstream/consume/message';
import { rawHeaders } from '../../../nodes/jetstream/publish/raw-headers';
import '../../../nodes/jetstream/server/nats';
import { FlowError } from '../../../nodes/shared/errors';
import { startNats, type Nats } from '../../support/nats';

describe('dead letter', () => {
  let nats: Nats;
  let nc: NatsConnection;
  before(async () => {
    nats = await startNats();
    nc = await connect({ servers: nats.url });
    const jsm = await nc.jetstreamManager();
    await jsm.streams.add({ name: 'dead', subjects: ['dead'] });
  });
  after(async () => {
    await nc.close();
    await nats.stop();
  });

  const info = (sequence: number, stored: number) =>
    deliveryInfo(`$JS.ACK.crm.flow.3.${sequence}.9.${stored}000000.0`);
  async function message(
    record: Record<string, string[]> = {},
    data: Uint8Array | string = 'x',
  ): Promise<Msg> {
    const hdrs = headers();
    for (const [key, values] of Object.entries(record)) for (const value of values) hdrs.append(key, value);
    const subscription = nc.subscribe('crm.contacts.7', { max: 1 });
    nc.publish('crm.contacts.7', data, { headers: hdrs });
    for await (const msg of subscription) return msg;
    throw new Error('nothing came');
  }
  const publish = async (
    msg: Msg,
    at: ReturnType<typeof info>,
    error: unknown = new Error('no'),
    node?: object,
  ) => publishDeadLetter(nc, undefined, 'dead', msg, at, { error, node } as never);
  const manager = () => nc.jetstreamManager();
  const last = async () => (await manager()).streams.getMessage('dead', { last_by_subj: 'dead' });
  const count = async (): Promise<number> => (await (await manager()).streams.info('dead')).state.messages;

  test('holds the payload and the headers as they came, and says what went wrong', async () => {
    const bytes = Buffer.from([0, 255, 10]);
    await publish(
      await message({ 'X-Trace': ['a', 'b'] }, bytes),
      info(7, 1),
      new FlowError('ROW_FAILED' as string, 'refused'),
      {
        id: 'n1',
        type: 'function',
        name: 'work',
      },
    );
    const { data, header } = await last();
    assert.deepEqual(Buffer.from(data), bytes);
    assert.deepEqual(header.values('X-Trace'), ['a', 'b']);
    const said = (name: string): string => header.get(`Jetforce-${name}`);
    assert.deepEqual(['Error', 'Code', 'Stream', 'Consumer', 'Subject', 'Sequence', 'Deliveries'].map(said), [
      'function "work": refused',
      'ROW_FAILED',
      'crm',
      'flow',
      'crm.contacts.7',
      '7',
      '3',
    ]);
    assert.ok(Math.abs(Date.now() - Date.parse(said('Failed-At'))) < 60_000);
  });

  test('the same message given up twice is stored once', async () => {
    await publish(await message(), info(8, 1));
    const before = await count();
    await publish(await message(), info(8, 1));
    assert.equal(await count(), before);
  });

  test('after the stream was made anew the same sequence is a new dead letter', async () => {
    await publish(await message(), info(9, 1));
    const before = await count();
    await publish(await message(), info(9, 2));
    assert.equal(await count(), before + 1);
  });

  test('what the original asked of its own stream is not asked of this one', async () => {
    await publish(
      await message({
        'Nats-Msg-Id': ['m'],
        'Nats-Expected-Last-Sequence': ['99'],
        'Nats-Expected-Stream': ['crm'],
        'Nats-TTL': ['1s'],
        'Nats-Rollup': ['sub'],
        'Nats-Batch-Id': ['b'],
        'Nats-Schedule': ['@every 1m'],
        'Nats-Schedule-Target': ['crm.x'],
        'Nats-Incr': ['1'],
        'Nats-Required-Api-Level': ['99'],
        'Nats-Stream': ['republished'],
      }),
      info(10, 1),
    );
    const { header } = await last();
    const theirs = [...header].map(([key]) => key).filter((key) => key.startsWith('Nats-'));
    assert.deepEqual(theirs, ['Nats-Msg-Id']);
    assert.notEqual(header.get('Nats-Msg-Id'), 'm');
    assert.match(
      header.get('Jetforce-Left-Out'),
      /^Nats-Msg-Id, Nats-Expected-Last-Sequence, .*Nats-Stream$/,
    );
  });

  test('an error of many lines, or a very long one, fits into a header', async () => {
    await publish(await message(), info(11, 1), new Error(`one\r\n two\u0000${'x'.repeat(5_000)}`));
    const error = (await last()).header.get('Jetforce-Error');
    assert.match(error, /^one\\r\\n two\\u0000x+…$/);
    assert.equal(error.length, 2_001);
  });

  test('an error that was cut within a character is told without its half', async () => {
    await publish(await message(), info(12, 2), new Error(`\ud83d no ${'a😀'.repeat(1_000)}`));
    assert.match((await last()).header.get('Jetforce-Error'), /^no (a😀)+…$|^no (a😀)+a …$/u);
  });

  test('where no stream takes it the reason is told, and it is worth another try', async () => {
    await assert.rejects(
      publishDeadLetter(nc, undefined, 'nobody', await message(), info(12, 1), { error: new Error('no') }),
      { code: 'DEAD_LETTER_FAILED', retryable: true, message: /the message stays: No stream takes "nobody"/ },
    );
  });

  /** A message with header lines as anybody may send them, which the client would refuse. */
  async function odd(lines: string[], data = 'x'): Promise<Msg> {
    const subscription = nc.subscribe('odd', { max: 1 });
    nc.publish('odd', data, { headers: rawHeaders(lines.map((line) => `${line}\r\n`).join('')) });
    for await (const msg of subscription) return msg;
    throw new Error('nothing came');
  }

  test('headers that no client would send are named, and keep neither payload nor the others back', async () => {
    await publish(
      await odd(
        ['test header: 1', 'Größe: 2', ': 3', 'X\u0001: 4', 'Line: a\nb', 'Good: yes', 'Uml: ä'],
        '{"n":1}',
      ),
      info(20, 1),
    );
    const { header, data } = await last();
    assert.equal(Buffer.from(data).toString(), '{"n":1}');
    assert.deepEqual([header.get('Good'), header.get('Uml')], ['yes', 'ä']);
    assert.equal(header.get('Jetforce-Left-Out'), '"test header", "Größe", "", "X\\u0001", Line');
  });

  test('headers that are read whatever they hold', async () => {
    const msg = await odd(['a b: 1', 'Good: x', 'Good: y', '__proto__: p', '__proto__: q']);
    assert.deepEqual(headerRecord(msg.headers), {
      'a b': '1',
      Good: ['x', 'y'],
      ['__proto__']: ['p', 'q'],
    });
  });

  for (const [missing, what] of [
    [0, 'goes without any header'],
    [100, 'keeps what is most important'],
    [900, 'loses its largest headers'],
  ] as const)
    test(`a payload ${missing} bytes below max_payload ${what}`, async () => {
      const size = (nc.info?.max_payload ?? 0) - missing;
      const msg = await message({}, 'p'.repeat(size));
      Object.defineProperty(msg, 'headers', {
        value: (await message({ Big: ['b'.repeat(600)], Small: ['s'] })).headers,
      });
      await publish(msg, info(100 + missing, 1), new Error('e'.repeat(1_000)));
      const { data, header } = await last();
      assert.equal(data.length, size);
      assert.equal(
        header?.get('Nats-Msg-Id') ?? '',
        missing === 0 ? '' : `dead.crm.flow.${100 + missing}.1000000`,
      );
      if (missing < 900) return;
      assert.match(header.get('Jetforce-Error'), /^e+…$/);
      assert.match(header.get('Jetforce-Left-Out'), /Big/);
      assert.equal(header.get('Jetforce-Sequence'), String(100 + missing));
    });

  test('more headers than a stream takes are left out', async () => {
    const record = Object.fromEntries([1, 2, 3].map((n) => [`H${n}`, ['h'.repeat(21_000)]]));
    await publish(await message(record), info(30, 1), new Error('e'.repeat(5_000)));
    const { header } = await last();
    assert.equal(header.get('Jetforce-Left-Out'), 'H3');
    assert.equal(header.get('H2').length, 21_000);
  });

  test('a stream that takes less gets fewer headers', async () => {
    const { streams } = await manager();
    await streams.add({ name: 'small', subjects: ['small'], max_msg_size: 300 });
    const to = (size: number, sequence: number) =>
      message({ A: ['a'.repeat(500)] }, 'p'.repeat(size)).then((msg) =>
        publishDeadLetter(nc, undefined, 'small', msg, info(sequence, 1), { error: new Error('no') }),
      );
    await to(40, 41);
    await to(290, 42);
    const at = (seq: number) => streams.getMessage('small', { seq });
    assert.equal((await at(1)).header.get('Jetforce-Sequence'), '41');
    assert.deepEqual([(await at(2)).data.length, [...((await at(2)).header ?? [])].length], [290, 0]);
  });

  test('where even the payload alone is too large it is refused for good, if its stream keeps it', async () => {
    const { streams } = await manager();
    await streams.add({ name: 'tiny', subjects: ['tiny'], max_msg_size: 50 });
    await streams.add({ name: 'crm', subjects: ['kept'] });
    await streams.add({ name: 'work', subjects: ['work'], retention: 'workqueue' as never });
    const from = async (stream: string) =>
      publishDeadLetter(
        nc,
        undefined,
        'tiny',
        await message({}, 'p'.repeat(100)),
        { ...info(7, 1), stream },
        { error: new Error('no') },
      );
    await assert.rejects(from('crm'), {
      code: 'DEAD_LETTER_REFUSED',
      retryable: false,
      message: /the payload stays in the stream "crm" at sequence 7: .*larger than its stream's maximum/,
    });
    for (const stream of ['work', 'unknown'])
      await assert.rejects(from(stream), { code: 'DEAD_LETTER_FAILED', retryable: true });
  });

  test('how often a message was a dead letter is counted, and after 8 times it is published no more', async () => {
    const before = await count();
    const hop = async (hops: string[], sequence: number, stream = 'crm') =>
      publish(await message(hops.length > 0 ? { 'Jetforce-Hops': hops } : {}), {
        ...info(sequence, 77),
        stream,
      });
    for (const [sequence, [hops, next]] of [
      [[], '1'],
      [['1'], '2'],
      [['7'], '8'],
      [['many'], '1'],
      [['-3'], '1'],
      [['1e999'], '1'],
    ].entries() as Iterable<[number, [string[], string]]>) {
      await hop(hops, sequence + 700);
      assert.deepEqual((await last()).header.values('Jetforce-Hops'), [next]);
    }
    for (const hops of ['8', '9', '900'])
      await assert.rejects(hop([hops], 801), {
        code: 'DEAD_LETTER_REFUSED',
        message: new RegExp(`at sequence 801: the message was a dead letter ${hops} times`),
      });
    await assert.rejects(hop(['8'], 802, 'work'), { code: 'DEAD_LETTER_FAILED', retryable: true });
    assert.equal(await count(), before + 6);
  });

  test('an answer of somebody who is no stream is no dead letter', async () => {
    const stray = nc.subscribe('stray', { callback: (_error, msg) => void msg.respond('{}') });
    await assert.rejects(
      publishDeadLetter(nc, undefined, 'stray', await message(), info(50, 1), { error: new Error('no') }),
      { code: 'DEAD_LETTER_FAILED', retryable: true, message: /no stream/ },
    );
    stray.unsubscribe();
  });
});
