import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import type { Origin, Write, WriteRequest } from '../../../nodes/salesforce/composite/operations';
import { plan } from '../../../nodes/salesforce/composite/plan';
import {
  leaveSuperseded,
  WrittenRecords,
  writtenRecords,
} from '../../../nodes/salesforce/composite/superseded';

const origin = (sequence: number, second = sequence, consumer = 'crm'): Origin => ({
  consumer,
  sequence,
  timestamp: new Date(second * 1_000).toISOString(),
});
const write = (payload: unknown, from?: Origin | Origin[], request: Partial<WriteRequest> = {}): Write => {
  const base = { operation: 'upsert', sobject: 'Contact', externalIdField: 'K', allOrNone: false } as const;
  return plan({ ...base, payload, origin: from, ...request }).writes[0] as Write;
};
const add = (records: WrittenRecords, one: Write, id: string | null = '003') => {
  for (const row of one.rows) records.add(one, row, id);
};
const since = (records: WrittenRecords, one: Write) => {
  const found = records.since(one, one.rows[0] as Write['rows'][0]);
  return found && { ...found, fields: [...found.fields] };
};

describe('what newer messages have written', () => {
  test('is known by field, in any case, with the id of the record', () => {
    const records = new WrittenRecords();
    add(records, write({ K: 1, A: 1, b: 1 }, origin(2)), '003X');
    assert.deepEqual(since(records, write({ k: ' 1 ', a: 0, C: 0 }, origin(1))), {
      fields: ['a'],
      id: '003X',
    });
    assert.deepEqual(since(records, write({ K: 1, C: 0 }, origin(1))), { fields: [], id: '003X' });
  });

  test('is not what older ones have, the same one, another consumer, or a stream made anew', () => {
    const records = new WrittenRecords();
    add(records, write({ K: 1, A: 1 }, origin(5)));
    assert.equal(since(records, write({ K: 1, A: 0 }, origin(5))), undefined);
    assert.equal(since(records, write({ K: 1, A: 0 }, origin(6))), undefined);
    assert.equal(since(records, write({ K: 1, A: 0 }, origin(1, 1, 'other'))), undefined);
    assert.equal(since(records, write({ K: 1, A: 0 }, origin(1, 99))), undefined);
    assert.deepEqual(
      since(records, write({ K: 1, A: 0 }, origin(4, 5)))?.fields,
      ['a'],
      'of the same moment',
    );
    assert.equal(since(records, write({ K: 2, A: 0 }, origin(1))), undefined);
    assert.equal(since(records, write({ K: 1, A: 0 })), undefined, 'one that comes from nowhere');
  });

  test('is put together of several, each with fields of its own; the newest of one shape counts', () => {
    const records = new WrittenRecords();
    add(records, write({ K: 1, A: 1 }, origin(5)), 'a');
    add(records, write({ K: 1, B: 1 }, origin(3)), 'b');
    add(records, write({ K: 1, A: 2 }, origin(2)), 'late');
    assert.deepEqual(since(records, write({ K: 1, A: 0, B: 0 }, origin(1)))?.fields, ['a', 'b']);
    assert.deepEqual(since(records, write({ K: 1, A: 0, B: 0 }, origin(4))), { fields: ['a'], id: 'a' });
    add(records, write({ K: 1, A: 3 }, origin(9)), 'new');
    assert.deepEqual(since(records, write({ K: 1, A: 0, B: 0 }, origin(6))), { fields: ['a'], id: 'new' });
  });

  test('is kept of the eight latest shapes', () => {
    const records = new WrittenRecords();
    for (let n = 0; n < 9; n++) add(records, write({ K: 1, [`F${n}`]: 1 }, origin(10 + n)));
    const all = Object.fromEntries(Array.from({ length: 9 }, (_, n) => [`F${n}`, 0]));
    assert.deepEqual(
      since(records, write({ K: 1, ...all }, origin(1)))?.fields,
      [1, 2, 3, 4, 5, 6, 7, 8].map((n) => `f${n}`),
    );
  });

  test('by a delete is all', () => {
    const records = new WrittenRecords();
    const Id = '003000000000001';
    add(records, write([Id], origin(2), { operation: 'delete' }), Id);
    const update = write({ Id, A: 1, B: 2 }, origin(1), { operation: 'update' });
    assert.deepEqual(since(records, update), { fields: ['a', 'b'], id: Id });
  });

  test('is not asked of a create, nor of a delete itself', () => {
    const records = new WrittenRecords();
    const Id = '003000000000001';
    const update = { operation: 'update' } as const;
    add(records, write({ A: 1 }, origin(2), { operation: 'create' }));
    add(records, write({ Id, A: 1 }, origin(2), update));
    assert.equal(since(records, write({ A: 0 }, origin(1), { operation: 'create' })), undefined);
    assert.equal(since(records, write([Id], origin(1), { operation: 'delete' })), undefined);
  });
});

describe('a message that comes again', () => {
  test('leaves what newer ones have written, and says so; what is left is sent', () => {
    const records = new WrittenRecords();
    add(records, write({ K: 1, a: 1 }, origin(5)));
    const again = write({ K: 1, A: 0, B: 0 }, origin(1));
    assert.equal(leaveSuperseded(again, records), false);
    assert.deepEqual(again.rows[0]?.body, { K: 1, B: 0, attributes: { type: 'Contact' } });
    assert.deepEqual(again.rows[0]?.superseded, ['A']);
    add(records, write({ K: 1, B: 1 }, origin(6)), '003Y');
    assert.equal(leaveSuperseded(again, records), true);
    assert.deepEqual(again.message.results[0], {
      id: '003Y',
      success: true,
      created: false,
      errors: [],
      record: { K: 1, A: 0, B: 0 },
      superseded: ['A', 'B'],
    });
  });

  test('of many has each record at its own place, and leaves those alone that nobody has written', () => {
    const records = new WrittenRecords();
    add(records, write({ K: 2, A: 1 }, origin(5)));
    const again = write(
      [
        { K: 1, A: 0 },
        { K: 2, A: 0 },
        { K: 3, A: 0 },
      ],
      [origin(1), origin(2), origin(3)],
      { allOrNone: true },
    );
    assert.equal(leaveSuperseded(again, records), false);
    assert.deepEqual(
      again.rows.map(({ index }) => index),
      [0, 2],
    );
    assert.deepEqual(
      [...again.message.results].map((result) => result?.success),
      [undefined, true, undefined],
    );
  });

  test('by an update says nothing of creating', () => {
    const records = new WrittenRecords();
    const update = { operation: 'update' } as const;
    const Id = '003000000000001';
    add(records, write({ Id, A: 1 }, origin(5), update));
    const again = write({ Id, A: 0 }, origin(1), update);
    assert.equal(leaveSuperseded(again, records), true);
    assert.ok(!('created' in (again.message.results[0] ?? {})));
  });
});

test('what was written is known to every node of one org, and to no other', () => {
  assert.equal(writtenRecords('00Da'), writtenRecords('00Da'));
  assert.notEqual(writtenRecords('00Da'), writtenRecords('00Db'));
});
