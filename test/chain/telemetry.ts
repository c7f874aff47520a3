import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { propagation, trace } from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type ReadableSpan,
} from '@opentelemetry/sdk-trace-base';
import type { TracingHook } from '../../nodes/shared/tracing/tracer';
import { until } from '../support/until';
import { root } from '../support/user-dir';

/** As settings.js has it. */
export function hookOfTheDocs(): TracingHook {
  const page = readFileSync(join(root, 'docs', 'monitoring.md'), 'utf8');
  const blocks = [...page.matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(([, text = '']) => text);
  const text = blocks.find((block) => block.includes('jetforceTracing')) ?? assert.fail('no bridge');
  const module = { exports: {} as { jetforceTracing: TracingHook } };
  // eslint-disable-next-line @typescript-eslint/no-implied-eval, @typescript-eslint/no-unsafe-call -- what a user puts into settings.js
  new Function('require', 'module', text)(createRequire(__filename), module);
  return module.exports.jetforceTracing;
}

/** The SDK of OpenTelemetry, and the spans that have ended. One at a time in a process. */
export function startTelemetry() {
  const exporter = new InMemorySpanExporter();
  trace.setGlobalTracerProvider(
    new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
  );
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  const spans = (name: RegExp): ReadableSpan[] =>
    exporter.getFinishedSpans().filter((span) => name.test(span.name));
  return {
    exporter,
    spans,
    span: (name: RegExp, which: (span: ReadableSpan) => boolean = () => true) =>
      until(() => spans(name).find(which), { timeout: 30_000, what: `the span ${name}` }),
    stop: () => {
      trace.disable();
      propagation.disable();
    },
  };
}

export const idOf = (one: ReadableSpan): string => one.spanContext().spanId;
export const traceIdOf = (one: ReadableSpan): string => one.spanContext().traceId;
export const isPartOf =
  (whole: ReadableSpan) =>
  (one: ReadableSpan): boolean =>
    one.parentSpanContext?.spanId === idOf(whole) && traceIdOf(one) === traceIdOf(whole);
