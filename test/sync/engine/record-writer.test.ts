import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FlowError } from '../../../nodes/shared/errors';
import type { SourceRecord } from '../../../nodes/sync/engine/record';
import { RecordWriter, type WriteOptions, type Written } from '../../../nodes/sync/engine/record-writer';
import { watchHeartbeat } from '../../support/heartbeat';
import { latch, memoryStream, never, record, records, settle, type MemoryStream } from './fakes';

watchHeartbeat(5_000);

const of = { prefix: 'p', syncId: 'sync', provider: 'test', collection: 'test:thing' };
const SUBJECT = 'p.default.sync.test.test:thing.';
const BACKFILL = { remember: false };

interface Rig {
  stream: MemoryStream;
  writer: RecordWriter;
  write: (list: SourceRecord[], more?: Partial<WriteOptions>, writer?: RecordWriter) => Promise<Written>;
  other: (...list: SourceRecord[]) => Promise<Written>;
  value: (id: string) => unknown;
}

function rig(): Rig {
  const stream = memoryStream();
  const writer = new RecordWriter(of, stream);
  const write: Rig['write'] = (list, more = {}, by = writer) =>
    by.write(list, { signal: never, refused: ({ id }) => assert.fail(`${id} is refused`), ...more });
  return {
    stream,
    writer,
    write,
    /** Somebody else has published these. */
    other: (...list) => write(list, {}, new RecordWriter(of, stream)),
    value: (id) => {
      const { data } = stream.subjects.get(SUBJECT + id) ?? {};
      return data && (JSON.parse(data) as { data: { value: unknown } }).data.value;
    },
  };
}

const reads =
  (...list: SourceRecord[]): NonNullable<WriteOptions['read']> =>
  (ids) =>
    Promise.resolve(ids.flatMap((id) => list.filter((each) => each.id === id)));

test('a record is published as the guide has it', async () => {
  const { write, stream } = rig();
  assert.deepEqual(await write([record('a/b')]), { published: 1, unchanged: 0, refused: 0 });
  const [message] = stream.stored;
  assert.equal(message?.subject, `${SUBJECT}a%2Fb`);
  assert.deepEqual(JSON.parse(message?.data ?? ''), {
    collection_id: 'test:thing',
    sync_id: 'sync',
    provider: 'test',
    data: { value: 'a/b 1', upstream_id: 'a/b' },
    upstream_created_at: '2026-01-31T12:00:00Z',
    upstream_updated_at: '2026-01-31T12:00:01Z',
    deleted: false,
  });
  assert.match(message?.msgId ?? '', /^sync:test:thing:a%2Fb:2026-01-31T12:00:01Z:.{16}:0$/);
});

test('a field of the API that is named upstream_id gives way', async () => {
  const { write, stream } = rig();
  await write([record('a', 1, { data: { upstream_id: 'theirs', name: 'x' } })]);
  await write([record('b', 1, { data: { upstream_id: 'theirs' } })]);
  await write([record('c', 1, { data: {} })]);
  for (const { data } of stream.stored) assert.equal(data.split('upstream_id').length, 2, 'it is there once');
  assert.deepEqual(
    stream.stored.map(({ data }) => (JSON.parse(data) as { data: unknown }).data),
    [{ name: 'x', upstream_id: 'a' }, { upstream_id: 'b' }, { upstream_id: 'c' }],
  );
});

test('nothing to write is nothing to do', async () => {
  const { write, stream } = rig();
  assert.deepEqual(await write([]), { published: 0, unchanged: 0, refused: 0 });
  assert.equal(stream.published.length + stream.looked.length, 0);
});

test('what is there already is not published again, whoever put it there', async () => {
  const { write, other, stream } = rig();
  await other(record('a'));
  assert.deepEqual(await write(records('a', 'b')), { published: 1, unchanged: 1, refused: 0 });
  assert.deepEqual(await write(records('a', 'b')), { published: 0, unchanged: 2, refused: 0 });
  assert.deepEqual(stream.ids(), ['a', 'b']);
  assert.equal(stream.looked.length, 2, 'the second time nobody needs to look');
});

