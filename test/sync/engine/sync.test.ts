import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { FlowError } from '../../../nodes/shared/errors';
import type { Progress } from '../../../nodes/sync/engine/progress';
import type { SourceRecord } from '../../../nodes/sync/engine/record';
import { Sync, type SyncOptions } from '../../../nodes/sync/engine/sync';
import { watchHeartbeat } from '../../support/heartbeat';
import {
  fakeClock,
  latch,
  memoryCollection,
  memoryProvider,
  memoryStore,
  memoryStream,
  record,
  records,
  settle,
  type MemoryCollection,
} from './fakes';

watchHeartbeat(5_000);

const LEASE = 15_000;
const [ONE, TWO] = ['test:one', 'test:two'];
const LEASE_KEY = 'my=20sync.lease';
const CONTROL_KEY = 'my=20sync.control';
const KEY = { [ONE]: 'my=20sync.test=3Aone', [TWO]: 'my=20sync.test=3Atwo' };

interface Instance {
  sync: Sync;
  lines: string[];
  progress: Progress[];
  provider: ReturnType<typeof memoryProvider>;
  collections: Record<string, MemoryCollection>;
  phase: (collection?: string) => string | undefined;
}

function rig(t: TestContext) {
  const clock = fakeClock(t);
  const store = memoryStore();
  const stream = memoryStream();
  const syncs: Sync[] = [];
  t.after(async () => {
    for (const sync of syncs) void sync.stop();
    // What ends later would clear the timers of the next test's clock.
    await settle(20);
  });
  const instance = (more: Partial<SyncOptions> = {}, ...source: SourceRecord[]): Instance => {
    const collections = { [ONE]: memoryCollection(...source), [TWO]: memoryCollection(...source) };
    const provider = memoryProvider(collections);
    const [lines, progress]: [string[], Progress[]] = [[], []];
    const sync = new Sync({
      syncId: 'my sync',
      provider,
      collections: [ONE],
      prefix: 'p',
      start: 'beginning',
      events: false,
      store,
      lease: LEASE,
      reconcile: 0,
      stream: () => Promise.resolve({ ...stream }),
      liveIds: async function* () {
        await Promise.resolve();
        yield* [];
      },
      progress: (entry) => void progress.push(entry),
      log: (text) => void lines.push(text),
      error: (text) => void lines.push(`! ${text}`),
      ...more,
    });
    syncs.push(sync);
    const phase = (collection = ONE): string | undefined =>
      sync.status.find((entry) => entry.collection === collection)?.phase;
    return { sync, lines, progress, provider, collections, phase };
  };
  return {
    clock,
    store,
    stream,
    instance,
    /** One whose collections are followed. */
    running: async (more?: Partial<SyncOptions>, ...source: SourceRecord[]): Promise<Instance> => {
      const started = instance(more, ...source);
      started.sync.start();
      await clock.until(() => started.sync.status.every(({ phase }) => phase === 'live'), 20_000);
      return started;
    },
  };
}

test('the records of each collection go to subjects of their own, and positions to keys of their own', async (t) => {
  const { running, stream, store } = rig(t);
  const { sync, lines, progress } = await running({ collections: [ONE, TWO] }, ...records('a'));
  assert.deepEqual([...new Set(progress.map(({ phase }) => phase))], ['waiting', 'backfill', 'live']);
  assert.deepEqual([...stream.subjects.keys()].sort(), [
    'p.default.my%20sync.test.test:one.a',
    'p.default.my%20sync.test.test:two.a',
  ]);
  assert.deepEqual([...store.values.keys()].sort(), [LEASE_KEY, KEY[ONE], KEY[TWO]]);
  assert.deepEqual(sync.collections, [ONE, TWO]);
  assert.deepEqual(lines, []);
});

test('before it has begun each collection is waiting', (t) => {
  const { instance } = rig(t);
  const { sync, progress } = instance({ collections: [ONE, TWO] });
  sync.start();
  assert.deepEqual(
    progress.map(({ collection, phase, error }) => [collection, phase, error]),
    [
      [ONE, 'waiting', undefined],
      [TWO, 'waiting', undefined],
    ],
  );
  assert.deepEqual(sync.status[0], {
    sync_id: 'my sync',
    collection: ONE,
    phase: 'waiting',
    done: 0,
    total: null,
    rate: 0,
    lag: null,
    published: 0,
    refused: 0,
    error: undefined,
  });
});

