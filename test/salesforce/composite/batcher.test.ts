import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Batcher } from '../../../nodes/salesforce/composite/batcher';
import type { Call } from '../../../nodes/salesforce/composite/call';
import type { Operation, Write } from '../../../nodes/salesforce/composite/operations';
import { plan } from '../../../nodes/salesforce/composite/plan';

const BIG = { records: 1_000, maxRequests: 4, coalesce: false };

interface Wish {
  operation?: Operation;
  sobject?: string;
  allOrNone?: boolean;
  keys: (string | number)[];
  values?: Record<string, unknown>;
}

function writesOf({
  operation = 'upsert',
  sobject = 'Contact',
  allOrNone = false,
  keys,
  values = {},
}: Wish): Write[] {
  const payload = keys.map((key) =>
    operation === 'get' || operation === 'delete'
      ? id(key)
      : { ...values, Key__c: key, Id: operation === 'update' ? id(key) : undefined },
  );
  return plan({ operation, sobject, externalIdField: 'Key__c', allOrNone, fields: ['Id'], payload }).writes;
}

const id = (key: string | number) => `003${String(key).padStart(12, '0')}`;
const range = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i);
const sizes = (call: Call | undefined) => call?.collections.map((collection) => collection.records);
const sentKeys = (call: Call | undefined) =>
  call?.collections.flatMap((c) =>
    c.entries.flatMap((e) => e.bodies.map((body) => (body as { Key__c: unknown }).Key__c)),
  );

function batcherWith(options: Partial<typeof BIG>, ...wishes: Wish[]): Batcher {
  const batcher = new Batcher({ ...BIG, ...options });
  for (const wish of wishes) batcher.add(writesOf(wish));
  return batcher;
}

describe('filling a call', () => {
  test('single records share collections of 200, five of them a call', () => {
    const batcher = batcherWith({}, { keys: range(1_150) });
    const first = batcher.take(0, false);
    assert.deepEqual(sizes(first), [200, 200, 200, 200, 200]);
    assert.deepEqual(sizes(batcher.take(0, false)), [150]);
  });

  test('objects and operations have collections of their own in the same call', () => {
    const batcher = batcherWith(
      {},
      { keys: [1] },
      { keys: [2], sobject: 'Lead' },
      { keys: [3], operation: 'update' },
      { keys: [4] },
    );
    assert.deepEqual(sizes(batcher.take(0, false)), [2, 1, 1]);
  });

  test('a message of all or none has a collection of its own; a single record needs none', () => {
    const batcher = batcherWith(
      {},
      { keys: [1, 2], allOrNone: true },
      { keys: [3], allOrNone: true },
      { keys: [4] },
    );
    const call = batcher.take(0, false);
    assert.deepEqual(sizes(call), [2, 2]);
    assert.deepEqual(
      call?.collections.map((collection) => collection.atomic),
      [true, false],
    );
  });

  test('more than 200 of all or none take a call alone', () => {
    const batcher = batcherWith({}, { keys: range(3, 900) }, { keys: range(450), allOrNone: true });
    assert.deepEqual(sizes(batcher.take(0, false)), [3]);
    assert.deepEqual(sizes(batcher.take(0, true)), [450], 'and are full by themselves');
  });

  test('a get reads up to 1,000 ids in one request', () => {
    assert.deepEqual(
      sizes(batcherWith({}, { operation: 'get', keys: range(1_000) }).take(0, false)),
      [1_000],
    );
  });

  test('a text that /composite would take for a reference travels in a collection without it', () => {
    const batcher = batcherWith(
      {},
      { keys: range(200) },
      { keys: [201], values: { Description: 'mail @{me}' } },
      { keys: [202] },
    );
    assert.deepEqual(sizes(batcher.take(0, false)), [200, 1], 'what follows may go first');
    assert.deepEqual(sentKeys(batcher.take(0, false)), [201]);
    const direct = batcherWith({}, { keys: [201], values: { Description: '@{me}' } }, { keys: range(250) });
    assert.deepEqual(sizes(direct.take(0, false)), [200]);
  });
});

describe('a call beside another', () => {
  test('starts only when it is full', () => {
    const batcher = batcherWith({}, { keys: range(999) });
    assert.equal(batcher.take(0, true), undefined);
    assert.equal(batcher.waiting, 999);
    batcher.add(writesOf({ keys: [999] }));
    assert.equal(batcher.take(0, true)?.records, 1_000);
  });

  test('is full when five collections of all or none leave no room', () => {
    const five = range(5).map((n) => ({ keys: [2 * n, 2 * n + 1], allOrNone: true }));
    assert.equal(batcherWith({}, ...five.slice(1)).take(0, true), undefined);
    assert.deepEqual(sizes(batcherWith({}, ...five).take(0, true)), [2, 2, 2, 2, 2]);
  });

  test('does not start with records that a call under way is writing', () => {
    const batcher = batcherWith({ records: 10 }, { keys: range(10) }, { keys: range(10) });
    const first = batcher.take(0, false);
    assert.equal(batcher.take(0, true), undefined);
    batcher.finished(first as Call, 100);
    assert.deepEqual(sentKeys(batcher.take(0, true)), range(10));
  });
});

