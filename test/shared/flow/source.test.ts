import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { Node, NodeAPI } from 'node-red';
import { codeOf, messageOf } from '../../../nodes/shared/errors';
import { flowTracker } from '../../../nodes/shared/flow/completion';
import { commandDelivery } from '../../../nodes/shared/flow/in-flow';
import { Attempt, type Settler } from '../../../nodes/shared/flow/settlement';
import { FlowSource, type AckMode } from '../../../nodes/shared/flow/source';
import { Flow, holder, pass, sink, TestNode, turns, type Msg } from './runtime';

let flow: Flow;
let said: string[];
let opened: FlowSource[];
beforeEach(() => {
  flow = new Flow();
  said = [];
  opened = [];
});
afterEach(() => {
  opened.forEach((source) => source.close());
  flow.close();
});

const settler: Settler<string> = {
  noun: 'letter',
  describe: (item) => item,
  tries: () => ({ failures: 1, innocent: 0 }),
  policy: () => ({ maxDeliver: 1, backoff: [], pause: 0 }),
  ack: (item) => void said.push(`ack ${item}`),
  extend: (item) => void said.push(`extend ${item}`),
  giveBack: (item, delay) => void said.push(`give back ${item} in ${delay}`),
  retry: (item) => void said.push(`retry ${item}`),
  giveUp: (item, { error }) => void said.push(`give up ${item}: ${codeOf(error)} ${messageOf(error)}`),
  log: () => undefined,
};
const attempt = (item = 'a'): Attempt<string> => new Attempt([item], settler);
const heard = (): string[] => said.splice(0);

/** A source whose node is wired to `to`; `sent` are its messages. */
function open(ack: AckMode, to = ['a'], send?: (msg: Msg) => void): { source: FlowSource; sent: Msg[] } {
  const node = new TestNode(flow, 'source', 'sfdc-event-in', () => undefined, { wires: [to] });
  const sent: Msg[] = [];
  const RED = { hooks: { add: () => undefined, remove: () => undefined } } as unknown as NodeAPI;
  const source = new FlowSource(
    RED,
    { type: node.type, send: (msg: Msg) => (sent.push(msg), (send ?? node.send)(msg)) } as unknown as Node,
    ack,
  );
  opened.push(source);
  return { source, sent };
}
const message = (token: string) => ({ _msgid: token, payload: 1, salesforce: { token } });
/** As Node-RED has it with synchronous delivery: the node is called within send(). */
const atOnce = (to: TestNode) => (msg: Msg) => {
  const event = { msg, source: { id: 'source', node: to }, destination: { id: to.id }, cloneMessage: false };
  flow.hooks?.onSend([event]);
  to.receive(event.msg);
};

