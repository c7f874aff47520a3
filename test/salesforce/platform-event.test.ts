import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { connect, type NatsConnection } from 'nats';
import { startOrg, type Org } from '../org/org';
import { startNats, type Nats } from '../support/nats';
import { temporaryFolder } from '../support/cleanup';
import { embedNodeRed, startNodeRed, type EmbeddedNodeRed, type FlowNode } from '../support/node-red';
import { until } from '../support/until';
import { code, example, orgNode, publishNode, receiveNode, sink, tab } from './event-flows';
import { TOPIC, order, orders } from './pubsub/rig';

let org: Org;
let nats: Nats;
let nc: NatsConnection;
let red: EmbeddedNodeRed;

const flow = (node: FlowNode = publishNode(), ...more: FlowNode[]): FlowNode[] =>
  tab(
    orgNode(org),
    node,
    sink('results'),
    { id: 'catch', type: 'catch', z: 'tab', scope: ['publish'], wires: [['caught']] },
    sink('caught'),
    { id: 'complete', type: 'complete', z: 'tab', scope: ['publish'], wires: [['completed']] },
    sink('completed'),
    ...more,
  );

before(async () => {
  [org, nats] = await Promise.all([startOrg({ pubsub: true }), startNats()]);
  nc = await connect({ servers: nats.url });
  red = await embedNodeRed({ flows: flow() });
});
afterEach(() => {
  org.faults.clear();
  org.bus().log.forget();
});
after(async () => {
  await red.stop();
  await nc.close();
  await nats.stop();
  await org.close();
});

const published = () => org.events(TOPIC).map(({ payload }) => payload ?? {});
const ids = () => published().map((event) => event.Order_ID__c);
const counts = () => ['results', 'caught', 'completed'].map((id) => red.received(id).length);
/** Deploys, and counts from here. */
async function use(...nodes: Parameters<typeof flow>): Promise<() => number[]> {
  await red.deploy(flow(...nodes));
  const base = counts();
  return () => counts().map((count, i) => count - (base[i] ?? 0));
}
const last = (id: string) =>
  red.received(id).at(-1) as {
    payload: unknown;
    topic: string;
    sfdc: object;
    error: { message: string; code: string };
  };

