import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inTurn } from '../../../nodes/shared/async/in-order';
import { gate, turns } from '../flow/runtime';

test('payloads go on in the order in which they came, whichever is done first', async () => {
  const ordered = inTurn();
  const [slow, quick] = [gate<string>(), gate<string>()];
  const seen: string[] = [];
  for (const payload of [slow, quick]) void ordered(payload.opened).then((value) => seen.push(value));
  quick.open('quick');
  await turns(2);
  assert.deepEqual(seen, []);
  slow.open('slow');
  await turns(2);
  assert.deepEqual(seen, ['slow', 'quick']);
});

test('one that fails holds up nobody, and two nodes don’t wait for each other', async () => {
  const [one, other] = [inTurn(), inTurn()];
  const never = one(gate<string>().opened);
  assert.equal(await other(Promise.resolve(1)), 1);
  const failing = other(Promise.reject(new Error('no')));
  const next = other(Promise.resolve(2));
  await assert.rejects(failing, /no/);
  assert.equal(await next, 2);
  void never;
});
