import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compare, refuseMassLoss } from '../../../nodes/sync/engine/reconcile';
import type { SourceRecord } from '../../../nodes/sync/engine/record';
import { memoryCollection, records } from './fakes';

const signal = new AbortController().signal;

async function* pages(...all: string[][]): AsyncGenerator<string[], void, undefined> {
  for (const page of all) {
    await Promise.resolve();
    yield page;
  }
}

/** An API that lists these ids, each time the next list of them. */
function rig(lists: string[][], reads?: (ids: readonly string[]) => SourceRecord[], unidentified = 0) {
  const written: string[] = [];
  const { read: _read, ...rest } = memoryCollection();
  const asked: string[][] = [];
  let calls = 0;
  const collection = {
    ...rest,
    unidentified,
    ids: () => pages(lists[Math.min(calls++, lists.length - 1)] ?? []),
    ...(reads && {
      read: (ids: readonly string[]) => {
        asked.push([...ids]);
        return Promise.resolve(reads(ids));
      },
    }),
  };
  return {
    asked,
    written,
    lists: () => calls,
    compare: (...living: string[][]) =>
      compare({
        collection,
        liveIds: pages(...living),
        write: (found) => Promise.resolve(void written.push(...found.map(({ id }) => id))),
        turn: (work) => work(),
        complete: true,
        signal,
      }),
  };
}

const gone = (id: string): SourceRecord => ({ id, data: {}, deleted: true, gone: true });

test('what the API lists is there, and costs nothing more', async () => {
  const { compare: run, lists } = rig([['1', '2', 'x']]);
  assert.deepEqual(await run(['1'], ['2', 'x']), { living: 3, lost: [] });
  assert.equal(lists(), 1);
});

test('without a way to read it, what is missing is looked for in a second list', async () => {
  const { compare: run, lists } = rig([['1'], ['1', '2']]);
  const { lost } = await run(['1', '2', '3']);
  assert.deepEqual(
    lost.map(({ id }) => id),
    ['3'],
  );
  assert.equal(lists(), 2);
});

test('what is missing may be what the API lists without an id: nothing is taken for deleted', async () => {
  const { compare: run } = rig([['1']], undefined, 1);
  assert.deepEqual(await run(['1', '2']), { living: 2, lost: [], doubt: '1 records there have no id' });
  assert.deepEqual(await run(['1']), { living: 1, lost: [] }, 'where none is missing there is no doubt');
});

test('what is missing and is read by its own id is gone, whatever else has none', async () => {
  const { compare: run } = rig([['1']], (ids) => ids.map(gone), 1);
  assert.deepEqual(await run(['1', '2']), { living: 2, lost: [gone('2')] });
});

test('what is missing is read, and published where it is there after all', async () => {
  const {
    compare: run,
    asked,
    written,
  } = rig([['1']], (ids) => ids.map((id) => (id === '2' ? records('2')[0] : gone(id)) as SourceRecord));
  const { lost } = await run(['1', '2', '3']);
  assert.deepEqual(
    lost.map(({ id }) => id),
    ['3'],
  );
  assert.deepEqual(asked, [['2', '3']]);
  assert.deepEqual(written, ['2']);
});

test('what is listed but not living in the stream is read and published: it was restored, or missed', async () => {
  const { compare: run, written } = rig([['1', '2', '03']], (ids) => records(...ids));
  assert.deepEqual(await run(['1']), { living: 1, lost: [] });
  assert.deepEqual(written, ['2', '03']);
});

const lost = (count: number, more: Partial<SourceRecord> = {}) =>
  Array.from({ length: count }, (_, i) => ({ ...gone(String(i)), ...more }));
const HELD = { code: 'MASS_LOSS', retryable: false };

test('most of a collection at once is held; a few, or less than half, are not', () => {
  for (const missed of [true, false]) {
    refuseMassLoss('x', { living: 9, lost: lost(9) }, missed);
    refuseMassLoss('x', { living: 100, lost: lost(50) }, missed);
    assert.throws(() => refuseMassLoss('x', { living: 100, lost: lost(51) }, missed), HELD);
  }
});

test('where every deletion was followed, little may be missing without a trace, and something has to be there', () => {
  const hidden = (count: number) => lost(count, { unproven: true });
  refuseMassLoss('x', { living: 5, lost: hidden(1) }, false);
  refuseMassLoss('x', { living: 100, lost: hidden(10) }, false);
  assert.throws(() => refuseMassLoss('x', { living: 100, lost: hidden(11) }, false), HELD);
  assert.throws(() => refuseMassLoss('x', { living: 3, lost: hidden(3) }, false), HELD);
  refuseMassLoss('x', { living: 100, lost: hidden(50) }, true);
  assert.throws(() => refuseMassLoss('x', { living: 100, lost: hidden(51) }, true), HELD);
});

test('what came back into sight is found where the API has more than the stream shows', async () => {
  const collection = { ...memoryCollection(...records('1', '2', '3')), permissioned: true };
  const run = async (living: string[], complete = true) => {
    const written: string[] = [];
    collection.calls.length = 0;
    await compare({
      collection,
      liveIds: pages(living),
      write: (found) => Promise.resolve(void written.push(...found.map(({ id }) => id))),
      turn: (work) => work(),
      complete,
      signal,
    });
    return [written, collection.calls.filter((call) => call === 'page').length];
  };
  assert.deepEqual(await run(['1', '2', '3']), [['1', '2', '3'], 0]);
  assert.deepEqual(await run(['1']), [['1', '1', '2', '3'], 2]);
  assert.deepEqual(await run(['1', 'x', 'y']), [['1', '1', '2', '3'], 2], 'what is lost is not counted');
  assert.deepEqual(await run(['1'], false), [['1'], 0], 'unless only what is new is wanted');
});
