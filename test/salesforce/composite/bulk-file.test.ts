import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { plan } from '../../../nodes/salesforce/composite/plan';
import { fileOf, fitsATable } from '../../../nodes/salesforce/composite/bulk/file';
import { rowError } from '../../../nodes/salesforce/composite/bulk/job';
import { parseCsv } from '../../org/bulk/csv';

const UPSERT = {
  operation: 'upsert',
  sobject: 'Contact',
  externalIdField: 'Key__c',
  allOrNone: false,
} as const;

function writesOf(payload: unknown, request: object = {}) {
  return plan({ ...UPSERT, ...request, payload }).writes;
}

/** What stands in the table for each row, by column; an empty cell is left out. */
async function table(payload: object[]): Promise<Record<string, string>[]> {
  const writes = writesOf(payload);
  const { csv } = await fileOf(writes[0]?.endpoint ?? assert.fail(), writes);
  assert.ok(!csv.includes('\r') && csv.endsWith('\n'));
  const [header = [], ...rows] = parseCsv(csv, '`');
  return rows.map((row) => {
    assert.equal(row.length, header.length);
    return Object.fromEntries(row.flatMap((value, i) => (value === '' ? [] : [[header[i] ?? '', value]])));
  });
}

test('a row has a cell for each of its fields, and none for those that only others have', async () => {
  const rows = await table([
    { Key__c: 'a', LastName: 'Ä "quoted" `x`\nnext', Title: null },
    { key__C: 7, Active__c: true, Score__c: -1.5, Account: { Key__c: 'HQ' } },
    { Key__c: 'c', Title: '', When__c: new Date(0) },
  ]);
  assert.deepEqual(rows, [
    { Key__c: 'a', LastName: 'Ä "quoted" `x`\nnext', Title: '#N/A' },
    { Key__c: '7', Active__c: 'true', Score__c: '-1.5', 'Account.Key__c': 'HQ' },
    { Key__c: 'c', Title: '#N/A', When__c: '1970-01-01T00:00:00.000Z' },
  ]);
});

test('whatever texts there are: those that fit a table arrive as they are', async () => {
  const text = fc.oneof(
    fc.string(),
    fc.string({ unit: fc.constantFrom('"', '`', '\n', '\r', ',', ' ', 'a', '#N/A') }),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ Title: text, Phone: text }, { requiredKeys: [] })),
      async (given) => {
        const fitting = given
          .map((fields, n) => ({ Key__c: `K${n}`, ...fields }))
          .filter((record) => fitsATable(writesOf(record)[0] ?? assert.fail()));
        if (fitting.length === 0) return;
        const expected = fitting.map((record) =>
          Object.fromEntries(
            Object.entries(record).map(([name, value]) => [name, value === '' ? '#N/A' : value]),
          ),
        );
        assert.deepEqual(await table(fitting), expected);
      },
    ),
  );
});

test('what means something else in a table, or nothing, does not fit', () => {
  const fits = (more: object, request: object = {}) => {
    const [write] = writesOf({ Key__c: 'a', ...more }, request);
    return write !== undefined && fitsATable(write);
  };
  assert.ok(fits({ Title: 'x' }));
  for (const Title of [
    '#N/A',
    ' #n/a ',
    ' ',
    'a\r\nb',
    '\0',
    '\ud800',
    'x'.repeat(32_001),
    1e21,
    [1],
    { a: { b: 1 } },
  ])
    assert.ok(!fits({ Title }), JSON.stringify(Title).slice(0, 20));
  for (const Account of [
    {},
    { Key__c: null },
    { Key__c: 'a', Name: 'b' },
    { attributes: { type: 'Account' }, Key__c: 'a' },
  ])
    assert.ok(!fits({ Account }), JSON.stringify(Account));
  assert.ok(!fits({ Title: 'x', title: 'y' }));
  assert.ok(!fits({ Title: 'x' }, { operation: 'create' }));
  for (const sobject of ['Lead', 'Case', 'ContentVersion']) assert.ok(!fits({}, { sobject }));
  assert.ok(!fits({ Name: 'x' }, { externalIdField: 'Id' }), 'without an id it would be created');
});

test('a row’s error is read as a collection tells it', () => {
  assert.deepEqual(rowError('REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --'), {
    statusCode: 'REQUIRED_FIELD_MISSING',
    message: 'Required fields are missing: [LastName]',
    fields: ['LastName'],
  });
  assert.deepEqual(rowError('UNABLE_TO_LOCK_ROW:unable to obtain exclusive access: 001:--'), {
    statusCode: 'UNABLE_TO_LOCK_ROW',
    message: 'unable to obtain exclusive access: 001',
    fields: [],
  });
  assert.deepEqual(rowError('FIELD_CUSTOM_VALIDATION_EXCEPTION:a: b:Title Phone --').fields, [
    'Title',
    'Phone',
  ]);
  assert.deepEqual(rowError('something else'), {
    statusCode: 'UNKNOWN_ERROR',
    message: 'something else',
    fields: [],
  });
});

test('what has more fields than a table may have columns goes another way', async () => {
  const wide = Object.fromEntries(Array.from({ length: 201 }, (_, n) => [`F${n}__c`, n]));
  const writes = [...writesOf({ Key__c: 'a', ...wide }), ...writesOf({ Key__c: 'b', LastName: 'b' })];
  for (const write of writes) write.bulk = true;
  const file = await fileOf(writes[0]?.endpoint ?? assert.fail(), writes);
  assert.equal(file.csv, 'Key__c`LastName\nb`b\n');
  assert.deepEqual(
    writes.map(({ bulk }) => bulk),
    [false, true],
  );
});

test('an external id stands in a job once, whatever else is asked of its record', async () => {
  const writes = [{ LastName: 'a' }, { LastName: 'b' }].flatMap((row) => writesOf({ Key__c: '1', ...row }));
  const file = await fileOf(writes[0]?.endpoint ?? assert.fail(), writes);
  assert.equal(file.csv, 'Key__c`LastName\n1`a\n');
  assert.deepEqual(file.writes, writes.slice(0, 1));
});
