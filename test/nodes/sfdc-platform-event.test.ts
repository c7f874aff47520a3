import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import sfdcOrg from '../../nodes/salesforce/sfdc-org';
import sfdcPlatformEvent from '../../nodes/salesforce/sfdc-platform-event';
import { startOrg, type Org } from '../org/org';
import { orgNode } from '../salesforce/event-flows';
import { TOPIC } from '../salesforce/pubsub/rig';
import { codeOf } from '../../nodes/shared/errors';
import { until } from '../support/until';
import { catcher, errorOf, inbox, stage } from './helper';

const red = stage(sfdcOrg, sfdcPlatformEvent);
let org: Org;
before(async () => (org = await startOrg({ pubsub: true })));
after(() => org.close());

const load = (more: object = {}) =>
  red.load(
    orgNode(org),
    { id: 'publish', type: 'sfdc-platform-event', org: 'org', topic: TOPIC, wires: [['results']], ...more },
    inbox('results'),
    ...catcher(),
  );
const newest = () => org.events(TOPIC).at(-1);

test('is registered, with what its form says', async () => {
  await load({ name: 'order status' });
  assert.equal(red.node('publish').type, 'sfdc-platform-event');
  assert.equal(red.node('publish').name, 'order status');
});

test('by default publishes msg.payload, and hands on one result for each event', async () => {
  await load();
  red.node('publish').receive({ payload: { Order_ID__c: 'o-1', Status__c: 'sent' }, kept: true });
  const { payload, kept, sfdc } = await red.one('results');
  assert.equal(newest()?.payload?.Order_ID__c, 'o-1');
  assert.equal((payload as { success: boolean }[])[0]?.success, true);
  assert.deepEqual({ kept, sfdc }, { kept: true, sfdc: { topic: TOPIC } });
});

test('fields come from a map of templates', async () => {
  await load({
    payload: { mode: 'map', fields: [{ name: 'Order_ID__c', type: 'template', value: '{{payload.order}}' }] },
  });
  red.node('publish').receive({ payload: { order: 'o-2' } });
  await red.one('results');
  assert.equal(newest()?.payload?.Order_ID__c, 'o-2');
});

test('an event that does not fit its definition fails the message', async () => {
  await load();
  red.node('publish').receive({ payload: { Statu__c: 'sent' } });
  assert.equal(errorOf(await red.one('caught')).code, 'UNKNOWN_FIELD');
});

test('shows that it connects, then that it is ready', async () => {
  await load();
  await red.waitForStatus('publish', 'status.connecting');
  await red.waitForStatus('publish', 'status.ready');
});

for (const [what, more, error] of [
  ['no org', { org: '' }, /No sfdc-org is chosen/],
  ['no topic', { topic: '' }, /is not a topic to publish to/],
  ['no request at once', { maxRequests: 0 }, /Requests at once: 0 is not a whole number between 1 and 25/],
] as const) {
  test(`with ${what} it shows wrong settings, and fails what it gets`, async () => {
    await load(more);
    await red.waitForStatus('publish', 'status.misconfigured');
    red.node('publish').receive({ payload: {} });
    assert.match(errorOf(await red.one('caught')).message, error);
  });
}

test('closing it while the org is away fails what waits, so that it is delivered again', async () => {
  await load();
  await red.waitForStatus('publish', 'status.ready');
  const failed = red.failures('publish');
  org.faults.add({ match: { topic: TOPIC }, action: { grpc: { code: 'UNAVAILABLE' } } });
  red.node('publish').receive({ payload: { Order_ID__c: 'o-3' } });
  await red.waitForStatus('publish', 'status.unreachable');
  await red.close();
  await until(() => failed.length > 0);
  assert.equal(codeOf(failed[0]), 'NODE_CLOSED');
});
