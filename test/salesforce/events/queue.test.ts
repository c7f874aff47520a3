import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import fc from 'fast-check';
import {
  EventQueue,
  REQUEST_EVENTS,
  eventsOf,
  isOpen,
  type PublishMessage,
  type QueuedEvent,
} from '../../../nodes/salesforce/events/queue';

let now: number;
let queue: EventQueue;
beforeEach(() => {
  now = 1_000;
  mock.method(performance, 'now', () => now);
  queue = new EventQueue();
});
afterEach(() => mock.restoreAll());

const message = (count = 1): PublishMessage => ({
  arrivedAt: 0,
  records: Array.from({ length: count }),
  ids: [],
  results: Array.from({ length: count }, () => undefined),
  open: count,
});
const event = (order: number, more: Partial<QueuedEvent> = {}): QueuedEvent => ({
  message: message(),
  index: 0,
  order,
  id: `id-${order}`,
  schemaId: 's',
  payload: Buffer.alloc(1),
  notBefore: 0,
  group: undefined,
  refusals: 0,
  losses: 0,
  ...more,
});
const events = (count: number, from = 0) => Array.from({ length: count }, (_, i) => event(from + i));
const orders = (taken: readonly QueuedEvent[] | undefined) => taken?.map(({ order }) => order);
const range = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i);
const take = (onlyFull = false) => queue.take(now, onlyFull);

describe('a request', () => {
  test('has 200 events at most, in order', () => {
    assert.equal(REQUEST_EVENTS, 200);
    queue.add(events(450));
    assert.deepEqual(orders(take()), range(200));
    assert.deepEqual(orders(take()), range(200, 200));
    assert.deepEqual(orders(take()), range(50, 400));
    assert.equal(take(), undefined);
  });

  test('has 3 MB at most, each event with 100 bytes around it', () => {
    const payload = Buffer.alloc(750_000 - 100);
    queue.add(range(9).map((order) => event(order, { payload })));
    assert.deepEqual(orders(take()), [0, 1, 2, 3]);
    queue.add([event(9, { payload: Buffer.alloc(1) })]);
    assert.deepEqual(orders(take()), [4, 5, 6, 7]);
    assert.deepEqual(orders(take()), [8, 9]);
  });

  test('above 3 MB by a byte has one event less', () => {
    const payload = Buffer.alloc(750_000 - 100);
    queue.add([
      ...range(3).map((order) => event(order, { payload })),
      event(3, { payload: Buffer.alloc(750_000 - 99) }),
    ]);
    assert.deepEqual(orders(take()), [0, 1, 2]);
  });

  test('of an event that is too large by itself is that event alone: it is not stuck', () => {
    queue.add([event(0, { payload: Buffer.alloc(4_000_000) }), event(1)]);
    assert.deepEqual(orders(take()), [0]);
    assert.deepEqual(orders(take()), [1]);
  });

  test('beside another goes only when it is full: by events, by bytes, or by group', () => {
    queue.add(events(199));
    assert.equal(take(true), undefined);
    queue.add([event(199)]);
    assert.deepEqual(orders(take(true)), range(200));

    const payload = Buffer.alloc(1_400_000);
    queue.add([0, 1].map((order) => event(order, { payload })));
    assert.equal(take(true), undefined);
    queue.add([event(2, { payload })]);
    assert.deepEqual(orders(take(true)), [0, 1]);
    assert.equal(take(true), undefined);
    take();

    queue.add([event(3, { group: 1 }), event(4)]);
    assert.deepEqual(orders(take(true)), [3]);
    assert.equal(take(true), undefined);
    assert.deepEqual(orders(take()), [4]);
  });

  test('holds events of one group only, and does not change their order for it', () => {
    queue.add([
      event(0, { group: 2 }),
      event(1, { group: 2 }),
      event(2, { group: 3 }),
      event(3),
      event(4),
      event(5, { group: 2 }),
    ]);
    for (const expected of [[0, 1], [2], [3, 4], [5]]) assert.deepEqual(orders(take()), expected);
  });
});