test('of two writers that see nothing one is refused, and looks again', async () => {
  const { write, other, stream, value } = rig();
  let first = true;
  stream.before = async () => {
    if (!first) return;
    first = false;
    await other(record('a', 9));
  };
  await write([record('a', 1)], { read: reads(record('a', 9)) });
  assert.equal(stream.published[0]?.[0]?.expected, 0);
  assert.equal(value('a'), 'a 9');
  assert.equal(stream.stored.length, 1);
});

test('a message names the sequence that it replaces', async () => {
  const { write, other, stream } = rig();
  await other(record('x'), record('a'));
  await write([record('a', 2)]);
  await write([record('a', 3)]);
  assert.deepEqual(
    stream.stored.map(({ expected }) => expected),
    [0, 0, 2, 3],
  );
});

test('where the stream can’t be read nothing is expected of it', async () => {
  const { stream, write } = rig();
  const blind = new RecordWriter(of, { ...stream, last: undefined });
  await write([record('a', 1)], {}, blind);
  await write([record('a', 2)], {}, blind);
  await write([record('a', 2)], {}, blind);
  assert.deepEqual(
    stream.stored.map(({ expected }) => expected),
    [undefined, undefined],
  );
  assert.match(stream.stored[0]?.msgId ?? '', /12:00:01Z:.{16}$/);
  assert.match(stream.stored[1]?.msgId ?? '', /12:00:02Z:.{16}:1$/);
  const again = new RecordWriter(of, { ...stream, last: undefined });
  assert.equal(
    (await write([record('a', 1)], {}, again)).published,
    1,
    'a repetition is taken for published',
  );
});

test('a record that may be older than the stream’s is read again before it is published', async () => {
  const { write, other, value } = rig();
  await other(record('a', 5), record('b', 5), record('c', 5), record('d', 5));
  let asked: string[] = [];
  const read = (ids: string[]): Promise<SourceRecord[]> => {
    asked = ids;
    return Promise.resolve([record('a', 5), record('b', 6)]);
  };
  const list = [record('a', 3), record('b', 5, { data: { value: 'other' } }), record('c', 6), record('d', 5)];
  assert.deepEqual(await write(list, { read }), { published: 2, unchanged: 2, refused: 0 });
  assert.deepEqual(asked, ['a', 'b'], 'neither the newer one nor the same one');
  assert.deepEqual(['a', 'b', 'c', 'd'].map(value), ['a 5', 'b 6', 'c 6', 'd 5']);
});

test('a record without a time is read again where the stream has another version', async () => {
  const { write, other, value } = rig();
  await other(record('a', 5));
  await write([record('a', 1, { updatedAt: undefined })], { read: reads(record('a', 7)) });
  assert.equal(value('a'), 'a 7');
});

test('a record of which only the id is known is read once, after what the stream has was seen', async () => {
  const { write, other, value, stream } = rig();
  await other(record('a', 5, { updatedAt: undefined }));
  stream.looked.length = 0;
  const unread = (id: string): SourceRecord => ({ id, data: {}, unread: true });
  const asked: string[][] = [];
  const read = (ids: string[]): Promise<SourceRecord[]> => {
    assert.ok(stream.looked.length > 0, 'the stream was looked at before');
    asked.push(ids);
    return Promise.resolve(ids.map((id) => record(id, 7, { updatedAt: undefined })));
  };
  const list = [unread('a'), unread('b'), unread('a')];
  assert.deepEqual(await write(list, { read }), { published: 2, unchanged: 1, refused: 0 });
  assert.deepEqual(asked, [['a', 'b']]);
  assert.deepEqual([value('a'), value('b')], ['a 7', 'b 7']);
  assert.deepEqual(await write([unread('a')], { read }), { published: 0, unchanged: 1, refused: 0 });
});

test('a record that is to be read and is out of sight is left as it is', async () => {
  const { write, other, value } = rig();
  await other(record('a', 5));
  await write([{ id: 'a', data: {}, unread: true }], {
    read: reads({ id: 'a', data: {}, deleted: true, gone: true, unproven: true }),
  });
  assert.equal(value('a'), 'a 5');
});

test('what can’t be read again is published as it is', async () => {
  const { write, other, value } = rig();
  await other(record('a', 5));
  await write([record('a', 3)], { read: reads() });
  assert.equal(value('a'), 'a 3');
});

