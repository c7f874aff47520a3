import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Semaphore } from '../../../nodes/shared/async/semaphore';
import { gate, turns } from '../flow/runtime';

test('a few work at a time, the others in the order in which they asked', async () => {
  const semaphore = new Semaphore(2);
  const begun: number[] = [];
  const works = Array.from({ length: 5 }, () => gate<void>());
  works.forEach((work, i) => {
    void semaphore.take(() => {
      begun.push(i);
      return work.opened;
    });
  });
  await turns(3);
  assert.deepEqual([begun, semaphore.contended], [[0, 1], true]);
  works[1]?.open();
  await turns(3);
  assert.deepEqual(begun, [0, 1, 2]);
  for (const work of works) work.open();
  await turns(6);
  assert.deepEqual([begun, semaphore.contended], [[0, 1, 2, 3, 4], false]);
});

test('work that fails lets the next one in, and tells who asked for it', async () => {
  const semaphore = new Semaphore(1);
  const failing = semaphore.take(() => Promise.reject(new Error('no')));
  const next = semaphore.take(() => Promise.resolve(7));
  await assert.rejects(failing, /no/);
  assert.equal(await next, 7);
  assert.equal(await semaphore.take(() => Promise.resolve(8)), 8);
});

test('who asks again and again leaves the event loop its turns', async () => {
  const semaphore = new Semaphore(1);
  let turned = false;
  setImmediate(() => setImmediate(() => (turned = true)));
  for (let i = 0; i < 20 && !turned; i++) await semaphore.take(() => Promise.resolve());
  assert.ok(turned);
});
