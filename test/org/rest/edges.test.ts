import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { rawClient } from '../connect';
import { startOrg, type Org } from '../org';

let org: Org;
let raw: Awaited<ReturnType<typeof rawClient>>;

beforeEach(async () => {
  org = await startOrg({
    schema: [
      {
        name: 'Order__c',
        fields: [
          { name: 'Number__c', type: 'double', externalId: true, unique: true, scale: 0 },
          { name: 'Text__c', externalId: true, unique: true, caseSensitive: true },
          { name: 'Loose__c', externalId: true },
          { name: 'Parent__c', type: 'reference', referenceTo: ['Order__c'] },
        ],
      },
    ],
  });
  raw = await rawClient(org);
});
afterEach(() => org.close());

interface RowAnswer {
  success: boolean;
  created?: boolean;
  errors: { statusCode: string; message: string }[];
}

const order = (more: object) => ({ attributes: { type: 'Order__c' }, ...more });
const upsert = async (field: string, ...records: object[]) => {
  const { json } = await raw('PATCH', `/composite/sobjects/Order__c/${field}`, {
    records: records.map((record) => order(record)),
  });
  return json as RowAnswer[];
};
const codes = (rows: RowAnswer[]) => rows.map((row) => row.errors[0]?.statusCode ?? 'ok');

describe('which external ids are one record', () => {
  test('a case-sensitive one, and one that is not unique, tell case apart', async () => {
    for (const field of ['Text__c', 'Loose__c'])
      assert.deepEqual(codes(await upsert(field, { [field]: 'aB' }, { [field]: 'Ab' })), ['ok', 'ok'], field);
    assert.equal(org.records('Order__c').length, 4);
  });

  test('numbers are compared as numbers', async () => {
    await upsert('Number__c', { Number__c: 7, Name: 'a' });
    const [again] = await upsert('Number__c', { Number__c: '7.0', Name: 'b' });
    assert.equal(again?.created, false);
    assert.deepEqual(codes(await upsert('Number__c', { Number__c: 8 }, { Number__c: '8.0' })), [
      'DUPLICATE_VALUE',
      'DUPLICATE_VALUE',
    ]);
  });
});

test('records of one type in one collection do not find each other by external id; in two they do', async () => {
  const parent = { Text__c: 'HQ' };
  const child = { Text__c: 'BR', Parent__r: { Text__c: 'HQ' } };
  assert.deepEqual(codes(await upsert('Text__c', parent, child)), ['ok', 'INVALID_FIELD']);
  assert.deepEqual(codes(await upsert('Text__c', child)), ['ok']);
  org.switches.sameTypeReferences = true;
  const other = { Text__c: 'B2', Parent__r: { Text__c: 'H2' } };
  assert.deepEqual(codes(await upsert('Text__c', { Text__c: 'H2' }, other)), ['ok', 'ok']);
});

test('in read-only mode nothing is written, and everything read', async () => {
  org.switches.readOnly = true;
  const [row] = await upsert('Text__c', { Text__c: 'a' });
  assert.equal(row?.errors[0]?.statusCode, 'INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE');
  assert.equal((await raw('GET', '/limits')).status, 200);
});

test('an upsert that loses a race finds its key taken, and updates when it is sent again', async () => {
  org.switches.upsertRaces = 1;
  const [lost] = await upsert('Text__c', { Text__c: 'a', Name: 'mine' });
  assert.equal(lost?.errors[0]?.statusCode, 'DUPLICATE_VALUE');
  assert.match(lost?.errors[0]?.message ?? '', /^duplicate value found: Text__c duplicates value on record/);
  const [won] = await upsert('Text__c', { Text__c: 'a', Name: 'mine' });
  assert.deepEqual([won?.success, won?.created], [true, false]);
});

test('triggers fail every row of a collection that is too large for them', async () => {
  org.switches.triggerRows = { Order__c: 2 };
  const rows = (count: number) => Array.from({ length: count }, (_, i) => ({ Text__c: `${i}` }));
  assert.deepEqual(codes(await upsert('Text__c', ...rows(2))), ['ok', 'ok']);
  const failed = await upsert('Text__c', ...rows(3));
  assert.ok(failed.every((row) => row.errors[0]?.message.includes('System.LimitException')));
});

test('a moved org redirects data calls at its old address, and logins name the new one', async () => {
  const old = org.url;
  const data = (at: string, method = 'GET') =>
    fetch(`${at}/services/data/v65.0/limits`, { method, redirect: 'manual' });
  assert.equal((await data(old)).status, 401);
  org.migrate();
  const answer = await data(old);
  assert.equal(answer.status, 301);
  assert.equal(
    answer.headers.get('location'),
    `${old.replace('127.0.0.1', 'localhost')}/services/data/v65.0/limits`,
  );
  assert.equal((await data(old, 'POST')).status, 307);
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: org.clientId,
    client_secret: org.clientSecret,
  });
  const login = await fetch(`${old}/services/oauth2/token`, { method: 'POST', body: form });
  const { instance_url } = (await login.json()) as { instance_url: string };
  assert.match(instance_url, /^http:\/\/localhost:/);
  assert.equal((await data(instance_url)).status, 401);
});

test('what stands before the org answers with a page, with nothing, or redirects, as a fault says', async () => {
  org.faults.add({ action: { status: 406, body: '', headers: { server: 'sfdcedge' } }, times: 1 });
  const empty = await raw('GET', '/limits');
  assert.deepEqual([empty.status, empty.text], [406, '']);
  org.faults.add({ action: { status: 200, body: '<html>Log in to the Wi-Fi</html>' }, times: 1 });
  const page = await raw('GET', '/limits');
  assert.deepEqual([page.status, page.json], [200, undefined]);
});
