import { AsyncLocalStorage } from 'node:async_hooks';
import type { TraceContext } from './context';
import { untilOver, type Span, type SpanStart, type Tracer } from './tracer';

type What = Pick<SpanStart, 'name' | 'kind' | 'attributes'>;

/** What is under way, and in which traces. There is never anything in it without a tracer. */
interface Current {
  tracer: Tracer;
  origins: readonly (TraceContext | undefined)[];
  /** For the calls that are made for it. */
  attributes?: SpanStart['attributes'];
}

const current = new AsyncLocalStorage<Current>();

/** Does the work so that the spans in it (`inPart`, `inCall`) are part of these traces; without a tracer just does it. */
export function inTraces<T>(
  tracer: Tracer | undefined,
  origins: () => readonly TraceContext[],
  attributes: SpanStart['attributes'],
  work: () => T,
): T {
  return tracer ? current.run({ tracer, origins: origins(), attributes }, work) : work();
}

/** What came of work, and the way to do what comes of that as a part of the same trace. */
export interface Done<T> {
  done: T;
  within: <R>(work: () => R) => R;
}

const nowhere = <R>(work: () => R): R => work();

/**
 * Does the work in a span of its own, whose parts the spans in it are; without a tracer just does it. It is part of
 * `origins`, or of what is under way, or begins a trace.
 */
export async function asWhole<T>(
  tracer: Tracer | undefined,
  what: () => What,
  work: (span?: Span) => Promise<T>,
  origins: () => Current['origins'] = () => current.getStore()?.origins ?? [],
): Promise<Done<T>> {
  if (!tracer) return { done: await work(), within: nowhere };
  const span = tracer.start(what(), origins());
  const inside = { tracer, origins: [span.context] };
  const within = <R>(next: () => R): R => current.run(inside, next);
  return { done: await untilOver(span, () => within(() => work(span))), within };
}

/** Does the work in a span that is part of what is under way; where nothing is just does it. */
export function inPart<T>(what: () => What, work: () => Promise<T>): Promise<T> {
  const around = current.getStore();
  if (!around) return work();
  const { tracer, origins } = around;
  const span = tracer.start(what(), origins);
  return untilOver(span, () => current.run({ tracer, origins: [span.context] }, work));
}

/** A call of an API. The query of its path isn't told: it can hold data. */
export function inCall<T>(api: string, method: string, path: string, work: () => Promise<T>): Promise<T> {
  const what = (): What => ({
    name: `${method} ${api}`,
    kind: 'CLIENT',
    attributes: {
      'http.request.method': method,
      'url.path': path.split('?', 1)[0] ?? '',
      ...current.getStore()?.attributes,
    },
  });
  return inPart(what, work);
}

/** The function, part of what is under way now wherever it is called. */
export function bound<A extends unknown[], R>(work: (...args: A) => R): (...args: A) => R {
  const around = current.getStore();
  return around ? (...args) => current.run(around, work, ...args) : work;
}
