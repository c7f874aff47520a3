import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import type { NodeStatus } from 'node-red';
import { StatusReporter } from '../../nodes/shared/status';

let clock: number;
let shown: unknown[];
let reporter: StatusReporter;
beforeEach(() => {
  clock = 5;
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 });
  mock.method(performance, 'now', () => clock);
  shown = [];
  reporter = new StatusReporter({ status: (status: string | NodeStatus) => void shown.push(status) });
});
afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});
function pass(ms: number): void {
  clock += ms;
  mock.timers.tick(ms);
}

test('the first is shown at once, of those within a quarter of a second only the latest', () => {
  for (const text of ['a', 'b', 'c']) reporter.show({ text });
  assert.deepEqual(shown, [{ text: 'a' }]);
  pass(249);
  assert.equal(shown.length, 1);
  pass(1);
  assert.deepEqual(shown, [{ text: 'a' }, { text: 'c' }]);
  pass(10_000);
  assert.equal(shown.length, 2);
});

test('after a quarter of a second the next is shown at once again', () => {
  reporter.show({ text: 'a' });
  pass(250);
  reporter.show({ text: 'b' });
  assert.deepEqual(shown, [{ text: 'a' }, { text: 'b' }]);
  pass(100);
  reporter.show({ text: 'c' });
  assert.equal(shown.length, 2);
  pass(150);
  assert.equal(shown.length, 3);
});

test('equal ones are not repeated', () => {
  reporter.show({ text: 'a' });
  pass(300);
  reporter.show({ text: 'a' });
  pass(300);
  reporter.show({});
  pass(300);
  reporter.show({ text: 'a' });
  assert.deepEqual(shown, [{ text: 'a' }, {}, { text: 'a' }]);
});

test('a function is asked when its turn has come, and only then', () => {
  let asked = 0;
  const status = () => ({ text: String(++asked) });
  for (let i = 0; i < 100; i++) reporter.show(status);
  pass(250);
  assert.deepEqual(shown, [{ text: '1' }, { text: '2' }]);
});

test('stopped, it shows nothing any more, not even what was waiting', () => {
  reporter.show({ text: 'a' });
  reporter.show({ text: 'b' });
  reporter.stop();
  pass(10_000);
  assert.deepEqual(shown, [{ text: 'a' }]);
});

test('a wall clock that is set back keeps no status waiting', () => {
  reporter.show({ text: 'a' });
  pass(250);
  mock.timers.setTime(0);
  reporter.show({ text: 'b' });
  assert.deepEqual(shown, [{ text: 'a' }, { text: 'b' }]);
});
