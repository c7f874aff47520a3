import { test } from 'node:test';
import assert from 'node:assert/strict';
import { ApiBudget } from '../../nodes/salesforce/budget';

test('the budget is spent when calls under way would pass its share', () => {
  const budget = new ApiBudget(50);
  assert.equal(budget.spent(1_000), false, 'nothing known');
  budget.observe('api-usage=47/100');
  assert.deepEqual([budget.spent(), budget.spent(2), budget.spent(3)], [false, false, true]);
  budget.observe('api-usage=50/100');
  assert.equal(budget.spent(), true);
});

test('a share of a call is none', () => {
  const budget = new ApiBudget(50);
  budget.observe('api-usage=7/15');
  assert.equal(budget.spent(), true);
});

test('usage is read from each answer that tells it, among other limits', () => {
  const budget = new ApiBudget(80);
  for (const nothing of [undefined, '', 'nonsense', 'api-usage=1', []]) budget.observe(nothing);
  assert.equal(budget.usage, undefined);
  budget.observe('per-app-api-usage=17/250(appName=x); api-usage=18/15000');
  budget.observe(undefined);
  assert.deepEqual(budget.usage, { used: 18, max: 15_000 });
  budget.observe(['api-usage=19/15000']);
  assert.deepEqual(budget.usage, { used: 19, max: 15_000 });
});