test('where nothing needs to be read again nothing is', async () => {
  const { write, other } = rig();
  await other(record('a', 1));
  await write([record('a', 2), record('b')], { read: () => assert.fail('read') });
});

test('records in order: the last of each is published, even where its time is an earlier one', async () => {
  const { write, value, stream } = rig();
  const list = [record('a', 5), record('b'), record('a', 3)];
  assert.deepEqual(await write(list, { read: reads() }), { published: 2, unchanged: 1, refused: 0 });
  assert.equal(value('a'), 'a 3');
  assert.equal(stream.stored.length, 2);
});

test('records in no order: the newest of each is published, the later one where the times are the same', async () => {
  const { write, value } = rig();
  await write([record('a', 3), record('a', 5), record('a', 4)]);
  assert.equal(value('a'), 'a 5');
  await write([record('b', 5), record('b', 5, { data: { value: 'later' } })]);
  assert.equal(value('b'), 'later');
  await write([record('c', 5), record('c', 1, { updatedAt: undefined, data: { value: 'timeless' } })]);
  assert.equal(value('c'), 'timeless');
});

test('records in no order never go back, and what has no time goes on', async () => {
  const { write, other, value } = rig();
  await write([record('a', 5)]);
  assert.deepEqual(await write([record('a', 3)]), { published: 0, unchanged: 1, refused: 0 });
  assert.equal(value('a'), 'a 5');
  await other(record('b', 5));
  await write([record('b', 3)]);
  assert.equal(value('b'), 'b 5');
  await write([record('a', 5, { data: { value: 'same second' } })]);
  assert.equal(value('a'), 'same second');
  await write([record('a', 0, { updatedAt: undefined })]);
  assert.equal(value('a'), 'a 0');
});

test('what this writer has published itself is older than what it is given', async () => {
  const { write, value } = rig();
  await write([record('a', 5)], { read: reads() });
  await write([record('a', 5, { data: { value: 'again' } })], { read: () => assert.fail('read') });
  assert.equal(value('a'), 'again');
});

test('a record that is older by its own time than what was published is read again: an index may lag', async () => {
  const { write, value, stream } = rig();
  await write([record('a', 5), record('b', 5)], { read: reads() });
  const stored = stream.stored.length;
  await write([record('a', 3), record('b', 3)], { read: reads(record('a', 5), record('b', 6)) });
  assert.deepEqual([value('a'), value('b')], ['a 5', 'b 6']);
  assert.equal(stream.stored.length, stored + 1);
});

test('a record that shows up again without being newer than its deletion is read again', async () => {
  const { write, value } = rig();
  const gone: SourceRecord = { id: 'a', data: {}, deleted: true, gone: true };
  await write([record('a', 5)], { read: reads() });
  await write([gone], { read: reads() });
  await write([record('a', 5)], { read: reads(gone) });
  assert.equal(value('a'), undefined);
  await write([record('a', 5)], { read: reads(record('a', 5)) });
  assert.equal(value('a'), 'a 5');
});

test('a deletion of which nothing is left is published once, whenever it was noticed', async () => {
  const { write, stream } = rig();
  const gone = (second: number): SourceRecord => record('a', second, { data: {}, deleted: true, gone: true });
  await write([record('a', 1)]);
  assert.equal((await write([gone(2)])).published, 1);
  assert.equal((await write([gone(3)])).published, 0);
  assert.equal((await write([gone(4)], {}, new RecordWriter(of, stream))).published, 0);
  assert.equal((await write([record('a', 5, { deleted: true })])).published, 1, 'but its last data are news');
});

test('a message that is no record’s is replaced', async () => {
  const { write, stream, value } = rig();
  await stream.publish([{ subject: `${SUBJECT}a`, data: 'hello', msgId: 'x' }], never);
  await write([record('a')]);
  assert.equal(value('a'), 'a 1');
});

test('what the stream takes for a repetition, although it is gone, is published under another name', async () => {
  const { write, writer, stream, value } = rig();
  await write([record('a')]);
  stream.subjects.clear();
  writer.forget();
  assert.deepEqual(await write([record('a')]), { published: 1, unchanged: 0, refused: 0 });
  assert.equal(value('a'), 'a 1');
  assert.equal(stream.stored[1]?.msgId, `${stream.stored[0]?.msgId}:again-1`);
  stream.subjects.clear();
  writer.forget();
  await write([record('a')]);
  assert.match(stream.stored[2]?.msgId ?? '', /:again-2$/);
});

