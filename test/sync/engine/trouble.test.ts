import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Phase, Progress } from '../../../nodes/sync/engine/progress';
import { troubleTeller } from '../../../nodes/sync/engine/trouble';

/** Starts the clock at 0; `at` is how a collection is getting on, `said` what the log has got since it was looked at. */
function told(t: TestContext) {
  t.mock.timers.enable({ apis: ['Date'] });
  const lines: string[] = [];
  const { log, tell } = troubleTeller((level, text) => lines.push(`${level} ${text}`));
  return {
    log,
    at: (collection: string, phase: Phase, error?: Progress['error'], sync_id = 's') =>
      tell({ sync_id, collection, phase, error } as Progress),
    said: () => lines.splice(0),
  };
}
const because = (code: string) => ({ code, message: `because of ${code}` });
const UNREACHABLE = because('API_UNREACHABLE');

test('an outage has one line with its reason and what is waited for, and one when it is over', (t) => {
  const { at, said } = told(t);
  at('a', 'waiting', UNREACHABLE);
  at('a', 'waiting');
  at('a', 'waiting', { ...UNREACHABLE, message: 'another 503' });
  assert.deepEqual(said(), ['warn because of API_UNREACHABLE (a waits until it answers again)']);
  t.mock.timers.tick(90_000);
  at('a', 'live');
  at('a', 'live');
  assert.deepEqual(said(), ['info a goes on after 1m 30s']);
  at('a', 'waiting', UNREACHABLE);
  assert.deepEqual(said(), ['warn because of API_UNREACHABLE (a waits until it answers again)']);
});

test('each other reason has a line, and it is over when the last of them is', (t) => {
  const { at, said } = told(t);
  at('a', 'waiting', UNREACHABLE);
  t.mock.timers.tick(30_000);
  at('a', 'waiting', because('API_LOGIN'));
  at('a', 'waiting', because('API_LIMIT'));
  at('a', 'failed', because('NO_SUCH_OBJECT'));
  t.mock.timers.tick(30_000);
  at('a', 'backfill');
  assert.deepEqual(said(), [
    'warn because of API_UNREACHABLE (a waits until it answers again)',
    'warn because of API_LOGIN (a waits until the login works)',
    'warn because of API_LIMIT (a waits until it may ask again)',
    'warn because of NO_SUCH_OBJECT (a)',
    'info a goes on after 1m',
  ]);
});

test('who is stopped or becomes the standby waits for nothing', (t) => {
  const { at, said } = told(t);
  for (const leave of [() => at('a', 'stopped'), () => at('a', 'waiting', because('LEASED'))]) {
    at('a', 'waiting', UNREACHABLE);
    leave();
    at('a', 'live');
    assert.deepEqual(said(), ['warn because of API_UNREACHABLE (a waits until it answers again)']);
  }
});

test('collections of one sync that have one reason share both lines; what its connection tells is no warning', (t) => {
  const { at, said } = told(t);
  const down = { code: 'HTTP_503', message: 'The org is away', reason: 'unreachable', told: true } as const;
  for (const collection of ['a', 'b', 'c']) at(collection, 'waiting', down);
  at('a', 'live');
  at('a', 'waiting', down);
  at('z', 'waiting', down, 'another');
  assert.deepEqual(said(), [
    'info The org is away (a waits until it answers again)',
    'info The org is away (z waits until it answers again)',
  ]);
  for (const collection of ['a', 'b', 'c']) at(collection, 'live');
  assert.deepEqual(said(), ['info a goes on after 0ms']);
  at('b', 'waiting', because('API_REFUSED'));
  at('c', 'waiting', { ...because('API_REFUSED'), message: 'no right to c' });
  assert.deepEqual(said(), ['warn because of API_REFUSED (b)', 'warn no right to c (c)']);
});

test('what the log has as an error, or holds nothing up, has no end of its own', (t) => {
  const { at, log, said } = told(t);
  log('error', 'd: because of NO_SUCH_OBJECT');
  at('d', 'waiting', because('NO_SUCH_OBJECT'));
  at('d', 'live');
  assert.deepEqual(said(), ['error d: because of NO_SUCH_OBJECT']);
  at('d', 'live', because('NO_EVENTS'));
  at('d', 'live');
  assert.deepEqual(said(), ['warn because of NO_EVENTS (d)']);
});
