import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { inTime, withTimeout } from '../../../nodes/shared/async/timeout';
import { gate, turns } from '../flow/runtime';

beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
afterEach(() => mock.timers.reset());

test('it is over when the work is, and leaves no timer', async () => {
  const cleared = mock.method(globalThis, 'clearTimeout');
  const work = gate<void>();
  let over = false;
  void withTimeout(100, work.opened).then(() => (over = true));
  await turns(2);
  assert.equal(over, false);
  work.open();
  await turns(2);
  assert.equal(over, true);
  assert.equal(cleared.mock.callCount(), 1);
  cleared.mock.restore();
});

test('it is over when the time is, whatever the work does then', async () => {
  let fail = (_error: Error): void => undefined;
  const work = new Promise<void>((_resolve, reject) => (fail = reject));
  let over = false;
  void withTimeout(100, work).then(() => (over = true));
  mock.timers.tick(99);
  await turns(2);
  assert.equal(over, false);
  mock.timers.tick(1);
  await turns(2);
  assert.equal(over, true);
  fail(new Error('too late for anybody'));
  await turns(2);
});

test('it fails as the work does', async () => {
  await assert.rejects(withTimeout(100, Promise.reject(new Error('no'))), /no/);
});

test('who needs the work itself gets it, or is told that it is late', async () => {
  const late = mock.fn(() => new Error('late'));
  assert.equal(await inTime(100, Promise.resolve('done'), late), 'done');
  await assert.rejects(inTime(100, Promise.reject(new Error('no')), late), /^Error: no$/);
  mock.timers.tick(1_000);
  assert.equal(late.mock.callCount(), 0);

  let fail = (_error: Error): void => undefined;
  const work = new Promise<void>((_resolve, reject) => (fail = reject));
  const waiting = assert.rejects(inTime(100, work, late), /^Error: late$/);
  mock.timers.tick(100);
  await waiting;
  fail(new Error('too late for anybody'));
  await turns(2);
  assert.equal(late.mock.callCount(), 1);
});
