import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recordBodies } from '../../../../nodes/sync/engine/record';
import { Backfill } from '../../../../nodes/sync/providers/salesforce/backfill';
import { readByIds } from '../../../../nodes/sync/providers/salesforce/query';
import { describe } from '../../../../nodes/sync/providers/salesforce/sobject';
import type { Page } from '../../../../nodes/sync/engine/provider';
import { NOON, startPoll } from './poll-rig';

const { signal } = new AbortController();
const body = recordBodies({ prefix: 'p', syncId: 's', provider: 'salesforce', collection: 'salesforce:x' });
const bodies = (pages: { records: Page['records'] }[]): string[] =>
  pages.flatMap(({ records }) => records.map(body)).sort();

const FIELDS = [
  { name: 'At__c', type: 'time' },
  { name: 'When__c', type: 'datetime' },
  { name: 'Day__c', type: 'date' },
  { name: 'Yes__c', type: 'boolean' },
  { name: 'Share__c', type: 'percent' },
  { name: 'Price__c', type: 'currency' },
  { name: 'Amount__c', type: 'double' },
  { name: 'Tags__c', type: 'multipicklist', picklist: ['red', 'blue', 'green'] },
  { name: 'Story__c', type: 'textarea', length: 32_768 },
  { name: 'Secret__c', type: 'encryptedstring' },
  { name: 'Anything__c', type: 'anyType' },
  { name: 'File__c', type: 'base64' },
  { name: 'Place__c', type: 'location' },
  { name: 'BillingAddress', type: 'address' },
] as const;

const RECORDS = [
  { Name: 'empty' },
  {
    Name: ' "quoted", and\r\nbroken ',
    At__c: '09:30:00Z',
    When__c: '2026-01-31T12:00:00.250Z',
    Day__c: '2026-01-31',
    Yes__c: true,
    Share__c: 12.5,
    Price__c: 1999.99,
    Amount__c: 123_456_789_012_345,
    Tags__c: 'red;blue',
    Story__c: 'a long\nstory, "with" quotes\n\nand lines',
    Secret__c: '4111111111111111',
    Anything__c: 42.5,
    Place__Latitude__s: 52.5,
    Place__Longitude__s: -13.25,
    BillingCity: 'Kiel',
    BillingStreet: 'One\nTwo',
  },
  { Name: 'true', Anything__c: true, Amount__c: 0.1, Share__c: 3, Place__Latitude__s: 0 },
  { Name: 'text', Anything__c: 'true', Amount__c: -7 },
];

test('a record of every field type is the same, byte by byte, by Bulk, by queries, by its id, and polled', async (t) => {
  const { org, reader, poll } = await startPoll(t, {
    schema: [{ name: 'Sample__c', fields: FIELDS.map((field) => ({ ...field })) }],
  } as never);
  const start = { ...poll.start(), since: NOON - 1_000 };
  const ids = org.write('Sample__c', ...RECORDS).map(({ id }) => String(id));
  const sobject = await describe(reader, 'Sample__c', signal);
  const all = async (from?: object): Promise<string[]> => {
    const backfill = new Backfill(reader, sobject, () => undefined);
    const pages: Page[] = [];
    for (let next = from; pages.length === 0 || next; next = pages.at(-1)?.next)
      pages.push(await backfill.page(next as never, signal));
    return bodies(pages);
  };
  const queried = await all();
  assert.equal(queried.length, RECORDS.length);
  const job = await reader.ask('POST', '/jobs/query', signal, {
    body: { operation: 'query', query: `SELECT ${sobject.fields.join(',')} FROM Sample__c` },
  });
  assert.deepEqual(await all({ job: (job.body as { id: string }).id }), queried, 'Bulk');
  assert.deepEqual(bodies([{ records: await readByIds(reader, sobject, ids, signal) }]), queried, 'by id');
  assert.deepEqual(bodies([await poll.changes(start, sobject, signal)]), queried, 'polled');
  for (const part of ['"Place__Latitude__s":52.5', '"BillingCity":"Kiel"', '"At__c":"09:30:00.000Z"'])
    assert.ok(
      queried.some((one) => one.includes(part)),
      part,
    );
  assert.ok(!queried.some((one) => /"(Place__c|BillingAddress|File__c)"/.test(one)), 'parts, not the whole');
});
