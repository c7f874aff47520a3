import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import {
  EventSettlement,
  SETTLEMENT,
  type EventAttempt,
  type SettlementSettings,
} from '../../../nodes/salesforce/events/settlement';
import { sizeInFlow } from '../../../nodes/salesforce/events/bytes-in-flight';
import type { ReceivedEvent } from '../../../nodes/salesforce/pubsub/subscription';
import { OrgOutage } from '../../../nodes/salesforce/org/outage';
import { FlowError } from '../../../nodes/shared/errors';

/** A flow that a test plays: events come into it, and the test says what becomes of each. */
class Flow {
  readonly deliveries: { attempt: EventAttempt; replayId: string; nth: number }[] = [];
  readonly positions: string[] = [];
  readonly log: { level: string; text: string }[] = [];
  released = 0;
  onDeliver: (attempt: EventAttempt) => void = () => undefined;
  /** Of each dead letter that was tried: what becomes of it. */
  readonly letters: ((error?: Error) => void)[] = [];
  readonly settlement: EventSettlement;

  constructor(settings: Partial<SettlementSettings> = {}, withLetters = false) {
    const all = { ...SETTLEMENT, backoff: [100, 200], maxDeliver: 3, ...settings };
    this.settlement = new EventSettlement('/event/Order__e', all, {
      deliver: (attempt, { replayId }, nth) => {
        this.deliveries.push({ attempt, replayId, nth });
        this.onDeliver(attempt);
      },
      position: (replayId) => this.positions.push(replayId),
      ...(withLetters && {
        deadLetter: () =>
          new Promise<void>((resolve, reject) =>
            this.letters.push((error) => (error ? reject(error) : resolve())),
          ),
      }),
      released: () => this.released++,
      log: (level, text) => this.log.push({ level, text }),
    });
    flows.push(this);
  }

  arrive(...replayIds: string[]): void {
    for (const replayId of replayIds) this.settlement.arrived(event(replayId));
  }

  /** The latest delivery of the event. */
  latest(replayId: string): (typeof this.deliveries)[number] {
    const found = this.deliveries.findLast((delivery) => delivery.replayId === replayId);
    return found ?? assert.fail(`${replayId} was not delivered`);
  }

  attempt(replayId: string): EventAttempt {
    return this.latest(replayId).attempt;
  }

  count(replayId: string): number {
    return this.deliveries.filter((delivery) => delivery.replayId === replayId).length;
  }

  ends(replayId: string, error?: unknown): void {
    this.attempt(replayId).finished(error === undefined ? undefined : { error });
  }

  /** What is said to whoever has not asked for details. */
  get words(): string[] {
    return this.log.filter(({ level }) => level !== 'debug').map(({ text }) => text);
  }

  get position(): string | undefined {
    return this.positions.at(-1);
  }
}

const event = (replayId: string, more: Partial<ReceivedEvent> = {}): ReceivedEvent => ({
  replayId,
  id: `id-${replayId}`,
  size: 100,
  schemaId: 'schema',
  payload: { n: replayId },
  ...more,
});
const failure = new Error('not yet');
const final = new FlowError('BAD' as string, 'never', false);
const flows: Flow[] = [];
const pass = (ms: number) => mock.timers.tick(ms);
/** As the tracker tells of a delivery that has been in the flow for `time` ms. */
const progress = (time: () => number, nodes: string[] = []) => {
  const told = { abandoned: 0 };
  return {
    told,
    progress: {
      processingTime: time,
      unfinishedNodes: () => nodes,
      abandon: () => void told.abandoned++,
    },
  };
};

beforeEach(() => mock.timers.enable({ apis: ['setTimeout', 'setInterval'] }));
afterEach(async () => {
  mock.timers.reset();
  for (const flow of flows.splice(0)) await flow.settlement.stop(0);
});

