import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import {
  Delivery,
  describeNode,
  joinedGivenUp,
  nodeClosed,
  type NodeState,
} from '../../../nodes/shared/flow/delivery';
import type { RuntimeNode } from '../../../nodes/shared/flow/hooks';
import { fakeClock, type FakeClock } from '../../support/clock';

const state = (id: string, name?: string): NodeState => ({
  node: { id, type: 'function', name } as RuntimeNode,
  holding: 0,
  phase: 'running',
  warned: false,
});
const owner = { noun: 'message', finished: () => undefined, command: () => undefined };
const forgotten: Delivery[] = [];
const begin = (token = 't') =>
  new Delivery(token, token, owner, true, (delivery) => forgotten.push(delivery));

describe('its messages in the flow', () => {
  test('a message announced to a node and received by it is one', () => {
    const [delivery, a] = [begin(), state('a')];
    delivery.announce(a);
    assert.deepEqual([delivery.count, a.holding, delivery.isIn(a)], [1, 0, false]);
    delivery.receive(a);
    assert.deepEqual([delivery.count, a.holding, delivery.isIn(a)], [1, 1, true]);
    assert.equal(delivery.complete(a), true);
    assert.deepEqual([delivery.count, a.holding, delivery.isIn(a)], [0, 0, false]);
  });

  test('a message handed to a node directly counts from there', () => {
    const [delivery, a] = [begin(), state('a')];
    delivery.receive(a);
    delivery.receive(a);
    assert.deepEqual([delivery.count, a.holding], [2, 2]);
  });

  test('of two received only one was announced', () => {
    const [delivery, a] = [begin(), state('a')];
    delivery.announce(a);
    delivery.receive(a);
    delivery.receive(a);
    assert.equal(delivery.count, 2);
    assert.deepEqual(delivery.unfinishedNodes(), ['function a']);
    delivery.leave(a);
    assert.deepEqual([delivery.count, delivery.unfinishedNodes()], [0, []]);
  });

  test('a node can’t finish what it doesn’t hold', () => {
    const [delivery, a, b] = [begin(), state('a'), state('b')];
    delivery.announce(a);
    assert.equal(delivery.complete(a), false, 'it is only on its way');
    delivery.receive(b);
    assert.equal(delivery.complete(a), false);
    assert.deepEqual([delivery.count, a.holding, b.holding], [2, 0, 1]);
    assert.equal(delivery.complete(b), true);
    assert.equal(delivery.complete(b), false, 'not twice');
    assert.equal(delivery.count, 1);
  });

  test('a node that is gone has lost all that it held, and nothing that others hold', () => {
    const [delivery, a, b] = [begin(), state('a'), state('b')];
    delivery.receive(a);
    delivery.receive(a);
    delivery.receive(b);
    delivery.leave(a);
    assert.deepEqual([delivery.count, a.holding, b.holding], [1, 0, 1]);
    delivery.leave(a);
    assert.equal(delivery.count, 1);
  });

  test('settled, it stays in no node’s count, and leaves the messages of others there', () => {
    const [one, two, a, b] = [begin(), begin(), state('a'), state('b')];
    one.receive(a);
    one.receive(a);
    one.receive(b);
    two.receive(a);
    one.release();
    assert.deepEqual([a.holding, b.holding], [1, 0]);
    one.release();
    assert.deepEqual([a.holding, b.holding], [1, 0]);
    assert.equal(one.isIn(a), false);
    assert.equal(two.isIn(a), true);
  });

  test('names the nodes that it is in or on its way to', () => {
    const [delivery, a, b, c] = [begin(), state('a', 'mine'), state('b'), state('c')];
    delivery.receive(a);
    delivery.announce(b);
    delivery.receive(c);
    delivery.complete(c);
    assert.deepEqual(delivery.unfinishedNodes(), ['function "mine"', 'function b']);
  });

  test('nothing is kept of the nodes that it has passed', () => {
    const [delivery, stays] = [begin(), state('stays')];
    delivery.receive(stays);
    const way = Array.from({ length: 100 }, (_, n) => state(`n${n}`));
    for (const [n, node] of way.entries()) {
      delivery.announce(node);
      const before = way[n - 1];
      if (before) assert.equal(delivery.complete(before), true);
      delivery.receive(node);
    }
    assert.deepEqual([delivery.count, stays.holding, way.at(-1)?.holding], [2, 1, 1]);
    assert.deepEqual([...delivery.unfinishedNodes()].sort(), ['function n99', 'function stays']);
    assert.ok(way.slice(0, -1).every((node) => !delivery.isIn(node) && node.holding === 0));
    const { branches } = delivery as unknown as { branches: unknown[] };
    assert.equal(branches.length, 3, 'where it is, and one for where it goes next');
  });

  test('a node without a name, or with an empty one, goes by its id', () => {
    assert.equal(describeNode({ id: 'x', type: 'debug', name: '' }), 'debug x');
    assert.equal(describeNode({ id: 'x', type: 'debug', name: 'out' }), 'debug "out"');
  });
});