test('started twice it runs once', async (t) => {
  const { running, clock } = rig(t);
  const { sync, provider } = await running();
  sync.start();
  await clock.pass(LEASE * 2);
  assert.deepEqual(provider.opened, [ONE]);
});

test('one of two runs the sync; the other one says so, and takes over when the lease is free', async (t) => {
  const { running, instance, clock } = rig(t);
  const one = await running();
  const other = instance();
  other.sync.start();
  await clock.pass(LEASE * 3);
  assert.equal(other.phase(), 'waiting');
  assert.equal(other.sync.status[0]?.error?.code, 'LEASED');
  assert.equal(other.sync.status[0]?.error?.message, 'Another instance runs this sync');
  assert.equal(other.progress.length, 2, 'it is told once');
  assert.deepEqual(other.provider.opened, []);
  await one.sync.stop();
  await clock.until(() => other.phase() === 'live', 2_000);
  assert.equal(other.sync.status[0]?.error, undefined);
});

test('a stop gives the lease back, closes the provider and listens no more', async (t) => {
  const { running, store } = rig(t);
  const { sync, provider, collections } = await running();
  assert.equal(provider.listeners, 1);
  await sync.stop();
  assert.equal(store.json(LEASE_KEY).owner, '');
  assert.equal(provider.closed, 1);
  assert.equal(provider.listeners, 0);
  assert.equal(collections[ONE]?.calls.at(-1), 'close');
});

test('the lease is given back when nothing is under way any more, and not before', async (t) => {
  const { running, store, stream } = rig(t);
  const { sync, collections, provider } = await running();
  const late = latch();
  stream.before = () => late.opened;
  collections[ONE]?.change({ records: records('a') });
  await settle();
  const stopped = sync.stop();
  await settle(20);
  assert.notEqual(store.json(LEASE_KEY).owner, '');
  assert.equal(provider.closed, 0);
  late.open();
  await stopped;
  assert.equal(store.json(LEASE_KEY).owner, '');
});

test('one that was never started stops', async (t) => {
  const { instance } = rig(t);
  const { sync, provider } = instance();
  await sync.stop();
  assert.equal(provider.closed, 1);
});

for (const call of ['get', 'put'] as const)
  test(`a stop while a renewal waits for its store ends when that answers (${call})`, async (t) => {
    const { running, store, clock } = rig(t);
    const { sync, provider } = await running();
    const { opened, open } = latch();
    let reached = false;
    store.before = (called) => {
      if (called === call) reached = true;
      return called === call ? opened : undefined;
    };
    await clock.until(() => reached);
    let ended = false;
    const stopped = sync.stop().then(() => (ended = true));
    await settle();
    assert.equal(ended, false);
    assert.deepEqual(provider.opened, [ONE], 'nothing is begun again');
    open();
    await stopped;
    assert.deepEqual(provider.opened, [ONE]);
    assert.equal(store.json(LEASE_KEY).owner, '', 'the lease is given back after its renewal');
  });

test('a lease that can’t be given back holds no stop up for longer than 2 s', async (t) => {
  const { running, store, clock } = rig(t);
  const { sync } = await running();
  store.before = () => new Promise(() => undefined);
  let ended = false;
  void sync.stop().then(() => (ended = true));
  await clock.pass(1_950);
  assert.equal(ended, false);
  await clock.pass(100);
  assert.equal(ended, true);
});

test('whoever loses the lease stops reading, writes nothing, and waits for it', async (t) => {
  const { running, store, stream, clock } = rig(t);
  const { sync, collections, phase } = await running();
  store.set(LEASE_KEY, { owner: 'somebody else' });
  const kept = store.json(KEY[ONE] ?? '');
  await clock.until(() => sync.status[0]?.error?.code === 'LEASED');
  assert.equal(phase(), 'waiting');
  assert.equal(collections[ONE]?.calls.at(-1), 'close');
  collections[ONE]?.change({ records: records('a') });
  await clock.pass(1_000);
  assert.deepEqual(stream.ids(), []);
  assert.deepEqual(store.json(KEY[ONE] ?? ''), kept);
  await clock.until(() => phase() === 'live', LEASE + 2_000);
});