describe('position', () => {
  test('it moves on only behind events that are finished, with all before them', () => {
    const flow = new Flow();
    flow.arrive('a', 'b', 'c', 'd');
    flow.ends('b');
    flow.ends('c');
    assert.deepEqual(flow.positions, []);
    flow.ends('a');
    assert.deepEqual(flow.positions, ['c']);
    flow.ends('d');
    assert.deepEqual(flow.positions, ['c', 'd']);
  });

  test('it waits for an event that failed, however many behind it are finished', () => {
    const flow = new Flow();
    flow.arrive('a', 'b', 'c');
    flow.ends('a', failure);
    flow.ends('b');
    flow.ends('c');
    assert.deepEqual(flow.positions, []);
    pass(100);
    flow.ends('a');
    assert.deepEqual(flow.positions, ['c']);
  });

  test('a keepalive moves it on, but not past what the flow holds', () => {
    const flow = new Flow();
    flow.settlement.passed('k1');
    assert.deepEqual(flow.positions, ['k1']);
    flow.arrive('a');
    flow.settlement.passed('k2');
    assert.deepEqual(flow.positions, ['k1']);
    flow.ends('a');
    assert.deepEqual(flow.positions, ['k1', 'k2']);
  });

  test('an event that is passed over lets it go by', () => {
    const flow = new Flow();
    flow.arrive('a', 'b');
    flow.ends('b');
    flow.ends('a', final);
    assert.deepEqual(flow.positions, ['b']);
  });

  test('whatever becomes of the events, it is never at or behind one that is not finished, and reaches the last', () => {
    const ending = fc.constantFrom('ok', 'fails once', 'fails for good', 'ack', 'term', 'nak');
    fc.assert(
      fc.property(fc.array(fc.tuple(ending, fc.nat(100)), { minLength: 1, maxLength: 40 }), (plan) => {
        const flow = new Flow({ window: 1_000 });
        const names = plan.map((_, i) => `e${i}`);
        const finished = new Set<string>();
        flow.arrive(...names);
        const shuffled = plan.map(([, weight], i) => ({ weight, i })).sort((a, b) => a.weight - b.weight);
        const check = () => {
          const at = flow.position === undefined ? -1 : names.indexOf(flow.position);
          const first = names.findIndex((name) => !finished.has(name));
          assert.equal(at, (first < 0 ? names.length : first) - 1);
        };
        for (const { i } of shuffled) {
          const name = `e${i}`;
          const [kind] = plan[i] ?? [];
          const again = kind === 'fails once' || kind === 'nak';
          if (!again) finished.add(name);
          if (kind === 'ok') flow.ends(name);
          else if (kind === 'fails once') flow.ends(name, failure);
          else if (kind === 'fails for good') flow.ends(name, final);
          else flow.attempt(name).command({ action: kind as 'ack' });
          check();
        }
        pass(100);
        for (const name of names) {
          finished.add(name);
          flow.ends(name);
        }
        check();
        assert.equal(flow.settlement.size, 0);
      }),
      { numRuns: 50 },
    );
  });
});