describe('its failure', () => {
  test('is the first, with the node where there is one', () => {
    const delivery = begin();
    assert.equal(delivery.outcome(), undefined);
    delivery.fail('first', state('a', 'mine').node);
    delivery.fail('second');
    assert.deepEqual(delivery.outcome(), {
      error: 'first',
      node: { id: 'a', type: 'function', name: 'mine' },
    });
    const other = begin();
    other.fail('alone');
    assert.deepEqual(other.outcome(), { error: 'alone' });
  });

  test('abandoned, it is forgotten', () => {
    const delivery = begin();
    delivery.abandon();
    assert.equal(forgotten.at(-1), delivery);
    assert.equal(delivery.settled, false, 'whoever forgets it settles it');
  });
});

describe('put together with others', () => {
  test('it is drained when what it goes on as is, through any number of joins', () => {
    const [a, b, c] = [begin('a'), begin('b'), begin('c')];
    const node = state('n');
    a.goOnAs(b);
    b.goOnAs(c);
    assert.ok(a.isDrained() && b.isDrained() && c.isDrained());
    c.receive(node);
    assert.deepEqual([a.isDrained(), b.isDrained(), c.isDrained()], [false, false, false]);
    c.complete(node);
    a.receive(node);
    assert.deepEqual([a.isDrained(), b.isDrained(), c.isDrained()], [false, true, true]);
  });

  test('it fails with what it goes on as, not the other way round, and its own failure goes first', () => {
    const [a, b, c] = [begin('a'), begin('b'), begin('c')];
    a.goOnAs(b);
    b.goOnAs(c);
    c.fail('c');
    assert.deepEqual(
      [a, b, c].map((one) => one.outcome()?.error),
      ['c', 'c', 'c'],
    );
    a.fail('a');
    assert.deepEqual(
      [a, b, c].map((one) => one.outcome()?.error),
      ['a', 'c', 'c'],
    );
  });

  test('what goes on as it is together with it, and nothing else', () => {
    const [a, b, c, d] = [begin('a'), begin('b'), begin('c'), begin('d')];
    a.goOnAs(b);
    b.goOnAs(c);
    d.goOnAs(a);
    assert.deepEqual(
      [...c.together()].map((one) => one.token),
      ['c', 'b', 'a', 'd'],
    );
    assert.deepEqual(
      [...a.together()].map((one) => one.token),
      ['a', 'd'],
    );
    assert.deepEqual(
      [...d.together()].map((one) => one.token),
      ['d'],
    );
  });

  test('two that go on as each other are drained together and fail together', () => {
    const [a, b, node] = [begin('a'), begin('b'), state('n')];
    a.goOnAs(b);
    b.goOnAs(a);
    a.receive(node);
    assert.deepEqual([a.isDrained(), b.isDrained()], [false, false]);
    a.complete(node);
    assert.deepEqual([a.isDrained(), b.isDrained()], [true, true]);
    b.fail('b');
    assert.equal(a.outcome()?.error, 'b');
    assert.deepEqual(
      [...a.together()].map((one) => one.token),
      ['a', 'b'],
    );
  });

  test('over, it parts: those that go on as it hear why and go on by themselves', () => {
    const [a, b, c, d, node] = [begin('a'), begin('b'), begin('c'), begin('d'), state('n')];
    a.goOnAs(c);
    b.goOnAs(c);
    c.goOnAs(d);
    b.fail('own');
    c.receive(node);
    assert.deepEqual(
      [...c.part({ error: 'why' })].map((one) => one.token),
      ['a', 'b'],
    );
    assert.deepEqual([a.isDrained(), b.isDrained()], [true, true]);
    assert.deepEqual(
      [a, b].map((one) => one.outcome()?.error),
      ['why', 'own'],
    );
    assert.deepEqual([...d.together()], [d], 'and it goes on as nothing any more');
    assert.deepEqual([...c.part({ error: 'again' })], []);
    assert.deepEqual([...a.part(undefined)], []);
  });
});

