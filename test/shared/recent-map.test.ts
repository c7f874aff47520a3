import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RecentMap } from '../../nodes/shared/recent-map';

test('the latest `size` entries are always there, and never twice as many', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 60 }), (size, count) => {
      const map = new RecentMap<number, string>(size);
      for (let i = 0; i < count; i++) {
        map.set(i, `v${i}`);
        for (let back = 0; back < size && back <= i; back++)
          assert.equal(map.get(i - back), `v${i - back}`, `${i - back} after ${i} of ${size}`);
        const kept = Array.from({ length: i + 1 }, (_, key) => map.get(key)).filter((v) => v !== undefined);
        assert.ok(kept.length <= 2 * size, `${kept.length} kept of ${size}`);
        if (i >= 2 * size) assert.equal(map.get(i - 2 * size), undefined);
      }
    }),
  );
});

test('the newest value of a key counts, also over a generation', () => {
  const map = new RecentMap<string, number>(2);
  map.set('a', 1);
  map.set('b', 2);
  map.set('a', 3);
  assert.equal(map.get('a'), 3);
  assert.equal(map.get('b'), 2);
  assert.equal(map.get('c'), undefined);
});
