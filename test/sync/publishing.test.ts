import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { Connection } from '../../nodes/jetstream/server/connection';
import { connect } from 'nats';
import { FlowError } from '../../nodes/shared/errors';
import type { SourceRecord } from '../../nodes/sync/engine/record';
import {
  RecordWriter,
  type RecordStream,
  type WriteOptions,
  type Written,
} from '../../nodes/sync/engine/record-writer';
import { Target } from '../../nodes/sync/engine/target';
import { startNats } from '../support/nats';
import type { Message } from './table';

const never = new AbortController().signal;
const of = { prefix: 'p', syncId: 'sync', provider: 'test', collection: 'test:thing' };

interface Rig {
  stream: RecordStream;
  writer: () => RecordWriter;
  write: (writer: RecordWriter, records: SourceRecord[], more?: Partial<WriteOptions>) => Promise<Written>;
  last: (id: string) => Promise<Message & { seq: number }>;
  events: () => Promise<string[]>;
  purge: () => Promise<void>;
  /** How many messages it has ever taken. */
  stored: () => Promise<number>;
}

async function rig(t: TestContext, version: 'latest' | '2.10' = 'latest'): Promise<Rig> {
  const nats = await startNats({ version });
  const nc = await connect({ servers: nats.url });
  const jsm = await nc.jetstreamManager();
  const connection = new Connection({ servers: nats.url, auth: 'none' });
  const settings = {
    stream: 'S',
    prefix: 'p',
    provision: true,
    form: {},
    events: true,
    narrow: false,
    info: () => undefined,
    warn: () => undefined,
  };
  const target = new Target(connection, settings);
  t.after(async () => {
    await target.close();
    await nc.close();
    await nats.stop();
  });
  const stream = await target.open(never);
  return {
    stream,
    writer: () => new RecordWriter(of, stream),
    write: (writer, records, more) =>
      writer.write(records, { signal: never, refused: (record) => assert.fail(record.id), ...more }),
    last: async (id) => {
      const subject = `p.default.sync.test.test:thing.${id}`;
      const { seq, data } = await jsm.streams.getMessage('S', { last_by_subj: subject });
      return { ...(JSON.parse(Buffer.from(data).toString()) as Message), seq };
    },
    events: async () => {
      const { state } = await jsm.streams.info('S-EVENTS', { subjects_filter: '>' });
      return Object.keys(state.subjects ?? {}).map((subject) => subject.split('.').slice(-2).join('.'));
    },
    purge: async () => void (await jsm.streams.purge('S')),
    stored: async () => (await jsm.streams.info('S')).state.last_seq,
  };
}

const record = (
  id: string,
  second: number,
  value: unknown,
  more: Partial<SourceRecord> = {},
): SourceRecord => ({
  id,
  data: { value },
  updatedAt: `2026-01-31T12:00:${String(second).padStart(2, '0')}Z`,
  createdAt: '2026-01-31T12:00:00Z',
  ...more,
});

