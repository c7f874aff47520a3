import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { connect, headers, type Msg, type NatsConnection } from 'nats';
import { publishDeadLetter } from '../../../nodes/jetstream/consume/dead-letter';
import { deliveryInfo } from '../../../nodes/jetstream/consume/message';
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
    assert.match(header.get('Jetforce-Left-Out'), /^Nats-Msg-Id, Nats-Expected-Last-Sequence, .*Nats-Stream$/);
  });

  test('an error of many lines, or a very long one, fits into a header', async () => {
    await publish(await message(), info(11, 1), new Error(`one\r\n two\u0000${'x'.repeat(5_000)}`));
    const error = (await last()).header.get('Jetforce-Error');
    assert.match(error, /^one {2}two x+…$/);
    assert.equal(error.length, 2_001);
  });

  test('where no stream takes it the reason is told, and it is worth another try', async () => {
    await assert.rejects(
      publishDeadLetter(nc, undefined, 'nobody', await message(), info(12, 1), { error: new Error('no') }),
      { code: 'DEAD_LETTER_FAILED', retryable: true, message: /the message stays: No stream takes "nobody"/ },
    );
  });
});
