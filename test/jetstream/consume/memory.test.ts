import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Memory, memoryOf } from '../../../nodes/jetstream/consume/memory';
import { deliveryInfo } from '../../../nodes/jetstream/consume/message';
import { fakeClock } from '../../support/clock';

interface Delivered {
  info: ReturnType<typeof deliveryInfo>;
  deliveries: number;
}

/** Message `sequence` as it is delivered. `at`: the consumer sequence. */
function delivered(sequence: number, { deliveries = 1, at = sequence, stored = 1 } = {}): Delivered {
  const reply = `$JS.ACK.crm.flow.${deliveries}.${sequence}.${at}.1700000000${stored}00000000.0`;
  return { info: deliveryInfo(reply), deliveries };
}

const settledAs = (memory: Memory, ...[sequence, more]: Parameters<typeof delivered>) =>
  memory.settledAs(delivered(sequence, more).info);

describe('a message that was settled', () => {
  test('is known when the server delivers it once more', () => {
    const memory = new Memory(1);
    memory.settle('ack', delivered(7));
    memory.settle('term', delivered(8));
    assert.equal(settledAs(memory, 7, { deliveries: 2, at: 9 }), 'ack');
    assert.equal(settledAs(memory, 8, { deliveries: 2, at: 10 }), 'term');
    assert.equal(settledAs(memory, 9), undefined);
  });

  test('is new after a reset: the deliveries, or those of the consumer, begin anew', () => {
    const memory = new Memory(1);
    for (let sequence = 1; sequence <= 5; sequence++) memory.settle('ack', delivered(sequence));
    assert.equal(settledAs(memory, 1, { deliveries: 1, at: 1 }), 'anew');
    assert.equal(settledAs(memory, 5, { deliveries: 1, at: 20 }), 'anew');
    assert.equal(settledAs(memory, 5, { deliveries: 2, at: 4 }), 'anew');
  });

  test('is another one in a stream that was restored to an earlier state', () => {
    const memory = new Memory(1);
    memory.settle('ack', delivered(7));
    assert.equal(settledAs(memory, 7, { deliveries: 2, at: 9, stored: 5 }), 'anew');
  });

  test('is known to a server that lost its latest state with the connection, and only then', (t) => {
    const clock = fakeClock();
    t.after(() => clock.reset());
    const memory = new Memory(1);
    memory.settle('ack', delivered(1));
    clock.pass(20_000);
    memory.settle('ack', delivered(2));
    memory.interrupted();
    memory.settle('ack', delivered(3));
    clock.pass(1_000);
    memory.resumed();
    clock.pass(1);
    memory.settle('ack', delivered(4));
    const again = (sequence: number) => settledAs(memory, sequence, { at: 1 });
    assert.deepEqual([1, 2, 3, 4].map(again), ['anew', 'ack', 'ack', 'anew']);
  });

  test('needs no more of its tries', () => {
    const memory = new Memory(1);
    memory.note(delivered(7), 1, (tried) => void tried.failures++);
    memory.settle('term', delivered(7, { deliveries: 2 }));
    assert.deepEqual([memory.triedOf(delivered(7, { deliveries: 3 })), memory.counted.size], [undefined, 0]);
  });
});

describe('how a message was tried', () => {
  const failed = (memory: Memory, delivery: number) =>
    memory.note(delivered(7, { deliveries: delivery }), delivery, (tried) => void tried.failures++);

  test('adds up over its deliveries', () => {
    const memory = new Memory(1);
    for (const delivery of [1, 3, 4]) failed(memory, delivery);
    assert.equal(memory.triedOf(delivered(7, { deliveries: 5 }))?.failures, 3);
  });

  test('says nothing of a message whose deliveries begin anew, nor of another one', () => {
    const memory = new Memory(1);
    failed(memory, 3);
    assert.equal(memory.triedOf(delivered(7, { deliveries: 3 })), undefined);
    assert.equal(memory.triedOf(delivered(7, { deliveries: 4, stored: 2 })), undefined);
  });

  test('what others know of a later delivery wins, what they know of an earlier one does not', () => {
    const [mine, theirs] = [new Memory(1), new Memory(1)];
    failed(mine, 1);
    const earlier = failed(mine, 2);
    theirs.learn(7, earlier);
    const later = failed(theirs, 3);
    mine.learn(7, later);
    mine.learn(7, earlier);
    assert.equal(mine.triedOf(delivered(7, { deliveries: 4 }))?.failures, 3);
  });

  test('of one delivery, that it went into the flow alone after it had come wins', () => {
    const [before, memory] = [new Memory(1), new Memory(1)];
    const failure = failed(before, 1);
    memory.learn(7, failure);
    const alone = memory.note(delivered(7, { deliveries: 2 }), 1, (tried) => void tried.crashes++);
    memory.learn(7, failure);
    before.learn(7, alone);
    for (const one of [memory, before])
      assert.equal(one.triedOf(delivered(7, { deliveries: 2 }))?.crashes, 1);
  });

  test('only what counts for others is told, of the latest 10,000 messages that still wait', () => {
    const memory = new Memory(1);
    memory.note(delivered(1), 1, (tried) => void tried.excused++);
    assert.equal(memory.counted.size, 0);
    for (let sequence = 2; sequence <= 10_101; sequence++)
      memory.note(delivered(sequence), 1, (tried) => void tried.failures++);
    assert.deepEqual(
      [memory.counted.size, memory.counted.has(101), memory.counted.has(102)],
      [10_000, false, true],
    );
    memory.crashedUntil = 10_000;
    memory.passed(10_100);
    assert.deepEqual([[...memory.counted.keys()], memory.crashedUntil], [[10_101], 0]);
  });
});

test('a durable that was made anew is another one, whose memory is empty', () => {
  const at = (ms: number): string => new Date(Date.UTC(2026, 0, 1) + ms).toISOString();
  const memory = memoryOf('one', at(0));
  assert.equal(memoryOf('one', at(4)), memory);
  assert.notEqual(memoryOf('one', at(10)), memory);
  assert.notEqual(memoryOf('other', at(0)), memory);
});
