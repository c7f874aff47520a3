import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadPosition } from '../../nodes/salesforce/replay-position';

const stored = { organizationId: 'org', topic: '/event/A', replayId: 'AAAB', at: 5 };
const load = (text: string | undefined) =>
  loadPosition(
    {
      load: () => Promise.resolve(text),
      save: () => Promise.resolve(),
      close: () => Promise.resolve(),
    },
    'org',
    '/event/A',
  );

test('a position is given as it was stored', async () => {
  assert.deepEqual(await load(JSON.stringify(stored)), stored);
});

for (const [what, text] of [
  ['nothing', undefined],
  ['no JSON', '{'],
  ['null', 'null'],
  ['a number', '5'],
  ['one of another org', JSON.stringify({ ...stored, organizationId: 'other' })],
  ['one of another topic', JSON.stringify({ ...stored, topic: '/event/B' })],
  ['one without a replay id', JSON.stringify({ ...stored, replayId: undefined })],
  ['one with an empty replay id', JSON.stringify({ ...stored, replayId: '' })],
  ['one with a replay id of another kind', JSON.stringify({ ...stored, replayId: 7 })],
  ['one without a time', JSON.stringify({ ...stored, at: null })],
] as const) {
  test(`${what} is no position`, async () => {
    assert.equal(await load(text), undefined);
  });
}

test('a store that can’t be read is no empty store: its error is told', async () => {
  const failing = {
    load: () => Promise.reject(new Error('gone')),
    save: async () => {},
    close: async () => {},
  };
  await assert.rejects(loadPosition(failing, 'org', '/event/A'), /gone/);
});
