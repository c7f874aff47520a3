import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import type { DescribedField } from '../../../nodes/salesforce/org/describes';
import {
  externalIdKey,
  fieldOf,
  idKey,
  isSameRecord,
  KeyTable,
  endpointOf,
  referenceKeys,
  upsertKeys,
} from '../../../nodes/salesforce/composite/keys';

const read = (name: string) => ({ name, write: false });
const lookup = (relationshipName: string, ...referenceTo: string[]): DescribedField => ({
  name: 'x',
  type: 'reference',
  unique: false,
  caseSensitive: false,
  referenceTo,
  relationshipName,
});
const write = (name: string) => ({ name, write: true });

describe('who touches a record', () => {
  test('readers go together; a writer goes alone', () => {
    const table = new KeyTable();
    assert.equal(table.conflicts([write('a')]), false, 'nobody is there');
    table.add([read('a')]);
    assert.equal(table.conflicts([read('a')]), false);
    assert.equal(table.conflicts([write('b'), write('a')]), true);
    assert.equal(table.conflicts([write('b')]), false);
    table.remove([read('a')]);
    table.add([write('a')]);
    assert.equal(table.conflicts([read('a')]), true);
    assert.equal(table.conflicts([write('a')]), true);
  });

  test('is counted: the last one frees the record, and nothing is kept of it', () => {
    const table = new KeyTable();
    table.add([read('a'), read('a'), write('a')]);
    table.remove([read('a')]);
    table.remove([write('a')]);
    assert.equal(table.conflicts([read('a')]), false);
    assert.equal(table.conflicts([write('a')]), true, 'one reads still');
    table.remove([read('a')]);
    table.remove([read('b')]);
    assert.equal(table.conflicts([write('a')]), false);
    assert.equal((table as unknown as { users: Map<string, unknown> }).users.size, 0);
  });
});

test('ids of 15 and of 18 characters are one record; their case tells records apart', () => {
  assert.deepEqual(idKey('003000000000abC', true), idKey('003000000000abCAAW', true));
  assert.notDeepEqual(idKey('003000000000abC', true), idKey('003000000000abc', true));
  assert.deepEqual(idKey('003000000000abC', false).write, false);
});

test('external ids are one record whatever their case and outer blanks, of one field of one object', () => {
  const key = (value: unknown, sobject = 'Contact', field = 'Key__c') =>
    externalIdKey(sobject, field, value, true).name;
  assert.equal(key(' Ab '), key('aB'));
  assert.equal(key('a', 'contact', 'KEY__C'), key('A'));
  assert.notEqual(key('a b'), key('ab'));
  assert.notEqual(key('a', 'Lead'), key('a'));
  assert.notEqual(key('a', 'Contact', 'Other__c'), key('a'));
  assert.equal(key(7), key('7'), 'a number as its text');
  assert.deepEqual(externalIdKey('A', 'B', 'c', false), { name: 'a b c', write: false });
});

test('a BigInt is the same external id as its text, and refers to it', () => {
  assert.deepEqual(
    externalIdKey('Contact', 'Key__c', 12n, true),
    externalIdKey('Contact', 'Key__c', '12', true),
  );
  assert.deepEqual(
    referenceKeys({ Account: { Key__c: 12n } }, 'Contact'),
    referenceKeys({ Account: { Key__c: '12' } }, 'Contact'),
  );
});

test('a record refers to others by their external ids', () => {
  const record = {
    attributes: { type: 'Contact', url: 'x' },
    LastName: 'Ada',
    Nothing: null,
    Account: { Key__c: 'A-1', Number__c: 7, IsX: true, Deep: { Key__c: 'x' } },
    Boss__r: { Key__c: 'B-1' },
    Owner: { attributes: { type: 'User' }, Key__c: 'U-1' },
  };
  assert.deepEqual(
    referenceKeys(record, 'Contact'),
    ['? key__c a-1', '? number__c 7', '? key__c b-1', 'user key__c u-1'].map(read),
    'as long as nobody knows the object, it may be any',
  );
  const described = new Map([
    ['accountid', lookup('Account', 'Account')],
    ['boss__c', lookup('Boss__r', 'Contact')],
    ['ownerid', lookup('Owner', 'Group', 'User')],
    ['whatid', lookup('What', 'A', 'B', 'C', 'D', 'E')],
  ]);
  const describes = { fields: (name: string) => (name === 'Contact' ? described : undefined) };
  assert.deepEqual(
    referenceKeys({ ...record, What: { K: 1 }, owner: { K: 2 }, Unknown: { K: 3 } }, 'Contact', describes),
    [
      ...['account key__c a-1', 'account number__c 7', 'contact key__c b-1', 'user key__c u-1', '? k 1'],
      ...['group k 2', 'user k 2', '? k 3'],
    ].map(read),
  );
});

