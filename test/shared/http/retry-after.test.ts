import assert from 'node:assert/strict';
import { test } from 'node:test';
import { retryAfter } from '../../../nodes/shared/http/retry-after';

const NOW = Date.parse('2026-01-02T03:04:05Z');

for (const [what, header, ms] of [
  ['seconds', '120', 120_000],
  ['seconds with a fraction', '1.5', 1_500],
  ['a date', 'Fri, 02 Jan 2026 03:04:35 GMT', 30_000],
  ['a date that has passed', 'Fri, 02 Jan 2026 03:00:00 GMT', 0],
  ['less than nothing', '-5', 0],
  ['nothing', '', undefined],
  ['for ever', 'Infinity', undefined],
  ['soon', 'soon', undefined],
] as const)
  test(`Retry-After: ${what}`, () => assert.equal(retryAfter({ 'retry-after': header }, NOW), ms));

test('no Retry-After, or several', () => {
  assert.equal(retryAfter({}, NOW), undefined);
  assert.equal(retryAfter({ 'retry-after': ['1', '2'] }, NOW), undefined);
});
