import { test } from 'node:test';
import assert from 'node:assert/strict';
import { MessageOrder } from '../../../nodes/salesforce/composite/order';
import type { WriteMessage, Write } from '../../../nodes/salesforce/composite/operations';

const message = () => ({}) as WriteMessage;
const writes = (...names: string[]) => [{ keys: names.map((name) => ({ name, write: true })) }] as Write[];
const reads = (...names: string[]) => [{ keys: names.map((name) => ({ name, write: false })) }] as Write[];

test('of messages that write one record the first is answered first, then those behind it', () => {
  const order = new MessageOrder();
  const [first, second, third, other] = [message(), message(), message(), message()];
  order.add(first, writes('a', 'b'));
  order.add(second, [...writes('b'), ...writes('c')]);
  order.add(third, writes('c'));
  order.add(other, writes('z'));
  assert.deepEqual(
    [first, second, third, other].map((one) => order.isFirst(one)),
    [true, false, false, true],
  );
  assert.deepEqual([...order.remove(first)], [second]);
  assert.deepEqual(
    [second, third].map((one) => order.isFirst(one)),
    [true, false],
  );
  assert.deepEqual([...order.remove(second)], [third]);
  assert.equal(order.isFirst(third), true);
});

test('one that is behind several waits for each of them', () => {
  const order = new MessageOrder();
  const [a, b, both] = [message(), message(), message()];
  order.add(a, writes('a'));
  order.add(b, writes('b'));
  order.add(both, writes('a', 'b'));
  order.remove(a);
  assert.equal(order.isFirst(both), false);
  order.remove(b);
  assert.equal(order.isFirst(both), true);
});

test('records that are only read, or not known, put nobody in order', () => {
  const order = new MessageOrder();
  const [first, reader, nothing] = [message(), message(), message()];
  order.add(first, writes('a'));
  order.add(reader, reads('a'));
  order.add(nothing, []);
  assert.deepEqual(
    [reader, nothing].map((one) => order.isFirst(one)),
    [true, true],
  );
  assert.deepEqual([...order.remove(reader)], []);
});

test('what is answered is forgotten', () => {
  const order = new MessageOrder();
  const [first, second, third] = [message(), message(), message()];
  order.add(first, writes('a'));
  order.remove(first);
  order.add(second, writes('a'));
  assert.equal(order.isFirst(second), true);
  order.add(third, writes('a'));
  assert.equal(order.isFirst(third), false, 'the last of a record is still known after an earlier one went');
  const { last, places } = order as unknown as {
    last: Map<string, WriteMessage>;
    places: Map<WriteMessage, unknown>;
  };
  order.remove(second);
  order.remove(third);
  assert.deepEqual([last.size, places.size], [0, 0]);
});