test('whoever could not renew in time publishes nothing and writes no checkpoint', async (t) => {
  const { running, store, stream, clock } = rig(t);
  const { collections } = await running();
  const kept = store.json(KEY[ONE] ?? '');
  store.before = (_call, key) => (key === LEASE_KEY ? new Promise(() => undefined) : undefined);
  await clock.pass(LEASE * 0.8);
  collections[ONE]?.change({ records: records('a') });
  await clock.pass(1_000);
  assert.deepEqual(stream.published, []);
  assert.deepEqual(store.json(KEY[ONE] ?? ''), kept);
  assert.equal(collections[ONE]?.calls.at(-1), 'close', 'and it ends');
});

test('where there is no lease one runs at once, and nobody fences it', async (t) => {
  const { running, store, stream, clock } = rig(t);
  const { collections } = await running({ lease: undefined }, ...records('a'));
  await clock.pass(60_000);
  collections[ONE]?.change({ records: records('b') });
  await settle();
  assert.deepEqual(stream.ids(), ['a', 'b']);
  assert.equal(store.values.has(LEASE_KEY), false);
});

test('a collection that is stopped stands still, also for who takes over', async (t) => {
  const { running, store, stream, clock, instance } = rig(t);
  const { sync, collections, phase } = await running({ collections: [ONE, TWO] });
  await sync.command('stop', [ONE]);
  await settle();
  assert.equal(phase(ONE), 'stopped');
  assert.equal(phase(TWO), 'live');
  assert.deepEqual(store.json(CONTROL_KEY), { stopped: [ONE], resync: {} });
  collections[ONE]?.change({ records: records('a') });
  await clock.pass(LEASE);
  assert.deepEqual(stream.ids(), []);
  const other = instance({ collections: [ONE, TWO] });
  other.sync.start();
  await sync.stop();
  await clock.until(() => other.phase(TWO) === 'live');
  assert.equal(other.phase(ONE), 'stopped');
  await other.sync.command('start');
  await clock.until(() => other.phase(ONE) === 'live', 500);
});

for (const lease of [LEASE, undefined])
  test(`the only collection can be stopped and started (${lease ? 'with' : 'without'} a lease)`, async (t) => {
    const { running, stream, clock } = rig(t);
    const { sync, collections, phase } = await running({ lease });
    await sync.command('stop');
    await settle();
    assert.equal(phase(), 'stopped');
    await sync.command('start');
    await clock.until(() => phase() === 'live', 500);
    collections[ONE]?.change({ records: records('a') });
    await settle();
    assert.deepEqual(stream.ids(), ['a']);
  });

test('a collection that is started while it is being stopped is started when it has', async (t) => {
  const { running, clock, stream } = rig(t);
  const { sync, collections, phase, provider } = await running();
  const late = latch();
  stream.before = () => late.opened;
  collections[ONE]?.change({ records: records('a') });
  await settle();
  await sync.command('stop');
  await sync.command('start');
  assert.deepEqual(provider.opened, [ONE], 'never twice at a time');
  late.open();
  await clock.until(() => provider.opened.length === 2 && phase() === 'live', 500);
});

test('what another instance was told is followed at the next renewal', async (t) => {
  const { running, instance, clock } = rig(t);
  const one = await running({}, ...records('a'));
  const other = instance();
  other.sync.start();
  await settle();
  await other.sync.command('stop');
  await clock.until(() => one.phase() === 'stopped', LEASE / 2);
  await other.sync.command('start');
  await clock.until(() => one.phase() === 'live', LEASE / 2);
  await other.sync.command('resync', [ONE]);
  const pages = (): number => one.collections[ONE]?.calls.filter((call) => call === 'page').length ?? 0;
  assert.equal(pages(), 1);
  await clock.until(() => pages() === 2, LEASE / 2);
});