for (const version of ['latest', '2.10'] as const) {
  describe(`publishing records (${version})`, () => {
    test('what is there already is not published again, whoever put it there', async (t) => {
      const { writer, write, last } = await rig(t, version);
      const records = ['a', 'b', 'c'].map((id) => record(id, 1, id));
      const one = writer();
      assert.equal((await write(one, records)).published, 3);
      assert.deepEqual(await write(one, records), { published: 0, unchanged: 3, refused: 0 });
      const { seq } = await last('c');
      assert.deepEqual(await write(writer(), records), { published: 0, unchanged: 3, refused: 0 });
      assert.equal((await last('c')).seq, seq);
    });

    test('a newer version of another instance stays', async (t) => {
      const { writer, write, last } = await rig(t, version);
      const [one, other] = [writer(), writer()];
      await write(one, [record('a', 1, 'first')]);
      await write(other, [record('a', 5, 'newest')]);
      let asked: string[] = [];
      const read = (ids: string[]): Promise<SourceRecord[]> => {
        asked = ids;
        return Promise.resolve([record('a', 5, 'newest')]);
      };
      await write(one, [record('a', 3, 'stale'), record('b', 3, 'new')], { read });
      assert.deepEqual(asked, ['a'], 'a doubtful record is read again');
      assert.equal((await last('a')).data.value, 'newest');
      assert.equal((await last('b')).data.value, 'new');
    });

    test('what changes to and fro within a second is published each time', async (t) => {
      const { writer, write, last } = await rig(t, version);
      const one = writer();
      for (const value of ['x', 'y', 'x', 'y', 'x']) {
        await write(one, [record('a', 1, value), record('b', 1, 1)]);
        assert.equal((await last('a')).data.value, value);
      }
    });

    test('a record of the same second as the one in the stream is read again before it is published', async (t) => {
      const { writer, write, last } = await rig(t, version);
      await write(writer(), [record('a', 1, 'second')]);
      const read = (): Promise<SourceRecord[]> => Promise.resolve([record('a', 1, 'third')]);
      await write(writer(), [record('a', 1, 'first')], { read });
      assert.equal((await last('a')).data.value, 'third');
    });

    test('what was purged comes back', async (t) => {
      const { writer, write, last, purge } = await rig(t, version);
      const one = writer();
      await write(one, [record('a', 1, 'x'), record('b', 1, 'x')]);
      await purge();
      one.forget();
      await write(one, [record('a', 1, 'x'), record('b', 1, 'x')]);
      assert.equal((await last('a')).data.value, 'x');
    });

    test('a page whose answers were lost is published again, and nothing of it twice', async (t) => {
      const { stream, write, stored } = await rig(t, version);
      const page = Array.from({ length: 2_500 }, (_, i) => record(`r${i}`, 1, i));
      let lose = true;
      const publish: RecordStream['publish'] = async (messages, signal) => {
        const outcomes = await stream.publish(messages, signal);
        const lost = new FlowError('TIMEOUT', 'no answer');
        return outcomes.map((outcome, i) => (lose && i % 2 === 0 ? lost : outcome));
      };
      const one = new RecordWriter(of, { ...stream, publish });
      await assert.rejects(write(one, page, { remember: false }), { code: 'TIMEOUT' });
      lose = false;
      await write(one, page, { remember: false });
      assert.equal(await stored(), page.length, 'the stream has taken each once');
      const again = await write(new RecordWriter(of, stream), page, { remember: false });
      assert.deepEqual(again, { published: 0, unchanged: page.length, refused: 0 });
    });

    test('whoever knows too little looks again', async (t) => {
      const { writer, write, last } = await rig(t, version);
      const many = Array.from({ length: 1_500 }, (_, i) => record(`r${i}`, 1, 'old'));
      const [one, other] = [writer(), writer()];
      await write(one, many);
      await write(other, [record('r7', 9, 'newer')]);
      await write(
        one,
        many.map(({ id }) => record(id, 5, 'middle')),
        {
          read: (ids) => Promise.resolve(ids.map((id) => record(id, 9, 'newer'))),
        },
      );
      assert.equal((await last('r7')).data.value, 'newer');
      assert.equal((await last('r8')).data.value, 'middle');
    });
  });
}

test('records of the flow, which can come in any order, don’t go back either', async (t) => {
  const { writer, write, last } = await rig(t);
  const one = writer();
  await write(one, [record('a', 5, 'new')]);
  await write(one, [record('a', 3, 'old')]);
  assert.equal((await last('a')).data.value, 'new');
  await write(writer(), [record('a', 4, 'old too')]);
  assert.equal((await last('a')).data.value, 'new');
  await write(writer(), [record('a', 5, 'of the same second')]);
  assert.equal((await last('a')).data.value, 'of the same second');
  await write(one, [record('a', 0, 'without a time', { updatedAt: undefined })]);
  assert.equal((await last('a')).data.value, 'without a time');
});

test('a deletion of which nothing is left is published once', async (t) => {
  const { writer, write, last } = await rig(t);
  const one = writer();
  const gone = (second: number): SourceRecord =>
    record('a', second, 0, { data: {}, deleted: true, gone: true });
  await write(one, [record('a', 1, 'x')]);
  assert.equal((await write(one, [gone(2)])).published, 1);
  assert.equal((await write(one, [gone(3)])).published, 0);
  assert.equal((await write(writer(), [gone(4)])).published, 0);
  assert.deepEqual((await last('a')).deleted, true);
});

test('events say what has happened', async (t) => {
  const { writer, write, events } = await rig(t);
  const one = writer();
  await write(one, [record('quiet', 1, 'x')]);
  await write(one, [record('a', 1, 'x')], { events: true });
  await write(one, [record('a', 2, 'y'), record('quiet', 2, 'y')], { events: true });
  await write(one, [record('a', 3, 'y', { deleted: true })], { events: true });
  await write(one, [record('a', 4, 'z')], { events: true });
  assert.deepEqual((await events()).sort(), ['a.delete', 'a.insert', 'a.update', 'quiet.update']);
});

test('a record that fits into no message is told, and the others are published', async (t) => {
  const { writer, write, last } = await rig(t);
  const refused: string[] = [];
  const written = await write(
    writer(),
    [record('a', 1, 'x'), record('big', 1, 'x'.repeat(2_000_000)), record('c', 1, 'x')],
    { refused: ({ id }, { code }) => void refused.push(`${id} ${code}`) },
  );
  assert.deepEqual(refused, ['big MESSAGE_TOO_LARGE']);
  assert.deepEqual(written, { published: 2, unchanged: 0, refused: 1 });
  await last('c');
});

test('whoever has lost the lease publishes nothing', async (t) => {
  const { writer, write, stream } = await rig(t);
  const fence = (): void => {
    throw new Error('lost');
  };
  await assert.rejects(write(writer(), [record('a', 1, 'x')], { fence }), /lost/);
  assert.deepEqual(await stream.last?.(['p.default.sync.test.test:thing.a'], never), [undefined]);
});
