import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { Since } from '../../../nodes/shared/operations/since';

test('what goes on has been so since it began, however often it is told, and something else since then', (t) => {
  mock.timers.enable({ apis: ['Date'], now: 1_000 });
  t.after(() => mock.timers.reset());
  const since = new Since();
  const at = (ms: number, key: string | undefined): number | null => {
    mock.timers.setTime(ms);
    since.tell(key);
    return since.at;
  };
  assert.equal(since.at, null);
  assert.equal(at(2_000, 'paused'), 2_000);
  assert.equal(at(3_000, 'paused'), 2_000);
  assert.equal(at(4_000, 'stalled'), 4_000);
  assert.equal(at(5_000, undefined), null);
  assert.equal(at(6_000, 'stalled'), 6_000);
});
