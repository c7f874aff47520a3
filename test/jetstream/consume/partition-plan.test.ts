import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  buried,
  claimed,
  emptyTable,
  isVacant,
  joined,
  leaving,
  moved,
  partitionsOf,
  planned,
  readTable,
  released,
  surplusOf,
  type Table,
} from '../../../nodes/jetstream/consume/partition-plan';

const laidOut = (partitions: number): Table => moved(emptyTable({ partitions, filters: [] }));
const counts = (table: Table): number[] => table.members.map((id) => partitionsOf(table, id).length);

/** Everybody gives up what is another's by the plan, and claims its own, in any order, until nothing changes. */
function settled(table: Table, order: (ids: string[]) => string[] = (ids) => ids): Table {
  for (let round = 0; round < 50; round++) {
    const before = JSON.stringify(table);
    for (const id of order(table.members)) {
      table = released(table, id, surplusOf(table, id));
      table = claimed(table, id, `process of ${id}`);
    }
    if (JSON.stringify(table) === before) return table;
  }
  throw new Error('it never comes to rest');
}

const ids = fc.uniqueArray(fc.constantFrom(...'abcdefghijklmnop'), { minLength: 1, maxLength: 12 });

describe('who owns which partition', () => {
  test('all are owned, by each as many as by the others or one more, in whatever order they come and go', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.array(ids, { minLength: 1, maxLength: 6 }),
        fc.boolean(),
        (partitions, phases, backwards) => {
          let table = laidOut(partitions);
          for (const alive of phases) {
            for (const id of table.members) if (!alive.includes(id)) table = buried(table, id);
            for (const id of alive) table = joined(table, id);
            table = settled(table, (members) => (backwards ? [...members].reverse() : members));
            assert.ok(table.owners.every((owner) => alive.includes(owner)));
            const each = counts(table);
            assert.ok(Math.max(...each) - Math.min(...each) <= 1, each.join());
          }
        },
      ),
    );
  });

  test('no more change hands than must: one that comes gets its share, and nothing else moves', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), ids, (partitions, members) => {
        const before = settled(members.reduce(joined, laidOut(partitions)));
        const after = settled(joined(before, 'z'));
        const handed = after.owners.filter((owner, partition) => owner !== before.owners[partition]);
        assert.ok(handed.every((owner) => owner === 'z'));
        assert.equal(handed.length, partitionsOf(after, 'z').length);
      }),
    );
  });

  test('one that is leaving gets nothing more, and keeps what it has until it gives it up', () => {
    let table = settled(joined(joined(laidOut(8), 'a'), 'b'));
    table = leaving(table, 'a');
    assert.deepEqual(surplusOf(table, 'a'), partitionsOf(table, 'a'));
    assert.equal(partitionsOf(settled(table), 'b').length, 4);
    table = released(table, 'a', [partitionsOf(table, 'a')[0] as number]);
    assert.equal(partitionsOf(settled(table), 'b').length, 5);
  });

  test('before another layout all are given up, and none is claimed', () => {
    const table = { ...settled(joined(laidOut(8), 'a')), next: { partitions: 3, filters: ['x'] } };
    assert.equal(surplusOf(table, 'a').length, 8);
    const vacant = settled(table);
    assert.ok(isVacant(vacant));
    const after = moved(vacant);
    assert.deepEqual(
      [after.generation, after.layout, after.next],
      [2, { partitions: 3, filters: ['x'] }, undefined],
    );
    assert.equal(partitionsOf(settled(after), 'a').length, 3);
  });

  test('nobody takes part: nothing is planned', () => {
    assert.ok(planned(laidOut(4)).every((id) => id === ''));
  });

  test('a table is read as it was written; what is none is nobody’s', () => {
    const table = settled(joined(laidOut(4), 'a'));
    assert.deepEqual(readTable(JSON.stringify(table)), table);
    for (const text of [
      '',
      '{',
      'null',
      '[]',
      '{"generation":1}',
      JSON.stringify({ ...table, owners: ['a'] }),
    ])
      assert.equal(readTable(text), undefined, text);
  });
});
