import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge } from '../../../../nodes/sync/providers/rest/judge';
import { zendesk } from '../../../../nodes/sync/providers/zendesk';

const judged = (status: number, body: unknown) =>
  judge({ status, headers: {}, body, text: JSON.stringify(body) }, zendesk.errors ?? [], 0);

test('a suspended account or user of Zendesk is sent to Zendesk, not after a right or another token', () => {
  for (const status of [401, 402, 403]) {
    const { do: what, advice } = judged(status, { error: 'This account has been Suspended' });
    assert.equal(what, 'fail');
    assert.match(advice ?? '', /is suspended there/, String(status));
  }
  assert.match(judged(403, { error: 'Forbidden' }).advice ?? '', /Exports need an administrator/);
});
