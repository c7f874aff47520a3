import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hubspot } from '../../../../nodes/sync/providers/hubspot';
import { costOf } from '../../../../nodes/sync/providers/rest/cost';

const MINUTE = 60_000;

test('what a sync costs a day: polls, the bin at every fifth, and a comparison', () => {
  const { calls, associated } = costOf(hubspot, ['hubspot:contacts'], MINUTE);
  assert.deepEqual([calls, associated], [1_440 + 288 + 1, []]);
});

test('with associations a comparison reads each record, in calls of a hundred, and asks for each kind', () => {
  const { calls, associated } = costOf(hubspot, ['hubspot:contacts'], MINUTE, ['companies', 'deals']);
  assert.deepEqual([calls, associated], [1_729, [{ name: 'hubspot:contacts', size: 83 }]]);
});
