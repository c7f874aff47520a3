import type { NodeAPI } from 'node-red';
import { errorOf, messageOf } from '../errors';
import { traceOf, type Carrier, type TraceContext } from './context';
import { say } from '../say';

/** What `jetforceTracing` in settings.js has to be. Both calls may throw: what they do never harms a message. */
export interface TracingHook {
  /** Begins a span, and gives its own context for what comes of it. Nothing: no span. */
  startSpan(span: SpanStart): (Carrier & { end?: (error?: Error) => unknown }) | undefined;
}

/** A piece of work, in the words of OpenTelemetry. */
export interface SpanStart {
  name: string;
  kind: 'CONSUMER' | 'PRODUCER' | 'CLIENT' | 'INTERNAL';
  attributes: Record<string, string | number>;
  /** What it is part of. None: it begins a trace. */
  parent: TraceContext | undefined;
  /** What it is done for, where that is several. */
  links: readonly TraceContext[];
}

/** Until its end, which counts once. */
export interface Span {
  /** Of the span, or of what it is part of where the hook gives none. */
  context: TraceContext | undefined;
  end(error?: unknown): void;
}

/** Makes spans by the hook of settings.js. */
export class Tracer {
  private told = false;

  constructor(
    private readonly hook: TracingHook,
    private readonly warn: (text: string) => void,
  ) {}

  /** Of one origin the span is a part, of several it is one with links to each. */
  start(
    span: Pick<SpanStart, 'name' | 'kind' | 'attributes'>,
    origins: readonly (TraceContext | undefined)[],
  ): Span {
    const known = origins.filter((origin) => origin !== undefined);
    const parent = known.length === 1 ? known[0] : undefined;
    const links = known.length === 1 ? [] : known;
    const started = this.safely(() => this.hook.startSpan({ ...span, parent, links }));
    const context = this.safely(() => started && traceOf(started)) ?? parent;
    let over = false;
    return {
      context,
      end: (...error) => {
        if (over) return;
        over = true;
        const failed = error[0] === undefined ? [] : [errorOf(error[0])];
        this.safely(() => started?.end?.(...failed));
      },
    };
  }

  /** What the hook throws, or rejects with, is said once. */
  private safely<T>(call: () => T): T | undefined {
    const failed = (error: unknown): undefined => {
      if (!this.told) this.warn(say`jetforceTracing in settings.js fails: ${messageOf(error)}`);
      this.told = true;
    };
    try {
      const given = call();
      if (given instanceof Promise) given.catch(failed);
      return given;
    } catch (error) {
      return failed(error);
    }
  }
}

/** Does the work, within a span of the message's trace where there are spans. */
export function inSpan<T>(
  tracer: Tracer | undefined,
  span: Pick<SpanStart, 'name' | 'kind'>,
  msg: Carrier,
  work: (span: Span | undefined) => Promise<T>,
): Promise<T> {
  return tracer
    ? untilOver(tracer.start({ attributes: {}, ...span }, [traceOf(msg)]), work)
    : work(undefined);
}

async function untilOver<T>(span: Span, work: (span: Span) => Promise<T>): Promise<T> {
  try {
    const done = await work(span);
    span.end();
    return done;
  } catch (error) {
    span.end(error);
    throw error;
  }
}

const tracers = new WeakMap<TracingHook, Tracer>();

/** By the hook in settings.js; undefined without one. */
export function tracerOf({ settings, log }: NodeAPI): Tracer | undefined {
  const hook = (settings as { jetforceTracing?: TracingHook } | undefined)?.jetforceTracing;
  if (typeof hook !== 'object' || hook === null) return undefined;
  let tracer = tracers.get(hook);
  if (!tracer) tracers.set(hook, (tracer = new Tracer(hook, (text) => log.warn(text))));
  return tracer;
}
