import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import jetstreamServer from '../../nodes/jetstream/jetstream-server';
import sfdcEventIn from '../../nodes/salesforce/sfdc-event-in';
import sfdcOrg from '../../nodes/salesforce/sfdc-org';
import { startOrg, type Org } from '../org/org';
import { orgNode } from '../salesforce/event-flows';
import { TOPIC } from '../salesforce/pubsub/rig';
import { until } from '../support/until';
import { inbox, stage } from './helper';

const red = stage(sfdcOrg, sfdcEventIn, jetstreamServer);
let org: Org;
before(async () => (org = await startOrg({ pubsub: true })));
after(() => org.close());

const load = (more: object = {}) =>
  red.load(
    orgNode(org),
    { id: 'receive', type: 'sfdc-event-in', org: 'org', topic: TOPIC, wires: [['next']], ...more },
    inbox('next'),
  );
const publish = (order: string) =>
  org.bus().publish(TOPIC, { Order_ID__c: order })[0]?.replayId.toString('base64');
const orders = () =>
  red.received('next').map(({ payload }) => (payload as { Order_ID__c: string }).Order_ID__c);

test('is registered, with what its form says', async () => {
  await load({ name: 'order status' });
  assert.equal(red.node('receive').type, 'sfdc-event-in');
  assert.equal(red.node('receive').name, 'order status');
});

test('by default goes on from the stored position, and warns where that is kept in memory', async () => {
  publish('before');
  await load();
  await until(() => orders().includes('before'));
  assert.match(red.logged('WARN').join('\n'), /is kept in memory/);
});

test('sends an event with its fields, its topic and where it came from', async () => {
  const replayId = publish('o-1');
  await load({ replay: 'earliest' });
  const msg = await until(() => red.received('next').find((_, i) => orders()[i] === 'o-1'));
  const { replayId: told, deliveries } = msg.salesforce as Record<string, unknown>;
  assert.deepEqual({ topic: msg.topic, told, deliveries }, { topic: TOPIC, told: replayId, deliveries: 1 });
});

test('latest begins with what comes from now on', async () => {
  publish('old');
  await load({ replay: 'latest' });
  await red.waitForStatus('receive', 'status.ready');
  publish('new');
  await red.one('next');
  assert.deepEqual(orders(), ['new']);
});

test('not wired, it shows so and reads nothing', async () => {
  await load({ wires: [] });
  await red.waitForStatus('receive', 'status.unwired');
});

test('a topic that is not there shows in the status', async () => {
  await load({ topic: '/event/Missing__e', replay: 'latest' });
  await red.waitForStatus('receive', 'status.noTopic');
});

for (const [what, more, error] of [
  ['no org', { org: '' }, /No sfdc-org is chosen/],
  ['no topic', { topic: '' }, /is not a topic to read/],
  ['a bucket but no server for it', { checkpoint: 'kv' }, /choose a jetstream-server/],
] as const) {
  test(`with ${what} it shows wrong settings`, async () => {
    await load(more);
    await red.waitForStatus('receive', 'status.misconfigured');
    assert.match(red.logged('ERROR').join('\n'), error);
  });
}

test('closing it ends the subscription', async () => {
  await load({ replay: 'earliest' });
  await until(() => orders().length > 0);
  const before = red.received('next');
  await red.close();
  publish('after');
  await load({ replay: 'earliest' });
  await until(() => orders().includes('after'));
  assert.ok(before.every(({ payload }) => (payload as { Order_ID__c: string }).Order_ID__c !== 'after'));
});
