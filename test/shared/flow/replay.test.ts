import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeadLetters, StoredLetter } from '../../../nodes/shared/dead-letters';
import { FlowError } from '../../../nodes/shared/errors';
import { Replay } from '../../../nodes/shared/flow/replay';
import { until } from '../../support/until';

const letter = (sequence: number): StoredLetter => ({
  sequence,
  at: '2026-01-01T00:00:00.000Z',
  payload: Buffer.from('x'),
  headers: new Map(),
});

/** A hundred letters under one subject, whose stream says what it says to a removal. */
function stored(remove: (sequence: number) => Promise<void>): DeadLetters {
  return {
    subject: 'dead',
    next: (from) => Promise.resolve(from <= 100 ? letter(from) : undefined),
    place: () => Promise.resolve({ stream: 'DEAD', stored: 100 }),
    put: () => Promise.resolve(),
    check: () => Promise.resolve(),
    remove,
    close: () => Promise.resolve(),
  };
}

test('where a letter that is done can not be removed, no more of them are begun', async (t) => {
  const log: string[] = [];
  let begun = 0;
  const replay = new Replay(
    stored(() => Promise.reject(new FlowError('JETSTREAM_10057' as string, 'message delete not permitted'))),
    {
      isOwn: () => true,
      deliver: (attempt) => {
        begun++;
        attempt.finished(undefined);
      },
      log: (_level, text) => void log.push(text),
    },
    60_000,
  );
  t.after(() => replay.stop(0));
  assert.equal(await replay.begin('all'), 100);
  await until(() => replay.state.postponed > 0 && replay.state.waiting === 0);
  assert.ok(begun <= 20, `${begun} were begun`);
  assert.equal(replay.state.postponed, 100 - begun);
  assert.match(
    log[0] ?? '',
    /is done, and can't be removed: message delete not permitted; \d+ that wait are not begun/,
  );
});