test('a burst goes in equal rounds where that costs few calls more', () => {
  const callsOf = (count: number) => {
    const batcher = batcherWith({}, { keys: range(count) });
    const calls: (number | undefined)[] = [batcher.take(0, false)?.records];
    while (batcher.waiting > 0) calls.push(batcher.take(0, calls.at(-1) !== undefined)?.records);
    return calls.filter((records) => records !== undefined);
  };
  assert.deepEqual(callsOf(10_000), [...new Array<number>(4).fill(834), ...new Array<number>(8).fill(833)]);
  assert.deepEqual(callsOf(8_000), new Array<number>(8).fill(1_000));
  assert.deepEqual(
    callsOf(4_500),
    [1_000, 1_000, 1_000, 1_000, 500],
    'eight calls instead of five are too many',
  );
});

describe('records with one key', () => {
  test('are never in one request and keep their order', () => {
    const batcher = batcherWith({}, { keys: [1, 'a', 1, ' A '] }, { keys: [2] });
    const first = batcher.take(0, false);
    assert.deepEqual(sentKeys(first), [1, 'a', 2]);
    assert.equal(batcher.take(0, false), undefined);
    batcher.finished(first as Call, 1);
    assert.deepEqual(sentKeys(batcher.take(0, false)), [1, ' A ']);
  });

  test('nothing passes a record that waits for its time', () => {
    const batcher = batcherWith({}, { keys: [1] }, { keys: [1, 2] });
    const first = batcher.take(0, false) as Call;
    const [locked] = first.collections[0]?.entries[0]?.writes ?? [];
    assert.ok(locked);
    locked.notBefore = 500;
    batcher.putBack([locked]);
    batcher.finished(first, 1);
    assert.deepEqual(
      sentKeys(batcher.take(0, false)),
      undefined,
      'key 1 waits and 2 was sent with the first',
    );
    assert.equal(batcher.nextReady(0), 500);
    assert.deepEqual(sentKeys(batcher.take(500, false)), [1]);
  });

  test('reads of one id go together, and wait for its writes', () => {
    const batcher = batcherWith(
      {},
      { operation: 'get', keys: [1] },
      { operation: 'get', keys: [1] },
      { operation: 'update', keys: [1] },
      { operation: 'get', keys: [1] },
    );
    const first = batcher.take(0, false) as Call;
    assert.deepEqual(sizes(first), [2]);
    batcher.finished(first, 1);
    const second = batcher.take(0, false) as Call;
    assert.equal(second.collections[0]?.endpoint.operation, 'update');
    assert.equal(batcher.take(0, false), undefined);
  });

  test('a child that names its parent by external id waits for the parent', () => {
    const batcher = new Batcher(BIG);
    batcher.add(writesOf({ sobject: 'Account', keys: ['A-1'] }));
    batcher.add(writesOf({ keys: ['C-1'], values: { Account: { Key__c: 'a-1' } } }));
    batcher.add(writesOf({ keys: ['C-2'], values: { Account: { Key__c: 'A-2' } } }));
    batcher.add(writesOf({ keys: ['C-3'], values: { Account: { Key__c: 'A-2' } } }));
    const first = batcher.take(0, false) as Call;
    assert.deepEqual(sentKeys(first), ['A-1', 'C-2', 'C-3']);
    batcher.finished(first, 1);
    assert.deepEqual(sentKeys(batcher.take(0, false)), ['C-1']);
  });

  test('coalesced: waiting records of one key become one row, later values on top', () => {
    const batcher = batcherWith(
      { coalesce: true },
      { keys: [1], values: { A: 1, b: 1 } },
      { keys: [2] },
      { keys: [1], values: { B: 2, C: 2 } },
    );
    const [collection] = batcher.take(0, false)?.collections ?? [];
    assert.deepEqual(
      collection?.entries.map((entry) => entry.writes.length),
      [2, 1],
    );
    const [row] = collection?.entries[0]?.bodies ?? [];
    assert.deepEqual(row, { A: 1, B: 2, C: 2, Key__c: 1, Id: undefined, attributes: { type: 'Contact' } });
  });

  test('coalescing does not reach over another operation on the same record', () => {
    const batcher = new Batcher({ ...BIG, coalesce: true });
    for (const operation of ['update', 'delete', 'update'] as const)
      batcher.add(writesOf({ operation, keys: [1] }));
    assert.equal(batcher.take(0, false)?.records, 1);
  });
});

test('calls longer than 10 s make the next ones smaller, quick ones let them grow again', () => {
  const batcher = batcherWith({ maxRequests: 1 }, { keys: range(5_000) });
  const next = (ms: number) => {
    const call = batcher.take(0, false) as Call;
    batcher.finished(call, ms);
    return call.records;
  };
  assert.deepEqual(
    [next(11_000), next(12_000), next(7_000), next(1_000), next(1_000), next(1_000)],
    [1_000, 500, 250, 250, 500, 1_000],
  );
});

test('writes of one group share no call with others', () => {
  const batcher = new Batcher(BIG);
  const writes = writesOf({ keys: range(6) });
  writes.forEach((write, i) => (write.group = i < 2 ? 1 : i < 4 ? 2 : undefined));
  batcher.add(writes);
  assert.deepEqual(
    [1, 2, 3].map(() => sentKeys(batcher.take(0, false))),
    [
      [0, 1],
      [2, 3],
      [4, 5],
    ],
  );
});