describe('room', () => {
  test('there is room for the window less what is not finished; an event that waits for its time takes room too', () => {
    const flow = new Flow({ window: 5 });
    assert.equal(flow.settlement.room(), 5);
    flow.arrive('a', 'b', 'c');
    assert.deepEqual([flow.settlement.room(), flow.settlement.size], [2, 3]);
    flow.ends('b');
    assert.deepEqual([flow.settlement.room(), flow.settlement.size], [3, 2]);
    flow.ends('a', failure);
    assert.deepEqual([flow.settlement.room(), flow.settlement.size], [3, 2]);
    flow.ends('c', final);
    assert.deepEqual([flow.settlement.room(), flow.settlement.size], [4, 1]);
  });

  test('each event that is done with says that there is room', () => {
    const flow = new Flow();
    flow.arrive('a', 'b', 'c');
    flow.ends('a');
    assert.equal(flow.released, 1);
    flow.ends('b', failure);
    assert.equal(flow.released, 1);
    flow.ends('c', final);
    assert.equal(flow.released, 2);
  });

  test('what a node gathers for its requests takes no place, until it is over', () => {
    const flow = new Flow({ window: 2 });
    flow.arrive('a', 'b');
    assert.equal(flow.settlement.room(), 0);
    flow.attempt('a').gathering(true);
    assert.deepEqual([flow.settlement.room(), flow.settlement.size, flow.released], [1, 2, 1]);
    flow.attempt('a').gathering(false);
    assert.equal(flow.settlement.room(), 0);
    flow.attempt('a').gathering(true);
    flow.ends('a');
    assert.deepEqual([flow.settlement.room(), flow.settlement.size], [1, 1]);
  });

  test('large events are fewer: as many as their bytes leave room for, gathered or not, and one at least', () => {
    const large = sizeInFlow(1_000_000);
    const flow = new Flow({ window: 1_000, maxBytes: 3 * large });
    for (const id of ['a', 'b']) flow.settlement.arrived(event(id, { size: 1_000_000 }));
    assert.equal(flow.settlement.room(), 1);
    flow.attempt('a').gathering(true);
    assert.equal(flow.settlement.room(), 1);
    flow.settlement.arrived(event('c', { size: 4_000_000 }));
    assert.ok(flow.settlement.room() <= 0);
    for (const id of ['a', 'b']) flow.ends(id);
    assert.ok(flow.settlement.room() <= 0, 'one that is larger than all is alone');
    flow.ends('c');
    assert.equal(flow.settlement.room(), 1);
    for (let i = 0; i < 500; i++) {
      flow.settlement.arrived(event(`small ${i}`));
      flow.ends(`small ${i}`);
    }
    assert.equal(flow.settlement.room(), 1_000, 'as many as ever once they are small again');
  });

  test('those that are coming have a place each, and leave room for as many of their size as there are bytes for', () => {
    const large = sizeInFlow(1_000_000);
    const flow = new Flow({ window: 1_000, maxBytes: 10 * large });
    assert.equal(flow.settlement.room({ events: 4, bytes: 4_000_000 }), 10);
    assert.equal(flow.settlement.room({ events: 12, bytes: 12_000_000 }), 12, 'and for no more');
    assert.equal(flow.settlement.room({ events: 4, bytes: 400 }), 1_000);
    for (const id of ['a', 'b', 'c']) flow.settlement.arrived(event(id, { size: 1_000_000 }));
    assert.equal(flow.settlement.room({ events: 4, bytes: 400 }), 10 - 3 + 4 - 1, 'the next may be large');
  });

  test('behind an event that never ends 10,000 are finished at most', () => {
    const flow = new Flow({ window: 20_000 });
    flow.arrive('stuck');
    for (let i = 0; i < 9_990; i++) {
      flow.arrive(`e${i}`);
      flow.ends(`e${i}`);
    }
    assert.equal(flow.settlement.room(), 9);
    flow.ends('stuck');
    assert.equal(flow.settlement.room(), 10_000);
  });

  test('an event counts once, whatever is said of it afterwards', () => {
    const flow = new Flow({ window: 5 });
    flow.arrive('a');
    const attempt = flow.attempt('a');
    attempt.finished(undefined);
    attempt.finished(undefined);
    attempt.finished({ error: failure });
    attempt.command({ action: 'ack' });
    attempt.command({ action: 'nak' });
    assert.deepEqual([flow.settlement.room(), flow.settlement.size, flow.released], [5, 0, 1]);
    assert.deepEqual(flow.log, []);
    pass(1_000);
    assert.equal(flow.count('a'), 1);
  });

  test('once it is stopped there is none', async () => {
    const flow = new Flow();
    await flow.settlement.stop(0);
    assert.equal(flow.settlement.room(), 0);
  });
});

