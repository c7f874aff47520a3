import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { FlowError } from '../../../nodes/shared/errors';
import { finish, giveUp, resultsOf, rowsFailed } from '../../../nodes/salesforce/composite/results';
import type { RowResult, WriteRequest } from '../../../nodes/salesforce/composite/operations';
import { plan } from '../../../nodes/salesforce/composite/plan';

const begin = (count: number, request: Partial<WriteRequest> = {}) => {
  const payload = Array.from({ length: count }, (_, i) => ({ Key__c: i }));
  const base = {
    operation: 'upsert',
    sobject: 'Contact',
    externalIdField: 'Key__c',
    allOrNone: false,
  } as const;
  const { message, writes } = plan({ ...base, payload, ...request });
  return { message, writes, payload };
};
const written = (id = '003'): RowResult => ({ id, success: true, errors: [], record: 'of the org' });
const refused = (statusCode: string, fields: string[] = []): RowResult => ({
  id: null,
  success: false,
  errors: [{ statusCode, message: `it is ${statusCode}`, fields }],
  record: null,
});
const again = new FlowError('AGAIN' as string, 'not now', true);
const never = new FlowError('NEVER' as string, 'not ever', false);
const errorOf = (action: () => unknown): FlowError => {
  try {
    action();
  } catch (error) {
    return error as FlowError;
  }
  return assert.fail('nothing thrown');
};

describe('results', () => {
  test('stand in the order of the input, with its records, and count once', () => {
    const { message, writes, payload } = begin(2);
    for (const write of [...writes].reverse()) finish(write, [written()]);
    for (const write of writes) finish(write, [refused('LATE')]);
    assert.equal(message.open, 0);
    assert.deepEqual(
      resultsOf(message),
      payload.map((record) => ({ ...written(), record })),
    );
  });

  test('of get have the record that was read', () => {
    const { message, writes } = begin(0, { operation: 'get', fields: ['Id'], payload: ['003000000000001'] });
    finish(writes[0] as (typeof writes)[0], [written()]);
    assert.equal(resultsOf(message)[0]?.record, 'of the org');
  });

  test('say which fields were left to newer messages', () => {
    const { message, writes } = begin(2);
    const [first, second] = writes;
    if (first?.rows[0]) first.rows[0].superseded = ['Email'];
    finish(first as (typeof writes)[0], [written()]);
    finish(second as (typeof writes)[0], [written()]);
    assert.deepEqual(
      resultsOf(message).map((row) => ('superseded' in row ? row.superseded : 'no')),
      [['Email'], 'no'],
    );
  });

  test('a row without one stays open', () => {
    const { message, writes } = begin(2, { allOrNone: true });
    finish(writes[0] as (typeof writes)[0], [written()]);
    assert.equal(message.open, 1);
  });
});

describe('a message of which rows were given up', () => {
  test('fails with what became of each', () => {
    const { message, writes } = begin(2);
    giveUp(writes[0] as (typeof writes)[0], again);
    giveUp(writes[1] as (typeof writes)[0], again);
    const error = errorOf(() => resultsOf(message));
    assert.deepEqual([error.code, error.message, error.retryable], ['AGAIN', 'not now', true]);
    assert.deepEqual(
      (error.details as RowResult[]).map(({ id, success, errors, record }) => [id, success, errors, record]),
      [0, 1].map((n) => [
        null,
        false,
        [{ statusCode: 'AGAIN', message: 'not now', fields: [] }],
        { Key__c: n },
      ]),
    );
  });

  test('says how many were written before; a create of those may not be repeated', () => {
    for (const [operation, retryable] of [
      ['upsert', true],
      ['update', true],
      ['create', false],
    ] as const) {
      const payload = [
        { Key__c: 1, Id: '003000000000001' },
        { Key__c: 2, Id: '003000000000002' },
      ];
      const { message, writes } = begin(0, { operation, payload });
      finish(writes[0] as (typeof writes)[0], [written()]);
      giveUp(writes[1] as (typeof writes)[0], again);
      const error = errorOf(() => resultsOf(message));
      assert.equal(error.message, 'not now. 1 of 2 records were written before');
      assert.equal(error.retryable, retryable, operation);
    }
    const trees = Array.from({ length: 201 }, () => ({ Name: 'x' }));
    const { message, writes } = begin(0, { operation: 'tree', payload: trees });
    finish(writes[0] as (typeof writes)[0], new Array<RowResult>(200).fill(written()));
    giveUp(writes[1] as (typeof writes)[0], again);
    assert.equal(errorOf(() => resultsOf(message)).retryable, false);
  });

  test('fails by the first reason, or by one that forbids a repetition', () => {
    for (const [reasons, code] of [
      [[again, new FlowError('LATER' as string, 'x', true)], 'AGAIN'],
      [[again, never], 'NEVER'],
      [[never, again], 'NEVER'],
      [[never, new FlowError('OTHER' as string, 'x', false)], 'NEVER'],
    ] as const) {
      const { message, writes } = begin(2);
      reasons.forEach((reason, i) => giveUp(writes[i] as (typeof writes)[0], reason));
      assert.equal(errorOf(() => resultsOf(message)).code, code);
    }
  });
});

describe('rows that failed for good', () => {
  test('are told by the first that is at fault itself, and what to do', () => {
    const results = [
      written(),
      refused('ALL_OR_NONE_OPERATION_ROLLED_BACK'),
      refused('REQUIRED_FIELD_MISSING', ['LastName', 'Email']),
      refused('OTHER'),
    ];
    const error = rowsFailed('upsert', 'Contact', results);
    assert.equal(error.code, 'REQUIRED_FIELD_MISSING');
    assert.equal(
      error.message,
      'it is REQUIRED_FIELD_MISSING [LastName, Email] (REQUIRED_FIELD_MISSING), record 2: 3 of 4 records failed in upsert of Contact. Correct the data, or wire output 2 to handle such records',
    );
    assert.equal(error.retryable, false);
    assert.deepEqual(error.details, results);
    assert.match(
      rowsFailed('update', 'X', [refused('FIELD_INTEGRITY_EXCEPTION')]).message,
      /^it is FIELD_INTEGRITY_EXCEPTION \(FIELD_INTEGRITY_EXCEPTION\), record 0: 1 of 1 .*X\. Correct/,
    );
  });

  test('may be repeated where nothing was written and nothing but time is missing', () => {
    const retryable = (...results: RowResult[]) => rowsFailed('update', 'Contact', results).retryable;
    const locked = refused('UNABLE_TO_LOCK_ROW');
    const rolledBack = refused('PROCESSING_HALTED');
    assert.equal(retryable(locked), true);
    assert.equal(retryable(locked, rolledBack), true);
    assert.equal(retryable(locked, written()), false);
    assert.equal(retryable(locked, refused('FIELD_INTEGRITY_EXCEPTION')), false);
  });

  test('of which the org says nothing are told all the same', () => {
    assert.equal(rowsFailed('update', 'X', [{ ...refused('x'), errors: [] }]).code, 'ROWS_FAILED');
    assert.equal(rowsFailed('update', 'X', [refused('PROCESSING_HALTED')]).code, 'PROCESSING_HALTED');
  });
});
