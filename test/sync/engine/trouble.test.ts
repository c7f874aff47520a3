import assert from 'node:assert/strict';
import { test } from 'node:test';
import { troubleTeller, type Phase, type Progress } from '../../../nodes/sync/engine/progress';

test('each other reason why a collection fails has one line in the log, a standby none', () => {
  const said: string[] = [];
  const tell = troubleTeller((text) => said.push(text));
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
