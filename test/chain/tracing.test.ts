import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import type { TracingHook } from '../../nodes/shared/tracing/tracer';
import { functionNode, inNode, openRoom, placed, serverNode, TAB, type Room } from '../jetstream/room';
import { startOrg, type Org } from '../org/org';
import { orgNode } from '../salesforce/event-flows';
import { embedNodeRed, type EmbeddedNodeRed, type FlowNode } from '../support/node-red';
import { until } from '../support/until';
import { hookOfTheDocs, idOf, startTelemetry, traceIdOf } from './telemetry';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const CALLER = 'b7ad6b7169203331';
const parentOf = (trace = TRACE, span = CALLER): string => `00-${trace}-${span}-01`;

const { exporter, spans, span, stop } = startTelemetry();
let room: Room;
let org: Org;
let red: EmbeddedNodeRed;
before(async () => {
  room = await openRoom();
  await room.jsm.streams.add({ name: 'out', subjects: ['out.>'] });
  await room.jsm.streams.add({ name: 'dead', subjects: ['dead.>'] });
  org = await startOrg();
});
after(async () => {
  await room.stop();
  await org.close();
  stop();
});
afterEach(async () => {
  await red.stop();
  exporter.reset();
  for (const stream of ['crm', 'out', 'dead']) await room.jsm.streams.purge(stream);
  await room.jsm.consumers.delete('crm', 'flow').catch(() => undefined);
});

/** jetstream-in → sfdc-composite → jetstream-out. */
async function start(more: { in?: object; out?: object; hook?: TracingHook | undefined; fn?: string }) {
  const flows: FlowNode[] = [
    TAB,
    serverNode(room.nats.url),
    orgNode(org),
    inNode({ wires: [['fn']], deadLetter: 'dead.crm', maxDeliver: 1, ...more.in }),
    functionNode('fn', more.fn ?? 'return msg;', { wires: [['write']] }),
    {
      ...{
        id: 'write',
        type: 'sfdc-composite',
        z: 'tab',
        org: 'org',
        operation: 'upsert',
        sobject: 'Contact',
      },
      ...{ externalIdField: 'ExternalId__c', wires: [['out'], []] },
    },
    {
      id: 'out',
      type: 'jetstream-out',
      z: 'tab',
      server: 'server',
      subject: 'out.done',
      wires: [[]],
      ...more.out,
    },
  ];
  const settings = more.hook ? { jetforceTracing: more.hook } : {};
  red = await embedNodeRed({ flows: flows.map(placed), settings });
}
const contact = (n: number) => ({ ExternalId__c: `t${n}`, LastName: `Contact ${n}` });
const published = (stream: string) =>
  until(() => room.jsm.streams.getMessage(stream, { last_by_subj: `${stream}.>` }).catch(() => undefined), {
    what: `a message in ${stream}`,
  });

test('a trace goes from JetStream to the org call and back out, by the hook that the docs give', async () => {
  await start({ hook: hookOfTheDocs() });
  await room.publish('crm.contacts.1', contact(1), { traceparent: parentOf(), tracestate: 'shop=7' });
  const out = await published('out');
  const delivery = await span(/^process crm$/);
  const [message, call, publish] = [
    await span(/^upsert Contact$/),
    await span(/^(POST|PATCH) Salesforce$/),
    await span(/^publish out.done$/),
  ];
  for (const one of [delivery, message, call, publish]) assert.equal(traceIdOf(one), TRACE);
  assert.equal(delivery.parentSpanContext?.spanId, CALLER);
  assert.equal(message.parentSpanContext?.spanId, idOf(delivery));
  assert.equal(call.parentSpanContext?.spanId, idOf(message));
  assert.equal(publish.parentSpanContext?.spanId, idOf(delivery));
  assert.deepEqual(
    [delivery, message, call, publish].map(({ kind }) => kind),
    [SpanKind.CONSUMER, SpanKind.INTERNAL, SpanKind.CLIENT, SpanKind.PRODUCER],
  );
  assert.equal(delivery.attributes['messaging.consumer.group.name'], 'flow');
  assert.equal(out.header.get('traceparent'), parentOf(TRACE, idOf(publish)));
  assert.equal(out.header.get('tracestate'), 'shop=7');
});

