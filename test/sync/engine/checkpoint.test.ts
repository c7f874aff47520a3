import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readCheckpoint, type Checkpoint } from '../../../nodes/sync/engine/checkpoint';

const CHECKPOINT: Checkpoint = {
  phase: 'backfill',
  changesFrom: { at: 1 },
  pageFrom: { at: 2 },
  done: 3,
  total: 4,
  resync: 5,
  complete: true,
  reconcile: true,
  stream: '2026-01-01T00:00:00Z',
};
const read = (value: unknown) => readCheckpoint(JSON.stringify(value));

test('a checkpoint is read as it was kept, in each of its phases', () => {
  for (const phase of ['backfill', 'reconcile', 'live'] as const)
    assert.deepEqual(read({ ...CHECKPOINT, phase }), { ...CHECKPOINT, phase });
});

describe('one kept by version 0.1', () => {
  const { changesFrom, pageFrom, reconcile, ...same } = CHECKPOINT;
  const old = { ...same, position: changesFrom, cursor: pageFrom, sweep: reconcile };

  test('goes on from the same place', () => {
    assert.deepEqual(read(old), CHECKPOINT);
    assert.deepEqual(read({ ...old, sweep: false }), { ...CHECKPOINT, reconcile: false });
    assert.deepEqual(read({ ...old, phase: 'live', cursor: undefined }), {
      ...same,
      phase: 'live',
      changesFrom,
      reconcile,
    });
  });

  test('goes on reconciling where it was sweeping', () => {
    assert.deepEqual(read({ ...old, phase: 'sweep' }), { ...CHECKPOINT, phase: 'reconcile' });
  });

  test('is not one without a position', () => {
    assert.equal(read({ ...old, position: undefined }), undefined);
  });
});

test('what is no checkpoint says no place to go on from', () => {
  for (const value of [
    null,
    7,
    'live',
    {},
    { ...CHECKPOINT, phase: 'other' },
    { ...CHECKPOINT, changesFrom: 'here' },
  ])
    assert.equal(read(value), undefined);
  assert.equal(readCheckpoint('{"phase":'), undefined);
});

test('what is missing, or of another kind, counts as not known', () => {
  const { phase, changesFrom } = CHECKPOINT;
  const least = { phase, changesFrom, done: 0, resync: 0, complete: false, reconcile: false };
  assert.deepEqual(read({ phase, changesFrom }), least);
  const odd = { pageFrom: 3, done: '3', total: null, resync: true, complete: 1, reconcile: 'yes', stream: 7 };
  assert.deepEqual(read({ phase, changesFrom, ...odd }), least);
});