describe('messages', () => {
  test('an event leaves as its result, with what the message had beside it, and is done once', async () => {
    const since = await use();
    red.send('publish', { payload: order(1, { Status__c: 'paid' }), topic: 'kept' });
    await until(() => since()[2] === 1);
    const [event] = org.events(TOPIC);
    assert.deepEqual(last('results').payload, [{ replayId: event?.replayId, success: true }]);
    assert.deepEqual(last('results').sfdc, { topic: TOPIC });
    assert.equal(last('results').topic, 'kept');
    assert.deepEqual(since(), [1, 0, 1]);
  });

  test('an array is several events, one result each', async () => {
    const since = await use();
    red.send('publish', { payload: orders(3) });
    await until(() => since()[2] === 1);
    assert.equal((last('results').payload as unknown[]).length, 3);
    assert.deepEqual(ids(), ['O-0', 'O-1', 'O-2']);
  });

  test('no events are no error', async () => {
    const since = await use();
    red.send('publish', { payload: [] });
    await until(() => since()[2] === 1);
    assert.deepEqual(last('results').payload, []);
  });

  test('fields come from the map where it says so', async () => {
    const fields = [
      { name: 'Order_ID__c', type: 'template', value: 'O-{{payload.number}}' },
      { name: 'Amount__c', type: 'jsonata', value: 'payload.net * 1.5' },
      { name: 'Urgent__c', type: 'bool', value: 'true' },
    ];
    const since = await use(publishNode({ payload: { mode: 'map', fields } }));
    red.send('publish', {
      payload: [
        { number: 7, net: 2 },
        { number: 8, net: 4 },
      ],
    });
    await until(() => since()[2] === 1);
    const [first, second] = published();
    assert.deepEqual([first?.Order_ID__c, first?.Amount__c, first?.Urgent__c], ['O-7', 3, true]);
    assert.deepEqual([second?.Order_ID__c, second?.Amount__c], ['O-8', 6]);
  });

  test('one that can’t be published fails once, with an error in words, and the others go on', async () => {
    const since = await use();
    red.send('publish', { payload: order(1, { Statu__c: 'x' }) });
    red.send('publish', { payload: order(2) });
    await until(() => since()[1] === 1 && since()[2] === 1);
    assert.match(
      last('caught').error.message,
      /OrderStatus__e has no field Statu__c; did you mean Status__c\?/,
    );
    assert.deepEqual(ids(), ['O-2']);
    assert.deepEqual(since(), [1, 1, 1]);
  });

  test('a JetStream message delivered again has the same event ids, another and a split one have others', async () => {
    const since = await use();
    const jetstream = { stream: 'crm', sequence: 5, timestamp: 't', deliveries: 1 };
    red.send('publish', { payload: orders(2), jetstream });
    red.send('publish', { payload: orders(2), jetstream: { ...jetstream, deliveries: 2 } });
    red.send('publish', { payload: orders(2), jetstream: { ...jetstream, sequence: 6 } });
    red.send('publish', { payload: [order(0), order(0)], jetstream });
    await until(() => since()[2] === 4);
    const all = org.events(TOPIC).map(({ id }) => id);
    assert.deepEqual(all.slice(0, 2), all.slice(2, 4));
    assert.equal(new Set([...all.slice(0, 2), ...all.slice(4, 6)]).size, 4);
    assert.equal(all[6], all[0], 'the same event of the same message');
    assert.notEqual(all[7], all[0], 'its copy');
    for (const id of all)
      assert.match(id, /^[\da-f]{8}-[\da-f]{4}-8[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
  });
});

describe('settings', () => {
  for (const [what, more, text] of [
    ['no org', { org: '' }, /No sfdc-org is chosen/],
    ['no topic', { topic: '' }, /is not a topic to publish to.*\/event\/OrderStatus__e/],
    ['a name for a topic', { topic: 'OrderStatus__e' }, /"OrderStatus__e" is not a topic/],
    ['no number of requests', { maxRequests: 0 }, /Requests at once: 0 is not a whole number/],
  ] as const) {
    test(`${what} is said at the start and with each message`, async () => {
      const from = red.log.length;
      const since = await use(publishNode(more));
      await red.waitForLog(text, { from });
      red.send('publish', { payload: order(1) });
      await until(() => since()[1] === 1);
      assert.match(last('caught').error.message, text);
      assert.equal(red.statusOf('publish')?.fill, 'red');
    });
  }

  test('an endpoint in plain text is for this machine alone', async () => {
    const config = orgNode(org, { pubsubEndpoint: 'http://api.pubsub.salesforce.com:7443' });
    const nodes = flow().map((node) => (node.id === 'org' ? config : node));
    await red.deploy(nodes);
    const before = red.received('caught').length;
    red.send('publish', { payload: order(1) });
    await until(() => red.received('caught').length > before);
    assert.match(last('caught').error.message, /would send the access token in plain text/);
  });
});

describe('the org out of reach', () => {
  test('holds messages, says so in the status, and lets them go in order when it is back', async () => {
    const since = await use();
    red.send('publish', { payload: order('first') });
    await until(() => since()[2] === 1);
    org.faults.add({ match: { topic: TOPIC }, action: { grpc: { code: 'UNAVAILABLE' } } });
    const from = red.log.length;
    for (let i = 0; i < 5; i++) red.send('publish', { payload: order(i) });
    await until(() => /unreachable/.test(red.statusOf('publish')?.text ?? ''));
    await red.waitForLog(/Pub\/Sub API at .* is not available/, { from });
    org.faults.clear();
    await until(() => since()[2] === 6);
    assert.deepEqual(ids(), ['O-first', 'O-0', 'O-1', 'O-2', 'O-3', 'O-4']);
    await until(() => red.statusOf('publish')?.text === 'ready');
    await red.waitForLog(/The Pub\/Sub API is back after/, { from });
  });

  test('burns no delivery of the consumer behind it, and does not count as processing time', async () => {
    const jsm = await nc.jetstreamManager();
    await jsm.streams.add({ name: 'held', subjects: ['held.>'] });
    const source: FlowNode = {
      id: 'source',
      type: 'jetstream-in',
      z: 'tab',
      server: 'server',
      stream: 'held',
      subject: 'held.>',
      durable: 'held',
      deliver: 'all',
      ackWait: '30s',
      maxDeliver: 2,
      backoff: '50ms',
      ack: 'flow',
      processingLimit: '300ms',
      deadLetter: '',
      format: 'json',
      batchSize: 1,
      wires: [['publish']],
    };
    const server: FlowNode = { id: 'server', type: 'jetstream-server', servers: nats.url, auth: 'none' };
    const since = await use(publishNode(), server, source);
    await nc.jetstream().publish('held.x', JSON.stringify(order('first')));
    await until(() => since()[2] === 1);
    org.faults.add({ match: { topic: TOPIC }, action: { grpc: { code: 'UNAVAILABLE' } } });
    await nc.jetstream().publish('held.x', JSON.stringify(order('held')));
    await until(() => /unreachable/.test(red.statusOf('publish')?.text ?? ''));
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    org.faults.clear();
    await until(() => since()[2] === 2, { timeout: 20_000 });
    assert.deepEqual(ids(), ['O-first', 'O-held']);
    await until(async () => (await jsm.consumers.info('held', 'held')).num_ack_pending === 0);
    assert.equal((await jsm.consumers.info('held', 'held')).num_redelivered, 0);
  });

  test('fails messages at once where the node is told so', async () => {
    const since = await use(publishNode({ onOutage: 'fail' }));
    red.send('publish', { payload: order('first') });
    await until(() => since()[2] === 1);
    org.faults.add({ match: { topic: TOPIC }, action: { grpc: { code: 'UNAVAILABLE' } } });
    red.send('publish', { payload: order(1) });
    await until(() => since()[1] === 1);
    assert.match(last('caught').error.message, /is not available/);
  });
});

test('deploys under load lose no event', async () => {
  const burst = code(
    'burst',
    'for (let i = 0; i < msg.count; i++) node.send({ payload: { Order_ID__c: `O-${msg.from + i}` } });',
    [['publish']],
  );
  await red.deploy(flow(publishNode(), burst));
  const base = counts();
  for (let i = 0; i < 5; i++) {
    red.send('burst', { count: 400, from: i * 400 });
    await red.deploy(flow(publishNode({ name: `deploy ${i}` }), burst), 'nodes');
  }
  // What was not begun when its node was closed has failed, so that its consumer delivers it again.
  await until(() => counts()[0]! - base[0]! + counts()[1]! - base[1]! === 2_000, { timeout: 20_000 });
  const closed = red.received('caught').slice(base[1]) as unknown as {
    error: { code?: string; message: string };
  }[];
  assert.ok(closed.every(({ error }) => /node was closed/.test(error.message)));
  assert.equal(new Set(ids()).size, counts()[0]! - base[0]!);
});

test('over TLS, with an authority of one’s own, events go out and come in', async (t) => {
  const secure = await startOrg({ tls: true, pubsub: true });
  t.after(() => secure.close());
  const folder = temporaryFolder('ca');
  t.after(() => folder.remove());
  const authority = join(folder.path, 'ca.pem');
  writeFileSync(authority, secure.ca ?? '');
  const inject: FlowNode = {
    id: 'once',
    type: 'inject',
    z: 'tab',
    props: [{ p: 'payload', v: '{"Order_ID__c":"secure"}', vt: 'json' }],
    once: true,
    onceDelay: 0.1,
    wires: [['publish']],
  };
  const process = await startNodeRed({
    flows: tab(
      orgNode(secure),
      inject,
      publishNode(),
      receiveNode({ wires: [['log']] }),
      code('log', 'node.warn(`received ${msg.payload.Order_ID__c}`);'),
      sink('results'),
    ),
    env: { NODE_EXTRA_CA_CERTS: authority, GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: '' },
  });
  t.after(() => process.stop());
  await process.waitForLog(/received secure/);
});

describe('the mission', () => {
  async function run(name: string, messages: unknown[]): Promise<Record<string, unknown>[]> {
    const nodes = example(name, org, nats.url);
    await red.deploy(nodes);
    await red
      .waitForLog(/The stream "salesforce_platform_events" was (created|updated)/)
      .catch(() => undefined);
    const consumer = nodes.find(({ type }) => type === 'jetstream-in')?.durable as string;
    const jsm = await nc.jetstreamManager();
    await until(() => jsm.consumers.info('salesforce_platform_events', consumer));
    for (const message of messages)
      await nc.jetstream().publish('salesforce.platform_events.order_status', JSON.stringify(message));
    await until(() => published().length >= messages.length);
    await until(async () => {
      const info = await jsm.consumers.info('salesforce_platform_events', consumer);
      return info.num_ack_pending === 0 && info.num_pending === 0;
    });
    await jsm.streams.purge('salesforce_platform_events');
    return published();
  }

  test('the event as it is: each message on the subject becomes a platform event, and is acknowledged', async () => {
    const events = await run('Publish order status', [
      { Order_ID__c: 'A-1', Status__c: 'paid', Timestamp__c: '2026-01-31T08:00:00Z' },
      { Order_ID__c: 'A-2', Status__c: 'shipped', Timestamp__c: '2026-02-01T08:00:00Z' },
    ]);
    assert.deepEqual(
      events.map(({ Order_ID__c, Status__c, Timestamp__c }) => [Order_ID__c, Status__c, Timestamp__c]),
      [
        ['A-1', 'paid', Date.UTC(2026, 0, 31, 8)],
        ['A-2', 'shipped', Date.UTC(2026, 1, 1, 8)],
      ],
    );
  });

  test('an explicit payload: its fields from {{event.data.…}}', async () => {
    const events = await run('Publish order status from fields', [
      { order_id: 'B-1', status: 'paid', updated_at: '2026-01-31T08:00:00Z', more: 'is left out' },
    ]);
    assert.deepEqual(
      events.map(({ Order_ID__c, Status__c, Timestamp__c }) => [Order_ID__c, Status__c, Timestamp__c]),
      [['B-1', 'paid', Date.UTC(2026, 0, 31, 8)]],
    );
  });
});
