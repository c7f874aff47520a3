import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Batcher, type BatcherOptions } from '../../../nodes/salesforce/composite/batcher';
import type { Call } from '../../../nodes/salesforce/composite/call';
import type { Operation, Write, WriteRequest } from '../../../nodes/salesforce/composite/operations';
import { plan } from '../../../nodes/salesforce/composite/plan';

const OPTIONS: BatcherOptions = { records: 1_000, maxRequests: 4, coalesce: false };
const ID = (n: number) => `003${String(n).padStart(12, '0')}`;
const batcherOf = (options: Partial<BatcherOptions>, ...writes: Write[]) => {
  const batcher = new Batcher({ ...OPTIONS, ...options });
  batcher.add(writes);
  return batcher;
};
const writes = (payload: unknown, request: Partial<WriteRequest> = {}): Write[] =>
  plan({
    operation: 'upsert',
    sobject: 'Contact',
    externalIdField: 'K',
    allOrNone: false,
    payload,
    ...request,
  }).writes;
const rows = (count: number, from = 0) => Array.from({ length: count }, (_, i) => ({ K: from + i }));
const many = (count: number, from = 0) => writes(rows(count, from));
const together = (count: number, from = 0) => writes(rows(count, from), { allOrNone: true });
const tree = (n: number) => writes({ Name: `t${n}` }, { operation: 'tree', sobject: 'Account' });
const byId = (operation: Operation, n: number, more = {}) =>
  writes(operation === 'update' ? { Id: ID(n), ...more } : ID(n), { operation, fields: ['Id'] });
const sizes = (call: Call | undefined) => call?.collections.map((collection) => collection.records);
const take = (batcher: Batcher, onlyFull = false, now = 0) => batcher.take(now, onlyFull);
/** Records of each call until nothing is left, each over at once. */
const drainCalls = (batcher: Batcher, ms = 7_000): number[] => {
  const calls: number[] = [];
  for (let call = take(batcher); call; call = take(batcher)) {
    calls.push(call.records);
    batcher.finished(call, ms);
  }
  return calls;
};

describe('the size of a call', () => {
  test('is what the setting says, within what Salesforce takes', () => {
    assert.equal(take(batcherOf({ records: 300, maxRequests: 1 }, ...many(2_000)))?.records, 300);
    assert.equal(take(batcherOf({ records: 5_000, maxRequests: 1 }, ...many(2_000)))?.records, 1_000);
    assert.equal(take(batcherOf({ records: 0, maxRequests: 1 }, ...many(3)))?.records, 1);
  });

  test('goes down to half behind a call of more than 10 s, and up to twice behind a full one of less than 5 s', () => {
    const next = (batcher: Batcher, ms: number) => {
      const call = take(batcher) as Call;
      batcher.finished(call, ms);
      return call.records;
    };
    const batcher = batcherOf({ records: 100, maxRequests: 1 }, ...many(2_000));
    assert.deepEqual(
      [10_000, 10_001, 5_000, 4_999, 0].map((ms) => next(batcher, ms)),
      [100, 100, 50, 50, 100],
    );
  });

  test('is at least ten records, or the setting where that is less', () => {
    assert.deepEqual(
      drainCalls(batcherOf({ records: 40, maxRequests: 1 }, ...many(90)), 11_000),
      [40, 20, 10, 10, 10],
    );
    assert.deepEqual(drainCalls(batcherOf({ records: 4, maxRequests: 1 }, ...many(12)), 11_000), [4, 4, 4]);
  });

  test('goes down by what a slow call really had', () => {
    const batcher = batcherOf({ maxRequests: 1 }, ...many(100));
    batcher.finished(take(batcher) as Call, 11_000);
    batcher.add(many(500, 1_000));
    assert.equal(take(batcher)?.records, 50);
  });

  test('does not go up behind a call that was not full', () => {
    const batcher = batcherOf({ records: 100, maxRequests: 1 }, ...many(100));
    batcher.finished(take(batcher) as Call, 11_000);
    batcher.add(many(49, 1_000));
    batcher.finished(take(batcher) as Call, 1);
    batcher.add(many(100, 2_000));
    assert.equal(take(batcher)?.records, 50);
  });

  test('is ten once it was told to shrink, or the setting where that is less', () => {
    const batcher = batcherOf({ records: 100, maxRequests: 1 }, ...many(200));
    batcher.shrink();
    assert.deepEqual(drainCalls(batcher, 1), [10, 20, 40, 80, 50]);
    const small = batcherOf({ records: 4, maxRequests: 1 }, ...many(10));
    small.shrink();
    assert.equal(take(small)?.records, 4);
  });

  test('is passed only by what must not be parted', () => {
    const batcher = batcherOf({ records: 10 }, ...together(30), ...many(5, 100));
    assert.deepEqual([sizes(take(batcher)), sizes(take(batcher))], [[30], [5]]);
    const behind = batcherOf({ records: 10 }, ...many(5, 100), ...together(6), ...many(5, 200));
    assert.deepEqual([sizes(take(behind)), sizes(take(behind))], [[10], [6]]);
  });
});