describe('acknowledged by the flow', () => {
  test('an attempt is finished when the last path has ended', async () => {
    const late = holder();
    flow.node('a', 'function', pass, { wires: [['b']] });
    flow.node('b', 'delay', late.handler);
    const one = attempt();
    open('flow').source.send(one, message);
    await turns();
    assert.deepEqual(heard(), []);
    late.held[0]?.();
    await turns();
    assert.deepEqual(heard(), ['ack a']);
  });

  test('an attempt hears how the flow does, and of its failure', async () => {
    flow.node('a', 'function', (_msg, _send, done) => done('no'));
    const one = attempt();
    open('flow').source.send(one, message);
    assert.deepEqual(one.progress?.unfinishedNodes(), ['function a']);
    await turns();
    assert.deepEqual(heard(), ['give up a: ERROR no']);
  });

  test('each message is known by a token of its own', () => {
    const { source, sent } = open('flow');
    flow.node('a', 'function', sink);
    for (const item of ['a', 'b', 'c']) source.send(attempt(item), message);
    assert.equal(new Set(sent.map((msg) => msg['_msgid'])).size, 3);
  });

  test('where nothing is wired the message is given back, and nothing is left of it', async () => {
    const { source, sent } = open('flow', []);
    const one = attempt();
    source.send(one, message);
    assert.deepEqual(heard(), ['give back a in 100']);
    assert.equal(flowTracker.find(sent[0] as Msg), undefined);
    await turns();
    assert.deepEqual(heard(), []);
  });

  test('the failure says which node has to be wired', () => {
    const errors: string[] = [];
    const one = attempt();
    const failed = one.failed.bind(one);
    one.failed = (failure) => (errors.push(messageOf(failure.error)), failed(failure));
    open('flow', []).source.send(one, message);
    assert.deepEqual(errors, ['No enabled node is wired to this sfdc-event-in node']);
  });

  test('what sending throws fails it, and is not taken for a missing wire', async () => {
    const { source } = open('flow', ['a'], () => {
      throw new Error('no flow');
    });
    source.send(attempt(), message);
    await turns();
    assert.deepEqual(heard(), ['give up a: ERROR no flow']);
  });

  test('a flow that finishes within send() has finished, and is not taken for a missing wire', async () => {
    const a = flow.node('a', 'function', sink);
    open('flow', ['a'], atOnce(a)).source.send(attempt(), message);
    await turns();
    assert.deepEqual(heard(), ['ack a']);
  });

  test('closed, it follows the flow no more; its last user takes the hooks with it', () => {
    const removed: string[] = [];
    flow.close();
    const hooks = { add: () => undefined, remove: (name: string) => removed.push(name) };
    const RED = { hooks, _: (key: string) => key };
    const source = new FlowSource(RED as unknown as NodeAPI, { type: 'x', send: () => undefined }, 'flow');
    assert.deepEqual(removed, []);
    source.close();
    source.close();
    assert.deepEqual(removed, ['*.jetforce']);
  });
});

for (const ack of ['flow', 'manual'] as const)
  test(`acknowledged within send() (${ack}), nothing is left of it`, async () => {
    const a = flow.node('a', 'jetstream-ack', (msg, _send, done) => {
      commandDelivery(msg, { action: 'ack' });
      done();
    });
    const { source, sent } = open(ack, ['a'], atOnce(a));
    source.send(attempt(), message);
    assert.deepEqual(heard(), ['ack a']);
    assert.equal(flowTracker.find(sent[0] as Msg), undefined);
    await turns();
    assert.deepEqual(heard(), []);
  });

test('acknowledged by hand, an attempt waits for a command, whatever the flow does', async () => {
  flow.node('a', 'function', (_msg, _send, done) => done('no'));
  const { source, sent } = open('manual');
  source.send(attempt(), message);
  await turns();
  assert.deepEqual(heard(), []);
  assert.ok(commandDelivery(sent[0] as Msg, { action: 'ack' }));
  assert.deepEqual(heard(), ['ack a']);
  assert.equal(commandDelivery(sent[0] as Msg, { action: 'ack' }), false);
});

test('acknowledged by hand, a message without a wire stays: it is nobody’s failure', () => {
  open('manual', []).source.send(attempt(), message);
  assert.deepEqual(heard(), []);
});

test('acknowledged at delivery, it is as soon as it is sent, and known no more', () => {
  const { source, sent } = open('delivery');
  flow.node('a', 'function', (_msg, _send, done) => done('no'));
  source.send(attempt(), message);
  assert.deepEqual(heard(), ['ack a']);
  assert.equal(flowTracker.find(sent[0] as Msg), undefined);
});

for (const ack of ['manual', 'delivery'] as const)
  test(`what sending throws (${ack}) is for whoever asked to send`, () => {
    const { source, sent } = open(ack, ['a'], () => {
      throw new Error('no flow');
    });
    assert.throws(() => source.send(attempt(), message), /no flow/);
    assert.deepEqual(heard(), []);
    assert.equal(flowTracker.find(sent[0] as Msg), undefined, 'nothing is left of it');
  });
