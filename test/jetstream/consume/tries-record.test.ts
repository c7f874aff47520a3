import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Memory } from '../../../nodes/jetstream/consume/memory';
import {
  learnFrom,
  readRecord,
  recordOf,
  type StoredRecord,
  type TriesRecord,
} from '../../../nodes/jetstream/consume/tries-record';

const MADE = Date.UTC(2026, 0, 1);
const record = (more: Partial<TriesRecord> = {}): TriesRecord => ({
  ...{ made: MADE, open: true, beat: 1_000, crashedUntil: 0, fewUntil: 0, tried: [] },
  ...more,
});
const stored = (more: Partial<TriesRecord> = {}, at = 10_000): StoredRecord => ({
  ...{ subject: 'other', at },
  record: record(more),
});

test('what is told is what is known', () => {
  const memory = new Memory(MADE);
  learnFrom(memory, [stored({ crashedUntil: 9, fewUntil: 8, tried: [[7, '170', 2, 1, 3]] })], 10_000);
  assert.deepEqual(
    recordOf(memory, true, 1_000),
    record({ crashedUntil: 9, fewUntil: 8, tried: [[7, '170', 2, 1, 3]] }),
  );
  assert.deepEqual(readRecord(JSON.stringify(recordOf(memory, false, 5))), { ...recordOf(memory, false, 5) });
});

describe('another record', () => {
  const learn = (...others: StoredRecord[]) => learnFrom(new Memory(MADE), others, 10_000);

  test('that was written not long ago is of somebody at work', () => {
    assert.deepEqual(learn(stored({}, 8_000)), { crashed: false, over: [] });
  });

  test('that is open and was not written for two beats is of a process that crashed', () => {
    assert.deepEqual(learn(stored({}, 7_999)), { crashed: true, over: ['other'] });
  });

  test('that was closed is of one that was stopped in order, however long ago', () => {
    assert.deepEqual(learn(stored({ open: false }, 10_000)), { crashed: false, over: ['other'] });
    assert.deepEqual(learn(stored({ open: false }, 0)), { crashed: false, over: ['other'] });
  });

  test('of a durable that was made anew since says nothing', () => {
    const memory = new Memory(MADE);
    const old = stored({ made: MADE - 1_000, crashedUntil: 9, tried: [[7, '170', 2, 1, 3]] }, 0);
    const newer = stored({ made: MADE + 1_000, crashedUntil: 9 }, 0);
    assert.deepEqual(learnFrom(memory, [old, newer], 10_000), { crashed: false, over: ['other'] });
    assert.deepEqual([memory.counted.size, memory.crashedUntil], [0, 0]);
  });
});

test('what is no record is none, and never thrown at', () => {
  for (const text of [
    '',
    'null',
    '[]',
    '"x"',
    '{}',
    '{"made":"1"}',
    JSON.stringify({ ...record(), tried: 1 }),
  ])
    assert.equal(readRecord(text), undefined, text);
  const odd = { ...record(), tried: [[1, 'a', 1, 1, 1], [1], 'x', null, [1, 2, 3, 4, 5]] };
  assert.deepEqual(readRecord(JSON.stringify(odd))?.tried, [[1, 'a', 1, 1, 1]]);
  fc.assert(fc.property(fc.json(), (text) => void readRecord(text)));
});