describe('a burst', () => {
  const burst = (count: number, maxRequests: number, records = 100) => {
    const batcher = batcherOf({ maxRequests, records }, ...many(count));
    const calls: number[] = [];
    for (let call = take(batcher); call; call = take(batcher, true) ?? take(batcher))
      calls.push(call.records);
    return calls;
  };

  test('goes in rounds of equal calls where that costs a fifth more at most', () => {
    assert.deepEqual(burst(1_000, 4), [84, 84, 84, 84, 83, 83, 83, 83, 83, 83, 83, 83]);
    assert.deepEqual(burst(500, 3), [84, 84, 83, 83, 83, 83], 'six for five');
    assert.deepEqual(burst(900, 4).slice(0, 2), [100, 100], 'twelve for nine are too many');
  });

  test('that has been begun before all of it was there is one with what waits when its first call is over', () => {
    const batcher = batcherOf({ records: 100 }, ...many(400));
    const begun = [1, 2, 3, 4].map(() => take(batcher, true) ?? assert.fail('the call is full'));
    batcher.add(many(600, 400));
    for (const call of begun) batcher.finished(call, 10);
    const rest = [1, 2, 3, 4, 5, 6, 7, 8].map(() => take(batcher, true)?.records);
    assert.deepEqual(rest, new Array<number>(8).fill(75));
    batcher.add(many(150, 1_000));
    assert.equal(take(batcher, true)?.records, 100, 'what comes later goes in full calls');
  });

  test('is not what waits when a call is over that an idle writer has begun with all there was', () => {
    const batcher = batcherOf({ records: 100 }, ...many(400));
    const begun = [false, true, true, true].map((full) => take(batcher, full) ?? assert.fail('no call'));
    batcher.add(many(600, 400));
    for (const call of begun) batcher.finished(call, 10);
    assert.equal(take(batcher, true)?.records, 100);
  });

  test('is none where all go at once, or fill their rounds', () => {
    assert.deepEqual(burst(350, 4), [100, 100, 100, 50]);
    assert.deepEqual(burst(800, 4), new Array<number>(8).fill(100));
    assert.deepEqual(burst(300, 1), [100, 100, 100]);
  });

  test('is none while calls are small, so that they grow', () => {
    const batcher = batcherOf({ records: 100 }, ...many(1_000));
    batcher.shrink();
    assert.equal(take(batcher)?.records, 10);
  });

  test('is over with its records: what comes later goes in full calls', () => {
    const batcher = batcherOf({ records: 100, maxRequests: 3 }, ...many(500));
    for (let i = 0; i < 6; i++) take(batcher, i > 0);
    batcher.add(many(150, 1_000));
    assert.equal(take(batcher, true)?.records, 100);
  });

  test('is planned anew when all calls are over', () => {
    const batcher = batcherOf({ records: 100, maxRequests: 3 }, ...many(500));
    assert.equal(take(batcher)?.records, 84);
    batcher.drain();
    batcher.add(many(150, 1_000));
    assert.equal(take(batcher)?.records, 100);
  });
});

