import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { WriteRequest } from '../../../nodes/salesforce/composite/operations';
import { plan } from '../../../nodes/salesforce/composite/plan';

const Id = '003000000000001AAA';
const made = (request: Partial<WriteRequest>) =>
  plan({
    operation: 'upsert',
    sobject: 'Contact',
    externalIdField: 'K',
    allOrNone: false,
    payload: { K: 1 },
    ...request,
  });
const codes = (request: Partial<WriteRequest>) =>
  [...made(request).message.results].map((result) => result?.errors[0]?.statusCode);

function garbageCollector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

describe('writes', () => {
  test('of a hundred thousand empty records hold two hundred bytes a record at most', () => {
    const payload: unknown[] = JSON.parse(`[${Array(100_000).fill('{}').join(',')}]`) as unknown[];
    const collect = garbageCollector();
    collect();
    const before = process.memoryUsage().heapUsed;
    const { message, writes } = made({ payload });
    collect();
    const held = (process.memoryUsage().heapUsed - before) / payload.length;
    assert.ok(held < 200, `${held} bytes a record`);
    assert.deepEqual([writes.length, message.open, message.results.length], [0, 0, 100_000]);
    assert.equal(message.results[99_999]?.errors[0], message.results[0]?.errors[0]);
  });

  test('are one for each record, or one for all that belong together', () => {
    const payload = [{ K: 1 }, { K: 2 }];
    assert.deepEqual(
      made({ payload }).writes.map(({ rows, atomic }) => [rows.length, atomic]),
      [
        [1, false],
        [1, false],
      ],
    );
    assert.deepEqual(
      made({ payload, allOrNone: true }).writes.map(({ rows, atomic }) => [rows.length, atomic]),
      [[2, true]],
    );
    assert.equal(
      made({ payload: [{ K: 1 }], allOrNone: true }).writes[0]?.atomic,
      false,
      'one is one by itself',
    );
    const get = made({ operation: 'get', fields: ['Id'], payload: [Id, Id], allOrNone: true });
    assert.equal(get.writes.length, 2);
  });

  test('may be repeated where the second write leaves the org as the first did', () => {
    const repeatable = (request: Partial<WriteRequest>) => made(request).writes[0]?.repeatable;
    assert.equal(repeatable({}), true);
    assert.equal(repeatable({ operation: 'update', payload: { Id } }), true);
    assert.equal(repeatable({ operation: 'delete', payload: Id }), true);
    assert.equal(repeatable({ operation: 'get', fields: ['Id'], payload: Id }), true);
    assert.equal(repeatable({ operation: 'create' }), false);
    assert.equal(repeatable({ operation: 'tree', payload: { Name: 'x' } }), false);
    assert.equal(repeatable({ externalIdField: 'Id', payload: { Id } }), true);
    for (const without of [{ A: 1 }, { Id: null }])
      assert.equal(
        repeatable({ externalIdField: 'id', payload: without }),
        false,
        'it creates one each time',
      );
    assert.equal(repeatable({ externalIdField: 'Id', payload: [{ Id }, { A: 1 }], allOrNone: true }), false);
  });

  test('name the records that they write and read', () => {
    const keys = (request: Partial<WriteRequest>) =>
      made(request).writes[0]?.keys.map(
        ({ name, write, shared }) => `${write ? 'writes' : shared ? 'is one of' : 'reads'} ${name}`,
      );
    const id = 'id 003000000000001';
    assert.deepEqual(keys({ payload: { k: 'A', Account: { X: 'b' } } }), [
      'reads ? x b',
      'writes contact k a',
      'is one of ? k a',
    ]);
    assert.deepEqual(keys({ operation: 'update', payload: { id: Id } }), [`writes ${id}`]);
    assert.deepEqual(keys({ externalIdField: 'ID', payload: { Id } }), [`writes ${id}`]);
    assert.deepEqual(keys({ operation: 'delete', payload: { ID: Id } }), [`writes ${id}`]);
    assert.deepEqual(keys({ operation: 'get', fields: ['Id'], payload: Id }), [`reads ${id}`]);
    assert.deepEqual(keys({ operation: 'create' }), []);
    const [row] = made({ payload: { k: 'A', Account: { X: 'b' } } }).writes[0]?.rows ?? [];
    assert.deepEqual([row?.key, row?.keyText, row?.keyField, row?.index], ['contact k a', 'A', 'k', 0]);
  });

  test('send records with their type; that of the record goes before', () => {
    const body = (request: Partial<WriteRequest>) => made(request).writes[0]?.rows[0]?.body;
    assert.deepEqual(body({}), { K: 1, attributes: { type: 'Contact' } });
    assert.deepEqual(body({ operation: 'create', payload: { attributes: { type: 'Lead', x: 1 } } }), {
      attributes: { type: 'Lead', x: 1 },
    });
    assert.equal(body({ operation: 'delete', payload: { Id } }), Id);
    assert.equal(
      made({ operation: 'create', payload: { attributes: { type: 'Lead' } } }).writes[0]?.endpoint.sobject,
      'Lead',
    );
  });
});