test('a command to read anew is followed at once, of the collections named, and starts them', async (t) => {
  const { running, clock } = rig(t);
  const { sync, collections, phase } = await running({ collections: [ONE, TWO] }, ...records('a'));
  const pages = (name: string): number =>
    collections[name]?.calls.filter((call) => call === 'page').length ?? 0;
  await sync.command('resync', [TWO]);
  await settle(20);
  assert.deepEqual([pages(ONE), pages(TWO)], [1, 2]);
  await sync.command('stop', [TWO]);
  await settle();
  await sync.command('resync');
  await clock.until(() => pages(ONE) === 2 && pages(TWO) === 3 && phase(TWO) === 'live', 1_000);
});

test('a command to read anew comes through where the control entry is gone', async (t) => {
  const { running, store, clock } = rig(t);
  const { sync, collections, phase } = await running({}, ...records('a'));
  for (let i = 0; i < 3; i++) await sync.command('resync');
  await clock.until(() => phase() === 'live');
  await sync.stop();
  store.values.delete(CONTROL_KEY);
  const next = await running({}, ...records('a'));
  await clock.pass(LEASE);
  const pages = (): number => next.collections[ONE]?.calls.filter((call) => call === 'page').length ?? 0;
  assert.equal(pages(), 0, 'nothing is read anew for nothing');
  await next.sync.command('resync');
  await clock.until(() => pages() === 1, 500);
  assert.ok(collections[ONE]);
});

test('a command tries again at once what waits after a failure', async (t) => {
  const { instance, clock } = rig(t);
  const { sync, collections, phase } = instance();
  const one = collections[ONE];
  if (one) one.before = () => Promise.reject(new FlowError('NO_RIGHTS' as string, 'no rights', false));
  sync.start();
  await clock.until(() => phase() === 'failed');
  if (one) one.before = () => undefined;
  await sync.command('start');
  await clock.until(() => phase() === 'live', 200);
});

for (const garbage of [
  '',
  '{',
  'null',
  '[]',
  '{"stopped":"all","resync":7}',
  '{"stopped":[7],"resync":{"test:one":"x"}}',
])
  test(`a control entry that says nothing (${garbage || 'nothing'}) changes nothing`, async (t) => {
    const { running, store, clock } = rig(t);
    store.set(CONTROL_KEY, garbage);
    const { sync, phase } = await running();
    await clock.pass(LEASE);
    assert.equal(phase(), 'live');
    await sync.command('stop');
    assert.deepEqual((store.json(CONTROL_KEY) as { stopped: string[] }).stopped, [ONE]);
  });

test('a stream that can’t be had is told once, tried again ever later, and leaves the lease to others', async (t) => {
  const { instance, store, clock } = rig(t);
  const times: number[] = [];
  const { sync, lines } = instance({
    stream: () => {
      times.push(clock.now);
      return Promise.reject(new FlowError('NO_STREAM', 'There is no stream'));
    },
  });
  sync.start();
  await clock.pass(100_000, 250);
  const waits = times.slice(1).map((time, i) => Math.round((time - (times[i] ?? 0)) / 1_000));
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 30, 30]);
  assert.deepEqual(lines, ['! There is no stream']);
  assert.deepEqual(sync.status[0]?.error, { code: 'NO_STREAM', message: 'There is no stream' });
  assert.equal(store.json(LEASE_KEY).owner, '');
});

test('after it has worked a failure is told anew, and tried again after a second', async (t) => {
  const { instance, store, clock } = rig(t);
  const { sync, lines, phase } = instance();
  store.before = () => Promise.reject(new Error('out of reach'));
  sync.start();
  await clock.pass(10_000);
  store.before = () => undefined;
  await clock.until(() => phase() === 'live');
  store.set(LEASE_KEY, { owner: 'somebody else' });
  await clock.until(() => sync.status[0]?.error?.code === 'LEASED');
  store.before = () => Promise.reject(new Error('out of reach'));
  await clock.pass(1_000);
  assert.deepEqual(lines, ['! out of reach', '! out of reach']);
  store.before = () => undefined;
  await clock.until(() => phase() === 'live', LEASE + 2_000);
});

