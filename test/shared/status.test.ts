import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import type { NodeStatus } from 'node-red';
import { fakeClock, type FakeClock } from '../support/clock';
import { StatusReporter } from '../../nodes/shared/status';

let clock: FakeClock;
let shown: unknown[];
let reporter: StatusReporter;
beforeEach(() => {
  clock = fakeClock(['setTimeout']);
  shown = [];
  reporter = new StatusReporter({ status: (status: string | NodeStatus) => void shown.push(status) });
});
afterEach(() => clock.reset());

test('the first is shown at once, of those within a quarter of a second only the latest', () => {
  for (const text of ['a', 'b', 'c']) reporter.show({ text });
  assert.deepEqual(shown, [{ text: 'a' }]);
  mock.timers.tick(249);
  assert.equal(shown.length, 1);
  mock.timers.tick(1);
  assert.deepEqual(shown, [{ text: 'a' }, { text: 'c' }]);
  mock.timers.tick(10_000);
  assert.equal(shown.length, 2);
});

test('after a quarter of a second the next is shown at once again', () => {
  reporter.show({ text: 'a' });
  mock.timers.tick(250);
  reporter.show({ text: 'b' });
  assert.deepEqual(shown, [{ text: 'a' }, { text: 'b' }]);
  mock.timers.tick(100);
  reporter.show({ text: 'c' });
  assert.equal(shown.length, 2);
  mock.timers.tick(150);
  assert.equal(shown.length, 3);
});

test('equal ones are not repeated', () => {
  reporter.show({ text: 'a' });
  mock.timers.tick(300);
  reporter.show({ text: 'a' });
  mock.timers.tick(300);
  reporter.show({});
  mock.timers.tick(300);
  reporter.show({ text: 'a' });
  assert.deepEqual(shown, [{ text: 'a' }, {}, { text: 'a' }]);
});

test('a function is asked when its turn has come, and only then', () => {
  let asked = 0;
  const status = () => ({ text: String(++asked) });
  for (let i = 0; i < 100; i++) reporter.show(status);
  mock.timers.tick(250);
  assert.deepEqual(shown, [{ text: '1' }, { text: '2' }]);
});

test('stopped, it shows nothing any more, not even what was waiting', () => {
  reporter.show({ text: 'a' });
  reporter.show({ text: 'b' });
  reporter.stop();
  mock.timers.tick(10_000);
  assert.deepEqual(shown, [{ text: 'a' }]);
});

test('a wall clock that is set back does not keep the next one waiting', () => {
  reporter.show({ text: 'a' });
  clock.setWallClock(-3_600_000);
  mock.timers.tick(250);
  reporter.show({ text: 'b' });
  assert.deepEqual(shown, [{ text: 'a' }, { text: 'b' }]);
});
