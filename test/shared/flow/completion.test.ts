import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { flowTracker } from '../../../nodes/shared/flow/completion';
import { commandDelivery } from '../../../nodes/shared/flow/in-flow';
import { turnLost } from '../../../nodes/shared/flow/delivery';
import type { FlowError } from '../../../nodes/shared/errors';
import { errorOf, Flow, gate, holder, pass, sink, turns, type Handler, type Msg } from './runtime';

describe('one flow', () => {
  let flow: Flow;
  beforeEach(() => (flow = new Flow()));
  afterEach(() => flow.close());

  describe('one message', () => {
    test('is finished once, when its last node is done, and not before', async () => {
      const late = holder();
      flow.node('a', 'function', pass, { wires: [['b']] });
      flow.node('b', 'delay', late.handler, { wires: [['c']] });
      flow.node('c', 'debug', sink);
      const sent = flow.deliver();
      await turns();
      assert.deepEqual(sent.ends, []);
      assert.deepEqual(sent.delivery.unfinishedNodes(), ['delay b']);
      late.held[0]?.();
      await turns();
      assert.deepEqual(sent.ends, [undefined]);
    });

    test('is finished at once where nothing is wired', async () => {
      const sent = flow.deliver();
      assert.equal(sent.delivery.count, 0);
      assert.deepEqual(sent.ends, [], 'not within the call that begins it');
      await turns();
      assert.deepEqual(sent.ends, [undefined]);
    });

    test('a node that leaves it fails it, when the others are done, and no node is told of an error', async () => {
      const right = holder();
      const inside: Msg[] = [];
      const keep: Handler = (msg, _send, _done) => void inside.push(msg);
      const a = flow.node('a', 'function', pass, { wires: [['b', 'c']] });
      const b = flow.node('b', 'sfdc-composite', keep);
      flow.node('c', 'delay', right.handler);
      const sent = flow.deliver();
      await turns();
      flowTracker.leave(inside[0] as Msg, turnLost(), b);
      await turns();
      assert.deepEqual(sent.ends, []);
      right.held[0]?.();
      await turns();
      assert.deepEqual(
        sent.ends.map((failure) => (failure as { error: FlowError } | undefined)?.error.code),
        ['TURN_LOST'],
      );
      assert.deepEqual([...a.errors, ...b.errors], []);
    });

    test('waits for each of two wires, clones included', async () => {
      const [left, right] = [holder(), holder()];
      flow.node('a', 'function', pass, { wires: [['b', 'c']] });
      flow.node('b', 'delay', left.handler);
      flow.node('c', 'delay', right.handler);
      const sent = flow.deliver();
      await turns();
      right.held[0]?.();
      await turns();
      assert.deepEqual(sent.ends, []);
      left.held[0]?.();
      await turns();
      assert.deepEqual(sent.ends, [undefined]);
    });

    test('done, then send after a promise turn, is still followed', async () => {
      const late = holder();
      flow.node(
        'a',
        'function',
        (msg, send, done) => {
          done();
          void Promise.resolve().then(() => send(msg));
        },
        { wires: [['b']] },
      );
      flow.node('b', 'delay', late.handler);
      const sent = flow.deliver();
      await turns();
      assert.deepEqual(sent.ends, []);
      late.held[0]?.();
      await turns();
      assert.deepEqual(sent.ends, [undefined]);
    });

    test('done(error) fails it, and tells which node it was', async () => {
      const error = new Error('no');
      const node = flow.node('a', 'function', (_msg, _send, done) => done(error), { name: 'mine' });
      const sent = flow.deliver();
      await turns();
      assert.deepEqual(sent.ends, [{ error, node: { id: 'a', type: 'function', name: 'mine' } }]);
      assert.deepEqual(node.errors, [error], 'the runtime hears it too');
    });

    test('a failure on one branch waits for the other, and the first failure is the one told', async () => {
      const late = holder();
      flow.node('a', 'function', pass, { wires: [['b', 'c']] });
      flow.node('b', 'function', (_msg, _send, done) => done('first'));
      flow.node('c', 'delay', late.handler, { wires: [['d']] });
      flow.node('d', 'function', (_msg, _send, done) => done('second'));
      const sent = flow.deliver();
      await turns();
      assert.deepEqual(sent.ends, []);
      late.held[0]?.();
      await turns();
      assert.equal(sent.ends.length, 1);
      assert.equal(errorOf(sent), 'first');
    });

    test('an error shown by a Catch node fails it all the same, after what is behind the Catch node', async () => {
      const late = holder();
      flow.node('a', 'function', (_msg, _send, done) => done('no'));
      flow.node('catch', 'catch', pass, { wires: [['b']] });
      flow.node('b', 'delay', late.handler);
      const sent = flow.deliver();
      await turns();
      assert.deepEqual(sent.ends, []);
      late.held[0]?.();
      await turns();
      assert.equal(errorOf(sent), 'no');
    });

    test('waits for what is behind a Complete node', async () => {
      const late = holder();
      flow.node('a', 'function', sink);
      // A Complete node completes without a Complete node of its own.
      flow.node('c', 'complete', (msg, send) => send(msg), { wires: [['b']] });
      flow.node('b', 'delay', late.handler);
      const sent = flow.deliver();
      await turns();
      assert.equal(late.held.length, 1);
      assert.deepEqual(sent.ends, []);
    });

    test('a handler that throws fails it and has finished with it', async () => {
      const error = new Error('thrown');
      flow.node('a', 'function', (_msg, _send, _done) => {
        throw error;
      });
      const sent = flow.deliver();
      await turns();
      assert.equal(errorOf(sent), error);
    });

    test('node.error(e, msg) fails it, and the node has still to say done', async () => {
      const late = holder();
      const node = flow.node('a', 'function', (msg, send, done) => {
        node.error('no', msg);
        late.handler(msg, send, done);
      });
      const sent = flow.deliver();
      await turns();
      assert.deepEqual(sent.ends, []);
      late.held[0]?.();
      await turns();
      assert.equal(errorOf(sent), 'no');
    });

    test('node.error(e) without a message fails nothing', async () => {
      const node = flow.node('a', 'function', (_msg, _send, done) => {
        node.error('about nobody');
        done();
      });
      const sent = flow.deliver();
      await turns();
      assert.deepEqual(sent.ends, [undefined]);
    });

    test('an error of a node that has no done, or of a link call, ends it there', async () => {
      for (const type of ['old', 'link call']) {
        const node = flow.node(
          'a',
          type,
          type === 'old'
            ? (msg) => node.error('no', msg)
            : (msg, _send, _done) => void setImmediate(() => node.error('no', msg)),
        );
        const sent = flow.deliver();
        await turns();
        assert.equal(errorOf(sent), 'no', type);
      }
    });

    test('done(error) for one message doesn’t hide a later node.error for another', async () => {
      const node = flow.node('a', 'function', (msg, _send, done) => {
        if (msg['payload'] === 1) return done('one');
        node.error('two', msg);
        done();
      });
      const [one, two] = [flow.deliver(1), flow.deliver(2)];
      await turns();
      assert.equal(errorOf(one), 'one');
      assert.equal(errorOf(two), 'two');
    });

    test('done(error) counts off one of several in a node', async () => {
      const dones: ((error?: unknown) => void)[] = [];
      flow.node('a', 'function', (msg, send, done) => (send([[msg, { ...msg }]]), done()), {
        wires: [['b']],
      });
      const node = flow.node('b', 'function', (_msg, _send, done) => void dones.push(done));
      const sent = flow.deliver();
      await turns();
      dones[0]?.('no');
      await turns();
      assert.deepEqual(sent.ends, []);
      assert.equal(sent.delivery.count, 1);
      dones[1]?.();
      await turns();
      assert.equal(errorOf(sent), 'no');
      assert.deepEqual(node.errors, ['no']);
    });

    test('an error about a message of nobody, or about none, is the runtime’s alone', async () => {
      const node = flow.node('a', 'function', (_msg, _send, done) => {
        node.error('nobody’s', { payload: 1 });
        (node.error as (error: unknown, msg: unknown) => void)('none', null);
        (node.error as (error: unknown, msg: unknown) => void)('none', 'text');
        done();
      });
      const sent = flow.deliver();
      await turns();
      assert.deepEqual(sent.ends, [undefined]);
      assert.equal(node.errors.length, 3);
    });

    test('nothing that happens after its end counts', async () => {
      const late = holder();
      flow.node('a', 'function', late.handler, { wires: [['b']] });
      flow.node('b', 'function', (_msg, _send, done) => done('no'));
      const sent = flow.deliver();
      await turns();
      sent.delivery.abandon();
      late.held[0]?.();
      await turns();
      assert.deepEqual(sent.ends, []);
      for (const one of [sent, flow.deliver(1, { token: 'other', msgid: 'its id' })]) {
        const { token, msgid } = one.delivery;
        if (one !== sent) assert.equal(flowTracker.find({ _msgid: msgid }), one.delivery);
        one.delivery.abandon();
        for (const msg of [{ jetstream: { token } }, { _msgid: token }, { _msgid: msgid }, {}])
          assert.equal(flowTracker.find(msg), undefined);
      }
    });
  });

  describe('whose a message is', () => {
    /**
     * A node that later sends what `make` gives, before one that holds it. It holds another message too: what it
     * sends is known by itself or not at all.
     */
    async function made(make: (msg: Msg) => unknown, options: Parameters<Flow['deliver']>[1] = {}) {
      const late = holder();
      flow.node(
        'a',
        'function',
        (msg, send, done) => {
          if (msg['payload'] === 'other') return;
          void turns(3).then(() => {
            const sent = make(msg);
            send(sent);
            // Whoever has sent a message may go on writing on it.
            if (sent !== msg)
              for (const key of Object.keys(sent as object)) Reflect.deleteProperty(sent as object, key);
            done();
          });
        },
        { wires: [['b']] },
      );
      flow.node('b', 'delay', late.handler);
      const other = flow.deliver('other');
      const sent = flow.deliver(0, options);
      await turns();
      const followed = sent.ends.length === 0;
      late.held.forEach((go) => go());
      await turns();
      assert.deepEqual(sent.ends, [undefined]);
      other.delivery.abandon();
      return followed;
    }

    test('a message keeps it whatever its properties become', async () => {
      assert.ok(
        await made((msg) => {
          delete msg['jetstream'];
          return Object.assign(msg, { _msgid: 'other' });
        }),
      );
    });
    test('a new object is known by the _msgid', async () =>
      assert.ok(await made((msg) => ({ _msgid: msg['_msgid'] }), { token: 't', msgid: 'm' })));
    test('a new object is known by the token in msg.jetstream', async () =>
      assert.ok(await made((msg) => ({ jetstream: msg['jetstream'] }))));
    test('a new object is known by the token in msg.salesforce', async () =>
      assert.ok(await made((msg) => ({ salesforce: msg['jetstream'] }))));
    test('what stands in msg.jetstream and is no token says nothing', async () => {
      for (const jetstream of [null, 'text', {}, { token: 7 }]) {
        assert.ok(await made(() => ({ payload: 'new', jetstream })), 'it may be of any that the node holds');
        assert.ok(await made((msg) => ({ _msgid: msg['_msgid'], jetstream })), JSON.stringify(jetstream));
      }
    });
    test('a frozen object is followed too', async () =>
      assert.ok(await made((msg) => Object.freeze({ _msgid: msg['_msgid'], payload: 1 }))));

    test('a new object sent while the node is called with a message is of that message, frozen or not', async () => {
      for (const made of [() => ({ payload: 'new' }), () => Object.freeze({ payload: 'new' })]) {
        const late = holder();
        flow.node(
          'a',
          'function',
          (msg, send, done) => {
            if (msg['payload'] === 'other') return;
            send(made());
            done();
          },
          { wires: [['b']] },
        );
        flow.node('b', 'delay', late.handler);
        const other = flow.deliver('other');
        const sent = flow.deliver();
        await turns();
        assert.deepEqual(sent.ends, []);
        late.held.forEach((go) => go());
        await turns();
        assert.deepEqual(sent.ends, [undefined]);
        other.delivery.abandon();
      }
    });

    test('a message handed to a node directly keeps what it was known by', async () => {
      const late = holder();
      const node = flow.node(
        'a',
        'link in',
        (msg, send, done) => {
          delete msg['_msgid'];
          void turns(2).then(() => (send(msg), done()));
        },
        { wires: [['b']] },
      );
      flow.node('b', 'delay', late.handler);
      const others = [flow.deliver(1), flow.deliver(2)];
      const msg = { _msgid: others[1]?.delivery.msgid };
      node.receive(msg);
      await turns();
      assert.equal(late.held.length, 3);
      late.held.splice(0, 2).forEach((go) => go());
      await turns();
      late.held.forEach((go) => go());
      await turns();
      assert.deepEqual(
        others.map((one) => one.ends),
        [[undefined], [undefined]],
      );
    });

    test('a message of nobody handed over within a call doesn’t hide whose the next new object is', async () => {
      const late = holder();
      const other = flow.node('other', 'function', sink);
      flow.node(
        'a',
        'function',
        (msg, send, done) => {
          if (msg['payload'] === 'hold') return;
          other.receive({ payload: 'nobody’s' });
          send({ payload: 'new' });
          done();
        },
        { wires: [['b']] },
      );
      flow.node('b', 'delay', late.handler);
      const holding = [flow.deliver('hold'), flow.deliver('hold')];
      const sent = flow.deliver();
      await turns();
      assert.deepEqual(sent.ends, []);
      late.held[0]?.();
      await turns();
      assert.deepEqual(sent.ends, [undefined]);
      holding.forEach((one) => one.delivery.abandon());
    });

    test('a new object sent after the call, in the same turn, is nobody’s where the node holds two', async () => {
      const node = flow.node('a', 'function', (_msg, _send, _done) => undefined, { wires: [['b']] });
      const late = holder();
      flow.node('b', 'delay', late.handler);
      const sent = [flow.deliver(1), flow.deliver(2)];
      await turns();
      node.receive({ _msgid: sent[0]?.delivery.msgid });
      node.send({ payload: 'new' });
      await turns();
      assert.deepEqual(
        sent.map(({ delivery }) => delivery.count),
        [2, 1],
      );
      sent.forEach(({ delivery }) => delivery.abandon());
    });

    test('a new object sent later belongs to the one message that the node holds', async () => {
      const [first, second] = [gate(), holder()];
      flow.node(
        'a',
        'function',
        (_msg, send, done) => {
          void first.opened.then(() => (send({ payload: 'new' }), done()));
        },
        { wires: [['b']] },
      );
      flow.node('b', 'delay', second.handler);
      const sent = flow.deliver();
      await turns();
      first.open();
      await turns();
      assert.deepEqual(sent.ends, []);
      second.held[0]?.();
      await turns();
      assert.deepEqual(sent.ends, [undefined]);
    });

    test('a new object sent later by a node that holds two may be of either: both wait for it', async () => {
      const [first, second] = [gate(), holder()];
      flow.node(
        'a',
        'function',
        (msg, send, done) => {
          if (msg['payload'] === 1) void first.opened.then(() => (send({ payload: 'new' }), done()));
          else void first.opened.then(() => done());
        },
        { wires: [['b']] },
      );
      flow.node('b', 'delay', second.handler);
      const [one, two] = [flow.deliver(1), flow.deliver(2)];
      await turns();
      first.open();
      await turns();
      assert.deepEqual([one.ends, two.ends], [[], []]);
      assert.deepEqual(two.delivery.unfinishedNodes(), ['delay b'], 'which is named');
      second.held[0]?.();
      await turns();
      assert.deepEqual([one.ends, two.ends], [[undefined], [undefined]]);
    });

    const known = () =>
      (flowTracker as unknown as { deliveries: { byToken: Map<string, unknown> } }).deliveries.byToken;
    /** A node that sends a new object for each message some turns later, before one that fails. */
    const worker: Handler = (_msg, send, done) =>
      void turns(3).then(
        () => (send([[{ payload: 'new' }, { payload: 'newer' }]]), turns(3).then(() => done())),
      );

    test('what fails fails each that it may be of, and nobody who came later', async () => {
      flow.node('a', 'file in', worker, { wires: [['b']] });
      flow.node('b', 'function', (_msg, _send, done) => void turns(20).then(() => done('no')));
      const sent = [flow.deliver(1), flow.deliver(2), flow.deliver(3)];
      await turns(80);
      assert.deepEqual(sent.map(errorOf), ['no', 'no', 'no']);
      flow.node('b', 'function', sink);
      const later = flow.deliver(4);
      await turns();
      assert.deepEqual(later.ends, [undefined]);
    });

    test('nothing of what could not be told apart is left when all of it is over', async () => {
      const late = holder();
      const { size } = known();
      flow.node('a', 'file in', worker, { wires: [['b']] });
      flow.node('b', 'delay', late.handler);
      const sent = [flow.deliver(1), flow.deliver(2)];
      await turns();
      assert.equal(known().size, size + 3);
      sent.forEach(({ delivery }) => delivery.abandon());
      assert.equal(known().size, size);
      late.held.forEach((go) => go());
      await turns();
      assert.deepEqual(
        sent.map(({ ends }) => ends),
        [[], []],
      );
    });

    test('a jetstream-ack settles nothing that could not be told apart, but refuses or extends all of it', async () => {
      const seen: Msg[] = [];
      flow.node('a', 'file in', worker, { wires: [['b']] });
      flow.node('b', 'delay', (msg) => void seen.push(msg));
      const sent = [flow.deliver(1), flow.deliver(2)];
      await turns();
      const [msg] = seen as [Msg];
      for (const action of ['ack', 'term'] as const) assert.equal(commandDelivery(msg, { action }), false);
      assert.ok(commandDelivery(msg, { action: 'progress' }));
      assert.deepEqual(
        sent.map(({ commands }) => commands.length),
        [1, 1],
      );
      sent.forEach(({ delivery }) => delivery.abandon());
    });

    test('a message that says by its parts what it was made of is of that one alone', async () => {
      const late = holder();
      flow.node(
        'a',
        'file in',
        (msg, send, done) => void turns(3).then(() => (send({ parts: { id: msg['_msgid'] } }), done())),
        { wires: [['b']] },
      );
      flow.node('b', 'delay', late.handler);
      const sent = [flow.deliver(1), flow.deliver(2)];
      await turns();
      late.held[0]?.();
      await turns();
      assert.deepEqual(
        sent.map(({ ends }) => ends),
        [[undefined], []],
      );
      late.held[1]?.();
    });

    describe('kept by a node and sent again', () => {
      let kept: Msg | undefined;
      beforeEach(() => (kept = undefined));
      const keeper =
        (later: boolean, id: boolean): Handler =>
        (msg, send, done) => {
          kept ??= msg;
          kept['payload'] = msg['payload'];
          if (id) kept['_msgid'] = msg['_msgid'];
          const out = kept;
          if (!later) return (send(out), done());
          void turns(2).then(() => (send(out), done()));
        };
      for (const later of [false, true])
        for (const id of [false, true])
          test(`it is of what the node works on (${later ? 'later' : 'at once'}, ${id ? 'with' : 'without'} its _msgid)`, async () => {
            flow.node('a', 'function', keeper(later, id), { wires: [['b']] });
            flow.node(
              'b',
              'function',
              (msg, _send, done) => void turns(9).then(() => done(msg['payload'] === 2 && 'no')),
            );
            const one = flow.deliver(1);
            await turns(40);
            const two = flow.deliver(2);
            await turns(6);
            assert.deepEqual([one.ends, two.ends], [[undefined], []]);
            await turns(40);
            assert.equal(errorOf(two), 'no');
          });

      test('while what it was kept of is still under way, it is of both', async () => {
        const late = holder();
        flow.node('a', 'function', pass, { wires: [['slow', 'keep']] });
        flow.node('slow', 'delay', (msg, send, done) =>
          msg['payload'] === 1 ? late.handler(msg, send, done) : done(),
        );
        flow.node('keep', 'function', keeper(false, false), { wires: [['b']] });
        flow.node(
          'b',
          'function',
          (msg, _send, done) => void turns(9).then(() => done(msg['payload'] === 2 && 'no')),
        );
        const [one, two] = [flow.deliver(1), flow.deliver(2)];
        await turns(40);
        assert.deepEqual([one.ends, errorOf(two)], [[], 'no']);
        late.held[0]?.();
        await turns();
        assert.equal(errorOf(one), 'no');
      });

      test('each of several that are sent as one object waits for its own', async () => {
        const late = holder();
        flow.node('a', 'function', keeper(false, true), { wires: [['b']] });
        flow.node('b', 'delay', late.handler);
        const sent = [flow.deliver(1), flow.deliver(2), flow.deliver(3)];
        await turns();
        late.held[2]?.();
        await turns();
        assert.deepEqual(
          sent.map(({ ends }) => ends.length),
          [0, 0, 1],
        );
        late.held.slice(0, 2).forEach((go) => go());
        await turns();
        assert.deepEqual(
          sent.map(({ ends }) => ends.length),
          [1, 1, 1],
        );
      });
    });

    test('an abandoned message doesn’t stay in a node’s count and makes no later new object ambiguous', async () => {
      const gates = [gate(), gate()];
      const late = holder();
      flow.node(
        'a',
        'function',
        (msg, send, done) => {
          void gates[Number(msg['payload'])]?.opened.then(() => (send({ payload: 'new' }), done()));
        },
        { wires: [['b']] },
      );
      flow.node('b', 'delay', late.handler);
      const [one, two] = [flow.deliver(0), flow.deliver(1)];
      await turns();
      one.delivery.abandon();
      gates[1]?.open();
      await turns();
      assert.deepEqual(two.ends, [], 'the new object is the second’s');
      late.held[0]?.();
      await turns();
      assert.deepEqual(two.ends, [undefined]);
    });

    test('what a Catch node is handed within a handler doesn’t hide whose the next new object is', async () => {
      const late = holder();
      const node = flow.node(
        'a',
        'function',
        (msg, send, done) => {
          if (msg['payload'] === 'hold') return;
          node.error('shown', msg);
          send({ payload: 'new' });
          done();
        },
        { wires: [['b']] },
      );
      flow.node('catch', 'catch', sink);
      flow.node('b', 'delay', late.handler);
      flow.deliver('hold');
      flow.deliver('hold');
      const sent = flow.deliver();
      await turns();
      assert.deepEqual(sent.ends, [], 'the new object is followed');
      late.held[0]?.();
      await turns();
      assert.equal(errorOf(sent), 'shown');
    });

    test('messages of nobody pass untouched', async () => {
      const seen: Msg[] = [];
      const node = flow.node('a', 'function', (msg, _send, done) => (seen.push(msg), done()));
      const late = holder();
      flow.node('b', 'delay', late.handler);
      const sent = flow.deliver();
      await turns();
      node.receive({ payload: 1 });
      assert.deepEqual(
        seen.map((msg) => Object.getOwnPropertySymbols(msg).length),
        [1, 0],
      );
      assert.deepEqual(sent.ends, [undefined]);
    });
  });
});
