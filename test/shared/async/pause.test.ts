import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { pause } from '../../../nodes/shared/async/pause';
import { turns } from '../flow/runtime';

beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
afterEach(() => mock.timers.reset());

const DAY = 86_400_000;

function pausing(ms: number, stopping = new AbortController()) {
  const state = { over: false, stopping };
  void pause(ms, stopping.signal).then(() => (state.over = true));
  return state;
}
async function pass(ms: number): Promise<void> {
  mock.timers.tick(ms);
  await turns(2);
}

test('it lasts as long as it is told, and no longer', async () => {
  const one = pausing(100);
  await pass(99);
  assert.equal(one.over, false);
  await pass(1);
  assert.equal(one.over, true);
});

test('it ends when it is aborted, and leaves neither a timer nor a listener', async () => {
  const one = pausing(1_000);
  const added = mock.method(one.stopping.signal, 'addEventListener');
  const removed = mock.method(one.stopping.signal, 'removeEventListener');
  one.stopping.abort();
  await turns(2);
  assert.equal(one.over, true);
  const clear = mock.method(globalThis, 'clearTimeout');
  const over = pausing(1_000, one.stopping);
  await turns(2);
  assert.equal(over.over, true);
  assert.deepEqual([added.mock.callCount(), removed.mock.callCount(), clear.mock.callCount()], [0, 1, 0]);
  clear.mock.restore();
});

test('one that ends by itself leaves no listener', async () => {
  const stopping = new AbortController();
  const added = mock.method(stopping.signal, 'addEventListener');
  const removed = mock.method(stopping.signal, 'removeEventListener');
  const one = pausing(100, stopping);
  await pass(100);
  assert.equal(one.over, true);
  assert.equal(added.mock.callCount(), 1);
  assert.deepEqual(removed.mock.calls[0]?.arguments.slice(0, 2), added.mock.calls[0]?.arguments.slice(0, 2));
});

test('it lasts longer than 24.8 days where that is asked for', async () => {
  const one = pausing(60 * DAY);
  for (let day = 0; day < 59; day++) await pass(DAY);
  assert.equal(one.over, false);
  await pass(DAY);
  assert.equal(one.over, true);
});

test('one of months, aborted in its second month, ends at once', async () => {
  const one = pausing(Infinity);
  for (let day = 0; day < 40; day++) await pass(DAY);
  assert.equal(one.over, false);
  one.stopping.abort();
  await turns(2);
  assert.equal(one.over, true);
});

test('one of no time at all lets the event loop turn', async () => {
  mock.timers.reset();
  let turned = false;
  setImmediate(() => (turned = true));
  for (let i = 0; i < 20 && !turned; i++) await pause(0, new AbortController().signal);
  assert.ok(turned);
});