describe('an event that fails', () => {
  test('comes again after each pause in turn, the last of them again and again', () => {
    const flow = new Flow({ backoff: [100, 300], maxDeliver: 100 });
    flow.arrive('a');
    for (const [nth, pause] of [100, 300, 300, 300].entries()) {
      flow.ends('a', failure);
      pass(pause - 1);
      assert.equal(flow.count('a'), nth + 1);
      pass(1);
      assert.equal(flow.count('a'), nth + 2);
    }
    assert.deepEqual(
      flow.deliveries.map(({ nth }) => nth),
      [1, 2, 3, 4, 5],
    );
  });

  test('is told of with its replay id, its delivery, where it failed, and when it comes again', () => {
    const flow = new Flow();
    flow.arrive('a');
    flow.attempt('a').finished({ error: failure, node: { id: 'n1', type: 'function', name: 'check' } });
    pass(100);
    flow.attempt('a').finished({ error: failure, node: { id: 'n1', type: 'function' } });
    assert.deepEqual(flow.log, [
      {
        level: 'warn',
        text: 'not yet. The event a of /event/Order__e (delivery 1) failed in function "check" and comes again in 100ms',
      },
      {
        level: 'warn',
        text: 'not yet. The event a of /event/Order__e (delivery 2) failed in function n1 and comes again in 200ms',
      },
    ]);
  });

  test('by default comes again after 10 s, 30 s, 1 min and 5 min, and is passed over after the fifth time', () => {
    const { backoff, maxDeliver, window, maxBytes, processingLimit } = SETTLEMENT;
    assert.deepEqual(backoff, [10_000, 30_000, 60_000, 300_000]);
    assert.deepEqual([maxDeliver, window, maxBytes, processingLimit], [5, 1_000, 64 * 2 ** 20, 600_000]);
  });

  test('without a list of pauses it comes again at once', () => {
    const flow = new Flow({ backoff: [] });
    flow.arrive('a');
    flow.ends('a', failure);
    pass(1);
    assert.equal(flow.count('a'), 2);
  });

  test('for good, is passed over at once, with an error that names it', () => {
    const flow = new Flow();
    flow.arrive('a');
    flow.attempt('a').finished({ error: final, node: { id: 'n1', type: 'function' } });
    assert.deepEqual(flow.log, [
      {
        level: 'error',
        text: 'never. The event a of /event/Order__e (delivery 1) failed for good in function n1 and is passed over',
      },
    ]);
    pass(1_000);
    assert.equal(flow.count('a'), 1);
    assert.equal(flow.settlement.size, 0);
  });

  test('as often as it may, while others succeed, is passed over', () => {
    const flow = new Flow({ maxDeliver: 3 });
    flow.arrive('a', 'b');
    flow.ends('a', failure);
    flow.ends('b');
    pass(100);
    flow.ends('a', failure);
    assert.equal(flow.settlement.size, 1, 'not before');
    pass(200);
    flow.ends('a', failure);
    assert.equal(flow.settlement.size, 0);
    assert.match(flow.log.at(-1)?.text ?? '', /\(delivery 3\) failed 3 times and is passed over/);
  });

  test('where nothing succeeds since its first failure, is not: something behind the flow is out of order', () => {
    const flow = new Flow({ maxDeliver: 3 });
    flow.arrive('before', 'a');
    flow.ends('before');
    for (let i = 0; i < 10; i++) {
      flow.ends('a', failure);
      pass(200);
    }
    assert.equal(flow.count('a'), 11);
    flow.arrive('b');
    flow.ends('b');
    flow.ends('a', failure);
    assert.equal(flow.settlement.size, 0, 'but as soon as another one succeeds');
  });

  test('what is passed over is no success of others', () => {
    const flow = new Flow({ maxDeliver: 2 });
    flow.arrive('a', 'b');
    flow.ends('a', failure);
    flow.ends('b', final);
    pass(100);
    flow.ends('a', failure);
    assert.equal(flow.settlement.size, 1);
  });

  test('because delivering it threw, fails like any other', () => {
    const flow = new Flow();
    flow.onDeliver = () => {
      throw new Error('no flow');
    };
    flow.arrive('a');
    assert.match(flow.log[0]?.text ?? '', /^no flow.* comes again in 100ms$/);
    flow.onDeliver = (attempt) => attempt.finished(undefined);
    pass(100);
    assert.equal(flow.settlement.size, 0);
  });

  test('does not hold up the others', () => {
    const flow = new Flow();
    flow.arrive('a');
    flow.ends('a', failure);
    flow.arrive('b');
    assert.equal(flow.count('b'), 1);
  });
});

test('an event that can’t be read is not delivered: it is passed over, with an error that names it', () => {
  const flow = new Flow();
  const error = new FlowError('UNREADABLE_EVENT', 'it is torn', false);
  flow.settlement.arrived(event('a', { payload: undefined, error }));
  assert.deepEqual(flow.deliveries, []);
  assert.deepEqual(flow.positions, ['a']);
  assert.deepEqual(flow.log, [
    {
      level: 'error',
      text: 'it is torn. The event a of /event/Order__e failed for good and is passed over',
    },
  ]);
});

