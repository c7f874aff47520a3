import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CollectionSizes } from '../../../nodes/salesforce/composite/collection-sizes';
import { endpointOf } from '../../../nodes/salesforce/composite/keys';

const contacts = endpointOf({ operation: 'upsert', sobject: 'Contact', externalIdField: 'Key__c' });

test('collections of an object whose automation can not take them are halved, for an hour', (t) => {
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const sizes = new CollectionSizes();
  assert.deepEqual([sizes.of(contacts), sizes.known], [Infinity, false]);
  sizes.halve(contacts, 150);
  assert.deepEqual([sizes.of(contacts), sizes.known], [75, true]);
  sizes.halve(contacts, 150);
  assert.equal(sizes.of(contacts), 75, 'a large one that was under way tells nothing new');
  sizes.halve(contacts, 3);
  assert.equal(sizes.of(contacts), 1);
  sizes.halve(contacts, 1);
  assert.equal(sizes.of(contacts), 1);
  assert.equal(sizes.of(endpointOf({ operation: 'upsert', sobject: 'CONTACT' })), 1, 'by any external id');
  assert.equal(sizes.of(endpointOf({ operation: 'upsert', sobject: 'Lead' })), Infinity);
  assert.equal(sizes.of(endpointOf({ operation: 'update', sobject: 'Contact' })), Infinity);
  now = 3_600_000;
  assert.deepEqual([sizes.of(contacts), sizes.known], [Infinity, false]);
});
