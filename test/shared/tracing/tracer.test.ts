import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { NodeAPI } from 'node-red';
import {
  inSpan,
  Tracer,
  tracerOf,
  type SpanStart,
  type TracingHook,
} from '../../../nodes/shared/tracing/tracer';

const context = (id: number) => ({
  traceparent: `00-0af7651916cd43dd8448eb211c80319c-${String(id).padStart(16, '0')}-01`,
});
const what = { name: 'process crm', kind: 'CONSUMER', attributes: {} } as const;

function record(give: (span: SpanStart) => unknown = () => undefined) {
  const started: SpanStart[] = [];
  const said: string[] = [];
  const hook = { startSpan: (span: SpanStart) => (started.push(span), give(span)) } as TracingHook;
  return { tracer: new Tracer(hook, (text) => said.push(text)), started, said };
}

test('a span of one origin is part of its trace, one of several is linked to each', () => {
  const { tracer, started } = record(() => context(9));
  assert.deepEqual(tracer.start(what, [context(1)]).context, context(9));
  tracer.start(what, [context(1), undefined, context(2)]);
  tracer.start(what, [undefined]);
  assert.deepEqual(
    started.map(({ parent, links }) => ({ parent, links })),
    [
      { parent: context(1), links: [] },
      { parent: undefined, links: [context(1), context(2)] },
      { parent: undefined, links: [] },
    ],
  );
});

test('what is inside a span that has no context of its own goes on as what is around it', () => {
  for (const given of [undefined, {}, { traceparent: 'nonsense' }, 7, Promise.resolve(context(9))]) {
    const { tracer } = record(() => given);
    assert.deepEqual(tracer.start(what, [context(1)]).context, context(1));
  }
});

test('a span ends once, with the first error as an Error', () => {
  const ends: (Error | undefined)[][] = [];
  const { tracer } = record(() => ({ end: (...error: (Error | undefined)[]) => void ends.push(error) }));
  tracer.start(what, []).end();
  const span = tracer.start(what, []);
  span.end('no Error');
  span.end(new Error('later'));
  assert.equal(ends.length, 2);
  assert.deepEqual(ends[0], []);
  assert.ok(ends[1]?.[0] instanceof Error && ends[1][0].message === 'no Error');
});

test('a hook that throws, rejects or has no calls harms nobody, and is told once', async () => {
  const bad: ((span: SpanStart) => unknown)[] = [
    () => {
      throw new Error('broken hook');
    },
    () => Promise.reject(new Error('broken hook')),
    () => ({
      end: () => {
        throw new Error('broken hook');
      },
    }),
    () => ({ end: () => Promise.reject(new Error('broken hook')) }),
    () => ({
      get traceparent(): string {
        throw new Error('broken hook');
      },
    }),
  ];
  for (const give of bad) {
    const { tracer, said } = record(give);
    for (let i = 0; i < 3; i++) {
      assert.equal(await inSpan(tracer, what, {}, () => Promise.resolve('done')), 'done');
      await turn();
    }
    assert.deepEqual(said, ['jetforceTracing in settings.js fails: broken hook']);
  }
  const said: string[] = [];
  new Tracer({} as TracingHook, (text) => said.push(text)).start(what, []).end();
  assert.equal(said.length, 1);
});

test('work that fails ends its span with the error, and fails all the same', async () => {
  const ends: unknown[] = [];
  const { tracer } = record(() => ({ end: (error?: Error) => void ends.push(error?.message) }));
  await assert.rejects(
    inSpan(tracer, what, {}, () => Promise.reject(new Error('no'))),
    /^Error: no$/,
  );
  assert.deepEqual(ends, ['no']);
});

test('without a hook in settings.js there is no tracer, and with one it is the same for all nodes', () => {
  const RED = (settings: object) => ({ settings, log: { warn: () => undefined } }) as unknown as NodeAPI;
  for (const settings of [
    {},
    { jetforceTracing: undefined },
    { jetforceTracing: null },
    { jetforceTracing: 'x' },
  ])
    assert.equal(tracerOf(RED(settings)), undefined);
  const jetforceTracing = { startSpan: () => undefined };
  assert.ok(tracerOf(RED({ jetforceTracing })));
  assert.equal(tracerOf(RED({ jetforceTracing })), tracerOf(RED({ jetforceTracing })));
});
