import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkPublishSubject } from '../../../nodes/jetstream/streams/subjects';
import { escapeToken, unescapeToken } from '../../../nodes/shared/token';
import { collectionSubject, escapeKey } from '../../../nodes/sync/engine/tokens';

const awkward = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({
    unit: fc.constantFrom(
      '.',
      '*',
      '>',
      ' ',
      '%',
      'h',
      'u',
      '2',
      '\t',
      '\r\n',
      'é',
      '😀',
      '\ud800',
      '\udc00',
      'a',
    ),
    maxLength: 30,
  }),
  fc.string({ maxLength: 5_000 }),
);

test('any id is one legal token of a subject', () => {
  fc.assert(
    fc.property(awkward, (id) => {
      const subject = `p.${escapeToken(id)}`;
      checkPublishSubject(subject);
      assert.equal(subject.split('.').length, 2);
    }),
  );
});

test('ids that differ have tokens that differ', () => {
  fc.assert(
    fc.property(awkward, awkward, (a, b) => {
      assert.equal(escapeToken(a) === escapeToken(b), a === b);
      assert.equal(escapeKey(a) === escapeKey(b), a === b);
    }),
    { numRuns: 2_000 },
  );
});

test('a token gives its id back', () => {
  fc.assert(
    fc.property(awkward, (id) => {
      const token = escapeToken(id);
      if (token.startsWith('%h')) assert.equal(unescapeToken(token), undefined);
      else assert.equal(unescapeToken(token), id);
    }),
    { numRuns: 2_000 },
  );
});

test('halves of a surrogate pair and their replacement character stay apart', () => {
  const ids = ['\ud800', '\udc00', '\ufffd', '\ud800\udc00', '\udc00\ud800'];
  assert.equal(new Set(ids.map(escapeToken)).size, ids.length);
  for (const id of ids) assert.equal(unescapeToken(escapeToken(id)), id);
});

test('ordinary ids stand for themselves', () => {
  for (const id of ['0035g00000AbCdEAAV', 'cus_4QFJOjw2pOmAGJ', 'salesforce:contact', '42'])
    assert.equal(escapeToken(id), id);
  assert.equal(escapeToken('octo/repo#1.2'), 'octo%2Frepo%231%2E2');
});

test('keys of a bucket hold only what a bucket takes', () => {
  fc.assert(fc.property(awkward, (text) => assert.match(escapeKey(text), /^[A-Za-z0-9_=-]+$/)));
});

test('the subject of a collection is as the guide says', () => {
  const subject = collectionSubject({
    prefix: 'sequin-records',
    syncId: 'e39875af-cd83-4406-8d46-3b30e0b5b624',
    provider: 'salesforce',
    collection: 'salesforce:contact',
  });
  assert.equal(
    subject,
    'sequin-records.default.e39875af-cd83-4406-8d46-3b30e0b5b624.salesforce.salesforce:contact.',
  );
});
