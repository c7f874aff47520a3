import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseJson } from '../../../../nodes/shared/json';
import { SObject } from '../../../../nodes/sync/providers/salesforce/sobject';
import { recordBodies } from '../../../../nodes/sync/engine/record';

const types = { Id: 'id', Amount__c: 'double', Legacy__c: 'string', SystemModstamp: 'datetime' };
const sobject = new SObject({
  name: 'Order__c',
  label: 'Order',
  queryable: true,
  replicateable: true,
  fields: Object.entries(types).map(([name, type]) => ({ name, type })),
});
const body = recordBodies({
  prefix: 'p',
  syncId: 's',
  provider: 'salesforce',
  collection: 'salesforce:order__c',
});
const header = ['Id', 'Amount__c', 'Legacy__c', 'SystemModstamp'];

const byRest = (amount: string) => {
  const row = parseJson(
    `{"Id":"a00","Amount__c":${amount},"Legacy__c":"007","SystemModstamp":"2026-01-31T12:00:00.000+0000"}`,
  );
  return sobject.record(row as Record<string, unknown>);
};
const byBulk = (amount: string) =>
  sobject.csvReader(header)(['a00', amount, '007', '2026-01-31T12:00:00.000Z']);

test('a number of a record is the same by REST and by Bulk, however each writes it, and exact', () => {
  const cases: [rest: string, bulk: string, expected: unknown][] = [
    ['1234567890123456789', '1.234567890123456789E18', '1234567890123456789'],
    ['1.2345678901234568E18', '1234567890123456800', '1234567890123456800'],
    ['1234567890123456800', '1.2345678901234568E18', '1234567890123456800'],
    ['1e21', '1000000000000000000000', '1000000000000000000000'],
    ['-0.12345678901234566', '-1.2345678901234566E-1', -0.12345678901234566],
    ['0.1234567890123456789', '1.234567890123456789E-1', '0.1234567890123456789'],
    ['5.0E8', '500000000', 500_000_000],
    ['9007199254740991', '9007199254740991.0', 9_007_199_254_740_991],
    ['null', '', null],
  ];
  for (const [rest, bulk, expected] of cases) {
    assert.deepEqual(byRest(rest).data.Amount__c, expected, rest);
    assert.deepEqual(byBulk(bulk).data.Amount__c, expected, bulk);
    assert.equal(body(byRest(rest)), body(byBulk(bulk)));
  }
});

test('a text of digits stays the text that it is', () => {
  assert.equal(byRest('1').data.Legacy__c, '007');
  assert.equal(byBulk('1').data.Legacy__c, '007');
});
