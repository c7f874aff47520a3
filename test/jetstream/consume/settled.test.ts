import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { SettledMessages, type Settled } from '../../../nodes/jetstream/consume/settled';

const settled = fc.record<Settled>(
  {
    how: fc.constantFrom('ack', 'term'),
    timestamp: fc.constantFrom(0, 1_700_000_000_123_456_800),
    consumerSequence: fc.nat(),
    deliveries: fc.nat(),
    epoch: fc.nat(),
    at: fc.double({ min: 1, max: 1e9, noNaN: true }),
  },
  { noNullPrototype: true },
);

describe('how messages were settled', () => {
  test('is known as it was noted last, of any sequence and however many there are', () => {
    const noted = fc.array(fc.tuple(fc.integer({ min: 1, max: 300 }), settled), { maxLength: 600 });
    fc.assert(
      fc.property(noted, fc.constantFrom(1, 2 ** 31 + 1), (all, beyond) => {
        const messages = new SettledMessages(1_000);
        const expected = new Map<number, Settled>();
        for (const [sequence, how] of all) {
          messages.set(sequence * beyond, how);
          expected.set(sequence * beyond, how);
        }
        for (const [sequence, how] of expected) assert.deepEqual(messages.get(sequence), how);
        assert.equal(messages.get(301 * beyond), undefined);
      }),
    );
  });

  test('is known of the latest at least, and forgotten of those long before', () => {
    const messages = new SettledMessages(100);
    const [how] = fc.sample(settled, 1) as [Settled];
    for (let sequence = 1; sequence <= 1_050; sequence++) messages.set(sequence, how);
    const known = Array.from({ length: 1_050 }, (_, index) => index + 1).filter((one) => messages.get(one));
    assert.ok(known.length >= 100 && known.length <= 200, `${known.length} are known`);
    assert.deepEqual([known[0], known.at(-1)], [1_051 - known.length, 1_050]);
  });

  test('is forgotten where all begins anew', () => {
    const messages = new SettledMessages(2);
    const [how] = fc.sample(settled, 1) as [Settled];
    for (const sequence of [1, 2, 3]) messages.set(sequence, how);
    messages.clear();
    assert.deepEqual(
      [1, 2, 3].map((sequence) => messages.get(sequence)),
      [undefined, undefined, undefined],
    );
  });
});