describe('a value that JSON has no word for', () => {
  const circular: Record<string, unknown> = { K: 1 };
  circular.me = { again: circular };
  const throwing = {
    K: 1,
    get Name(): string {
      throw new TypeError('no');
    },
  };
  const cases: [string, unknown, RegExp][] = [
    ['NaN', { K: 1, Score__c: Number('1.234,5') }, /^Score__c is NaN/],
    ['Infinity', { K: 1, Deep: { Score__c: -Infinity } }, /^Deep\.Score__c is -Infinity/],
    ['an invalid date', { K: 1, LastSeen__c: new Date('x') }, /^LastSeen__c is an invalid date/],
    // As a function node makes it, which runs in a context of its own.
    [
      'an invalid date of elsewhere',
      { K: 1, LastSeen__c: runInNewContext('new Date(NaN)') as unknown },
      /^LastSeen__c is an invalid date/,
    ],
    ['a map', { K: 1, Deep: { List__c: new Map([[1, 2]]) } }, /^Deep\.List__c is of the kind Map/],
    ['a record that holds itself', circular, /nests deeper than 200 levels, or holds itself/],
    ['a getter that throws', throwing, /can't be read \(TypeError\)/],
  ];
  for (const [what, record, message] of cases)
    test(`${what} is refused by name, and by itself`, () => {
      const { message: one, writes } = made({ payload: [record, { K: 2, Date: new Date(0), Big: 1n }] });
      assert.equal(writes.length, 1);
      assert.equal(one.results[0]?.errors[0]?.statusCode, 'NOT_SENDABLE');
      assert.match(one.results[0]?.errors[0]?.message ?? '', message);
    });
});

test('what is larger than a request may be is not sent', () => {
  const large = 'x'.repeat(30e6);
  assert.deepEqual(codes({ payload: [{ K: 1, A: large, B: large }, { K: 2 }] }), [
    'REQUEST_TOO_LARGE',
    undefined,
  ]);
  assert.throws(
    () =>
      made({
        payload: [
          { K: 1, A: large },
          { K: 2, A: large },
        ],
        allOrNone: true,
      }),
    {
      code: 'REQUEST_TOO_LARGE',
      retryable: false,
    },
  );
});

test('records of all or none that are not known to be one are the org’s to tell apart', () => {
  const field = (more: object) => ({
    ...{
      name: 'K',
      type: 'string',
      unique: true,
      caseSensitive: false,
      referenceTo: [],
      relationshipName: null,
    },
    ...more,
  });
  const planned = (described?: object) =>
    plan(
      {
        operation: 'upsert',
        sobject: 'Contact',
        externalIdField: 'K',
        allOrNone: true,
        payload: [{ K: 'aB1' }, { K: 'Ab1' }],
      },
      { fields: () => described && new Map([['k', field(described)]]) },
    ).writes.length;
  assert.equal(planned(), 1);
  assert.equal(planned({ caseSensitive: true }), 1);
  assert.equal(planned({ unique: false }), 1);
  assert.throws(() => planned({}), { code: 'DUPLICATE_RECORD' });
});

describe('a row that can not be sent', () => {
  test('fails by itself, with the reason', () => {
    assert.deepEqual(codes({ payload: [{ K: 1 }, {}, { K: '' }, { K: null }, { K: ' ' }] }), [
      undefined,
      'MISSING_ARGUMENT',
      'MISSING_ARGUMENT',
      'MISSING_ARGUMENT',
      'MISSING_ARGUMENT',
    ]);
    assert.deepEqual(codes({ operation: 'update', payload: [{}, { Id: 'x' }, { Id: null }] }), [
      'MISSING_ARGUMENT',
      'MALFORMED_ID',
      'MALFORMED_ID',
    ]);
    assert.deepEqual(codes({ externalIdField: 'Id', payload: [{ Id: '' }] }), ['MALFORMED_ID']);
    for (const operation of ['get', 'delete'] as const)
      assert.deepEqual(
        codes({ operation, fields: ['Id'], payload: [7, {}, 'x', null] }),
        new Array(4).fill('MALFORMED_ID'),
      );
    assert.deepEqual(codes({ payload: { K: 1, attributes: { type: 'Lead' } } }), ['INVALID_TYPE']);
    assert.deepEqual(codes({ payload: { K: 1, attributes: { type: 'CONTACT' } } }), [undefined]);
    const { message, writes } = made({ payload: [{ K: 1 }, {}] });
    assert.deepEqual([message.open, writes.length], [1, 1]);
    assert.match(
      message.results[1]?.errors[0]?.message ?? '',
      /^K not specified; upsert needs it in every record/,
    );
    assert.deepEqual([message.results[1]?.errors[0]?.fields, message.results[1]?.record], [['K'], {}]);
  });

  test('has a number for its external id, or a parent’s, that two different ids may have become', () => {
    const big = Number('1234567890123456789');
    assert.deepEqual(codes({ payload: [{ K: big }, { k: big }, { K: 1, Parent: { K: big } }] }), [
      'NOT_SENDABLE',
      'NOT_SENDABLE',
      'NOT_SENDABLE',
    ]);
    const exact = [{ K: 1234567890123456789n }, { K: '1234567890123456788' }, { K: 2, Revenue: big }];
    assert.deepEqual(codes({ payload: exact }), [undefined, undefined, undefined]);
    assert.deepEqual(codes({ operation: 'create', payload: { Parent: { K: big } } }), ['NOT_SENDABLE']);
  });

  test('fails all where all or none is asked for', () => {
    const { message, writes } = made({ payload: [{ K: 1 }, {}], allOrNone: true });
    assert.deepEqual([message.open, writes.length], [0, 0]);
    assert.deepEqual(codes({ payload: [{ K: 1 }, {}], allOrNone: true }), [
      'ALL_OR_NONE_OPERATION_ROLLED_BACK',
      'MISSING_ARGUMENT',
    ]);
  });
});

describe('a message that can not be written', () => {
  const many = (count: number) => Array.from({ length: count }, (_, K) => ({ K }));
  const typed = (runs: number) =>
    Array.from({ length: runs }, (_, i) => ({ attributes: { type: i % 2 ? 'Lead' : 'Contact' } }));
  const cases: [string, Partial<WriteRequest>, string][] = [
    ['an object that is none', { sobject: 'Con tact' }, 'INVALID_SOBJECT'],
    ['no object', { sobject: '' }, 'INVALID_SOBJECT'],
    ['no external id', { externalIdField: undefined }, 'INVALID_EXTERNAL_ID_FIELD'],
    ['an external id that is no name', { externalIdField: 'a/b' }, 'INVALID_EXTERNAL_ID_FIELD'],
    ['no fields to get', { operation: 'get', fields: [], payload: Id }, 'INVALID_FIELDS'],
    ['no list of fields', { operation: 'get', fields: undefined, payload: Id }, 'INVALID_FIELDS'],
    ['a field that is none', { operation: 'get', fields: ['Id', 'a b'], payload: Id }, 'INVALID_FIELDS'],
    ['null', { payload: [{ K: 1 }, null] }, 'INVALID_PAYLOAD'],
    ['an array in the array', { payload: [[]] }, 'INVALID_PAYLOAD'],
    ['text', { operation: 'create', payload: 'x' }, 'INVALID_PAYLOAD'],
    // Each would be a record without fields.
    ['a date', { operation: 'create', payload: new Date(0) }, 'INVALID_PAYLOAD'],
    ['bytes', { operation: 'create', payload: Buffer.from('x') }, 'INVALID_PAYLOAD'],
    [
      'a promise',
      { operation: 'create', payload: runInNewContext('Promise.resolve({})') as unknown },
      'INVALID_PAYLOAD',
    ],
    ['more than 1,000 all or none', { payload: many(1_001), allOrNone: true }, 'TOO_MANY_RECORDS'],
    ['eleven runs of types', { operation: 'create', payload: typed(11), allOrNone: true }, 'TOO_MANY_TYPES'],
    ['one record twice', { payload: [{ K: 'a' }, { K: 'a' }], allOrNone: true }, 'DUPLICATE_RECORD'],
    ['"@{" in 201', { payload: [...many(200), { K: '@{' }], allOrNone: true }, 'REFERENCE_IN_TEXT'],
  ];
  for (const [what, request, code] of cases)
    test(`${what}: ${code}`, () => assert.throws(() => made(request), { code, retryable: false }));

  test('is none within the limits', () => {
    assert.equal(made({ payload: many(1_000), allOrNone: true }).writes.length, 1);
    assert.equal(made({ payload: many(1_001) }).writes.length, 1_001);
    assert.equal(made({ operation: 'create', payload: typed(10), allOrNone: true }).writes.length, 1);
    assert.equal(made({ payload: [...many(199), { K: '@{' }], allOrNone: true }).writes[0]?.direct, true);
    assert.equal(made({ payload: [{ K: 1 }, { K: 1 }] }).writes.length, 2);
    assert.equal(made({ operation: 'get', fields: ['Id', 'Account.Name'], payload: Id }).writes.length, 1);
  });
});
