import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { FlowError } from '../../../nodes/shared/errors';
import { FAILURE_CODES, type FailureRow } from '../../../nodes/shared/failure-codes';
import type { Failure } from '../../../nodes/shared/flow/delivery';
import {
  Attempt,
  decide,
  settleFailed,
  watch,
  where,
  type Progress,
  type RetryPolicy,
  type Settler,
  type Tries,
} from '../../../nodes/shared/flow/settlement';
import { fakeClock, type FakeClock } from '../../support/clock';

const POLICY: RetryPolicy = { maxDeliver: 3, backoff: [100, 200], pause: 7 };
const FIRST: Tries = { failures: 1, innocent: 0 };
const luck = new Error('no luck');
const forGood = new FlowError('BAD' as string, 'never', false);
const coded = (code: string): FlowError => new FlowError(code, 'not its fault');

describe('what becomes of what failed', () => {
  test('it is retried after the pause of its failure, the last of them again and again', () => {
    const policy = { ...POLICY, maxDeliver: 100 };
    const after = [1, 2, 3, 50].map((failures) => decide(luck, { failures, innocent: 0 }, policy));
    assert.deepEqual(
      after,
      [100, 200, 200, 200].map((ms) => ({ what: 'retry', after: ms })),
    );
  });

  test('without a backoff it is retried after the pause of its source', () => {
    assert.deepEqual(decide(luck, FIRST, { ...POLICY, backoff: [] }), { what: 'retry', after: 7 });
  });

  test('it is given up at its last try, and not before', () => {
    const decided = [2, 3, 4].map((failures) => decide(luck, { failures, innocent: 0 }, POLICY).what);
    assert.deepEqual(decided, ['retry', 'give up', 'give up']);
    assert.equal(decide(luck, FIRST, { ...POLICY, maxDeliver: 1 }).what, 'give up');
  });

  test('it is never given up for its tries where there is no limit', () => {
    for (const maxDeliver of [-1, 0, Infinity]) {
      const decided = decide(luck, { failures: 1_000, innocent: 0 }, { ...POLICY, maxDeliver });
      assert.deepEqual(decided, { what: 'retry', after: 200 });
    }
  });

  test('it is given up at once where the error says that no repetition helps', () => {
    assert.deepEqual(decide(forGood, FIRST, { ...POLICY, maxDeliver: -1 }), { what: 'give up' });
  });

  const pauses = (error: unknown): unknown[] =>
    [0, 1, 2, 3, 50, 5_000].map((innocent) => {
      const decision = decide(error, { failures: 3, innocent }, POLICY);
      return decision.what === 'give back' ? decision.after : decision.what;
    });

  for (const code of ['NODE_CLOSED', 'CLOSED'])
    test(`stopped by a deploy (${code}) it is given back at once, and does not spin where that repeats`, () => {
      assert.deepEqual(pauses(coded(code)), [0, 10, 30, 70, 1_000, 1_000]);
    });

  test('where no node is wired it is given back after growing pauses, 5 s at most', () => {
    assert.deepEqual(pauses(coded('NOT_WIRED')), [100, 200, 400, 800, 5_000, 5_000]);
  });

  for (const code of [
    'DISCONNECTED',
    'TIMEOUT',
    'CONNECTION_CLOSED',
    'JETSTREAM_UNAVAILABLE',
    'ORG_UNREACHABLE',
  ])
    test(`in an outage (${code}) it is given back after growing pauses, 30 s at most`, () => {
      assert.deepEqual(pauses(coded(code)), [2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    });

  test('an error that says that an outage is behind it is one, whatever its code', () => {
    const error = Object.assign(coded('HTTP_503'), { outage: true });
    assert.deepEqual(decide(error, FIRST, POLICY), { what: 'give back', after: 2_000 });
    assert.equal(decide(coded('HTTP_503'), FIRST, POLICY).what, 'retry');
  });

  test('a code that means an outage here may mean anything in an error of others', () => {
    const error = Object.assign(new Error('x'), { code: 'TIMEOUT', outage: true });
    assert.equal(decide(error, FIRST, POLICY).what, 'retry');
  });

  test('exactly the codes that are declared so are no try, however often and whatever the policy', () => {
    const rows = Object.entries(FAILURE_CODES) as [string, FailureRow][];
    fc.assert(
      fc.property(
        fc.constantFrom(...rows),
        fc.boolean(),
        fc.integer({ min: 1, max: 1_000 }),
        fc.integer({ min: -1, max: 10 }),
        ([code, { innocent }], retryable, failures, maxDeliver) => {
          const error = new FlowError(code, 'x', retryable);
          const { what } = decide(error, { failures, innocent: 0 }, { ...POLICY, maxDeliver });
          assert.equal(what === 'give back', innocent !== undefined);
        },
      ),
    );
  });
});

/** A room that writes down what it is asked to do. */
class Room implements Settler<string> {
  readonly noun = 'letter';
  readonly said: string[] = [];
  failures = 1;
  describe = (item: string): string => `Letter ${item}`;
  tries = (): Tries => ({ failures: this.failures, innocent: 0 });
  policy = (): RetryPolicy => POLICY;
  ack = (item: string): void => void this.said.push(`ack ${item}`);
  extend = (item: string): void => void this.said.push(`extend ${item}`);
  giveBack = (item: string, delay: number): void => void this.said.push(`give back ${item} in ${delay}`);
  retry = (item: string, delay: number): void => void this.said.push(`retry ${item} in ${delay}`);
  giveUp = (item: string, { error }: Failure): void =>
    void this.said.push(`give up ${item}: ${(error as Error).message}`);
  log = (level: string, text: string): void => void this.said.push(`${level}: ${text}`);
  heard = (): string[] => this.said.splice(0);
}

describe('what failed', () => {
  const node = { id: 'n1', type: 'function', name: 'check' };

  test('and is retried is told of, with the node where it failed', () => {
    const room = new Room();
    settleFailed(room, 'a', { error: luck, node });
    settleFailed(room, 'b', { error: luck });
    assert.deepEqual(room.heard(), [
      'warn: no luck. Letter a failed in function "check" and comes again in 100ms',
      'retry a in 100',
      'warn: no luck. Letter b failed and comes again in 100ms',
      'retry b in 100',
    ]);
    assert.deepEqual([where({ error: luck, node }), where({ error: luck })], [' in function "check"', '']);
  });

  test('for nothing of its own is given back, which is told to who looks closely; for good it is the room that tells', () => {
    const room = new Room();
    settleFailed(room, 'a', { error: coded('CLOSED'), node });
    settleFailed(room, 'b', { error: coded('NOT_WIRED') });
    settleFailed(room, 'c', { error: forGood, node });
    assert.deepEqual(room.heard(), [
      'debug: not its fault. Letter a was given back in function "check" and comes again at once, uncounted',
      'give back a in 0',
      'debug: not its fault. Letter b was given back and comes again in 100ms, uncounted',
      'give back b in 100',
      'give up c: never',
    ]);
  });
});

/** The flow's side of an attempt. */
class InFlow implements Progress {
  readonly abandoned: (Failure | undefined)[] = [];
  constructor(
    public time = 0,
    private readonly nodes: string[] = [],
  ) {}
  processingTime = (): number => this.time;
  unfinishedNodes = (): string[] => this.nodes;
  abandon = (failure?: Failure): void => void this.abandoned.push(failure);
}

describe('an attempt', () => {
  let room: Room;
  let flow: InFlow;
  let ends: number;
  beforeEach(() => ((room = new Room()), (flow = new InFlow()), (ends = 0)));
  const attempt = (...items: string[]): Attempt<string> => {
    const made = new Attempt(items, room, () => void ends++);
    made.progress = flow;
    return made;
  };

  test('that the flow has finished acknowledges all that went through it together', () => {
    const one = attempt('a', 'b');
    assert.equal(one.ended, false);
    one.finished(undefined);
    assert.deepEqual([room.heard(), one.ended, ends, flow.abandoned], [['ack a', 'ack b'], true, 1, []]);
  });

  test('that failed in the flow settles each by itself', () => {
    attempt('a', 'b').finished({ error: forGood });
    assert.deepEqual([room.heard(), ends], [['give up a: never', 'give up b: never'], 1]);
  });

  test('ends once, by whatever comes first', () => {
    const endings: ((one: Attempt<string>) => void)[] = [
      (one) => one.finished(undefined),
      (one) => one.finished({ error: luck }),
      (one) => one.succeeded(),
      (one) => one.failed({ error: luck }),
      (one) => one.command({ action: 'ack' }),
      (one) => one.command({ action: 'nak' }),
      (one) => one.command({ action: 'term' }),
      (one) => one.withdraw(),
      (one) => void one.limit(10),
    ];
    for (const first of endings) {
      const one = attempt('a');
      flow.time = 11;
      first(one);
      room.heard();
      const { length } = flow.abandoned;
      for (const later of endings) later(one);
      one.command({ action: 'progress' });
      assert.deepEqual([room.heard(), flow.abandoned.length], [[], length], first.toString());
    }
    assert.equal(ends, endings.length);
  });

  test('works without anybody who hears of its end, or tells how the flow does', () => {
    const one = new Attempt(['a'], room);
    assert.equal(one.limit(0), false);
    one.command({ action: 'ack' });
    const two = new Attempt(['b'], room);
    two.command({ action: 'nak' });
    new Attempt(['c'], room).withdraw();
    assert.deepEqual(room.heard(), ['ack a', 'retry b in 100']);
  });

  test('that the flow acknowledges is settled, and what the flow still does counts no more', () => {
    attempt('a', 'b').command({ action: 'ack' });
    assert.deepEqual([room.heard(), flow.abandoned], [['ack a', 'ack b'], [undefined]]);
  });

  test('that the flow naks comes again after the delay asked for, else after that of a failure, without a word', () => {
    attempt('a').command({ action: 'nak', delay: 45 });
    attempt('b').command({ action: 'nak', delay: 0 });
    attempt('c', 'd').command({ action: 'nak' });
    assert.deepEqual(room.heard(), ['retry a in 45', 'retry b in 0', 'retry c in 100', 'retry d in 100']);
  });

  test('that the flow naks at the last try, or terminates, is given up', () => {
    attempt('a').command({ action: 'term', delay: 45 });
    room.failures = 3;
    attempt('b').command({ action: 'nak', delay: 45 });
    assert.deepEqual(room.heard(), [
      'give up a: The flow refused the letter (term)',
      'give up b: The flow refused the letter (nak)',
    ]);
  });

  test('that the flow refuses hands its failure on to what was put together with it', () => {
    for (const action of ['nak', 'term'] as const) attempt('a').command({ action });
    assert.deepEqual(
      flow.abandoned.map((failure) => {
        const { code, retryable } = failure?.error as FlowError;
        return [code, retryable];
      }),
      [
        ['REFUSED', true],
        ['REFUSED', false],
      ],
    );
  });

  test('that needs more time has all of it extended, and goes on', () => {
    const one = attempt('a', 'b');
    one.command({ action: 'progress' });
    assert.deepEqual(
      [room.heard(), one.ended, ends, flow.abandoned],
      [['extend a', 'extend b'], false, 0, []],
    );
  });

  test('that is withdrawn settles nothing, and what the flow still does counts no more', () => {
    attempt('a').withdraw();
    assert.deepEqual([room.heard(), flow.abandoned, ends], [[], [undefined], 1]);
  });

  test('that is longer in the flow than it may fails, naming what holds it, and hands that on', () => {
    const one = attempt('a', 'b');
    flow = new InFlow(60_000, ['function "stuck"', 'delay d']);
    one.progress = flow;
    assert.deepEqual(
      [one.limit(60_000), room.heard(), flow.abandoned],
      [false, [], []],
      'not at the limit yet',
    );
    flow.time = 60_001;
    assert.equal(one.limit(60_000), true);
    const why = 'The flow did not finish the letter within 1m; not finished: function "stuck", delay d';
    assert.deepEqual(room.heard(), [
      `warn: ${why}. Letter a failed and comes again in 100ms`,
      'retry a in 100',
      `warn: ${why}. Letter b failed and comes again in 100ms`,
      'retry b in 100',
    ]);
    const [failure] = flow.abandoned;
    assert.deepEqual(
      [(failure?.error as FlowError).code, (failure?.error as FlowError).message, flow.abandoned.length],
      ['PROCESSING_LIMIT', why, 1],
    );
  });

  test('without nodes that hold it names none', () => {
    flow.time = 2_000;
    room.failures = 3;
    attempt('a').limit(1_000);
    assert.deepEqual(room.heard(), ['give up a: The flow did not finish the letter within 1s']);
  });
});

describe('the watch', () => {
  let clock: FakeClock;
  let room: Room;
  let unwatch: () => void;
  beforeEach(() => ((clock = fakeClock(['setInterval'])), (room = new Room())));
  afterEach(() => {
    unwatch();
    clock.reset();
  });

  interface Item {
    name: string;
    attempt: Attempt<Item> | undefined;
    extendedAt: number;
  }
  const settler = (): Settler<Item> => ({
    ...(room as unknown as Settler<Item>),
    noun: 'letter',
    describe: ({ name }) => name,
    extend: (item) => {
      item.extendedAt = performance.now();
      room.extend(item.name);
    },
    retry: ({ name }, delay) => room.retry(name, delay),
  });
  const item = (name: string): Item => ({ name, attempt: undefined, extendedAt: performance.now() });
  const times = { processingLimit: 10_000, extendAfter: 300, shortest: 1_000 };

  test('extends what was not extended for longer than it may, again and again', () => {
    const items = [item('a')];
    unwatch = watch(settler(), () => items, { ...times, extendAfter: 400 });
    clock.pass(400, 200);
    assert.deepEqual(room.heard(), []);
    clock.pass(200);
    assert.deepEqual(room.heard(), ['extend a']);
    clock.pass(400, 200);
    assert.deepEqual(room.heard(), []);
    clock.pass(200);
    assert.deepEqual(room.heard(), ['extend a']);
  });

  test('goes by no wall clock', () => {
    const flow = new InFlow();
    const one = item('a');
    one.attempt = new Attempt([one], settler());
    one.attempt.progress = flow;
    unwatch = watch(settler(), () => [one], times);
    clock.setWallClock(-3_600_000);
    clock.pass(400, 100);
    assert.deepEqual(room.heard(), ['extend a']);
    clock.setWallClock(7_200_000);
    clock.pass(200);
    assert.deepEqual([room.heard(), one.attempt.ended], [[], false]);
  });

  test('ends what is in the flow for too long, and does not extend it then, nor what went with it', () => {
    const both = new Map(['a', 'b', 'c'].map((name) => [name, item(name)]));
    const side = settler();
    side.retry = ({ name }, delay) => {
      both.delete(name);
      room.retry(name, delay);
    };
    const [a, b] = [...both.values()] as [Item, Item];
    a.attempt = b.attempt = new Attempt([a, b], side);
    a.attempt.progress = new InFlow(10_001);
    unwatch = watch(side, () => both.values(), { ...times, extendAfter: 0 });
    clock.pass(200);
    assert.deepEqual(
      room.heard().filter((text) => !text.startsWith('warn')),
      ['retry a in 100', 'retry b in 100', 'extend c'],
    );
  });

  test('an attempt that ended is extended as long as it is in flight', () => {
    const one = item('a');
    one.attempt = new Attempt([one], { ...settler(), giveUp: () => undefined });
    one.attempt.progress = new InFlow(20_000);
    one.attempt.failed({ error: forGood });
    unwatch = watch(settler(), () => [one], times);
    clock.pass(400, 100);
    assert.deepEqual(room.heard(), ['extend a']);
  });

  test('looks five times within the shortest time, every 20 ms at most, every second at least', () => {
    for (const [shortest, every] of [
      [600_000, 1_000],
      [1_000, 200],
      [10, 20],
    ] as const) {
      let looks = 0;
      unwatch = watch(settler(), () => (looks++, []), { ...times, shortest });
      clock.pass(every - 1, every - 1);
      assert.equal(looks, 0);
      clock.pass(1);
      assert.equal(looks, 1);
      unwatch();
      clock.pass(5_000);
      assert.equal(looks, 1, 'and no more when it is over');
    }
  });
});
