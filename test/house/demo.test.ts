import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changesIntoJetStream } from '../../scripts/demo-changes';
import { contactsThroughJetStream } from '../../scripts/demo-contacts';
import { startStack } from '../../scripts/demo-stack';

test('the shipped flow brings 1,000 contact events into the org, each record right', async (t) => {
  const stack = await startStack();
  t.after(() => stack.stop());
  const report = await contactsThroughJetStream(stack);
  assert.deepEqual(report.problems, []);
  assert.equal(report.events, 1_000);
  assert.ok(report.arrays > 10 && report.contacts > 1_000 && report.records > report.contacts);
});

test('the shipped flow brings 1,000 changes of the org into JetStream, each record right', async (t) => {
  const stack = await startStack();
  t.after(() => stack.stop());
  const report = await changesIntoJetStream(stack);
  assert.deepEqual(report.problems, []);
  assert.equal(report.changes, 1_000);
  assert.deepEqual([report.records, report.deleted], [400, 200]);
});

test('the demo names what is wrong in the org', async (t) => {
  const stack = await startStack();
  t.after(() => stack.stop());
  const refused = { statusCode: 'FIELD_CUSTOM_VALIDATION_EXCEPTION', message: 'no', fields: [] };
  stack.org.faults.add({ match: { record: 'DEMO-0' }, action: { rowError: refused } });
  const report = await contactsThroughJetStream(stack);
  assert.ok(report.problems.includes('DEMO-0 is not in the org'), report.problems.join('\n'));
  assert.ok(stack.red.log.some((line) => line.includes('FIELD_CUSTOM_VALIDATION_EXCEPTION')));
});
