import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import { ProgressTeller, Rate, type Progress } from '../../../nodes/sync/engine/progress';

let clock: number;
beforeEach(() => {
  clock = 5;
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 });
  mock.method(performance, 'now', () => clock);
});
afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});
function pass(ms: number): void {
  clock += ms;
  mock.timers.tick(ms);
}

describe('a rate', () => {
  test('is what came in the last ten seconds, a second', () => {
    const rate = new Rate();
    assert.equal(rate.perSecond, 0);
    rate.add(300);
    assert.equal(rate.perSecond, 300, 'less than a second counts as one');
    pass(2_000);
    rate.add(300);
    assert.equal(rate.perSecond, 300);
    pass(9_000);
    assert.equal(rate.perSecond, 33, 'of the second one, nine seconds ago');
    pass(1_001);
    assert.equal(rate.perSecond, 0);
  });

  test('goes by no wall clock', () => {
    const rate = new Rate();
    rate.add(100);
    mock.timers.setTime(0);
    pass(1_000);
    assert.equal(rate.perSecond, 100);
    mock.timers.setTime(1e12);
    assert.equal(rate.perSecond, 100);
  });
});

describe('a teller of progress', () => {
  const progress = (done: number, more: Partial<Progress> = {}): Progress => ({
    sync_id: 's',
    collection: 'c',
    phase: 'live',
    done,
    total: null,
    rate: 0,
    lag: null,
    published: 0,
    refused: 0,
    ...more,
  });
  let told: Progress[];
  let teller: ProgressTeller;
  beforeEach(() => {
    told = [];
    teller = new ProgressTeller((each) => told.push(each));
  });
  const done = (): number[] => told.map((each) => each.done);

  test('tells another phase or another error at once', () => {
    teller.show(progress(1));
    teller.show(progress(2, { phase: 'waiting' }));
    teller.show(progress(3, { phase: 'waiting', error: { code: 'A', message: 'a' } }));
    teller.show(progress(4, { phase: 'waiting', error: { code: 'A', message: 'b' } }));
    assert.deepEqual(done(), [1, 2, 3, 4]);
  });

  test('tells the rest once a second, ending with the latest', () => {
    for (const each of [1, 2, 3]) teller.show(progress(each));
    pass(999);
    assert.deepEqual(done(), [1]);
    pass(1);
    assert.deepEqual(done(), [1, 3]);
    pass(5_000);
    assert.deepEqual(done(), [1, 3]);
  });

  test('what was told at once is not told again', () => {
    teller.show(progress(1));
    teller.show(progress(2));
    teller.show(progress(3, { phase: 'stopped' }));
    pass(5_000);
    assert.deepEqual(done(), [1, 3]);
  });

  test('is kept waiting by no wall clock', () => {
    teller.show(progress(1));
    pass(900);
    mock.timers.setTime(0);
    teller.show(progress(2));
    pass(100);
    assert.deepEqual(done(), [1, 2]);
  });

  test('tells nothing any more when it was stopped', () => {
    teller.show(progress(1));
    teller.show(progress(2));
    teller.stop();
    pass(5_000);
    assert.deepEqual(done(), [1]);
  });
});