test('a write whose answer was lost is not published twice', async () => {
  const { write, stream } = rig();
  stream.outcome = (message) => {
    stream.outcome = () => undefined;
    void stream.publish([message], never);
    return new FlowError('TIMEOUT', 'no answer');
  };
  await assert.rejects(write([record('a')]), { code: 'TIMEOUT' });
  assert.deepEqual(await write([record('a')]), { published: 0, unchanged: 1, refused: 0 });
  assert.equal(stream.stored.length, 1);
});

test('where nothing was found a backfill takes it that nothing is there, until it is told otherwise', async () => {
  const { write, other, stream, value } = rig();
  await write(records('a'), BACKFILL);
  await write(records('b'), BACKFILL);
  assert.equal(stream.looked.length, 1);
  await other(record('c', 9));
  stream.looked.length = 0;
  await write(records('c', 'd'), { ...BACKFILL, read: reads(record('c', 9)) });
  assert.equal(value('c'), 'c 9');
  assert.deepEqual(stream.looked, [[`${SUBJECT}c`]], 'only what was refused is looked at');
  await write(records('e'), BACKFILL);
  assert.equal(stream.looked.length, 2, 'and what comes then');
});

test('a backfill’s messages carry an id only where no sequence can be expected, or events are told', async () => {
  const { write, stream } = rig();
  await write([record('a')], BACKFILL);
  await write([record('b')], { ...BACKFILL, events: true });
  await write([record('c')], BACKFILL, new RecordWriter(of, { ...stream, last: undefined }));
  const [a, event, b, c] = stream.stored;
  assert.deepEqual([a?.msgId, a?.expected], [undefined, 0]);
  assert.equal(event?.msgId, `${b?.msgId}:insert`);
  assert.match(c?.msgId ?? '', /^sync:test:thing:c:/);
  assert.equal(c?.expected, undefined);
});

test('a backfill looks at a few records before it takes it that nothing is there', async () => {
  const { write, stream } = rig();
  const late = latch();
  stream.before = () => late.opened;
  const many = Array.from({ length: 3_000 }, (_, i) => record(`r${i}`));
  const written = write(many, BACKFILL);
  await settle(30);
  assert.deepEqual(
    stream.published.map(({ length }) => length),
    [100],
  );
  late.open();
  assert.deepEqual(await written, { published: 3_000, unchanged: 0, refused: 0 });
  assert.deepEqual(
    stream.looked.map(({ length }) => length),
    [100],
  );
});

test('where the stream can’t be read a backfill needs no look before all is published', async () => {
  const { write, stream } = rig();
  const many = Array.from({ length: 3_000 }, (_, i) => record(`r${i}`));
  await write(many, BACKFILL, new RecordWriter(of, { ...stream, last: undefined }));
  assert.deepEqual(
    stream.published.map(({ length }) => length),
    [1_000, 1_000, 1_000],
  );
});

test('writes overlap, but one that has a record of another waits for its end, even a failed one', async () => {
  const { write, stream, value } = rig();
  const late = [latch(), latch(), latch()];
  let calls = 0;
  stream.before = () => late[calls++]?.opened;
  const first = write([record('a', 2), record('b')]);
  await settle();
  const other = write([record('c')]);
  await settle();
  const second = write([record('a', 1), record('c', 2)]);
  await settle();
  assert.equal(calls, 2);
  stream.outcome = ({ subject }) =>
    subject.endsWith('.b') ? new FlowError('TIMEOUT', 'no answer') : undefined;
  late[0]?.open();
  await assert.rejects(first, { code: 'TIMEOUT' });
  await settle();
  assert.equal(calls, 2, 'it waits for the other one, too');
  late[1]?.open();
  await other;
  await settle();
  late[2]?.open();
  assert.deepEqual(await second, { published: 1, unchanged: 1, refused: 0 });
  assert.equal(value('a'), 'a 2', 'the one of the first write has the later time');
  assert.equal(value('c'), 'c 2');
});