describe('what waits', () => {
  test('is counted in writes, goes in its order, and is given up all at once', () => {
    const batcher = batcherOf({ records: 2 }, ...many(5));
    take(batcher);
    assert.equal(batcher.waiting, 3);
    assert.deepEqual(
      batcher.drain().map((write) => write.rows[0]?.body),
      [2, 3, 4].map((K) => ({ K, attributes: { type: 'Contact' } })),
    );
    assert.deepEqual([batcher.waiting, take(batcher)], [0, undefined]);
  });

  test('for its time is sent at that time, and the first of them is known', () => {
    const waiting = many(3);
    waiting.forEach((write, i) => (write.notBefore = [300, 100, 0][i] ?? 0));
    const batcher = batcherOf({}, ...waiting);
    assert.equal(batcher.nextReady(0), 100);
    assert.equal(batcher.nextReady(100), 300);
    assert.equal(batcher.nextReady(300), undefined);
    assert.equal(take(batcher, false, 99)?.records, 1);
    assert.equal(take(batcher, false, 100)?.records, 1);
    assert.equal(take(batcher, false, 299), undefined);
  });

  test('and was put back goes first', () => {
    const batcher = batcherOf({ records: 1, maxRequests: 1 }, ...many(2));
    const call = take(batcher) as Call;
    batcher.putBack(call.collections.flatMap(({ entries }) => entries.flatMap((entry) => entry.writes)));
    batcher.finished(call, 1);
    assert.deepEqual(take(batcher)?.keys, call.keys);
  });

  test('is taken out where it is its turn, and it is over', () => {
    const [under] = many(1);
    const batcher = batcherOf({ records: 1 }, under as Write);
    const call = take(batcher) as Call;
    const [same, first, second, stays] = [...many(1), ...many(1, 1), ...many(1, 1), ...many(1, 2)];
    batcher.add([same, first, second, stays] as Write[]);
    const asked: unknown[] = [];
    const remove = (over: (write: Write) => boolean) => {
      asked.length = 0;
      batcher.remove((write) => {
        asked.push(write);
        return over(write);
      });
    };
    remove(() => false);
    assert.deepEqual(asked, [first, stays], 'neither one that is being written nor one behind another');
    remove((write) => write === first);
    assert.deepEqual(asked, [first, second, stays], 'the next one’s turn has come');
    batcher.finished(call, 1);
    remove(() => true);
    assert.deepEqual([asked, batcher.waiting], [[same, second, stays], 0]);
  });
});

describe('beside another call', () => {
  const full = (...all: Write[]) => sizes(take(batcherOf({}, ...all), true));

  test('goes what fills a call by itself', () => {
    assert.deepEqual(full(...tree(1)), [1]);
    assert.deepEqual(full(...together(201)), [201]);
    assert.equal(full(...together(200)), undefined);
  });

  test('go five collections of all or none, or of so many records', () => {
    const pairs = (count: number) => Array.from({ length: count }, (_, i) => together(2, 10 * i)).flat();
    assert.equal(full(...pairs(4)), undefined);
    assert.deepEqual(full(...pairs(5)), [2, 2, 2, 2, 2]);
    assert.equal(full(...pairs(4), ...many(199, 100)), undefined);
    assert.deepEqual(full(...pairs(4), ...many(210, 100)), [2, 2, 2, 2, 200]);
  });

  test('goes nothing that could fill a call but does not', () => {
    const batcher = batcherOf({ records: 2 }, ...many(1), ...many(1));
    assert.equal(take(batcher, true), undefined);
    assert.equal(batcher.waiting, 2);
  });
});

describe('in one call', () => {
  test('trees are alone, and what may not be parted above 200', () => {
    const batcher = batcherOf({}, ...tree(1), ...tree(2), ...many(1));
    assert.deepEqual(
      [sizes(take(batcher)), sizes(take(batcher)), sizes(take(batcher))],
      [[1], [1], undefined].slice(0, 2).concat([[1]]),
    );
    const behind = batcherOf({}, ...many(1), ...tree(1), ...together(201, 10), ...many(1, 500));
    assert.deepEqual(sizes(take(behind)), [2]);
  });

  test('five collections, no more', () => {
    const objects = ['A', 'B', 'C', 'D', 'E', 'F'].flatMap((sobject) => writes({ K: 1 }, { sobject }));
    const batcher = batcherOf({}, ...objects, ...writes({ K: 2 }, { sobject: 'A' }));
    assert.deepEqual(sizes(take(batcher)), [2, 1, 1, 1, 1]);
    assert.deepEqual(sizes(take(batcher)), [1]);
  });

  test('a text that looks like a reference goes with its own collection only', () => {
    const reference = (K: number, sobject = 'Contact') => writes({ K, Text: 'see @{x.id}' }, { sobject });
    const own = batcherOf(
      {},
      ...many(2),
      ...reference(5),
      ...writes({ K: 1 }, { sobject: 'Account' }),
      ...many(1, 9),
    );
    assert.deepEqual([sizes(take(own)), sizes(take(own))], [[4], [1]]);
    const second = batcherOf(
      {},
      ...many(1),
      ...writes({ K: 1 }, { sobject: 'Account' }),
      ...reference(5, 'Account'),
    );
    assert.deepEqual([sizes(take(second)), sizes(take(second))], [[1, 1], [1]]);
    const other = batcherOf({}, ...many(1), ...reference(5, 'Account'));
    assert.deepEqual([sizes(take(other)), sizes(take(other))], [[1], [1]]);
    const alone = batcherOf({}, ...writes([{ K: 1, T: '@{' }, { K: 2 }], { allOrNone: true }), ...many(1, 5));
    assert.deepEqual([sizes(take(alone)), sizes(take(alone))], [[2], [1]]);
  });

  test('only writes of one group', () => {
    const grouped = many(3);
    grouped.forEach((write, i) => (write.group = i < 1 ? undefined : 7));
    const batcher = batcherOf({}, ...grouped);
    assert.deepEqual([sizes(take(batcher)), sizes(take(batcher))], [[1], [2]]);
  });
});