describe('an event that failed for nothing of its own', () => {
  for (const code of ['NODE_CLOSED', 'CLOSED']) {
    test(`(${code}) comes again at once without a word, and that does not count`, () => {
      const flow = new Flow({ maxDeliver: 1 });
      flow.arrive('a', 'b');
      flow.ends('b');
      flow.ends('a', new FlowError(code, 'deployed'));
      pass(1);
      assert.deepEqual(
        flow.deliveries.map(({ replayId, nth }) => `${replayId}${nth}`),
        ['a1', 'b1', 'a1'],
      );
      assert.deepEqual(flow.words, []);
    });
  }

  test('again and again, comes with growing pauses, 1 s at most: the flow does not spin', () => {
    const flow = new Flow();
    flow.arrive('a');
    flow.onDeliver = (attempt) => attempt.finished({ error: new FlowError('NODE_CLOSED', 'closed') });
    flow.ends('a', new FlowError('NODE_CLOSED', 'closed'));
    for (let time = 0; time < 10_000; time += 10) pass(10);
    const { length } = flow.deliveries;
    assert.ok(length >= 12 && length <= 20, `${length} deliveries in 10 s`);
  });

  test('then for something, and again for nothing: the pauses begin anew', () => {
    const flow = new Flow();
    flow.arrive('a');
    const innocent = new FlowError('NODE_CLOSED', 'closed');
    for (let i = 0; i < 8; i++) {
      flow.ends('a', innocent);
      pass(1_000);
    }
    flow.ends('a', failure);
    pass(100);
    const before = flow.count('a');
    flow.ends('a', innocent);
    pass(1);
    assert.equal(flow.count('a'), before + 1);
  });

  test('an outage of NATS or the org is no try: it comes again with growing pauses, 30 s at most', () => {
    const flow = new Flow({ maxDeliver: 1 });
    flow.arrive('a', 'b');
    flow.ends('b');
    for (const [i, pause] of [2_000, 4_000, 8_000, 16_000, 30_000, 30_000].entries()) {
      flow.ends('a', i % 2 ? new OrgOutage('limit', 'X', 'full', false) : new FlowError('DISCONNECTED', 'x'));
      pass(pause - 1);
      assert.equal(flow.count('a'), i + 1);
      pass(1);
      assert.deepEqual([flow.count('a'), flow.latest('a').nth], [i + 2, 1]);
    }
    assert.deepEqual(flow.words, []);
  });

  test('(no node is wired) comes again after growing pauses, 5 s at most', () => {
    const flow = new Flow();
    flow.arrive('a');
    for (const [i, pause] of [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000].entries()) {
      flow.ends('a', new FlowError('NOT_WIRED', 'nothing'));
      pass(pause - 1);
      assert.equal(flow.count('a'), i + 1);
      pass(1);
      assert.deepEqual([flow.count('a'), flow.latest('a').nth], [i + 2, 1]);
    }
  });
});

