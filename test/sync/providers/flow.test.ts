import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runInNewContext } from 'node:vm';
import type { BatchMessage, BatchOutcome } from '../../../nodes/jetstream/publish/batches';
import type { RecordStream } from '../../../nodes/sync/engine/record-writer';
import { FlowRecords, KEPT } from '../../../nodes/sync/providers/flow';

/** A stream that takes everything, one write at a time. */
function records(stream: Partial<RecordStream> = {}) {
  const published: BatchMessage[] = [];
  const lookedUp: string[] = [];
  const taking: RecordStream = {
    publish: (messages) => {
      published.push(...messages);
      return Promise.resolve(
        messages.map((): BatchOutcome => ({ seq: published.length, duplicate: false, stream: 'S' })),
      );
    },
    last: (subjects) => {
      lookedUp.push(...subjects);
      return Promise.resolve(subjects.map(() => undefined));
    },
    ...stream,
  };
  const flow = new FlowRecords({
    syncId: 's',
    prefix: 'p',
    events: false,
    stream: () => Promise.resolve(taking),
    written: () => undefined,
  });
  return { flow, published, lookedUp };
}

const record = (id: string, data: unknown = { a: 1 }, collection = 'c') => ({
  collection_id: collection,
  upstream_id: id,
  data,
});

test('a record that is no JSON is the fault of its own message alone', async () => {
  const { flow, published } = records();
  const thrower = Object.defineProperty({}, 'a', {
    enumerable: true,
    get: () => {
      throw new Error('no');
    },
  });
  const results = await Promise.allSettled([
    flow.write(record('1')),
    flow.write(record('2', { toJSON: () => assert.fail('never') })),
    flow.write(record('3', thrower)),
    flow.write(record('4')),
  ]);
  assert.deepEqual(
    results.map((result) =>
      result.status === 'rejected' ? (result.reason as { code: string }).code : 'stored',
    ),
    ['stored', 'INVALID_RECORD', 'INVALID_RECORD', 'stored'],
  );
  assert.equal(published.length, 2);
});

test('data that hold themselves, or nest too deep, are refused before anything is written', async () => {
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  const deep = Array.from({ length: 300 }).reduce<object>((inner) => ({ inner }), {});
  const { flow, published } = records();
  for (const data of [circular, deep])
    await assert.rejects(flow.write([record('1'), record('2', data)]), {
      code: 'INVALID_RECORD',
      retryable: false,
    });
  assert.equal(published.length, 0);
});

test('what JSON would change unsaid is refused, by its name', async () => {
  const { flow, published } = records();
  const refused = [{ n: { score: NaN } }, { at: new Date('soon') }, { rows: new Map([[1, 2]]) }];
  for (const data of refused)
    await assert.rejects(flow.write(record('1', data)), {
      code: 'INVALID_RECORD',
      retryable: false,
      message: /data\.(n\.score is NaN|at is an invalid date|rows is of the kind Map)/,
    });
  assert.equal(published.length, 0);
});

test('a time that a function node has made is a time', async () => {
  const { flow, published } = records();
  const at = runInNewContext('new Date(0)') as unknown;
  await flow.write({ ...record('1'), upstream_updated_at: at });
  assert.match(JSON.stringify(published), /1970-01-01T00:00:00Z/);
});

test('only so many collections are remembered', async () => {
  const { flow, lookedUp } = records();
  await flow.write(record('1', { a: 1 }, 'first'));
  await flow.write(record('1', { a: 2 }, 'first'));
  assert.equal(lookedUp.length, 1, 'what it has published itself it need not look up');
  for (let n = 0; n < KEPT; n++) await flow.write(record('1', { a: 1 }, `c${n}`));
  lookedUp.length = 0;
  await flow.write(record('1', { a: 3 }, 'first'));
  assert.equal(lookedUp.length, 1, 'the oldest is looked up again');
});
