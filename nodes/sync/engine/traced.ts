import { asWhole, type Done } from '../../shared/tracing/current';
import type { SpanStart, Tracer } from '../../shared/tracing/tracer';
import type { Collection, Provider } from './provider';
import type { SourceRecord } from './record';
import { RecordWriter, type RecordStream, type WriteOptions, type Written } from './record-writer';
import type { SubjectOf } from './tokens';

/** The way back into the trace in which records were read, for whoever publishes them. */
const readIn = new WeakMap<readonly SourceRecord[], Done<unknown>['within']>();

/**
 * The provider, with a span of each time that something is read of a collection, or its changes are polled. Calls of
 * the API are parts of it. Without a tracer it is the provider as it was.
 */
export function tracedProvider(provider: Provider, tracer: Tracer | undefined): Provider {
  if (!tracer) return provider;
  const open = provider.open.bind(provider);
  const traced = async (name: string, signal: AbortSignal): Promise<Collection> => {
    const reading: Reading = (verb, work) =>
      asWhole(tracer, () => ({ name: `${verb} ${name}`, kind: 'INTERNAL', attributes: {} }), work);
    return tracedCollection((await reading('read', () => open(name, signal))).done, reading);
  };
  return Object.assign(provider, { open: traced });
}

type Reading = <T>(verb: 'read' | 'poll', work: () => Promise<T>) => Promise<Done<T>>;

function tracedCollection(collection: Collection, reading: Reading): Collection {
  const handedOn = <T extends { records: SourceRecord[] }>({ done, within }: Done<T>): T => {
    readIn.set(done.records, within);
    return done;
  };
  const now = collection.now.bind(collection);
  const count = collection.count.bind(collection);
  const page = collection.page.bind(collection);
  const changes = collection.changes.bind(collection);
  const read = collection.read?.bind(collection);
  const ids = collection.ids?.bind(collection);
  const own: Partial<Collection> = {
    now: async (...args) => (await reading('read', () => now(...args))).done,
    count: async (...args) => (await reading('read', () => count(...args))).done,
    page: async (...args) => handedOn(await reading('read', () => page(...args))),
    changes: async (...args) => handedOn(await reading('poll', () => changes(...args))),
    ...(read && { read: async (...args) => (await reading('read', () => read(...args))).done }),
    ...(ids && { ids: (signal) => eachRead(ids(signal), reading) }),
  };
  return Object.assign(collection, own);
}

async function* eachRead<T>(list: AsyncIterable<T>, reading: Reading): AsyncGenerator<T, void, undefined> {
  const iterator = list[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { done: next } = await reading('read', () => iterator.next());
      if (next.done) return;
      yield next.value;
    }
  } finally {
    await iterator.return?.();
  }
}

/** Makes a span of each publishing of records, in the trace in which they were read where that is known. */
export class TracedWriter extends RecordWriter {
  constructor(
    of: SubjectOf,
    stream: RecordStream,
    private readonly tracing: { tracer: Tracer; stream: string },
  ) {
    super(of, stream);
  }

  override async write(records: readonly SourceRecord[], options: WriteOptions): Promise<Written> {
    if (records.length === 0) return super.write(records, options);
    const { tracer, stream } = this.tracing;
    const publish = () =>
      asWhole(
        tracer,
        () => publishSpan(stream, records.length),
        () => super.write(records, options),
      );
    return (await (readIn.get(records)?.(publish) ?? publish())).done;
  }
}

/** Of one or several records into the stream. */
export function publishSpan(
  stream: string,
  records?: number,
): Pick<SpanStart, 'name' | 'kind' | 'attributes'> {
  return {
    name: `publish ${stream}`,
    kind: 'PRODUCER',
    attributes: {
      'messaging.system': 'nats',
      'messaging.operation.type': 'send',
      'messaging.destination.name': stream,
      ...(records !== undefined && { 'messaging.batch.message_count': records }),
    },
  };
}