test('a write goes on where the one before has nothing more to begin', async () => {
  const { write, stream } = rig();
  const late = [latch(), latch(), latch()];
  stream.before = () => late[stream.published.length - 1]?.opened;
  const many = (name: string): SourceRecord[] => Array.from({ length: 4_500 }, (_, i) => record(name + i));
  const both = [write(many('a')), write(many('b'))];
  await settle(50);
  assert.equal(stream.published.length, 3, 'as many as go at once');
  for (const { open } of late) open();
  await Promise.all(both);
  const names = stream.published.map(([message]) =>
    message?.subject.slice(SUBJECT.length, SUBJECT.length + 1),
  );
  assert.equal(names.join(''), 'aaaaabbbbb');
});

test('after a thousand new records in a row no more are looked at, until one was there', async () => {
  const { write, other, stream, value } = rig();
  const many = (name: string, count: number): SourceRecord[] =>
    Array.from({ length: count }, (_, i) => record(name + i));
  await write(many('a', 999));
  await write(many('b', 1));
  assert.equal(stream.looked.length, 2);
  await other(record('c0', 9));
  stream.looked.length = 0;
  await write(many('c', 3));
  assert.deepEqual(stream.looked, [[`${SUBJECT}c0`]], 'only what the stream refused');
  assert.equal(value('c0'), 'c0 9', 'it is the newer one');
  await write(many('d', 1));
  assert.equal(stream.looked.length, 2, 'and what comes then');
});

test('where events are told each record is looked at, however many were new', async () => {
  const { write, stream } = rig();
  await write(Array.from({ length: 1_000 }, (_, i) => record(`a${i}`)));
  stream.looked.length = 0;
  await write(records('b'), { events: true });
  assert.equal(stream.looked.length, 1);
});

test('where something was found a backfill goes on looking', async () => {
  const { write, other, stream } = rig();
  await other(record('a'));
  stream.looked.length = 0;
  await write(records('a', 'b'), BACKFILL);
  await write(records('c'), BACKFILL);
  assert.equal(stream.looked.length, 2);
});

test('what is followed is looked at, even where nothing was found before', async () => {
  const { write, stream } = rig();
  await write(records('a'));
  await write(records('b'));
  assert.equal(stream.looked.length, 2);
});

test('after it has forgotten a writer looks again', async () => {
  const { write, writer, stream } = rig();
  await write(records('a'), BACKFILL);
  writer.forget();
  await write(records('b'), BACKFILL);
  assert.equal(stream.looked.length, 2);
});

test('a backfill keeps nothing in mind', async () => {
  const { write, stream } = rig();
  await write(records('a'), BACKFILL);
  await write([record('a', 2)]);
  assert.equal(stream.looked.length, 2);
});

test('events say what has happened, before the records do', async () => {
  const { write, stream } = rig();
  await write([record('old')]);
  await write([record('a'), record('old', 2)], { events: true });
  await write([record('a', 3, { deleted: true })], { events: true });
  await write([record('a', 4)], { events: true });
  assert.deepEqual(stream.ids(), [
    ...['old', 'a.insert', 'old.update', 'a', 'old'],
    ...['a.delete', 'a', 'a.insert', 'a'],
  ]);
  const [, insert, , body] = stream.stored;
  assert.equal(insert?.subject, 'p-events.default.sync.test.test:thing.a.insert');
  assert.deepEqual(JSON.parse(insert.data), {
    action: 'insert',
    ...(JSON.parse(body?.data ?? '') as object),
  });
  assert.equal(insert.msgId, `${body?.msgId}:insert`);
  assert.equal(insert.expected, undefined);
});

test('where the stream can’t be read the record’s times tell an insert', async () => {
  const { stream, write } = rig();
  const blind = new RecordWriter(of, { ...stream, last: undefined });
  await write([record('a', 0), record('b', 5), record('c', 6, { deleted: true })], { events: true }, blind);
  await write([record('a', 7)], { events: true }, blind);
  assert.deepEqual(
    stream.ids().filter((id) => id.includes('.')),
    ['a.insert', 'b.update', 'c.delete', 'a.update'],
  );
});

