import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gathering } from '../../../nodes/salesforce/composite/gathering';

test('so many records count as gathered, the first first; what leaves makes room for the next', () => {
  const gathered = new Set<string>();
  const gather = ({ name = '' }: { name?: string }) => {
    gathered.add(name);
    return () => void gathered.delete(name);
  };
  const gathering = new Gathering(() => 4, gather);
  const add = (name: string, records: number) => gathering.add(records, { name });
  const leave = { a: add('a', 1), b: add('b', 2), c: add('c', 3), d: add('d', 1), e: add('e', 1) };
  assert.deepEqual([...gathered], ['a', 'b', 'c'], 'the last one may go beyond, or it would never fit');
  leave.d();
  leave.a();
  assert.deepEqual([...gathered], ['b', 'c']);
  leave.b();
  assert.deepEqual([...gathered], ['c', 'e']);
  leave.c();
  leave.e();
  assert.equal(gathered.size, 0);
});
