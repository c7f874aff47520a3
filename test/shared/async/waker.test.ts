import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { Waker } from '../../../nodes/shared/async/waker';
import { turns } from '../flow/runtime';

beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
afterEach(() => mock.timers.reset());

function waiting(waker: Waker, ms?: number): { over: boolean } {
  const state = { over: false };
  void waker.wait(ms).then(() => (state.over = true));
  return state;
}

test('a waiter goes on when it is woken, and not before', async () => {
  const waker = new Waker();
  const one = waiting(waker);
  mock.timers.tick(1_000_000);
  await turns(2);
  assert.equal(one.over, false);
  waker.wake();
  await turns(2);
  assert.equal(one.over, true);
});

test('or when its time is over', async () => {
  const waker = new Waker();
  const one = waiting(waker, 100);
  mock.timers.tick(99);
  await turns(2);
  assert.equal(one.over, false);
  mock.timers.tick(1);
  await turns(2);
  assert.equal(one.over, true);
});

test('a wake that nobody waits for is forgotten', async () => {
  const waker = new Waker();
  waker.wake();
  const one = waiting(waker);
  await turns(2);
  assert.equal(one.over, false);
  waker.wake();
});

test('a waiter that was woken leaves no timer, which would wake the next too early', async () => {
  const waker = new Waker();
  waiting(waker, 100);
  waker.wake();
  const next = waiting(waker, 1_000);
  mock.timers.tick(500);
  await turns(2);
  assert.equal(next.over, false);
  mock.timers.tick(500);
  await turns(2);
  assert.equal(next.over, true);
});

test('a time longer than a timer can take is no short one', async () => {
  const waker = new Waker();
  const one = waiting(waker, 90 * 86_400_000);
  for (let day = 0; day < 89; day++) {
    mock.timers.tick(86_400_000);
    await turns(2);
  }
  assert.equal(one.over, false);
  mock.timers.tick(86_400_000);
  await turns(2);
  assert.equal(one.over, true);
});

test('a wait of no time at all lets the event loop turn', async () => {
  mock.timers.reset();
  const waker = new Waker();
  let turned = false;
  setImmediate(() => (turned = true));
  for (let i = 0; i < 20 && !turned; i++) await waker.wait(0);
  assert.ok(turned);
});

test('a stop ends the wait, also one that came before', async () => {
  const waker = new Waker();
  const stopping = new AbortController();
  let ended = 0;
  void waker.wait(undefined, stopping.signal).then(() => ended++);
  await turns(2);
  assert.equal(ended, 0);
  stopping.abort();
  await turns(2);
  assert.equal(ended, 1);
  await waker.wait(90 * 86_400_000, stopping.signal);
});