test('a call for several messages is linked to each of them', async () => {
  await start({ hook: hookOfTheDocs(), in: { batchSize: 1 } });
  const traces = Array.from({ length: 20 }, (_, i) => `${TRACE.slice(2)}${String(i + 10)}`);
  org.faults.add({ match: { path: '/composite' }, action: { delayMs: 300 }, times: 1 });
  for (const [i, id] of traces.entries())
    await room.publish('crm.contacts.1', contact(i), { traceparent: parentOf(id) });
  await until(() => spans(/^process crm$/).length === traces.length, { what: 'all to be finished' });
  const messages = spans(/^upsert Contact$/);
  assert.deepEqual(new Set(messages.map(traceIdOf)), new Set(traces));
  const calls = spans(/^(POST|PATCH) Salesforce$/);
  const several = calls.filter(({ links }) => links.length > 1);
  assert.ok(several.length > 0);
  for (const call of several) {
    assert.equal(call.parentSpanContext, undefined);
    for (const { context } of call.links) assert.ok(messages.some((one) => idOf(one) === context.spanId));
  }
});

test('a message that fails ends its span with the error, and its dead letter keeps its trace', async () => {
  await start({ hook: hookOfTheDocs(), fn: 'throw new Error("not today")' });
  await room.publish('crm.contacts.1', contact(1), { traceparent: parentOf() });
  const letter = await published('dead');
  assert.equal(letter.header.get('traceparent'), parentOf());
  const { status } = await span(/^process crm$/);
  assert.equal(status.code, SpanStatusCode.ERROR);
  assert.match(status.message ?? '', /not today/);
});

test('without a trace a delivery begins one, a batch from several is linked to each', async () => {
  await start({ hook: hookOfTheDocs(), in: { batchSize: 2, batchWait: '10s' } });
  const other = TRACE.replace('0af', '1af');
  await room.publish('crm.contacts.1', contact(1), { traceparent: parentOf() });
  await room.publish('crm.contacts.2', contact(2), { traceparent: parentOf(other) });
  const batch = await span(/^process crm$/);
  assert.deepEqual(
    batch.links.map(({ context }) => context.traceId),
    [TRACE, other],
  );
  assert.ok(![TRACE, other].includes(traceIdOf(batch)));
  const out = await published('out');
  assert.ok(out.header.get('traceparent').includes(traceIdOf(batch)));
});

test('without a hook the headers go through, and out as they were', async () => {
  await start({});
  await room.publish('crm.contacts.1', contact(1), { traceparent: parentOf(), tracestate: 'shop=7' });
  const out = await published('out');
  assert.equal(out.header.get('traceparent'), parentOf());
  assert.equal(out.header.get('tracestate'), 'shop=7');
  assert.equal(red.received('fn')[0]?.traceparent, parentOf());
  assert.equal(exporter.getFinishedSpans().length, 0);
});

test('an invalid traceparent is ignored, and a header in the settings has the say', async () => {
  await start({ out: { headers: [{ name: 'Traceparent', value: 'mine' }] } });
  await room.publish('crm.contacts.1', contact(1), { traceparent: '00-nonsense' });
  assert.ok(!('traceparent' in (await until(() => red.received('fn')[0]))));
  await until(async () => (await room.jsm.streams.info('out')).state.messages === 1);
  await room.publish('crm.contacts.1', contact(2), { traceparent: parentOf() });
  await until(async () => (await room.jsm.streams.info('out')).state.messages === 2);
  const out = await published('out');
  assert.equal(out.header.get('traceparent'), '');
  assert.equal(out.header.get('Traceparent'), 'mine');
});

test('a hook that throws at every turn harms no message', async () => {
  const broken = (): never => {
    throw new Error('broken hook');
  };
  await start({ hook: { startSpan: broken } });
  await room.publish('crm.contacts.1', contact(1), { traceparent: parentOf() });
  assert.equal((await published('out')).header.get('traceparent'), parentOf());
  assert.equal(red.log.filter(({ text }) => /broken hook/.test(text)).length, 1);
});
