import assert from 'node:assert/strict';
import { test } from 'node:test';
import { troubleTeller, type Phase, type Progress } from '../../../nodes/sync/engine/progress';

test('each other reason why a collection fails has one line in the log, a standby none', () => {
  const said: string[] = [];
  const tell = troubleTeller((_level, text) => said.push(text)).tell;
  const at = (phase: Phase, code?: string): void =>
    tell({
      sync_id: 's',
      collection: 'a:b',
      phase,
      error: code === undefined ? undefined : { code, message: `because of ${code}` },
    } as Progress);
  at('waiting', 'HTTP_503');
  at('waiting', 'HTTP_503');
  at('failed', 'NO_SUCH_OBJECT');
  at('live');
  at('waiting', 'HTTP_503');
  at('waiting', 'LEASED');
  assert.deepEqual(said, [
    'because of HTTP_503 (a:b)',
    'because of NO_SUCH_OBJECT (a:b)',
    'because of HTTP_503 (a:b)',
  ]);
});

test('collections of one sync that have one reason share a line; what is said elsewhere is for the log alone', () => {
  const said: string[] = [];
  const { log, tell } = troubleTeller((level, text) => said.push(`${level} ${text}`));
  const at = (collection: string, error?: Progress['error'], sync_id = 's'): void =>
    tell({ sync_id, collection, phase: error ? 'waiting' : 'live', error } as Progress);
  const down = { code: 'HTTP_503', message: 'The org is not available', told: true } as const;
  for (const collection of ['a', 'b', 'c']) at(collection, down);
  at('a');
  at('a', down);
  at('z', down, 'another');
  assert.deepEqual(said.splice(0), [
    'info The org is not available (a)',
    'info The org is not available (z)',
  ]);
  for (const collection of ['a', 'b', 'c']) at(collection);
  at('a', down);
  assert.deepEqual(said.splice(0), ['info The org is not available (a)'], 'another outage');

  at('b', { code: 'API_REFUSED', message: 'no right to b' });
  at('c', { code: 'API_REFUSED', message: 'no right to c' });
  assert.deepEqual(said.splice(0), ['warn no right to b (b)', 'warn no right to c (c)']);

  log('error', 'd: no such object');
  at('d', { code: 'NO_SUCH_OBJECT', message: 'no such object' });
  assert.deepEqual(said, ['error d: no such object']);
});