describe('coalesced', () => {
  const taken = (...all: Write[]) => {
    const batcher = batcherOf({ coalesce: true }, ...all);
    const call = take(batcher);
    return {
      bodies: call?.collections.flatMap(({ entries }) => entries.flatMap((entry) => entry.bodies)),
      left: batcher.waiting,
      call,
      batcher,
    };
  };
  const one = (more: object, request: Partial<WriteRequest> = {}) => writes({ K: 1, ...more }, request);

  test('are upserts, and updates, of one record', () => {
    const upserts = taken(...one({ A: 1 }), ...one({ a: 2, B: 2 }));
    assert.deepEqual(upserts.bodies, [{ K: 1, a: 2, B: 2, attributes: { type: 'Contact' } }]);
    assert.equal(upserts.call?.records, 1);
    const updates = taken(...byId('update', 1, { A: 1 }), ...byId('update', 1, { A: 2 }));
    assert.deepEqual(updates.bodies, [{ Id: ID(1), A: 2, attributes: { type: 'Contact' } }]);
  });

  test('is nothing unless it is wished for', () => {
    assert.equal(take(batcherOf({}, ...one({}), ...one({})))?.records, 1);
  });

  test('is nothing that came again, of all or none, deleted, of another kind, or behind another write', () => {
    const rest: [string, Write[]][] = [
      ['came again', [...one({}), ...one({}, { repeated: true })]],
      ['all or none', [...one({}), ...writes([{ K: 1 }, { K: 2 }], { allOrNone: true })]],
      ['first of all or none', [...writes([{ K: 1 }, { K: 2 }], { allOrNone: true }), ...one({})]],
      ['delete', [...byId('delete', 1), ...byId('delete', 1)]],
      ['another kind', [...byId('update', 1), ...byId('delete', 1)]],
      ['update behind a delete', [...byId('delete', 1), ...byId('update', 1)]],
      [
        'upsert by Id behind an update',
        [...byId('update', 1), ...writes({ Id: ID(1) }, { externalIdField: 'Id' })],
      ],
    ];
    for (const [what, all] of rest) assert.equal(taken(...all).left, 1, what);
  });

  test('a record waits where what it refers to is being written', () => {
    const account = writes({ K: 9 }, { sobject: 'Account' });
    assert.equal(taken(...account, ...one({}), ...one({ Account: { K: 9 } })).left, 1);
    assert.equal(taken(...one({}), ...one({ Account: { K: 9 } })).left, 0);
  });

  test('keeps the references of all, so that nothing that they refer to is written beside it', () => {
    const { batcher } = taken(...one({}), ...one({ Account: { K: 9 } }));
    batcher.add(writes({ K: 9 }, { sobject: 'Account' }));
    assert.equal(take(batcher), undefined);
  });

  test('a text that looks like a reference goes with no other collection', () => {
    const account = writes({ K: 9 }, { sobject: 'Account' });
    assert.equal(taken(...one({}), ...account, ...one({ T: '@{x}' })).left, 1);
    const later = taken(...one({}), ...one({ T: '@{x}' }), ...account);
    assert.deepEqual([later.left, sizes(later.call)], [1, [1]]);
  });
});
