import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CollectionRun } from '../../../nodes/sync/engine/collection-run';
import { Control } from '../../../nodes/sync/engine/control';
import { Lease } from '../../../nodes/shared/lease';
import { RecordWriter, type RecordStream } from '../../../nodes/sync/engine/record-writer';
import type { PositionStore } from '../../../nodes/shared/positions';
import { Sync } from '../../../nodes/sync/engine/sync';
import { Semaphore } from '../../../nodes/shared/async/semaphore';
import { watchHeartbeat } from '../../support/heartbeat';
import { stopAtEach, type Gates } from '../../support/stops';
import {
  memoryCollection,
  memoryProvider,
  memoryStore,
  memoryStream,
  record,
  records,
  type MemoryCollection,
} from './fakes';

// What is stopped here ends within a turn or a short wait: an event loop that stands still for longer never will.
watchHeartbeat(5_000);

const NAME = 'test:thing';
const of = { prefix: 'p', syncId: 'sync', provider: 'test', collection: NAME };
const CALLS: (keyof MemoryCollection)[] = ['count', 'now', 'page', 'ready', 'changes', 'read', 'close'];
const nothing = (): void => undefined;
const closed = (): Promise<never> => Promise.reject(new Error('nothing is to be called any more'));

/** What a sync depends on, each call through a gate. `over` makes whatever is called later fail the test. */
function world(gates: Gates) {
  const source = memoryCollection(...records('a', 'b', 'c'));
  const store = memoryStore();
  const stream = memoryStream();
  const collection = gates.wrap(source, ...CALLS);
  const gated: RecordStream = gates.wrap(stream, 'publish', 'last');
  const provider = gates.wrap(memoryProvider({ [NAME]: collection }), 'open', 'close');
  let late = 0;
  return {
    source,
    store,
    provider,
    gatedStore: gates.wrap(store, 'get', 'put') as PositionStore,
    openStream: (): Promise<RecordStream> => gates.pass(() => gated),
    gated,
    held: () => gatedPage(gates),
    /** Rejects where something is still called after this. */
    over: async (): Promise<void> => {
      store.before = () => (late++, closed());
      source.before = () => (late++, closed());
      await new Promise((resolve) => setTimeout(resolve, 5));
      assert.equal(late, 0, 'calls after the stop');
    },
  };
}

async function* gatedPage(gates: Gates): AsyncGenerator<string[], void, undefined> {
  yield await gates.pass(() => ['a', 'gone']);
}

for (const lease of [120, undefined])
  test(`a sync stops at each of its calls (${lease ? 'with' : 'without'} a lease)`, async () => {
    const calls = await stopAtEach(
      (gates) => {
        const { source, store, provider, gatedStore, openStream, held, over } = world(gates);
        store.set('sync.control', { stopped: [], resync: { [NAME]: 1 } });
        source.change({ records: [record('d')] });
        source.change({ records: [], gap: 'too old' });
        const sync = new Sync({
          syncId: 'sync',
          provider,
          collections: [NAME],
          prefix: 'p',
          start: 'beginning',
          events: true,
          store: gatedStore,
          lease,
          reconcile: 0,
          stream: openStream,
          liveIds: held,
          progress: nothing,
          log: nothing,
          error: nothing,
        });
        sync.start();
        return async () => {
          await sync.stop().catch(nothing);
          await over();
        };
      },
      { most: lease ? 30 : 40 },
    );
    assert.ok(calls >= 25, `${calls} calls`);
  });

test('a collection stops at each of its calls', async () => {
  const calls = await stopAtEach((gates) => {
    const { source, provider, gatedStore, gated, held, over } = world(gates);
    const stop = new AbortController();
    const run = new CollectionRun(
      {
        syncId: 'sync',
        collection: NAME,
        provider,
        writer: new RecordWriter(of, gated),
        store: gatedStore,
        key: 'k',
        streamCreated: () => 'T1',
        reopenStream: () => gates.pass(nothing),
        semaphore: new Semaphore(1),
        start: 'beginning',
        events: true,
        fence: nothing,
        liveIds: held,
        reconcile: 1,
        progress: nothing,
        log: nothing,
        error: nothing,
      },
      0,
    );
    for (let i = 0; i < 3; i++) source.change({ records: [record('a', i)] });
    const ended = run.run(stop.signal).catch(nothing);
    return async () => {
      stop.abort();
      await ended;
      await over();
    };
  });
  assert.ok(calls >= 20, `${calls} calls`);
});

test('a lease stops at each of its calls: while it is waited for, kept, and given back', async () => {
  await stopAtEach(
    (gates) => {
      const store = memoryStore();
      store.set('k', { owner: 'somebody who died' });
      const lease = new Lease(gates.wrap(store, 'get', 'put'), 'k', 30);
      const stop = new AbortController();
      const ended = (async () => {
        if (await lease.acquire(stop.signal, nothing))
          await lease.keep(stop.signal, () => gates.pass(() => Promise.resolve()));
      })().catch(nothing);
      return async () => {
        stop.abort();
        await ended;
        await lease.release(AbortSignal.timeout(1_000));
        assert.equal(lease.held, false);
      };
    },
    { most: 15 },
  );
});

test('a command stops at each of its calls, also where others always overtake it', async () => {
  await stopAtEach(
    (gates) => {
      const store = memoryStore();
      store.before = (call) => {
        if (call === 'put') store.set('k', { stopped: [], resync: {} });
      };
      const stop = new AbortController();
      const changed = new Control(gates.wrap(store, 'get', 'put'), 'k').change('stop', [NAME], stop.signal);
      const ended = changed.then(nothing, nothing);
      return async () => {
        stop.abort();
        await ended;
      };
    },
    { most: 6 },
  );
});
