import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { now } from '../../../nodes/shared/async/clock';

test('a wall clock that is set moves it neither back nor forth', () => {
  const before = now();
  const wall = mock.method(Date, 'now', () => 0);
  const back = now();
  wall.mock.mockImplementation(() => 8.64e15);
  const forth = now();
  wall.mock.restore();
  assert.ok(before <= back && back <= forth && forth < before + 60_000);
});