describe('which external ids are one record', () => {
  const same = (one: string, other: string, field: Partial<DescribedField>) =>
    isSameRecord(one, other, { ...lookup(''), type: 'string', ...field });

  test('is not known without describe, unless they are equal', () => {
    assert.equal(isSameRecord('a', 'a', undefined), true);
    assert.equal(isSameRecord('a', 'A', undefined), undefined);
  });

  test('depends on the field: case makes none only where it is unique and not case-sensitive', () => {
    assert.equal(same('aB', 'Ab ', { unique: true }), true);
    assert.equal(same('aB', 'Ab', { unique: true, caseSensitive: true }), false);
    assert.equal(same('aB', 'Ab', {}), false);
    assert.equal(same('a', ' a', {}), true);
    assert.equal(same('7', '7.0', { unique: true }), false);
  });

  test('numbers are compared as such', () => {
    for (const type of ['int', 'double', 'currency'])
      for (const other of ['7.0', ' 7', '+7', '7e0', '07'])
        assert.equal(same('7', other, { type }), true, other);
    assert.equal(same('7', '8', { type: 'double' }), false);
  });

  test('whatever may be one has one name, so that it keeps its order', () => {
    const name = (value: unknown) => externalIdKey('A', 'B', value, true).name;
    for (const [one, other] of [
      ['aB', ' Ab'],
      ['7', '7.0'],
      [7, '07'],
      ['0.5', '.50'],
    ])
      assert.equal(name(one), name(other), `${one} ${other}`);
    assert.notEqual(name('7'), name('7a'));
  });
});

test('who refers to a record by external id waits for those who may write it, and these not for each other', () => {
  const table = new KeyTable();
  const [, account] = upsertKeys('Account', 'Key__c', 'A');
  const [, contact] = upsertKeys('Contact', 'Key__c', 'A');
  assert.ok(account && contact);
  table.add([account]);
  assert.equal(table.conflicts([contact]), false);
  assert.equal(table.conflicts(referenceKeys({ Parent: { Key__c: 'a' } }, 'Account')), true);
  table.remove([account]);
  table.add(referenceKeys({ Parent: { Key__c: 'a' } }, 'Account'));
  assert.equal(table.conflicts([account]), true);
  assert.equal(table.conflicts(referenceKeys({ Parent: { Key__c: 'A' } }, 'Account')), false);
});

test('a field is found by its name in any case; as it is written first', () => {
  assert.equal(fieldOf({ ID: 1, id: 2 }, 'id'), 2);
  assert.equal(fieldOf({ ID: 1 }, 'Id'), 1);
  assert.equal(fieldOf({ Key__c: 1 }, 'KEY__c'), 1);
  assert.equal(fieldOf({}, 'Id'), undefined);
  assert.equal(fieldOf(Object.create({ Id: 1 }) as object as Record<string, unknown>, 'Id'), undefined);
});

test('endpoints are one where operation, object, external id and fields are, in any case', () => {
  const endpoint = { operation: 'upsert', sobject: 'Contact', externalIdField: 'Key__c' } as const;
  assert.equal(
    endpointOf(endpoint).name,
    endpointOf({ ...endpoint, sobject: 'CONTACT', externalIdField: 'key__C' }).name,
  );
  assert.notEqual(endpointOf(endpoint).name, endpointOf({ ...endpoint, operation: 'update' }).name);
  assert.notEqual(endpointOf(endpoint).name, endpointOf({ ...endpoint, externalIdField: 'Other__c' }).name);
  assert.notEqual(
    endpointOf({ ...endpoint, fields: ['A'] }).name,
    endpointOf({ ...endpoint, fields: ['B'] }).name,
  );
  assert.equal(endpointOf(endpoint).sobject, 'Contact');
});
