import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { codeOf, FlowError } from '../../../nodes/shared/errors';
import { commandDelivery } from '../../../nodes/shared/flow/in-flow';
import { errorOf, Flow, holder, join, pass, sink, turns, type Msg, type Sent } from './runtime';

describe('messages put together', () => {
  let flow: Flow;
  beforeEach(() => (flow = new Flow()));
  afterEach(() => flow.close());

  /** Puts `count` messages together at "a" and holds the joined one at "b", before "c". */
  function joined(count = 3) {
    const late = holder();
    flow.node('a', 'join', join(count), { wires: [['b']] });
    flow.node('b', 'delay', late.handler, { wires: [['c']] });
    return late;
  }
  const ends = (...sent: Sent[]) => sent.map((one) => one.ends);

  test('messages that were put together are finished when the joined one is', async () => {
    const late = joined();
    flow.node('c', 'debug', sink);
    const sent = [flow.deliver(1), flow.deliver(2), flow.deliver(3)];
    await turns();
    assert.deepEqual(ends(...sent), [[], [], []]);
    late.held[0]?.();
    await turns();
    assert.deepEqual(ends(...sent), [[undefined], [undefined], [undefined]]);
  });

  test('a failure behind a join fails every message that was put together', async () => {
    const late = joined();
    flow.node('c', 'function', (_msg, _send, done) => done('no'));
    const sent = [flow.deliver(1), flow.deliver(2), flow.deliver(3)];
    await turns();
    late.held[0]?.();
    await turns();
    assert.deepEqual(sent.map(errorOf), ['no', 'no', 'no']);
    assert.deepEqual(
      sent.map((one) => one.ends.length),
      [1, 1, 1],
    );
  });

  test('a failure behind two joins, one after the other, fails the messages of the first', async () => {
    flow.node('a', 'join', join(2), { wires: [['b']] });
    flow.node('b', 'join', join(2), { wires: [['c']] });
    flow.node('c', 'function', (_msg, _send, done) => done('no'));
    const sent = [1, 2, 3, 4].map((n) => flow.deliver(n));
    await turns();
    assert.deepEqual(sent.map(errorOf), ['no', 'no', 'no', 'no']);
  });

  test('a message of its own failure keeps it, whatever the joined one comes to', async () => {
    const late = joined(2);
    flow.node('c', 'debug', sink);
    const first = flow.deliver(1);
    first.delivery.fail('before');
    const second = flow.deliver(2);
    await turns();
    late.held[0]?.();
    await turns();
    assert.equal(errorOf(first), 'before');
    assert.deepEqual(second.ends, [undefined], 'what failed before the join is not the joined one’s');
  });

  test('a node that holds no other message puts none together, whatever was given up in it', async () => {
    const late = holder();
    let early: Msg | undefined;
    flow.node('a', 'function', pass, { wires: [['m', 'b']] });
    flow.node(
      'm',
      'function',
      (msg, send, done) => {
        if (msg['payload'] === 'stuck') return;
        if (msg['payload'] === 'early') early = msg;
        else send(early);
        done();
      },
      { wires: [['c']] },
    );
    flow.node('b', 'delay', (msg, send, done) =>
      msg['payload'] === 'early' ? late.handler(msg, send, done) : done(),
    );
    flow.node('c', 'debug', sink);
    const stuck = flow.deliver('stuck');
    const one = flow.deliver('early');
    await turns();
    stuck.delivery.abandon();
    const two = flow.deliver('last');
    await turns();
    assert.deepEqual(ends(one, two), [[], [undefined]]);
    late.held[0]?.();
    await turns();
    assert.deepEqual(one.ends, [undefined]);
  });

  test('messages that a node sends on each for itself are not put together', async () => {
    const late = holder();
    const waiting: { msg: Msg; done: () => void }[] = [];
    flow.node(
      'a',
      'batch',
      (msg, send, done) => {
        waiting.push({ msg, done });
        if (waiting.length < 2) return;
        for (const one of waiting) send(one.msg);
        for (const one of waiting) one.done();
      },
      { wires: [['b']] },
    );
    flow.node('b', 'delay', late.handler);
    const [one, two] = [flow.deliver(1), flow.deliver(2)];
    await turns();
    late.held[0]?.();
    await turns();
    assert.deepEqual(ends(one, two), [[undefined], []]);
  });

  test('two messages whose parts are joined crosswise are both finished', async () => {
    const late = holder();
    // Each message becomes two; they come to the join as a1 b1, then b2 a2.
    flow.node(
      'a',
      'function',
      (msg, send, done) => {
        const of = msg['payload'] as string;
        const part = (n: number) => ({ ...msg, payload: `${of}${n}` });
        send([[part(1), part(2)]]);
        done();
      },
      { wires: [['order']] },
    );
    const parts = new Map<unknown, () => void>();
    flow.node(
      'order',
      'delay',
      (msg, send, done) => {
        parts.set(msg['payload'], () => (send(msg), done()));
      },
      { wires: [['join']] },
    );
    flow.node('join', 'join', join(2), { wires: [['b']] });
    flow.node('b', 'delay', late.handler);
    const [a, b] = [flow.deliver('a'), flow.deliver('b')];
    await turns();
    for (const part of ['a1', 'b1', 'b2', 'a2']) {
      parts.get(part)?.();
      await turns();
    }
    assert.equal(late.held.length, 2);
    late.held[0]?.();
    await turns();
    assert.deepEqual(ends(a, b), [[], []], 'both have a part in what is still under way');
    late.held[1]?.();
    await turns();
    assert.deepEqual(ends(a, b), [[undefined], [undefined]]);
  });

  for (const action of ['ack', 'nak', 'term', 'progress'] as const)
    test(`${action} of a joined message is told to every message that was put together`, async () => {
      let last: Msg = {};
      flow.node('a', 'join', join(3), { wires: [['b']] });
      flow.node('b', 'delay', (msg, _send, _done) => void (last = msg));
      const sent: Sent[] = [];
      for (const n of [1, 2, 3]) {
        const one: Sent = flow.deliver(n, {
          owner: {
            command: (command) => {
              one.commands.push(command);
              if (command.action !== 'progress') one.delivery.abandon();
            },
          },
        });
        sent.push(one);
      }
      await turns();
      assert.ok(commandDelivery(last, { action }));
      await turns();
      assert.deepEqual(
        sent.map((one) => one.commands),
        [[{ action }], [{ action }], [{ action }]],
      );
      assert.deepEqual(ends(...sent), [[], [], []]);
    });

  test('a joined message that is given up unfinished lets none of its messages pass for finished', async () => {
    joined();
    const sent = [flow.deliver(1), flow.deliver(2), flow.deliver(3)];
    await turns();
    sent[2]?.delivery.abandon();
    await turns();
    assert.deepEqual(
      sent.map((one) => codeOf(errorOf(one), 'none')),
      ['NODE_CLOSED', 'NODE_CLOSED', 'none'],
    );
  });

  test('a joined message that fails before the flow has finished passes its failure on to its parts', async () => {
    joined();
    const sent = [flow.deliver(1), flow.deliver(2), flow.deliver(3)];
    await turns();
    const failure = { error: new FlowError('PROCESSING_LIMIT', 'too long') };
    sent[2]?.delivery.abandon(failure);
    await turns();
    assert.deepEqual(
      sent.map(({ ends: [first] }) => first),
      [failure, failure, undefined],
    );
  });

  test('a part that failed before keeps its own failure', async () => {
    joined();
    const sent = [flow.deliver(1), flow.deliver(2), flow.deliver(3)];
    await turns();
    sent[0]?.delivery.fail('first');
    sent[2]?.delivery.abandon({ error: 'late' });
    await turns();
    assert.deepEqual(sent.slice(0, 2).map(errorOf), ['first', 'late']);
  });

  test('one of the messages put together may be given up: the others are finished with the joined one', async () => {
    const late = joined();
    flow.node('c', 'debug', sink);
    const sent = [flow.deliver(1), flow.deliver(2), flow.deliver(3)];
    await turns();
    sent[0]?.delivery.abandon();
    late.held[0]?.();
    await turns();
    assert.deepEqual(ends(...sent), [[], [undefined], [undefined]]);
  });

  test('a message finished a turn after another was sent is not put together with it', async () => {
    const late = holder();
    const dones: (() => void)[] = [];
    flow.node(
      'a',
      'function',
      (msg, send, done) => {
        dones.push(done);
        if (msg['payload'] === 2) {
          send(msg);
          void Promise.resolve()
            .then(() => Promise.resolve())
            .then(() => dones.forEach((one) => one()));
        }
      },
      { wires: [['b']] },
    );
    flow.node('b', 'delay', late.handler);
    const [one, two] = [flow.deliver(1), flow.deliver(2)];
    await turns();
    assert.deepEqual(ends(one, two), [[undefined], []]);
  });

  test('a node that holds one message and passes another on has not put them together', async () => {
    const late = holder();
    flow.node(
      'a',
      'function',
      (msg, send, done) => {
        if (msg['payload'] === 1) return void setImmediate(() => setImmediate(() => setImmediate(done)));
        send(msg);
        done();
      },
      { wires: [['b']] },
    );
    flow.node('b', 'delay', late.handler);
    const [one, two] = [flow.deliver(1), flow.deliver(2)];
    await turns();
    assert.deepEqual(ends(one, two), [[undefined], []]);
  });

  test('what another node sends in between puts nothing together', async () => {
    const late = holder();
    let finish: () => void = () => undefined;
    flow.close();
    flow = new Flow(['a', 'other']);
    flow.node('a', 'function', (_msg, _send, done) => void (finish = done));
    flow.node(
      'other',
      'function',
      (msg, send, done) => {
        if (msg['payload'] === 1) return; // held, and never finished
        send(msg);
        finish();
        done();
      },
      { wires: [['b']] },
    );
    flow.node('b', 'delay', late.handler);
    const [one, two] = [flow.deliver(1), flow.deliver(2)];
    await turns();
    assert.equal(late.held.length, 1);
    assert.deepEqual(ends(one, two), [[], []]);
    assert.equal(one.delivery.count + two.delivery.count, 3);
  });

  test('messages put together under the name of the first are finished, and fail, with it', async () => {
    const late = holder();
    flow.node(
      'a',
      'join',
      join(3, (messages) => messages[0]),
      { wires: [['b']] },
    );
    flow.node('b', 'delay', late.handler, { wires: [['c']] });
    flow.node('c', 'function', (_msg, _send, done) => done('no'));
    const sent = [flow.deliver(1), flow.deliver(2), flow.deliver(3)];
    await turns();
    assert.deepEqual(ends(...sent), [[], [], []]);
    late.held[0]?.();
    await turns();
    assert.deepEqual(sent.map(errorOf), ['no', 'no', 'no']);
  });

  test('what was settled the moment it was sent keeps nobody waiting', async () => {
    const held: (() => void)[] = [];
    const sent: Sent[] = [];
    flow.node(
      'a',
      'join',
      (msg, send, done) => {
        held.push(done);
        if (held.length < 2) return;
        send(msg);
        sent[1]?.delivery.abandon();
        held.forEach((one) => one());
      },
      { wires: [['b']] },
    );
    flow.node('b', 'debug', sink);
    sent.push(flow.deliver(1), flow.deliver(2));
    await turns();
    assert.deepEqual(ends(...sent), [[undefined], []]);
  });
});
