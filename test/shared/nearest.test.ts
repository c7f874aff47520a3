import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearest } from '../../nodes/shared/nearest';
import { watchHeartbeat } from '../support/heartbeat';

watchHeartbeat();

test('the candidate with the fewest letters to change, without regard to case', () => {
  const fields = ['LastName', 'FirstName', 'Email', 'Phone'];
  assert.equal(nearest('lastnam', fields), 'LastName');
  assert.equal(nearest('FristName', fields), 'FirstName');
  assert.equal(nearest('EMIAL', fields), 'Email');
  assert.equal(nearest('Phonne', fields), 'Phone');
});

test('the first of several that are as near', () => {
  assert.equal(nearest('abcd', ['abcx', 'abcy']), 'abcx');
});

test('what is only cut off at its end is nearer than as many other letters', () => {
  assert.equal(nearest('Status', ['Stxtxs', 'Status__c']), 'Status__c');
  assert.equal(nearest('Status__c', ['Status', 'Stxtxs__c']), 'Status');
  assert.equal(nearest('Name', ['Nxmx', 'NameOfTheWholeAccount__c']), 'NameOfTheWholeAccount__c');
});

test('nothing where none is close', () => {
  assert.equal(nearest('Unicorn', ['Email', 'Phone']), undefined);
  assert.equal(nearest('abc', ['xyz']), undefined);
  assert.equal(nearest('abcd', ['abxy']), undefined, 'half of its letters are too many');
  assert.equal(nearest('abcdef', ['abcdxy']), 'abcdxy');
  assert.equal(nearest('abcdef', ['abcxyz']), undefined);
  assert.equal(nearest('ab', ['ax']), 'ax', 'one letter may always be wrong');
  assert.equal(nearest('ab', ['cd']), undefined);
  assert.equal(nearest('abc', []), undefined);
});

test('letters put in and left out count as one each', () => {
  assert.equal(nearest('abxcd', ['abcd']), 'abcd');
  assert.equal(nearest('bcdefg', ['abcdefg']), 'abcdefg');
  assert.equal(nearest('xabcdef', ['abcdefgh', 'abcdefyz', 'abcdefg']), 'abcdefg');
});

test('a name of a megabyte, out of a message, doesn’t hold up the event loop', () => {
  const fields = Array.from({ length: 500 }, (_, i) => `A_field_with_a_name_of_forty_letters_${i}__c`);
  assert.equal(nearest('x'.repeat(1_000_000), fields), undefined);
});