describe('commands', () => {
  test('ack has done with it, and what the flow still does with it counts no more', () => {
    const flow = new Flow();
    flow.arrive('a');
    const { progress: is, told } = progress(() => 0);
    flow.attempt('a').progress = is;
    flow.attempt('a').command({ action: 'ack' });
    assert.deepEqual([flow.positions, told.abandoned], [['a'], 1]);
    flow.ends('a', failure);
    assert.deepEqual(flow.log, []);
  });

  test('an acknowledged event is a success of others', () => {
    const flow = new Flow({ maxDeliver: 1 });
    flow.arrive('a', 'b');
    flow.ends('a', failure);
    flow.attempt('b').command({ action: 'ack' });
    pass(100);
    flow.ends('a', failure);
    assert.equal(flow.settlement.size, 0);
  });

  test('nak brings it again after its delay, or after the pause of a failure', () => {
    const flow = new Flow();
    flow.arrive('a', 'b');
    flow.attempt('a').command({ action: 'nak', delay: 7 });
    flow.attempt('b').command({ action: 'nak' });
    pass(6);
    assert.equal(flow.count('a'), 1);
    pass(1);
    assert.deepEqual([flow.count('a'), flow.latest('a').nth], [2, 2]);
    pass(92);
    assert.equal(flow.count('b'), 1);
    pass(1);
    assert.equal(flow.count('b'), 2);
  });

  test('nak with a delay of 0 brings it again at once', () => {
    const flow = new Flow();
    flow.arrive('a');
    flow.attempt('a').command({ action: 'nak', delay: 0 });
    pass(1);
    assert.equal(flow.count('a'), 2);
  });

  test('nak as often as an event may fail passes it over, while others succeed', () => {
    const flow = new Flow({ maxDeliver: 2 });
    flow.arrive('z', 'a', 'b');
    flow.ends('z');
    flow.attempt('a').command({ action: 'nak', delay: 1 });
    pass(1);
    flow.attempt('a').command({ action: 'nak', delay: 1 });
    assert.equal(flow.settlement.size, 2, 'nothing has succeeded since');
    flow.ends('b');
    pass(1);
    flow.attempt('a').command({ action: 'nak', delay: 1 });
    assert.equal(flow.settlement.size, 0);
    assert.match(flow.log[0]?.text ?? '', /^The flow refused the event \(nak\).* is passed over$/);
  });

  test('term passes it over, with an error that names it', () => {
    const flow = new Flow();
    flow.arrive('a');
    const { progress: is, told } = progress(() => 0);
    flow.attempt('a').progress = is;
    flow.attempt('a').command({ action: 'term' });
    assert.deepEqual([flow.positions, told.abandoned], [['a'], 1]);
    assert.match(
      flow.log[0]?.text ?? '',
      /^The flow refused the event \(term\).* event a .* is passed over$/,
    );
    assert.equal(flow.log[0]?.level, 'error');
  });

  test('progress changes nothing', () => {
    const flow = new Flow();
    flow.arrive('a');
    const { progress: is, told } = progress(() => 0);
    flow.attempt('a').progress = is;
    flow.attempt('a').command({ action: 'progress' });
    assert.deepEqual([flow.settlement.size, told.abandoned], [1, 0]);
    flow.ends('a');
    assert.equal(flow.settlement.size, 0);
  });

  test('a command for an event that waits for its next delivery is nobody’s', () => {
    const flow = new Flow();
    flow.arrive('a');
    flow.ends('a', failure);
    const attempt = flow.attempt('a');
    const { progress: is, told } = progress(() => 0);
    attempt.progress = is;
    attempt.command({ action: 'ack' });
    assert.deepEqual([flow.settlement.size, told.abandoned], [1, 0]);
    pass(100);
    assert.equal(flow.count('a'), 2);
  });
});

describe('the processing limit', () => {
  test('an event that is longer in the flow fails, naming what holds it, and what it still does counts no more', () => {
    const flow = new Flow({ processingLimit: 1_000 });
    flow.arrive('a', 'b');
    let time = 1_000;
    const a = progress(() => time, ['function "stuck"', 'delay d1']);
    flow.attempt('a').progress = a.progress;
    pass(200);
    assert.equal(a.told.abandoned, 0, 'not at the limit');
    time = 1_001;
    pass(200);
    assert.equal(a.told.abandoned, 1);
    assert.equal(
      flow.log[0]?.text,
      'The flow did not finish the event within 1s; not finished: function "stuck", delay d1. The event a of /event/Order__e (delivery 1) failed and comes again in 100ms',
    );
    pass(200);
    assert.equal(flow.count('a'), 2);
    assert.equal(flow.count('b'), 1);
  });

  test('it counts as a try, and without nodes that hold it none are named', () => {
    const flow = new Flow({ processingLimit: 1_000, maxDeliver: 1 });
    flow.arrive('a', 'b');
    flow.attempt('a').progress = progress(() => 2_000).progress;
    pass(200);
    flow.ends('b');
    pass(100);
    flow.attempt('a').progress = progress(() => 2_000).progress;
    pass(200);
    assert.match(
      flow.log.at(-1)?.text ?? '',
      /^The flow did not finish the event within 1s\. .* passed over$/,
    );
  });

  test('what a former delivery still says is not taken for the present one', () => {
    const flow = new Flow();
    flow.arrive('a');
    const former = flow.attempt('a');
    flow.ends('a', failure);
    pass(100);
    former.finished(undefined);
    former.command({ action: 'ack' });
    assert.deepEqual([flow.settlement.size, flow.count('a')], [1, 2]);
  });

  test('an event that waits for its next delivery is not in the flow', () => {
    const flow = new Flow({ processingLimit: 1_000, backoff: [5_000] });
    flow.arrive('a');
    const { progress: is, told } = progress(() => 2_000);
    flow.attempt('a').progress = is;
    flow.ends('a', failure);
    pass(2_000);
    assert.equal(told.abandoned, 0);
    assert.equal(flow.log.length, 1);
  });

  test('it is looked for every second at most, and five times within a short limit', () => {
    for (const [processingLimit, every] of [
      [600_000, 1_000],
      [1_000, 200],
      [10, 20],
    ] as const) {
      const flow = new Flow({ processingLimit });
      flow.arrive('a');
      let looks = 0;
      flow.attempt('a').progress = progress(() => (looks++, 0)).progress;
      for (let i = 0; i < 10; i++) pass(every);
      assert.equal(looks, 10);
    }
  });
});

