import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PassingMap } from '../../../nodes/shared/async/passing-map';

test('it holds what a Map holds, in the same order, however many have passed', () => {
  const change = fc.record({ add: fc.boolean(), key: fc.integer({ min: 0, max: 9 }) });
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 3_000 }),
      fc.array(change, { maxLength: 60 }),
      (passed, changes) => {
        const [map, model] = [new PassingMap<number, string>(), new Map<number, string>()];
        for (let i = 0; i < passed; i++) {
          map.set(-1, 'passing');
          assert.ok(map.delete(-1));
        }
        for (const [i, { add, key }] of changes.entries()) {
          if (add) {
            map.set(key, `v${i}`);
            model.set(key, `v${i}`);
          } else assert.equal(map.delete(key), model.delete(key));
          assert.equal(map.get(key), model.get(key));
          assert.equal(map.size, model.size);
          assert.deepEqual([...map.values()], [...model.values()]);
        }
      },
    ),
  );
});

test('one that stays is there after many thousand that passed, and none of these is', () => {
  const map = new PassingMap<string, number>();
  map.set('stays', 0);
  for (let i = 1; i <= 10_000; i++) {
    map.set(`${i}`, i);
    if (i > 10) map.delete(`${i - 10}`);
  }
  assert.deepEqual(
    [...map.values()],
    [0, 9_991, 9_992, 9_993, 9_994, 9_995, 9_996, 9_997, 9_998, 9_999, 10_000],
  );
});

test('what is deleted while it is gone through is left out, also where thousands pass meanwhile', () => {
  const map = new PassingMap<string, string>();
  for (const name of ['a', 'b', 'c']) map.set(name, name);
  const seen: string[] = [];
  for (const name of map.values()) {
    seen.push(name);
    if (name !== 'a') continue;
    for (let i = 0; i < 3_000; i++) {
      map.set('passing', 'passing');
      map.delete('passing');
    }
    map.delete('b');
  }
  assert.deepEqual(seen, ['a', 'c']);
});
