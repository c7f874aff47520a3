import assert from 'node:assert/strict';
import { getMaxListeners } from 'node:events';
import { describe, mock, test } from 'node:test';
import {
  childController,
  onAbort,
  Stopped,
  unlessStopped,
  untilAborted,
} from '../../../nodes/shared/async/signals';
import { gate, turns } from '../flow/runtime';

describe('unless stopped', () => {
  test('it ends as the work does, and no longer listens', async () => {
    const { signal } = new AbortController();
    const removed = mock.method(signal, 'removeEventListener');
    assert.equal(await unlessStopped(signal, Promise.resolve(7)), 7);
    await assert.rejects(unlessStopped(signal, Promise.reject(new Error('no'))), /no/);
    await turns(1);
    assert.equal(removed.mock.callCount(), 2);
  });

  test('it ends when stopped, and how the work ends is nobody’s concern', async () => {
    const stopping = new AbortController();
    let fail = (_error: Error): void => undefined;
    const work = new Promise<void>((_resolve, reject) => (fail = reject));
    const waiting = unlessStopped(stopping.signal, work);
    stopping.abort();
    await assert.rejects(waiting, Stopped);
    fail(new Error('too late for anybody'));
    await turns(2);
  });

  test('it does not begin to wait when it is stopped already', async () => {
    await assert.rejects(unlessStopped(AbortSignal.abort(), gate<void>().opened), Stopped);
  });
});

describe('until aborted', () => {
  test('it waits for the signal', async () => {
    const stopping = new AbortController();
    let over = false;
    void untilAborted(stopping.signal).then(() => (over = true));
    await turns(2);
    assert.equal(over, false);
    stopping.abort();
    await turns(1);
    assert.equal(over, true);
  });

  test('one that has aborted is not waited for', () => untilAborted(AbortSignal.abort()));
});

describe('a child controller', () => {
  test('aborts with its parent', () => {
    const parent = new AbortController();
    const child = childController(parent.signal);
    assert.equal(child.signal.aborted, false);
    parent.abort();
    assert.equal(child.signal.aborted, true);
  });

  test('aborts by itself, and its parent lets go of it', () => {
    const parent = new AbortController();
    const child = childController(parent.signal);
    const again = mock.method(child, 'abort');
    child.abort();
    assert.deepEqual([child.signal.aborted, parent.signal.aborted], [true, false]);
    parent.abort();
    assert.equal(again.mock.callCount(), 1);
  });

  test('of a parent that has aborted is aborted', () => {
    assert.equal(childController(AbortSignal.abort()).signal.aborted, true);
  });
});

test('any number may wait for one signal, and the process warns of nothing', async (t) => {
  const warned = t.mock.method(process, 'emitWarning', () => undefined);
  const { signal } = new AbortController();
  const forget = [
    ...Array.from({ length: 12 }, () => onAbort(signal, () => undefined)),
    ...Array.from({ length: 12 }, () => childController(signal)).map((child) => () => child.abort()),
  ];
  for (const each of forget) each();
  await turns(1);
  // Later versions of Node warn of no signal: what they have to be told is looked at.
  assert.deepEqual([warned.mock.callCount(), getMaxListeners(signal)], [0, 0]);
});
