import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changesIntoJetStream } from '../../scripts/demo-changes';
import { contactsThroughJetStream } from '../../scripts/demo-contacts';
import { startStack } from '../../scripts/demo-stack';
import type { FlowNode } from '../support/node-red';
import { until } from '../support/until';

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

test('the demo shows an outage that is waited out, and a dead letter that is replayed', async (t) => {
  const { red, org, stop } = await startStack();
  t.after(stop);
  const flow = (await red.api('GET', '/flows')) as FlowNode[];
  const press = (name: string) =>
    red.inject(flow.find((node) => node.type === 'inject' && node['name'] === name)?.id ?? assert.fail(name));
  const reader = flow.find(({ type, name }) => type === 'jetstream-in' && name === 'start_subscription');
  const act = (action: string, body: object) =>
    red.api('POST', `/jetforce/nodes/${reader?.id}/${action}`, body);
  const written = (key: string) => org.records('Contact').some((contact) => contact['ExternalId__c'] === key);
  const letters = async () => {
    const listed = (await red.api('GET', `/jetforce/nodes/${reader?.id}/letters?from=1`)) as {
      data: { letters: { sequence: number }[] };
    };
    return listed.data.letters.map(({ sequence }) => sequence);
  };
  const soon = { timeout: 30_000 };

  await press('the org goes down');
  await until(async () => (await fetch(`${org.url}/services/data`)).status === 503, soon);
  await press('publish 200 contacts');
  await red.waitForLog(/not available/);
  await press('the org comes back');
  await until(() => org.records('Contact').length === 200, { timeout: 60_000 });
  assert.deepEqual(await letters(), []);

  await press('a rule is made');
  await until(async () => (await (await fetch(`${org.url}/_org/faults`)).text()).includes('RULED-1'), soon);
  await press('publish a contact');
  const [sequence] = await until(async () => ((await letters()).length > 0 ? letters() : undefined), soon);
  assert.ok(!written('RULED-1'));
  await press('the rule is lifted');
  await until(async () => !(await (await fetch(`${org.url}/_org/faults`)).text()).includes('RULED-1'), soon);
  await act('replay', { sequences: [sequence] });
  await until(() => written('RULED-1'), soon);
  await until(async () => (await letters()).length === 0, soon);
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
