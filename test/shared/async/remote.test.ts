import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import { Remote, type Handlers } from '../../../nodes/shared/async/remote';
import { FlowError } from '../../../nodes/shared/errors';

const never = new AbortController().signal;

function both(t: TestContext, here: Handlers, there: Handlers): [Remote, Remote] {
  const { port1, port2 } = new MessageChannel();
  t.after(() => port1.close());
  return [new Remote(port1, here), new Remote(port2, there)];
}

test('each side calls what the other one offers, and gets what it gives', async (t) => {
  const double = (_signal: AbortSignal, n: number): number => 2 * n;
  const later = (_signal: AbortSignal, text: string): Promise<string> => Promise.resolve(`${text}!`);
  const [here, there] = both(t, { double }, { later });
  const calls = [
    here.call(never, 'later', 'a'),
    here.call(never, 'later', 'b'),
    there.call(never, 'double', 3),
  ];
  assert.deepEqual(await Promise.all(calls), ['a!', 'b!', 6]);
});

test('an error keeps its code, its words and whether it may be tried again', async (t) => {
  const refuse = (): never => {
    throw new FlowError('SOME_CODE' as string, 'not that', false);
  };
  const [here] = both(t, {}, { refuse });
  await assert.rejects(here.call(never, 'refuse'), {
    code: 'SOME_CODE',
    message: 'not that',
    retryable: false,
  });
});

test('a call that is aborted ends when nothing of it is under way any more', async (t) => {
  let ended = false;
  const wait = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve) =>
      signal.addEventListener('abort', () => setImmediate(() => ((ended = true), resolve()))),
    );
  const [here] = both(t, {}, { wait });
  const stop = new AbortController();
  const call = here.call(stop.signal, 'wait');
  stop.abort();
  await call;
  assert.ok(ended);
  await here.call(AbortSignal.abort(), 'wait');
});

test('when the other side has gone, what waits for it fails, what it asked for stops, and so does all that comes', async (t) => {
  let stopped = (): void => undefined;
  const seen = new Promise<void>((resolve) => (stopped = resolve));
  let begun = (): void => undefined;
  const asked = new Promise<void>((resolve) => (begun = resolve));
  const ask = (signal: AbortSignal): Promise<void> => {
    begun();
    signal.addEventListener('abort', () => stopped());
    return new Promise(() => undefined);
  };
  const [here, there] = both(t, { ask }, { hang: () => new Promise(() => undefined) });
  const waiting = assert.rejects(here.call(never, 'hang'), { code: 'GONE' });
  void there.call(never, 'ask');
  await asked;
  here.fail(new FlowError('GONE' as string, 'it has gone'));
  await waiting;
  await seen;
  await assert.rejects(here.call(never, 'hang'), { code: 'GONE' });
});

test('what can’t be copied to the other side is an error of the call', async (t) => {
  const [here] = both(t, {}, { take: () => undefined });
  await assert.rejects(
    here.call(never, 'take', () => undefined),
    /could not be cloned/,
  );
});
