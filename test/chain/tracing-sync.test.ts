import assert from 'node:assert/strict';
import { after, afterEach, test } from 'node:test';
import { SpanKind } from '@opentelemetry/api';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import { startApi } from '../apis/api';
import { inNode, openRoom, placed, serverNode, TAB, type Room } from '../jetstream/room';
import { startOrg } from '../org/org';
import { orgNode } from '../salesforce/event-flows';
import { embedNodeRed, type EmbeddedNodeRed, type FlowNode } from '../support/node-red';
import { startNats } from '../support/nats';
import { until } from '../support/until';
import { syncFlow } from '../sync/flow';
import { hookOfTheDocs, isPartOf, startTelemetry } from './telemetry';

const { exporter, spans, span, stop } = startTelemetry();
after(stop);
let red: EmbeddedNodeRed | undefined;
const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  await red?.stop();
  for (const each of stops.splice(0)) await each();
  exporter.reset();
});

async function start(flows: FlowNode[], hook = true): Promise<EmbeddedNodeRed> {
  const settings = hook ? { jetforceTracing: hookOfTheDocs() } : {};
  return (red = await embedNodeRed({ flows: flows.map(placed), settings }));
}
async function openOrg(options: Parameters<typeof startOrg>[0]) {
  const org = await startOrg(options);
  stops.push(() => org.close());
  return org;
}
async function openNats() {
  const nats = await startNats();
  stops.push(() => nats.stop());
  return nats;
}
async function open(): Promise<Room> {
  const room = await openRoom();
  stops.push(() => room.stop());
  return room;
}

test('a poll, its calls of the org, and what is published of it are one trace', async () => {
  const [org, nats] = [await openOrg({ generate: { Contact: 3 } }), await openNats()];
  const source = { mode: 'poll', pollInterval: '100ms', lookback: '1s' };
  await start(syncFlow(nats.url, org, { source }));
  await span(/^poll salesforce:contact$/);
  org.write('Contact', { LastName: 'New' });
  const isOfPoll = (one: ReadableSpan): boolean =>
    spans(/^poll salesforce:contact$/).some((poll) => isPartOf(poll)(one));
  const publish = await span(/^publish SEQUIN-RECORDS$/, isOfPoll);
  assert.equal(publish.kind, SpanKind.PRODUCER);
  assert.ok(Number(publish.attributes['messaging.batch.message_count']) >= 1);
  const poll = await span(/^poll salesforce:contact$/, (one) => isPartOf(one)(publish));
  assert.equal(poll.parentSpanContext, undefined);
  const call = await span(/^GET Salesforce$/, isPartOf(poll));
  assert.equal(call.kind, SpanKind.CLIENT);
  assert.match(String(call.attributes['url.path']), /^\/services\/data\/v[\d.]+\/query(All)?$/);
});

test('the calls of a history that a thread reads are part of the reading', async () => {
  const [org, nats] = [await openOrg({ generate: { Contact: 12_000 } }), await openNats()];
  await start(syncFlow(nats.url, org, { source: { mode: 'poll' } }));
  const results = await span(/^GET Salesforce$/, ({ attributes }) =>
    /\/jobs\/query\/\w+\/results$/.test(String(attributes['url.path'])),
  );
  await span(/^read salesforce:contact$/, (reading) => isPartOf(reading)(results));
});

test('the calls of another API are part of a reading, and neither a query nor a secret is told', async () => {
  const nats = await openNats();
  const api = await startApi('stripe', { seed: { customers: 3 } });
  stops.push(() => api.close());
  await start([
    TAB,
    serverNode(nats.url),
    {
      ...{ id: 'source', type: 'api-source', provider: 'stripe', baseUrl: api.baseUrl, pollInterval: '1s' },
      ...{ collections: ['stripe:customers'], credentials: { token: api.token } },
    },
    { id: 'sync', type: 'api-sync-out', z: 'tab', server: 'server', source: 'source', wires: [[]] },
  ]);
  const publish = await span(/^publish SEQUIN-RECORDS$/);
  const reading = await span(/^read stripe:customers$/, (one) => isPartOf(one)(publish));
  const call = await span(/^GET Stripe$/, isPartOf(reading));
  assert.equal(call.attributes['url.path'], '/v1/customers');
  const told = exporter
    .getFinishedSpans()
    .map(({ name, attributes, status }) => ({ name, attributes, status }));
  assert.ok(!JSON.stringify(told).includes(api.token));
});

test('records of a flow are published in the trace of their message', async () => {
  const room = await open();
  await start([
    TAB,
    serverNode(room.nats.url),
    inNode({ wires: [['sync']] }),
    { id: 'source', type: 'api-source', provider: 'flow', collections: [], syncId: 'mine' },
    { id: 'sync', type: 'api-sync-out', z: 'tab', server: 'server', source: 'source', wires: [[]] },
  ]);
  await room.publish('crm.contacts.1', { collection_id: 'shop:order', upstream_id: '1', data: { total: 3 } });
  const publish = await span(/^publish SEQUIN-RECORDS$/);
  const delivery = await span(/^process crm$/);
  assert.ok(isPartOf(delivery)(publish));
});

test('a Bulk job is a span that is linked to its messages, its calls are parts of it', async () => {
  const [room, org] = [await open(), await openOrg({ switches: { bulkJobMs: 100 } })];
  const count = 1_000;
  await Promise.all(
    Array.from({ length: count }, (_, n) =>
      room.publish('crm.contacts.new', { ExternalId__c: `K${n}`, LastName: `N${n}` }),
    ),
  );
  await start([
    TAB,
    serverNode(room.nats.url),
    orgNode(org),
    inNode({ prefetch: 1_000, wires: [['write']] }),
    {
      ...{
        id: 'write',
        type: 'sfdc-composite',
        z: 'tab',
        org: 'org',
        operation: 'upsert',
        sobject: 'Contact',
      },
      ...{ externalIdField: 'ExternalId__c', batch: { bulkFrom: count - 100 }, wires: [[], []] },
    },
  ]);
  const job = await span(/^bulk upsert Contact$/);
  assert.equal(job.attributes['salesforce.records'], count);
  const messages = new Set(
    await until(() => {
      const found = spans(/^upsert Contact$/);
      return found.length === count && found.map((one) => one.spanContext().spanId);
    }),
  );
  assert.equal(job.links.length, 128);
  for (const { context } of job.links) assert.ok(messages.has(context.spanId));
  const calls = spans(/ Salesforce$/)
    .filter(isPartOf(job))
    .map(({ name }) => name.split(' ')[0]);
  assert.deepEqual([...new Set(calls)].sort(), ['GET', 'PATCH', 'POST', 'PUT']);
  // What is settled by the job doesn't go on in its trace.
  assert.ok(spans(/ Salesforce$/).every((call) => isPartOf(job)(call)));
});

test('without a hook nothing of this is made', async () => {
  const [org, nats] = [await openOrg({ generate: { Contact: 3 } }), await openNats()];
  const running = await start(syncFlow(nats.url, org, { source: { mode: 'poll' } }), false);
  await until(() => /live|3/.test(running.statusOf('sync')?.text ?? ''), { what: 'the records' });
  assert.equal(exporter.getFinishedSpans().length, 0);
});
