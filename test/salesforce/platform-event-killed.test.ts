import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from 'nats';
import { startOrg } from '../org/org';
import { startNats } from '../support/nats';
import { startNodeRed, type FlowNode } from '../support/node-red';
import { until } from '../support/until';
import { orgNode, publishNode, sink, tab } from './event-flows';
import { TOPIC, order } from './pubsub/rig';

/** More by hand. */
const KILLS = Number(process.env.KILLS ?? 3);
const EVENTS = 1_000 * (KILLS + 1);

test('Node-RED killed −9 while publishing thousands of events, their definition changing, leaves none missing', async (t) => {
  // Slow enough to be killed many times on the way.
  const [org, nats] = await Promise.all([startOrg({ pubsub: true, latencyMs: 40 }), startNats()]);
  t.after(() => org.close());
  t.after(() => nats.stop());
  const nc = await connect({ servers: nats.url });
  t.after(() => nc.close());
  const jsm = await nc.jetstreamManager();
  await jsm.streams.add({ name: 'orders', subjects: ['orders.>'] });
  for (let from = 0; from < EVENTS; from += 1_000)
    await Promise.all(
      Array.from({ length: 1_000 }, (_, i) =>
        nc.jetstream().publish('orders.status', JSON.stringify(order(from + i))),
      ),
    );

  const source: FlowNode = {
    id: 'source',
    type: 'jetstream-in',
    z: 'tab',
    server: 'server',
    stream: 'orders',
    subject: 'orders.>',
    durable: 'publisher',
    deliver: 'all',
    ackWait: '1s',
    maxDeliver: -1,
    backoff: '100ms',
    prefetch: 1000,
    ack: 'flow',
    processingLimit: '1m',
    format: 'json',
    batchSize: 1,
    wires: [['publish']],
  };
  const server: FlowNode = { id: 'server', type: 'jetstream-server', servers: nats.url, auth: 'none' };
  const red = await startNodeRed({
    flows: tab(orgNode(org), server, source, publishNode(), sink('results')),
  });
  t.after(() => red.stop());

  const published = () => org.events(TOPIC);
  const distinct = () => new Set(published().map(({ payload }) => payload?.Order_ID__c)).size;
  for (let kill = 1; kill <= KILLS; kill++) {
    await until(() => distinct() >= kill * 1_000, {
      timeout: 60_000,
      what: `part ${kill} of the events`,
    });
    org.declare({ name: 'OrderStatus__e', fields: [{ name: `Added${kill}__c` }] });
    await red.kill();
    await red.restart();
  }
  await until(() => distinct() === EVENTS, { timeout: 60_000, what: 'all events' });
  await until(
    async () => {
      const { num_pending, num_ack_pending } = await jsm.consumers.info('orders', 'publisher');
      return num_pending + num_ack_pending === 0;
    },
    { timeout: 30_000, what: 'all acknowledgements' },
  );

  const ids = new Map<unknown, Set<string>>();
  for (const { id, payload } of published()) {
    const known = ids.get(payload?.Order_ID__c) ?? new Set();
    ids.set(payload?.Order_ID__c, known.add(id));
  }
  assert.equal(ids.size, EVENTS);
  for (const [key, known] of ids)
    assert.equal(known.size, 1, `${String(key)} has one id, however often published`);
});