test('where an event is not stored, its record is not published either', async () => {
  const { write, stream } = rig();
  stream.outcome = ({ subject }) =>
    subject.endsWith('b.insert') ? new FlowError('NO_STREAM', 'no stream for events') : undefined;
  await assert.rejects(write(records('a', 'b'), { events: true }), { code: 'NO_STREAM' });
  assert.deepEqual(stream.ids(), ['a.insert']);
  stream.outcome = () => undefined;
  await write(records('a', 'b'), { events: true });
  assert.deepEqual(stream.ids(), ['a.insert', 'b.insert', 'a', 'b']);
});

test('where no stream will ever take an event, its record is told as refused, and not published', async () => {
  const { write, stream } = rig();
  stream.outcome = ({ subject }) =>
    subject.endsWith('big.insert') ? new FlowError('MESSAGE_TOO_LARGE', 'too large', false) : undefined;
  const refused: string[] = [];
  const options = {
    events: true,
    refused: ({ id }: SourceRecord, { code }: FlowError) => void refused.push(`${id} ${code}`),
  };
  assert.deepEqual(await write(records('a', 'big', 'c'), options), {
    published: 2,
    unchanged: 0,
    refused: 1,
  });
  assert.deepEqual(stream.ids(), ['a.insert', 'c.insert', 'a', 'c']);
  assert.deepEqual(await write(records('big'), options), { published: 0, unchanged: 0, refused: 1 });
  assert.deepEqual(refused, ['big MESSAGE_TOO_LARGE', 'big MESSAGE_TOO_LARGE']);
  assert.equal(stream.published.at(-1)?.length, 1, 'no record follows');
});

test('a backfill with events guesses nothing: an event can’t be taken back', async () => {
  const { write, other, stream } = rig();
  await write(records('new'), { ...BACKFILL, events: true });
  await other(record('a'));
  await write(records('a'), { ...BACKFILL, events: true });
  assert.deepEqual(stream.ids(), ['new.insert', 'new', 'a']);
});

test('a record that no stream will take is told, and the others are published', async () => {
  const { write, stream } = rig();
  stream.outcome = ({ subject }) =>
    subject.endsWith('big') ? new FlowError('MESSAGE_TOO_LARGE', 'too large', false) : undefined;
  const refused: string[] = [];
  const written = await write(records('a', 'big', 'c'), {
    refused: ({ id }, { message }) => void refused.push(`${id}: ${message}`),
  });
  assert.deepEqual(written, { published: 2, unchanged: 0, refused: 1 });
  assert.deepEqual(refused, ['big: too large']);
  assert.deepEqual(stream.ids(), ['a', 'c']);
});

test('a failure is thrown when the others are settled, and what has failed is looked at again', async () => {
  const { write, stream } = rig();
  await write(records('b'));
  stream.looked.length = 0;
  stream.outcome = ({ subject }) =>
    subject.endsWith('b') ? new FlowError('TIMEOUT', 'no answer') : undefined;
  await assert.rejects(write([record('a'), record('b', 2), record('c')]), { code: 'TIMEOUT' });
  stream.outcome = () => undefined;
  assert.deepEqual(await write([record('a'), record('b', 2), record('c')]), {
    published: 1,
    unchanged: 2,
    refused: 0,
  });
  assert.deepEqual(stream.looked.at(-1), [`${SUBJECT}b`]);
});

test('the first of several failures is the one that is thrown', async () => {
  const { write, stream } = rig();
  stream.outcome = ({ subject }) => new FlowError(`NO_${subject.at(-1)}`, 'no answer');
  await assert.rejects(write(records('a', 'b')), { code: 'NO_a' });
});

test('a record that somebody else always overtakes is given up after ten tries', async () => {
  const { write, other, stream } = rig();
  let second = 10;
  let by = 0;
  stream.before = async (messages) => {
    if (by++ % 2 === 0 && messages[0]?.subject === `${SUBJECT}a`) await other(record('a', second++));
  };
  await assert.rejects(
    write([record('a', 1)], { read: (ids) => Promise.resolve(ids.map((id) => record(id, 59))) }),
    {
      code: 'CONTESTED_SUBJECT',
      retryable: true,
      message: /^1 records of "p\.default\.sync\.test\.test:thing\.\*" could not be published in 10 tries/,
    },
  );
  assert.equal(second, 20);
});