describe('stopping', () => {
  test('gives the flow time to finish, and is over as soon as it has', async () => {
    const flow = new Flow();
    flow.arrive('a', 'b');
    let over = false;
    const stopping = flow.settlement.stop(1_000).then(() => (over = true));
    flow.ends('a');
    await turn();
    assert.equal(over, false);
    flow.ends('b');
    await stopping;
    assert.deepEqual(flow.positions, ['a', 'b']);
    assert.equal(flow.released, 0, 'nothing more is asked for');
  });

  test('takes no longer than it may; what is finished then comes again', async () => {
    const flow = new Flow();
    flow.arrive('a', 'b');
    const { progress: is, told } = progress(() => 0);
    flow.attempt('a').progress = is;
    let over = false;
    const stopping = flow.settlement.stop(1_000).then(() => (over = true));
    pass(999);
    await turn();
    assert.equal(over, false);
    pass(1);
    await stopping;
    assert.equal(told.abandoned, 1);
    flow.ends('a');
    flow.attempt('b').command({ action: 'ack' });
    assert.deepEqual(flow.positions, []);
  });

  test('with nothing in the flow it is over at once, and what waits for its time is delivered no more', async () => {
    const flow = new Flow();
    flow.arrive('a');
    flow.ends('a', failure);
    flow.settlement.passed('k');
    await flow.settlement.stop(60_000);
    pass(60_000);
    assert.equal(flow.count('a'), 1);
  });

  test('an event that fails meanwhile is not delivered again, and is no longer waited for', async () => {
    for (const error of [failure, new FlowError('NODE_CLOSED', 'closed')]) {
      const flow = new Flow();
      flow.arrive('a');
      const stopping = flow.settlement.stop(60_000);
      flow.ends('a', error);
      await stopping;
      pass(60_000);
      assert.equal(flow.count('a'), 1);
      assert.deepEqual(flow.positions, []);
    }
  });

  test('an event that fails for good meanwhile is passed over, and the position tells', async () => {
    const flow = new Flow();
    flow.arrive('a');
    const stopping = flow.settlement.stop(60_000);
    flow.ends('a', final);
    await stopping;
    assert.deepEqual(flow.positions, ['a']);
  });

  test('nobody looks for the processing limit any more', async () => {
    const flow = new Flow({ processingLimit: 1_000 });
    flow.arrive('a');
    let looks = 0;
    flow.attempt('a').progress = progress(() => (looks++, 0)).progress;
    const stopping = flow.settlement.stop(5_000);
    pass(5_000);
    await stopping;
    assert.equal(looks, 0);
  });
});

describe('the dead letter of an event', () => {
  test('is stored before the position moves on', async () => {
    const flow = new Flow({}, true);
    flow.arrive('a');
    flow.ends('a', final);
    assert.deepEqual(flow.positions, []);
    flow.letters[0]?.();
    await turn();
    assert.equal(flow.position, 'a');
  });

  test('that can not be stored now is tried again, said once, and holds the position', async () => {
    const flow = new Flow({}, true);
    flow.arrive('a');
    flow.ends('a', final);
    for (const wait of [1_000, 2_000, 4_000]) {
      flow.letters.at(-1)?.(new Error('nobody answers'));
      await turn();
      pass(wait);
    }
    assert.deepEqual([flow.letters.length, flow.positions], [4, []]);
    assert.equal(flow.words.filter((text) => /can't be stored yet: nobody answers/.test(text)).length, 1);
  });

  test('that can never be stored holds nobody up: the log names the event', async () => {
    const flow = new Flow({}, true);
    flow.arrive('a', 'b');
    flow.ends('a', final);
    flow.ends('b');
    flow.letters[0]?.(new FlowError('MESSAGE_TOO_LARGE', 'too large', false));
    await turn();
    assert.equal(flow.position, 'b');
    assert.match(flow.words.at(-1) ?? '', /^too large\. The event a .* can never be stored/);
  });
});
