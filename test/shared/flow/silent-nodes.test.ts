import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { errorOf, Flow, holder, sink, turns, type Handler, type Msg, type TestNode } from './runtime';

describe('nodes that never say done', () => {
  let flow: Flow;
  beforeEach(() => (flow = new Flow()));
  afterEach(() => flow.close());

  /**
   * The turns of 10-switch.js: one message at a time, a turn of the event loop between two, and `evaluate` says what
   * becomes of each: it passes or not (one call of send), it throws (a rule fails), or its property can't be read.
   */
  function turnQueue(
    node: () => TestNode,
    evaluate: (msg: Msg) => boolean | 'unreadable' | Promise<boolean>,
  ): Handler {
    const pending: Msg[] = [];
    let busy = false;
    const next = async (): Promise<void> => {
      const msg = pending.shift();
      busy = msg !== undefined;
      if (!msg) return;
      try {
        const verdict = await evaluate(msg);
        if (verdict === 'unreadable') node().warn('unreadable');
        else node().send([verdict ? msg : null]);
      } catch (error) {
        node().error(error, msg);
      }
      setImmediate(() => void next());
    };
    return (msg) => {
      pending.push(msg);
      if (!busy) void next();
    };
  }

  describe('switch', () => {
    let late: ReturnType<typeof holder>;
    let node: TestNode;
    /** A switch at "a" before a node that holds what passes. */
    function place(
      evaluate: (msg: Msg) => boolean | 'unreadable' | Promise<boolean>,
      definition: object = { rules: [{ t: 'eq' }] },
      alias?: string,
    ): void {
      late = holder();
      node = flow.node(
        'a',
        'switch',
        turnQueue(() => node, evaluate),
        { wires: [['b']], definition, alias },
      );
      flow.node('b', 'delay', late.handler);
    }
    const go = async () => {
      late.held.splice(0).forEach((one) => one());
      await turns();
    };

    test('a message that passes is finished behind the switch, one that doesn’t at the switch', async () => {
      place((msg) => msg['payload'] === 1);
      const [one, two] = [flow.deliver(1), flow.deliver(2)];
      await turns();
      assert.deepEqual([one.ends, two.ends], [[], [undefined]]);
      await go();
      assert.deepEqual(one.ends, [undefined]);
    });

    test('a rule that fails fails its message', async () => {
      const error = new Error('rule');
      place(() => {
        throw error;
      });
      const sent = flow.deliver();
      await turns();
      assert.equal(errorOf(sent), error);
      assert.equal(sent.ends.length, 1);
    });

    test('the message after one whose rule failed is settled by its own outcome', async () => {
      place((msg) => {
        if (msg['payload'] === 1) throw new Error('rule');
        return true;
      });
      const [one, two, three] = [flow.deliver(1), flow.deliver(2), flow.deliver(3)];
      await turns();
      assert.equal((errorOf(one) as Error).message, 'rule');
      assert.deepEqual([two.ends, three.ends], [[], []]);
      late.held.pop()?.();
      await turns();
      assert.deepEqual([two.ends, three.ends], [[], [undefined]]);
      await go();
      assert.deepEqual(two.ends, [undefined]);
    });

    test('a property that can’t be read fails the message whose turn it is', async () => {
      place((msg) => (msg['payload'] === 2 ? 'unreadable' : true));
      const sent = [flow.deliver(1), flow.deliver(2), flow.deliver(3)];
      await turns();
      await go();
      assert.deepEqual(sent.map(errorOf), [undefined, 'unreadable', undefined]);
      assert.deepEqual(
        sent.map((one) => one.ends.length),
        [1, 1, 1],
      );
      assert.deepEqual(node.warnings, ['unreadable']);
    });

    test('messages of nobody have their turns too', async () => {
      const gates: (() => void)[] = [];
      place(() => new Promise<boolean>((resolve) => gates.push(() => resolve(false))));
      node.receive({ payload: 'nobody’s' });
      const sent = flow.deliver();
      await turns();
      gates[0]?.();
      await turns();
      assert.deepEqual(sent.ends, [], 'that turn was another’s');
      gates[1]?.();
      await turns();
      assert.deepEqual(sent.ends, [undefined]);
    });

    test('a message that was settled in its queue takes its own turn and nobody else’s', async () => {
      const gates: (() => void)[] = [];
      place(() => new Promise<boolean>((resolve) => gates.push(() => resolve(true))));
      const [one, two] = [flow.deliver(1), flow.deliver(2)];
      await turns();
      one.delivery.abandon();
      gates[0]?.();
      await turns();
      assert.deepEqual(node.warnings, []);
      assert.deepEqual(two.ends, []);
      assert.deepEqual(two.delivery.unfinishedNodes(), ['switch a']);
      gates[1]?.();
      await turns();
      assert.deepEqual(two.delivery.unfinishedNodes(), ['delay b']);
      await go();
      assert.deepEqual(two.ends, [undefined]);
    });

    test('a deploy of new wires while messages wait for their turn costs none of them its turn', async () => {
      const gates: (() => void)[] = [];
      place(() => new Promise<boolean>((resolve) => gates.push(() => resolve(false))));
      const [one, two] = [flow.deliver(1), flow.deliver(2)];
      await turns();
      node.updateWires([['b']]);
      node.updateWires([['b']]);
      gates[0]?.();
      await turns();
      assert.deepEqual([one.ends, two.ends], [[undefined], []]);
      gates[1]?.();
      await turns();
      assert.deepEqual(two.ends, [undefined]);
    });

    /** Messages of one sequence, sent by a function, at a switch that gathers. */
    for (const [what, definition, gathers] of [
      ['recreates sequences', { repair: true, rules: [{ t: 'eq' }] }, true],
      ['has a tail rule', { rules: [{ t: 'eq' }, { t: 'tail' }] }, true],
      ['does neither', { repair: false, rules: [{ t: 'eq' }] }, false],
      ['has no rules', {}, false],
    ] as const)
      for (const alias of [undefined, 'inside a subflow'])
        test(`a switch that ${what} ${gathers ? 'gathers a sequence' : 'takes each alone'}${alias ? `, ${alias}` : ''}`, async () => {
          const waiting: Msg[] = [];
          flow.close();
          flow = new Flow(['make']);
          node = flow.node(
            'a',
            'switch',
            (msg) => {
              if (!gathers || !msg['parts']) return node.send([null]);
              waiting.push(msg);
              if (waiting.length < 2) return;
              for (const _ of waiting.splice(0)) node.send([null]);
            },
            { wires: [[]], definition, alias: alias && 'template' },
          );
          flow.node(
            'make',
            'function',
            (msg, send, done) => {
              // Only the first says how many there are.
              const n = msg['payload'];
              send(
                n === 'alone'
                  ? msg
                  : { ...msg, parts: { id: 's', index: n, ...(n === 0 ? { count: 2 } : {}) } },
              );
              done();
            },
            { wires: [['a']] },
          );
          const first = flow.deliver(0);
          await turns();
          const alone = flow.deliver('alone');
          await turns();
          assert.deepEqual([first.ends, alone.ends], [gathers ? [] : [undefined], [undefined]]);
          const second = flow.deliver(1);
          await turns();
          assert.deepEqual([first.ends, second.ends], [[undefined], [undefined]]);
        });
  });

  for (const type of ['rbe', 'subflow:abc'])
    test(`${type}: finished when its handler has returned, whether it passed the message on or not`, async () => {
      const late = holder();
      const node = flow.node('a', type, (msg) => void (msg['payload'] === 1 && node.send(msg)), {
        wires: [['b']],
      });
      flow.node('b', 'delay', late.handler);
      const [one, two] = [flow.deliver(1), flow.deliver(2)];
      await turns();
      assert.deepEqual([one.ends, two.ends], [[], [undefined]]);
      late.held[0]?.();
      await turns();
      assert.deepEqual(one.ends, [undefined]);
    });

  test('rbe: an error fails its message', async () => {
    const node = flow.node('a', 'rbe', (msg) => node.error('no', msg));
    const sent = flow.deliver();
    await turns();
    assert.equal(errorOf(sent), 'no');
    assert.equal(sent.ends.length, 1);
  });

  test('a node that never says when it has finished is named, once, in a warning', async () => {
    const node = flow.node('a', 'old', () => undefined, { name: 'mine' });
    const [one, two] = [flow.deliver(), flow.deliver()];
    await turns();
    assert.equal(node.warnings.length, 1);
    assert.match(String(node.warnings[0]), /old "mine" never says when it has finished/);
    assert.deepEqual([one.ends, two.ends], [[], []]);
    assert.deepEqual(one.delivery.unfinishedNodes(), ['old "mine"']);
  });

  test('a node that says done, and one of those that needn’t, are not warned about', async () => {
    const node = flow.node('a', 'function', sink);
    flow.deliver();
    await turns();
    assert.deepEqual(node.warnings, []);
    const filter = flow.node('a', 'rbe', () => undefined);
    flow.deliver();
    await turns();
    assert.deepEqual(filter.warnings, []);
  });
});