test('whoever has lost the lease publishes neither records nor events', async () => {
  const { write, stream } = rig();
  const fence = (): void => {
    throw new FlowError('LEASE_LOST', 'lost');
  };
  await assert.rejects(write(records('a'), { fence, events: true }), { code: 'LEASE_LOST' });
  assert.equal(stream.published.length, 0);
});

test('many records go in chunks of a thousand, three at a time', async () => {
  const { write, stream } = rig();
  const late = [latch(), latch(), latch(), latch(), latch()];
  let calls = 0;
  stream.before = () => late[calls++]?.opened;
  const many = Array.from({ length: 4_500 }, (_, i) => record(`r${i}`));
  const written = write(many);
  await settle(30);
  assert.deepEqual(
    stream.published.map(({ length }) => length),
    [1_000, 1_000, 1_000],
  );
  late[0]?.open();
  await settle(30);
  assert.equal(stream.published.length, 4);
  for (const { open } of late) open();
  assert.deepEqual(await written, { published: 4_500, unchanged: 0, refused: 0 });
  assert.equal(new Set(stream.ids()).size, 4_500);
});

test('after a failed chunk no further one is begun, and those under way are waited for', async () => {
  const { write, stream } = rig();
  const late = latch();
  let calls = 0;
  stream.before = () => {
    if (calls++ === 0) throw new FlowError('TIMEOUT', 'no answer');
    return late.opened;
  };
  let failed = false;
  const written = write(Array.from({ length: 6_000 }, (_, i) => record(`r${i}`))).catch((error: unknown) => {
    failed = true;
    assert.equal((error as FlowError).code, 'TIMEOUT');
  });
  await settle(30);
  assert.ok(stream.published.length <= 2);
  const begun = stream.published.length;
  assert.equal(failed, begun === 1);
  late.open();
  await written;
  assert.equal(failed, true);
  assert.equal(stream.published.length, begun);
});

test('a BigInt in a record is published as the number that it is', async () => {
  const { stream, write } = rig();
  await write([{ ...record('1'), data: { n: 1234567890123456789n } }]);
  const [last] = await stream.last([`${SUBJECT}1`], never);
  assert.match(last?.data ?? '', /"data":\{"n":1234567890123456789,"upstream_id":"1"\}/);
});

for (const [what, data] of [
  ['are a text in JSON', { toJSON: () => 'text' }],
  ['are nothing in JSON', { toJSON: () => undefined }],
  ['go round in a circle', circular()],
  ['hold a getter that throws', Object.defineProperty({}, 'x', { enumerable: true, get: thrower })],
] as const)
  test(`a record whose data ${what} is refused by name, and the others are published`, async () => {
    const { write, value } = rig();
    const refused: [string, string][] = [];
    const options = {
      refused: ({ id }: SourceRecord, error: FlowError) => void refused.push([id, error.code]),
    };
    const records = [record('a'), record('b', 1, { data: data as Record<string, unknown> }), record('c')];
    assert.deepEqual(await write(records, options), { published: 2, unchanged: 0, refused: 1 });
    assert.deepEqual([refused, value('a'), value('c')], [[['b', 'INVALID_RECORD']], 'a 1', 'c 1']);
  });

test('dates, and what says itself in JSON within the data, are published as JSON has them', async () => {
  const { write, stream } = rig();
  const data = { at: new Date(0), price: { toJSON: () => ({ amount: 1 }) }, never: new Date(NaN) };
  await write([record('a', 1, { data })]);
  const body = JSON.parse(stream.stored[0]?.data ?? '') as { data: object };
  assert.deepEqual(body.data, {
    at: '1970-01-01T00:00:00.000Z',
    price: { amount: 1 },
    never: null,
    upstream_id: 'a',
  });
});

function circular(): object {
  const data: Record<string, unknown> = {};
  data.self = data;
  return data;
}

function thrower(): never {
  throw new Error('no');
}

test('what a comparison found deleted and comes back as it was is published', async () => {
  const { write, stream } = rig();
  const here = record('a');
  await write([here], { read: reads(here) });
  const gone: SourceRecord = { id: 'a', data: {}, deleted: true, gone: true };
  await write([gone], { ...BACKFILL, read: reads(gone) });
  assert.equal((await write([here], { ...BACKFILL, read: reads(here) })).published, 1);
  assert.equal(stream.stored.length, 3);
});
