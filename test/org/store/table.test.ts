import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { dateTimeText } from './dates';
import { generator } from './generate';
import { recordId, recordNumber, to18 } from './ids';
import { Schema } from './schema';
import { STANDARD_OBJECTS } from './standard-objects';
import { Table, type Row } from './table';

const schema = new Schema(STANDARD_OBJECTS);
const account = schema.type('Account')!;
const NOW = Date.parse('2026-01-03T00:00:00Z');

test('an id of 15 characters gets its three check characters, and ids sort as their numbers', () => {
  // The example of Salesforce's own documentation.
  assert.equal(to18('001D000000IqhSL'), '001D000000IqhSLIAZ');
  const numbers = [0, 1, 9, 10, 35, 36, 61, 62, 3843, 1_000_000];
  const ids = numbers.map((number) => recordId('001', number));
  assert.deepEqual(ids.map(recordNumber), numbers);
  assert.deepEqual([...ids].sort(), ids);
});

/** Writes, purges and roll-backs at any time, among 100 generated records that share their SystemModstamps. */
const steps = fc.array(
  fc.record({
    number: fc.integer({ min: 1, max: 120 }),
    seconds: fc.integer({ min: 0, max: 86_400 * 2 }),
    what: fc.constantFrom('put', 'put', 'put', 'purge', 'undone'),
  }),
  { maxLength: 60 },
);

test('modifiedSince gives every record once, in order of (SystemModstamp, Id), whatever was written when', () => {
  fc.assert(
    fc.property(steps, fc.integer({ min: 0, max: 86_400 * 2 }), (writes, since) => {
      const table = new Table(() => account, generator(account, 100, '005', NOW));
      const expected = new Map<number, string>();
      for (let number = 1; number <= 100; number++)
        expected.set(number, String(table.value(number, 'SystemModstamp')));
      for (const { number, seconds, what } of writes) {
        const stamp = dateTimeText(NOW - 2 * 86_400_000 + seconds * 1000);
        const row: Row = {
          Id: table.id(number),
          Name: 'x',
          ExternalId__c: null,
          IsDeleted: false,
          SystemModstamp: stamp,
        };
        const undo = table.put(number, what === 'purge' ? undefined : row);
        if (what === 'undone') undo();
        else if (what === 'purge') expected.delete(number);
        else expected.set(number, stamp);
      }
      const from = dateTimeText(NOW - 2 * 86_400_000 + since * 1000);
      const sorted = [...expected]
        .filter(([, stamp]) => stamp >= from)
        .sort(([a, s], [b, t]) => (s < t ? -1 : s > t ? 1 : a - b));
      assert.deepEqual(
        [...table.modifiedSince(from)].filter(
          (number) => String(table.value(number, 'SystemModstamp')) >= from,
        ),
        sorted.map(([number]) => number),
      );
      assert.deepEqual(new Set(table.numbers()), new Set(expected.keys()));
    }),
    { numRuns: 300 },
  );
});

test('an external id finds its record, generated or stored, and no longer once it has changed or gone', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(fc.integer({ min: 1, max: 12 }), fc.constantFrom('G-3', 'g-5', 'X', 'y', null, 'purge')),
        { maxLength: 40 },
      ),
      (writes) => {
        const table = new Table(() => account, generator(account, 10, '005', NOW));
        const field = account.fields.get('ExternalId__c')!;
        const expected = new Map<number, string | null>();
        for (let number = 1; number <= 10; number++) expected.set(number, `G-${number - 1}`);
        table.find(field, 'x');
        for (const [number, value] of writes) {
          if (value === 'purge') expected.delete(number);
          else expected.set(number, value);
          table.put(
            number,
            value === 'purge'
              ? undefined
              : {
                  Id: table.id(number),
                  ExternalId__c: value,
                  IsDeleted: false,
                  SystemModstamp: dateTimeText(NOW),
                },
          );
        }
        for (const value of ['G-0', 'G-3', 'G-5', 'x', 'Y']) {
          const holders = [...expected]
            .filter(([, own]) => own?.toLowerCase() === value.toLowerCase())
            .map(([number]) => number);
          assert.deepEqual(new Set(table.find(field, value)), new Set(holders));
        }
      },
    ),
    { numRuns: 300 },
  );
});