describe('its processing clock', () => {
  let clock: FakeClock;
  beforeEach(() => (clock = fakeClock([])));
  afterEach(() => clock.reset());

  test('goes while it is in the flow', () => {
    const delivery = begin();
    assert.equal(delivery.processingTime(), 0);
    mock.timers.tick(70);
    assert.equal(delivery.processingTime(), 70);
  });

  test('stands still during a pause, and goes on after it', () => {
    const delivery = begin();
    mock.timers.tick(10);
    const resume = delivery.pause();
    mock.timers.tick(1_000);
    assert.equal(delivery.processingTime(), 10);
    resume();
    mock.timers.tick(5);
    assert.equal(delivery.processingTime(), 15);
    const again = delivery.pause();
    mock.timers.tick(300);
    again();
    assert.equal(delivery.processingTime(), 15);
  });

  test('pauses may overlap, and each is ended once', () => {
    const delivery = begin();
    const first = delivery.pause();
    mock.timers.tick(100);
    const second = delivery.pause();
    mock.timers.tick(100);
    first();
    first();
    mock.timers.tick(100);
    assert.equal(delivery.processingTime(), 0);
    second();
    mock.timers.tick(7);
    assert.equal(delivery.processingTime(), 7);
  });
});

test('a wall clock that is set forward or back does not move its processing clock', () => {
  const clock = fakeClock([]);
  const delivery = begin();
  clock.setWallClock(660_000);
  mock.timers.tick(100);
  const resume = delivery.pause();
  clock.setWallClock(-7_200_000);
  mock.timers.tick(30);
  resume();
  assert.equal(delivery.processingTime(), 100);
  clock.reset();
});

test('a deploy’s and a joined message’s fault are no try of the message', () => {
  const { node } = state('a', 'mine');
  for (const [error, words] of [
    [nodeClosed(node), /function "mine" was stopped by a deploy .* delivered again/],
    [joinedGivenUp(), /put together with .* delivered again/],
  ] as const) {
    assert.deepEqual([error.code, error.retryable], ['NODE_CLOSED', true]);
    assert.match(error.message, words);
  }
});

describe('a message that nodes gather', () => {
  const gathered: boolean[] = [];
  const begin = () => {
    gathered.length = 0;
    const told = { ...owner, gathering: (now: boolean) => void gathered.push(now) };
    return new Delivery('t', 't', told, true, () => undefined);
  };

  test('is told until its node lets it go, once', () => {
    const [delivery, a] = [begin(), state('a')];
    delivery.receive(a);
    const over = delivery.gather();
    assert.deepEqual(gathered, [true]);
    over();
    over();
    assert.deepEqual(gathered, [true, false]);
  });

  test('is being worked on as long as any other of it is elsewhere in the flow', () => {
    const [delivery, a, b] = [begin(), state('a'), state('b')];
    delivery.receive(a);
    delivery.announce(b);
    const over = delivery.gather();
    assert.deepEqual(gathered, []);
    const both = delivery.gather();
    assert.deepEqual(gathered, [true], 'each of two is gathered');
    over();
    assert.deepEqual(gathered, [true, false]);
    both();
    assert.deepEqual(gathered, [true, false]);
  });
});
