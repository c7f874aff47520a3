import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Node, NodeMessage } from 'node-red';
import { turnLost } from '../../../nodes/shared/flow/delivery';
import { onInput, refuseInput, type Work } from '../../../nodes/shared/flow/input';

type Handler = (msg: object, send: (msg: unknown) => void, done: (error?: Error) => void) => void;

/** Hands one message to a node; what the runtime does with it may throw. Gives what happened, in order. */
async function give(
  set: (node: Node) => void,
  { send, done }: { send?: () => void; done?: (error?: Error) => void } = {},
): Promise<string[]> {
  const happened: string[] = [];
  let handler: Handler | undefined;
  const node = {
    on: (_event: string, given: Handler) => (handler = given),
    error: (text: string) => happened.push(`log: ${text}`),
  } as unknown as Node;
  set(node);
  handler?.(
    { _msgid: '1' },
    () => {
      happened.push('send');
      send?.();
    },
    (error) => {
      happened.push(error ? `done: ${error.message}` : 'done');
      done?.(error);
    },
  );
  await new Promise(setImmediate);
  return happened;
}

const giveWork = (work: Work<NodeMessage>, runtime?: Parameters<typeof give>[1]) =>
  give((node) => onInput(node, work), runtime);

const boom = (): never => {
  throw new Error('boom');
};

test('a message ends in one done, behind what is sent', async () => {
  assert.deepEqual(await giveWork((msg) => msg), ['send', 'done']);
  assert.deepEqual(await giveWork((msg) => Promise.resolve(msg)), ['send', 'done']);
  assert.deepEqual(await giveWork(() => undefined), ['done']);
});

test('work that throws, or fails later, ends in one done with an error', async () => {
  assert.deepEqual(await giveWork(boom), ['done: boom']);
  assert.deepEqual(await giveWork(() => Promise.resolve().then(boom)), ['done: boom']);
  for (const thrown of [undefined, null, Symbol('s'), { message: { toString: 1 } }] as unknown[]) {
    const [end, ...more] = await giveWork(() => Promise.reject(thrown as Error));
    assert.match(end ?? '', /^done: ./);
    assert.deepEqual(more, []);
  }
});

test('what can’t be sent on is a permanent failure: the work is done', async () => {
  let told: unknown;
  const happened = await giveWork((msg) => Promise.resolve(msg), {
    send: boom,
    done: (error) => (told = error),
  });
  assert.equal(happened.length, 2);
  assert.match(happened[1] ?? '', /^done: What was asked of the node is done, but .* boom$/);
  assert.deepEqual({ ...(told as object) }, { ...(told as object), code: 'NOT_SENT_ON', retryable: false });
});

test('a done that throws is no second end, and the log says so', async () => {
  for (const work of [(msg: NodeMessage) => msg, (msg: NodeMessage) => Promise.resolve(msg)])
    assert.deepEqual(await giveWork(work, { done: boom }), [
      'send',
      'done',
      'log: A message was finished, and the runtime could not tell the flow: boom',
    ]);
  assert.deepEqual(await giveWork(boom, { done: boom }), [
    'done: boom',
    'log: A message failed (boom), and the runtime could not tell the flow: boom',
  ]);
});

test('a node that can’t work says so once, and fails each message', async () => {
  assert.deepEqual(await give((node) => refuseInput(node, new Error('wrong'))), [
    'log: wrong',
    'done: wrong',
  ]);
});

test('a message that is another instance’s by now ends without a done: it is neither an error nor finished', async () => {
  assert.deepEqual(await giveWork(() => Promise.reject(turnLost())), []);
});