test('a lease that is lost again and again is asked for once a second at most', async (t) => {
  const { instance, stream, clock } = rig(t);
  let times = 0;
  const { sync } = instance({
    stream: () => {
      times++;
      return Promise.resolve(stream);
    },
    lease: undefined,
    store: { get: () => Promise.resolve(undefined), put: () => Promise.resolve(undefined) },
  });
  sync.start();
  await clock.pass(5_500);
  assert.ok(times > 2 && times <= 7, `${times} times`);
});

test('while the lease is lost a stream that is waited for is given up', async (t) => {
  const { instance, store, clock } = rig(t);
  let given: AbortSignal | undefined;
  const { sync } = instance({
    stream: (signal) => {
      given = signal;
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('gone'))));
    },
  });
  sync.start();
  await settle();
  assert.equal(given?.aborted, false);
  store.set(LEASE_KEY, { owner: 'somebody else' });
  await clock.until(() => given?.aborted === true, LEASE / 2);
});

test('a stop while the stream is waited for is no failure', async (t) => {
  const { instance, store } = rig(t);
  const { sync, lines } = instance({
    stream: (signal) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('closed')))),
  });
  sync.start();
  await settle();
  await sync.stop();
  assert.deepEqual(lines, []);
  assert.equal(store.json(LEASE_KEY).owner, '');
});

test('what the provider says is told of every collection', async (t) => {
  const { running } = rig(t);
  const { provider, progress } = await running({ collections: [ONE, TWO] });
  const before = progress.length;
  provider.unavailable = { code: 'LIMIT', message: 'the limit is spent' };
  provider.changed();
  assert.deepEqual(
    progress.slice(before).map(({ collection, phase, error }) => [collection, phase, error?.code]),
    [
      [ONE, 'waiting', 'LIMIT'],
      [TWO, 'waiting', 'LIMIT'],
    ],
  );
});

test('what was done is still said of a collection that has been stopped', async (t) => {
  const { running } = rig(t);
  const { sync } = await running({}, ...records('a', 'b'));
  await sync.command('stop');
  await settle();
  const { phase, done, published, rate, lag } = sync.status[0] as Progress;
  assert.deepEqual(
    { phase, done, published, rate, lag },
    { phase: 'stopped', done: 2, published: 2, rate: 0, lag: null },
  );
});

test('two collections are at work at a time', async (t) => {
  const { instance, stream } = rig(t);
  const late = latch();
  stream.before = () => late.opened;
  const names = ['c1', 'c2', 'c3'];
  const provider = memoryProvider(
    Object.fromEntries(names.map((name) => [name, memoryCollection(record('a'))])),
  );
  const { sync } = instance({ collections: names, provider });
  sync.start();
  await settle(20);
  assert.equal(stream.published.length, 2);
  late.open();
  await settle(20);
  assert.equal(stream.published.length, 3);
});

test('deletions are looked for below the subject of the collection', async (t) => {
  const { running, clock, stream } = rig(t);
  const asked: string[] = [];
  const { sync, collections } = await running({
    liveIds: async function* (subject) {
      asked.push(subject);
      await Promise.resolve();
      yield ['gone'];
    },
  });
  await sync.command('resync');
  await clock.until(() => stream.ids().includes('gone'), 1_000);
  assert.deepEqual(asked, ['p.default.my%20sync.test.test:one.']);
  assert.ok(collections[ONE]?.calls.includes('read'));
});

test('where the stream can’t be read no deletions are looked for', async (t) => {
  const { running, clock, stream } = rig(t);
  const { sync, lines } = await running({
    stream: () => Promise.resolve({ ...stream, last: undefined }),
    liveIds: () => assert.fail('looked'),
  });
  await sync.command('resync');
  await clock.until(() => lines.some((line) => line.includes("can't be found")), 1_000);
});

test('a stream that is gone is opened again, and made anew it is filled', async (t) => {
  const { running, stream, clock } = rig(t);
  let opened = 0;
  const { collections } = await running(
    { stream: () => Promise.resolve({ ...stream, created: `T${++opened}` }) },
    ...records('a'),
  );
  stream.outcome = () => new FlowError('NO_STREAM', 'no stream');
  collections[ONE]?.change({ records: records('b') });
  await settle();
  stream.outcome = () => undefined;
  stream.subjects.clear();
  await clock.until(() => stream.subjects.size === 1);
  assert.equal(opened, 2);
});
