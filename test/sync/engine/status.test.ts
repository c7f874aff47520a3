import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { FlowError } from '../../../nodes/shared/errors';
import type { Phase, Progress, Trouble } from '../../../nodes/sync/engine/progress';
import type { Provider } from '../../../nodes/sync/engine/provider';
import { Standing } from '../../../nodes/sync/engine/standing';
import { syncStatus } from '../../../nodes/sync/engine/status';

const shown = (...all: [Phase, Trouble?][]): string | undefined =>
  syncStatus(
    all.map(([phase, error]) => ({ phase, error, done: 0, total: null }) as unknown as Progress),
    { phase: 'connected' },
    (key) => key,
  ).text;
const trouble = (code: string, reason?: string): Trouble => ({
  code,
  message: code,
  ...(reason && { reason }),
});

test('the status says in a word what a sync waits for', () => {
  assert.equal(shown(['failed', trouble('MASS_LOSS')]), 'status.massLoss');
  assert.equal(shown(['waiting', trouble('STREAM_FULL')]), 'status.streamFull');
  for (const [code, word] of [
    ['API_LIMIT', 'limit'],
    ['API_LOGIN', 'login'],
    ['API_UNREACHABLE', 'unreachable'],
  ] as const)
    assert.equal(shown(['waiting', trouble(code)]), `status.${word}`);
  assert.equal(shown(['waiting', trouble('SOMETHING')]), 'status.failed');
});

test('of an org, whose codes are its own, it says the reason', () => {
  for (const reason of ['unreachable', 'login', 'limit', 'budget'])
    assert.equal(shown(['waiting', trouble('invalid_grant', reason)]), `status.${reason}`);
  assert.equal(shown(['waiting', trouble('STORAGE_LIMIT_EXCEEDED', 'limit')]), 'status.full');
});

test('a sync that follows the changes is polled where it gets no events, and only then', () => {
  assert.equal(shown(['live'], ['live']), 'status.live');
  assert.equal(shown(['live'], ['live', trouble('NO_EVENTS')]), 'status.polling');
  assert.equal(shown(['live', trouble('NO_EVENTS')], ['live', trouble('API_REFUSED')]), 'status.partly');
});

test('what fails again and again has failed since the first time, until something works', (t) => {
  mock.timers.enable({ apis: ['Date'], now: 1_000 });
  t.after(() => mock.timers.reset());
  const nothing = () => undefined;
  const told = { progress: nothing, log: nothing, error: nothing };
  const options = { syncId: 's', collection: 'a:b', provider: {} as Provider, ...told };
  const standing = new Standing(options, () => undefined);
  const failed = (ms: number): number | undefined => {
    mock.timers.setTime(ms);
    standing.failed(new FlowError('HTTP_503', `at ${ms}`));
    return standing.now.error?.since;
  };
  assert.equal(failed(2_000), 2_000);
  assert.equal(failed(3_000), 2_000);
  standing.worked();
  assert.equal(failed(4_000), 4_000);
});
