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
function rig(lists: string[][], reads?: (ids: readonly string[]) => SourceRecord[]) {
  const written: string[] = [];
  const { read: _read, ...rest } = memoryCollection();
  const asked: string[][] = [];
  let calls = 0;
  const collection = {
    ...rest,
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

test('most of a collection at once is held; a few, or less than half, are not (J5)', () => {
  const lost = (count: number) => Array.from({ length: count }, (_, i) => gone(String(i)));
  refuseMassLoss('x', { living: 9, lost: lost(9) });
  refuseMassLoss('x', { living: 100, lost: lost(50) });
  assert.throws(() => refuseMassLoss('x', { living: 100, lost: lost(51) }), {
    code: 'MASS_LOSS',
    retryable: false,
  });
});
