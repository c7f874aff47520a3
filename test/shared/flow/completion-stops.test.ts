import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import type { NodeAPI } from 'node-red';
import { codeOf } from '../../../nodes/shared/errors';
import { commandDelivery, flowTracker, pauseProcessing } from '../../../nodes/shared/flow/completion';
import { fakeClock } from '../../support/clock';
import { errorOf, Flow, gate, holder, join, pass, sink, turns, type Msg } from './runtime';

describe('stops, commands, hooks', () => {
  let flow: Flow;
  beforeEach(() => (flow = new Flow()));
  afterEach(() => flow.close());

  describe('a node is stopped', () => {
    test('while it holds a message: the message fails, as a deploy’s fault', async () => {
      const node = flow.node('a', 'delay', (_msg, _send, _done) => undefined, { name: 'hold' });
      const sent = flow.deliver();
      await turns();
      await node.close();
      await turns();
      assert.equal(codeOf(errorOf(sent)), 'NODE_CLOSED');
      assert.match(String(errorOf(sent)), /delay "hold" was stopped by a deploy/);
      assert.equal(sent.ends[0]?.node?.id, 'a');
      assert.equal(sent.ends.length, 1);
    });

    test('and says done for what it held back (delay, join, batch): the message fails', async () => {
      const dones: (() => void)[] = [];
      const node = flow.node('a', 'delay', (_msg, _send, done) => void dones.push(done), {
        close: () => dones.forEach((done) => done()),
      });
      const [one, two] = [flow.deliver(), flow.deliver()];
      await turns();
      await node.close();
      await turns();
      assert.deepEqual(
        [one, two].map((sent) => codeOf(errorOf(sent), 'none')),
        ['NODE_CLOSED', 'NODE_CLOSED'],
      );
    });

    test('and finishes its work before it is closed: that counts', async () => {
      const [work, closing] = [gate(), gate()];
      const node = flow.node(
        'a',
        'http request',
        (_msg, _send, done) => void work.opened.then(() => done()),
        {
          close: () => closing.opened,
        },
      );
      const sent = flow.deliver();
      await turns();
      const closed = node.close();
      work.open();
      await turns();
      assert.deepEqual(sent.ends, [undefined]);
      closing.open();
      await closed;
    });

    test('a message that reaches it afterwards fails', async () => {
      const late = holder();
      const node = flow.node('b', 'function', sink);
      flow.node('first', 'function', pass, { wires: [['b']] });
      flow.node('a', 'delay', late.handler, { wires: [['b']] });
      flow.deliver(); // the node is known from here on
      await turns();
      late.held.pop()?.();
      await turns();
      const sent = flow.deliver();
      await turns();
      await node.close();
      late.held.pop()?.();
      await turns();
      assert.equal(codeOf(errorOf(sent)), 'NODE_CLOSED');
      assert.equal(sent.ends.length, 1);
    });

    test('the others that it doesn’t hold are left alone', async () => {
      const late = holder();
      const node = flow.node('a', 'function', pass, { wires: [['b']] });
      flow.node('b', 'delay', late.handler);
      const sent = flow.deliver();
      await turns();
      await node.close();
      await turns();
      assert.deepEqual(sent.ends, []);
      late.held[0]?.();
      await turns();
      assert.deepEqual(sent.ends, [undefined]);
    });

    test('with several of one message inside, it ends once', async () => {
      flow.node('a', 'function', (msg, send, done) => (send([[msg, { ...msg }, { ...msg }]]), done()), {
        wires: [['b']],
      });
      const node = flow.node('b', 'delay', (_msg, _send, _done) => undefined);
      const sent = flow.deliver();
      await turns();
      assert.equal(sent.delivery.count, 3);
      await node.close();
      await turns();
      assert.equal(sent.delivery.count, 0);
      assert.equal(sent.ends.length, 1);
    });
  });

  describe('said late', () => {
    const late = (again = false) =>
      flow.node(
        'a',
        again ? 'trigger' : 'function',
        (msg, send, done) => {
          done();
          void (async () => {
            await turns(5);
            send(msg);
          })();
        },
        { wires: [['b']] },
      );

    test('a node that sends on after it had said done is named, once', async () => {
      const node = late();
      flow.node('b', 'debug', sink);
      const other = holder();
      flow.node('c', 'delay', other.handler);
      const [one, two] = [flow.deliver(), flow.deliver()];
      await turns(2);
      flow.close();
      const open = new Flow(['c']);
      open.node('c', 'delay', other.handler);
      open.deliver(); // something is followed while it sends
      flow.hooks = open.hooks;
      await turns();
      assert.deepEqual([one.ends, two.ends], [[undefined], [undefined]]);
      assert.equal(node.warnings.length, 1);
      assert.match(
        String(node.warnings[0]),
        /function a sent a message on after it had said that it was done/,
      );
      other.held.forEach((go) => go());
      await turns();
      open.close();
    });

    test('a trigger’s later message is one of its own', async () => {
      const node = late(true);
      flow.node('b', 'debug', sink);
      flow.deliver();
      await turns(3);
      const keep = flow.deliver();
      await turns();
      assert.deepEqual(node.warnings, []);
      assert.equal(keep.ends.length, 1);
    });
  });

  describe('commands and pauses', () => {
    test('a command reaches the owner of the message, and of no other', async () => {
      const seen: Msg[] = [];
      flow.node('a', 'delay', (msg, _send, _done) => void seen.push(msg));
      const [one, two] = [flow.deliver(1), flow.deliver(2)];
      await turns();
      assert.equal(commandDelivery(seen[1] ?? {}, { action: 'nak', delay: 5 }), true);
      assert.deepEqual([one.commands, two.commands], [[], [{ action: 'nak', delay: 5 }]]);
      assert.equal(commandDelivery({ payload: 1 }, { action: 'ack' }), false);
      two.delivery.abandon();
      assert.equal(commandDelivery(seen[1] ?? {}, { action: 'ack' }), false, 'it is settled');
    });

    test('a message that isn’t followed hears commands, is paused, and never ends by itself', async () => {
      let seen: Msg = {};
      flow.node('a', 'function', (msg, _send, done) => ((seen = msg), done()));
      const sent = flow.deliver(1, { follow: false });
      await turns();
      assert.deepEqual(sent.ends, []);
      assert.equal(sent.delivery.count, 0);
      assert.equal(commandDelivery(seen, { action: 'ack' }), true);
      assert.deepEqual(sent.commands, [{ action: 'ack' }]);
      assert.deepEqual(Object.getOwnPropertySymbols(seen), []);
      sent.delivery.abandon();
    });

    test('the processing clock stands still during a pause, of every message that was put together', async () => {
      const clock = fakeClock([]);
      try {
        let seen: Msg = {};
        flow.node('a', 'join', join(2), { wires: [['b']] });
        flow.node('b', 'sfdc-composite', (msg, _send, _done) => void (seen = msg));
        const sent = [flow.deliver(1), flow.deliver(2)];
        await turns();
        mock.timers.tick(100);
        const resume = pauseProcessing(seen);
        mock.timers.tick(50_000);
        assert.deepEqual(
          sent.map(({ delivery }) => delivery.processingTime()),
          [100, 100],
        );
        resume();
        resume();
        mock.timers.tick(10);
        assert.deepEqual(
          sent.map(({ delivery }) => delivery.processingTime()),
          [110, 110],
        );
      } finally {
        clock.reset();
      }
    });

    test('a pause of a message that no consumer holds does nothing', () => {
      pauseProcessing({ payload: 1 })();
    });
  });

  describe('its hooks', () => {
    test('are there from the first user to the last', () => {
      const calls: string[] = [];
      const RED = {
        hooks: {
          add: (name: string) => calls.push(`+${name}`),
          remove: (name: string) => calls.push(`-${name}`),
        },
        _: (key: string) => key,
      } as unknown as NodeAPI;
      flow.close();
      const [one, two] = [flowTracker.use(RED), flowTracker.use(RED)];
      assert.deepEqual(calls, [
        '+onSend.jetforce',
        '+onReceive.jetforce',
        '+postReceive.jetforce',
        '+onComplete.jetforce',
      ]);
      one();
      one();
      assert.equal(calls.length, 4);
      two();
      assert.deepEqual(calls.slice(4), ['-*.jetforce']);
    });

    test('a message that another pack’s hook stops hides nothing', async () => {
      const late = holder();
      const work = gate();
      const node = flow.node(
        'a',
        'function',
        (_msg, send, done) => {
          void work.opened.then(() => (send({ payload: 'new' }), done()));
        },
        { wires: [['b']] },
      );
      flow.node('b', 'delay', late.handler);
      const [sent, stopped] = [flow.deliver(), flow.deliver(1, { follow: true })];
      await turns();
      // Received by our hook, then never by the node.
      const msg = { jetstream: { token: stopped.delivery.token } };
      flow.hooks?.onReceive({ msg, destination: { id: 'a', node } });
      stopped.delivery.abandon();
      await turns();
      work.open();
      await turns();
      assert.deepEqual(sent.ends, [], 'the new object is its own');
      late.held.forEach((go) => go());
      await turns();
      assert.deepEqual(sent.ends, [undefined]);
    });

    test('a message that can’t be sent has failed, and one that isn’t followed is its sender’s business', async () => {
      const ends: unknown[] = [];
      const owner = {
        noun: 'message',
        finished: (failure: unknown) => ends.push(failure),
        command: () => undefined,
      };
      const error = new Error('no');
      const send = () => {
        throw error;
      };
      flowTracker.begin('t', { _msgid: 't' }, owner, true, send);
      assert.throws(() => flowTracker.begin('u', { _msgid: 'u' }, owner, false, send), error);
      await turns();
      assert.deepEqual(ends, [{ error }]);
      assert.equal(flowTracker.find({ _msgid: 'u' }), undefined, 'nothing is left of it');
    });
  });
});