describe('events that come back', () => {
  test('are before all that have not been sent', () => {
    queue.add(events(6));
    const first = queue.take(now, false)?.slice(0, 3) ?? [];
    queue.add(events(3, 6));
    queue.putBack(first);
    assert.deepEqual(orders(take()), [0, 1, 2, 6, 7, 8]);
  });

  test('in whatever order they come, go in their own', () => {
    queue.add(events(4));
    const taken = take() ?? [];
    queue.putBack(taken.slice(2));
    queue.putBack(taken.slice(0, 2));
    assert.deepEqual(orders(take()), [0, 1, 2, 3]);
  });

  test('and are to wait let the others go first, and go alone when it is their time', () => {
    queue.add(events(3));
    const [a, b] = take() ?? [];
    if (!a || !b) assert.fail();
    a.notBefore = now + 50;
    b.notBefore = now;
    queue.putBack([a, b]);
    assert.deepEqual([queue.size, queue.ready], [2, 1]);
    assert.equal(queue.nextReady(), now + 50);
    assert.deepEqual(orders(take()), [1]);
    now += 49;
    assert.equal(take(), undefined);
    now += 1;
    assert.deepEqual(orders(take()), [0]);
    assert.equal(queue.nextReady(), undefined);
  });

  test('the first of those that wait tells when there is something to do', () => {
    queue.putBack([event(0, { notBefore: now + 70 }), event(1, { notBefore: now + 30 })]);
    assert.equal(queue.nextReady(), now + 30);
    now += 30;
    assert.deepEqual(orders(take()), [1]);
    assert.equal(queue.nextReady(), now + 40);
  });

  test('wait for no wall clock', () => {
    mock.method(Date, 'now', () => 0);
    queue.putBack([event(0, { notBefore: now - 1 })]);
    assert.deepEqual(orders(take()), [0]);
  });
});

describe('a message', () => {
  test('is an event for each record, in order, with its own id and place, yet to be written', () => {
    const one = { ...message(2), ids: ['a', 'b'] };
    assert.deepEqual(
      eventsOf(one, 40).map(({ index, order, id, schemaId }) => ({ index, order, id, schemaId })),
      [
        { index: 0, order: 40, id: 'a', schemaId: '' },
        { index: 1, order: 41, id: 'b', schemaId: '' },
      ],
    );
    for (const { message: of, notBefore, group, refusals, losses, payload } of eventsOf(one, 0)) {
      assert.equal(of, one);
      assert.deepEqual([notBefore, group, refusals, losses, payload.length], [0, undefined, 0, 0, 0]);
    }
  });
});

describe('the queue', () => {
  test('counts what is ready and what waits', () => {
    queue.add(events(3));
    queue.putBack([event(9, { notBefore: now + 1 })]);
    assert.deepEqual([queue.size, queue.ready], [4, 3]);
    take();
    assert.deepEqual([queue.size, queue.ready], [1, 0]);
  });

  test('gives all it has, those that wait as well, and is empty when drained', () => {
    queue.add(events(3));
    queue.putBack([event(9, { notBefore: now + 1 })]);
    assert.deepEqual(orders(queue.all), [9, 0, 1, 2]);
    assert.deepEqual(orders(queue.drain()), [9, 0, 1, 2]);
    assert.deepEqual([queue.size, queue.all, queue.nextReady()], [0, [], undefined]);
  });

  test('keeps only what is wanted, of those that wait as well', () => {
    queue.add(events(300));
    take();
    queue.putBack([event(400, { notBefore: now + 1 }), event(401, { notBefore: now + 1 })]);
    queue.keep(({ order }) => order % 2 === 0);
    assert.deepEqual(orders(queue.all), [400, ...range(50, 100).map((i) => i * 2)]);
    assert.deepEqual(
      orders(take()),
      range(50, 100).map((i) => i * 2),
    );
  });

  test('an event is open until something is said of it', () => {
    const one = event(0);
    assert.equal(isOpen(one), true);
    one.message.results[0] = { replayId: null, success: false };
    assert.equal(isOpen(one), false);
  });

  test('whatever is added, sent, put back and delayed, every event goes once, and none overtakes another that was ready', () => {
    const step = fc.oneof(
      fc.record({ add: fc.integer({ min: 1, max: 300 }) }),
      fc.record({ take: fc.boolean(), back: fc.constantFrom('none', 'all', 'half', 'later') }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const q = new EventQueue();
        let next = 0;
        const gone: number[] = [];
        const settle = (taken: readonly QueuedEvent[]) => gone.push(...taken.map(({ order }) => order));
        for (const s of steps) {
          if ('add' in s) {
            q.add(events(s.add, next));
            next += s.add;
            continue;
          }
          const taken = q.take(now, s.take);
          if (!taken) continue;
          assert.ok(taken.length <= 200);
          const sorted = [...taken].sort((a, b) => a.order - b.order);
          assert.deepEqual(orders(taken), orders(sorted));
          const kept = s.back === 'half' ? taken.slice(taken.length >> 1) : s.back === 'none' ? [] : taken;
          if (s.back === 'later') for (const one of kept) one.notBefore = now + 10;
          settle(taken.filter((one) => !kept.includes(one)));
          q.putBack(kept);
          now += 5;
        }
        now += 100;
        for (let taken = q.take(now, false); taken; taken = q.take(now, false)) settle(taken);
        assert.deepEqual(
          gone.sort((a, b) => a - b),
          range(next),
        );
        assert.equal(q.size, 0);
      }),
      { numRuns: 50 },
    );
  });
});
