import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { lookOf, type Reading } from '../../../nodes/jetstream/consume/in-status';

const soon = new Date(2030, 0, 31, 14, 5).getTime();
const quiet: Reading = { inFlow: 0, givenUp: 0, holdup: undefined, retries: { count: 0, first: Infinity } };
const stalled = { kind: 'stalled', unacknowledged: 5, behind: 9 } as const;
const retries = { count: 1_000, first: soon };

const looks: [string, Partial<Reading>, string, string][] = [
  ['nothing to say', {}, 'green dot', 'ready'],
  ['messages in the flow', { inFlow: 3 }, 'green dot', 'inFlow'],
  ['and some were given up', { inFlow: 3, givenUp: 1 }, 'yellow dot', 'inFlow'],
  ['given up', { givenUp: 2 }, 'yellow dot', 'givenUp'],
  ['retries that hold up the others', { holdup: stalled, retries }, 'yellow ring', 'retrying'],
  ['others have what is unacknowledged', { holdup: stalled }, 'yellow ring', 'stalled'],
  ['retries that hold up nobody', { retries }, 'green dot', 'ready'],
  ['no filter can match', { holdup: { kind: 'unmatched', filters: ['x'] } }, 'yellow ring', 'unmatched'],
  ['held back', { holdup: { kind: 'paused', until: soon }, givenUp: 1 }, 'yellow ring', 'paused'],
];
for (const [what, reading, look, key] of looks)
  test(`status: ${what}`, () => {
    const { fill, shape, ...said } = lookOf({ ...quiet, ...reading });
    assert.deepEqual([`${fill} ${shape}`, said.key], [look, key]);
  });

test('a status is short, in each language', () => {
  const { key, values } = lookOf({ ...quiet, holdup: stalled, retries });
  assert.deepEqual([key, values], ['retrying', { count: 1_000, until: '14:05' }]);
  for (const language of ['en-US', 'de']) {
    const file = join(__dirname, '../../../nodes/jetstream/locales', language, 'jetstream-in.json');
    const { status } = JSON.parse(readFileSync(file, 'utf8')) as { status: Record<string, string> };
    for (const name of ['retrying', 'stalled', 'unmatched', 'givenUp']) {
      const text = status[name]?.replace('__count__', '1000').replace('__until__', '14:05') ?? '';
      assert.ok(text !== '' && text.length < 20, `${name}: ${text}`);
    }
  }
});
