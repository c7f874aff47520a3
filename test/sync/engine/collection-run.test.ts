import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { FlowError } from '../../../nodes/shared/errors';
import { CollectionRun, type RunOptions } from '../../../nodes/sync/engine/collection-run';
import type { Progress } from '../../../nodes/sync/engine/progress';
import type { SourceRecord } from '../../../nodes/sync/engine/record';
import type { Changes } from '../../../nodes/sync/engine/provider';
import { RecordWriter } from '../../../nodes/sync/engine/record-writer';
import { Semaphore } from '../../../nodes/shared/async/semaphore';
import { watchHeartbeat } from '../../support/heartbeat';
import {
  at,
  fakeClock,
  latch,
  memoryCollection,
  memoryProvider,
  memoryStore,
  memoryStream,
  record,
  records,
  settle,
} from './fakes';

watchHeartbeat(5_000);

const NAME = 'test:thing';
const KEY = 'sync.thing';
const of = { prefix: 'p', syncId: 'sync', provider: 'test', collection: NAME };
const LIVE = { phase: 'live', changesFrom: { at: 0 }, done: 0, resync: 0, complete: true, reconcile: false };

type Rig = ReturnType<typeof rig>;

function rig(t: TestContext, source: SourceRecord[] = []) {
  const clock = fakeClock(t);
  const store = memoryStore();
  const stream = memoryStream();
  const collection = memoryCollection(...source);
  const provider = memoryProvider({ [NAME]: collection });
  const lines: string[] = [];
  const progress: Progress[] = [];
  const stops: AbortController[] = [];
  t.after(async () => {
    for (const stopping of stops) stopping.abort();
    // What ends later would clear the timers of the next test's clock.
    await settle(20);
  });
  return {
    clock,
    store,
    stream,
    collection,
    provider,
    lines,
    progress,
    /** The checkpoint, without what is the same in all tests. */
    kept: () => {
      const checkpoint = store.json(KEY) as Record<string, unknown> | null;
      if (checkpoint) assert.equal(checkpoint.stream, stream.created);
      if (checkpoint) delete checkpoint.stream;
      return checkpoint;
    },
    start: (more: Partial<RunOptions> = {}, resync = 0) => {
      const stopping = new AbortController();
      const run = new CollectionRun(
        {
          syncId: 'sync',
          collection: NAME,
          provider,
          writer: new RecordWriter(of, stream),
          store,
          key: KEY,
          streamCreated: () => stream.created,
          reopenStream: () => Promise.resolve(),
          semaphore: new Semaphore(2),
          start: 'beginning',
          events: false,
          fence: () => undefined,
          liveIds: () => pages(),
          reconcile: 0,
          progress: (entry) => void progress.push(entry),
          log: (text) => void lines.push(text),
          error: (text) => void lines.push(`! ${text}`),
          ...more,
        },
        resync,
      );
      const started = { run, error: undefined as unknown, ended: false };
      const ended = run
        .run(stopping.signal)
        .catch((error: unknown) => void (started.error = error))
        .finally(() => (started.ended = true));
      const stop = async (): Promise<void> => {
        stopping.abort();
        await ended;
      };
      stops.push(stopping);
      return Object.assign(started, { stop });
    },
  };
}

async function* pages(...ids: string[][]): AsyncGenerator<string[], void, undefined> {
  for (const page of ids) {
    await Promise.resolve();
    yield page;
  }
}

const phases = ({ progress }: Rig): string[] =>
  progress.map(({ phase }) => phase).filter((phase, i, all) => phase !== all[i - 1]);
const count = ({ collection }: Rig, call: string): number =>
  collection.calls.filter((each) => each === call).length;

test('a collection is read from its first page to its last, and then followed', async (t) => {
  const r = rig(t, records('a', 'b', 'c', 'd', 'e'));
  const { run } = r.start();
  await r.clock.until(() => run.progress.phase === 'live');
  assert.deepEqual(r.stream.ids(), ['a', 'b', 'c', 'd', 'e']);
  assert.deepEqual(r.kept(), {
    phase: 'live',
    changesFrom: { at: 0 },
    done: 5,
    total: 5,
    resync: 0,
    complete: false,
    reconcile: false,
  });
  r.collection.change({ records: [record('a', 2)], position: { at: 7 } });
  await settle();
  assert.equal(r.stream.ids().at(-1), 'a');
  assert.deepEqual(r.kept(), { ...LIVE, changesFrom: { at: 7 }, done: 1 });
  r.collection.change({ records: [record('b', 2), record('c', 2)], position: { at: 8 } });
  await settle();
  assert.deepEqual(r.kept(), { ...LIVE, changesFrom: { at: 8 }, done: 3 });
  assert.deepEqual(phases(r), ['backfill', 'live']);
  assert.deepEqual(r.lines, []);
});

test('the position from which changes are followed is taken before the first page is read', async (t) => {
  const r = rig(t, records('a'));
  const { run } = r.start();
  await r.clock.until(() => run.progress.phase === 'live');
  assert.deepEqual(r.collection.calls, ['now', 'count', 'page', 'ready']);
});

test('where only what is new is wanted nothing is read', async (t) => {
  const r = rig(t, records('a'));
  const { run } = r.start({ start: 'now', events: true });
  await r.clock.until(() => run.progress.phase === 'live');
  assert.deepEqual(r.kept(), LIVE);
  r.collection.change({ records: [record('a', 2)] });
  await settle();
  assert.deepEqual(r.stream.ids(), ['a.insert', 'a']);
  assert.equal(count(r, 'page'), 0);
});

test('what was begun is gone on with, from the next page', async (t) => {
  const r = rig(t, records('a', 'b', 'c', 'd', 'e'));
  const changesFrom = { at: 100 };
  r.store.set(KEY, {
    ...LIVE,
    phase: 'backfill',
    changesFrom,
    pageFrom: { at: 2 },
    done: 2,
    total: 5,
    complete: false,
  });
  const { run } = r.start();
  await r.clock.until(() => run.progress.phase === 'live');
  assert.deepEqual(r.stream.ids(), ['c', 'd', 'e']);
  assert.equal(count(r, 'now') + count(r, 'count'), 0);
  assert.equal(at(r.kept()?.changesFrom), 100);
  assert.equal(r.kept()?.done, 5);
});

/** The first page is not waited for to tell whether anything is there. */
const withoutLook = ({ stream }: Rig): RecordWriter => new RecordWriter(of, { ...stream, last: undefined });

test('no checkpoint is saved before the page that it covers, and all before it, are in the stream', async (t) => {
  const r = rig(t, records('a', 'b', 'c', 'd', 'e'));
  const pages = [latch(), latch(), latch()];
  let page = 0;
  r.stream.before = () => pages[page++]?.opened;
  r.start({ writer: withoutLook(r) });
  const published = async (count: number, done: number): Promise<void> => {
    await settle();
    await r.clock.pass(1_000);
    assert.equal(page, count);
    assert.equal(r.kept()?.done, done);
  };
  await published(2, 0);
  pages[1]?.open();
  await published(2, 0);
  assert.deepEqual(r.stream.ids(), ['c', 'd']);
  pages[0]?.open();
  await published(3, 4);
  pages[2]?.open();
  await published(3, 5);
});

test('of a page that could not be published and the next one, begun with it, neither position is saved', async (t) => {
  const r = rig(t, records('a', 'b', 'c', 'd', 'e'));
  const [failing, late] = [latch(), latch()];
  let page = 0;
  r.stream.before = async () => {
    if (page++ > 0) return late.opened;
    await failing.opened;
    throw new FlowError('TIMEOUT', 'no answer');
  };
  const { run } = r.start({ writer: withoutLook(r) });
  await settle();
  failing.open();
  await r.clock.pass(5_000);
  assert.equal(run.progress.error, undefined, 'it has not ended while one is being published');
  late.open();
  await r.clock.until(() => run.progress.error !== undefined);
  assert.deepEqual(r.stream.ids(), ['c', 'd']);
  assert.equal(r.kept()?.done, 0);
  await r.clock.until(() => run.progress.phase === 'live');
  assert.deepEqual(r.stream.ids(), ['c', 'd', 'a', 'b', 'e']);
  assert.deepEqual(r.lines, [`! ${NAME}: no answer`, `${NAME} goes on`]);
});

test('no position is saved before its changes are in the stream', async (t) => {
  const r = rig(t);
  r.store.set(KEY, LIVE);
  const late = latch();
  r.stream.before = () => late.opened;
  r.start();
  r.collection.change({ records: records('a'), position: { at: 9 } });
  await r.clock.pass(1_000);
  assert.equal(at(r.store.json(KEY).changesFrom), 0);
  late.open();
  await settle();
  assert.deepEqual(r.stream.ids(), ['a']);
  assert.equal(at(r.kept()?.changesFrom), 9);
});

test('a page that could not be published is read and published again', async (t) => {
  const r = rig(t, records('a', 'b', 'c'));
  let failures = 0;
  r.stream.before = (messages) => {
    if (messages.length === 1 && failures++ === 0) throw new FlowError('TIMEOUT', 'no answer');
  };
  const { run } = r.start();
  await r.clock.until(() => run.progress.error !== undefined);
  assert.equal(r.kept()?.done, 2);
  assert.deepEqual(r.kept()?.pageFrom, { at: 2 });
  await r.clock.until(() => run.progress.phase === 'live');
  assert.deepEqual(r.stream.ids(), ['a', 'b', 'c']);
  assert.deepEqual(r.lines, [`! ${NAME}: no answer`, `${NAME} goes on`]);
});

test('changes that could not be published are had again', async (t) => {
  const r = rig(t);
  r.store.set(KEY, LIVE);
  r.stream.outcome = () => new FlowError('TIMEOUT', 'no answer');
  r.start();
  r.collection.change({ records: records('a'), position: { at: 9 } });
  await r.clock.pass(500);
  assert.equal(at(r.store.json(KEY).changesFrom), 0);
  r.stream.outcome = () => undefined;
  r.collection.change({ records: records('a'), position: { at: 9 } });
  await r.clock.pass(1_000);
  assert.deepEqual(r.stream.ids(), ['a']);
  assert.equal(at(r.kept()?.changesFrom), 9);
});

test('the next page is read while this one is being published', async (t) => {
  const r = rig(t, records('a', 'b', 'c'));
  r.stream.before = () => new Promise(() => undefined);
  const started = r.start();
  await settle();
  assert.equal(count(r, 'page'), 2);
  assert.equal(started.ended, false);
  r.stream.before = () => undefined;
});

test('while others wait for their turn no page is read ahead', async (t) => {
  const r = rig(t, records('a', 'b', 'c'));
  const semaphore = new Semaphore(1);
  r.collection.before = (call) => {
    if (call === 'page' && count(r, 'page') === 1) void semaphore.take(() => Promise.resolve());
  };
  const late = latch();
  r.stream.before = () => late.opened;
  r.start({ semaphore });
  await settle();
  assert.equal(count(r, 'page'), 1);
  late.open();
  await settle(20);
  assert.deepEqual(r.stream.ids(), ['a', 'b', 'c']);
});

test('a page that asks for it is waited for, and nothing is read ahead', async (t) => {
  const r = rig(t, records('a', 'b', 'c'));
  const page = r.collection.page.bind(r.collection);
  r.collection.page = async (from, signal) => ({ ...(await page(from, signal)), wait: 5_000 });
  r.start();
  await r.clock.pass(4_900);
  assert.equal(count(r, 'page'), 1);
  assert.equal(r.kept()?.done, 2);
  await r.clock.pass(200);
  assert.equal(count(r, 'page'), 2);
});

test('who waits for a page stops at once', async (t) => {
  const r = rig(t, records('a', 'b', 'c'));
  const page = r.collection.page.bind(r.collection);
  r.collection.page = async (from, signal) => ({ ...(await page(from, signal)), wait: 5_000 });
  const { stop } = r.start();
  await r.clock.pass(100);
  await stop();
  assert.equal(count(r, 'page'), 1);
});

test('a page read ahead that fails is a failure, once, and no rejection that nobody handles', async (t) => {
  const r = rig(t, records('a', 'b', 'c'));
  r.collection.before = (call) => {
    if (call === 'page' && count(r, 'page') === 2)
      throw new FlowError('API_DOWN' as string, 'the API is down');
  };
  const { run } = r.start();
  await r.clock.until(() => run.progress.phase === 'live');
  assert.deepEqual(r.lines, [`! ${NAME}: the API is down`, `${NAME} goes on`]);
  assert.deepEqual(r.stream.ids(), ['a', 'b', 'c']);
});

test('a failure does not end before the page read ahead has', async (t) => {
  const r = rig(t, records('a', 'b', 'c'));
  const late = latch();
  r.collection.before = (call) => (call === 'page' && count(r, 'page') === 2 ? late.opened : undefined);
  r.stream.before = () => new Promise((_, reject) => setTimeout(() => reject(new Error('no answer')), 100));
  const { stop } = r.start();
  await r.clock.pass(200);
  assert.equal(count(r, 'close'), 0);
  late.open();
  await settle();
  assert.equal(count(r, 'close'), 1);
  await stop();
});

test('what was first there is no event, what is new is one', async (t) => {
  const r = rig(t, records('a', 'b', 'c'));
  const { run } = r.start({ events: true });
  await r.clock.until(() => run.progress.phase === 'live');
  r.collection.change({ records: [record('a', 2), record('z')] });
  await settle();
  assert.deepEqual(r.stream.ids(), ['a', 'b', 'c', 'a.update', 'z.insert', 'a', 'z']);
});

test('where no events are wanted there are none', async (t) => {
  const r = rig(t);
  r.store.set(KEY, LIVE);
  r.start();
  r.collection.change({ records: records('a') });
  await settle();
  assert.deepEqual(r.stream.ids(), ['a']);
});

test('what is asked to be read anew is, its changes are events, and what is gone is found', async (t) => {
  const r = rig(t, [record('a', 2), record('b'), record('c')]);
  r.store.set(KEY, { ...LIVE, changesFrom: { at: 50 }, done: 9 });
  const before = new RecordWriter(of, r.stream);
  await before.write(records('a', 'gone'), {
    signal: new AbortController().signal,
    refused: () => undefined,
  });
  const { run } = r.start({ events: true, liveIds: () => pages(['a', 'gone'], ['b', 'c']) });
  await r.clock.until(() => run.progress.phase === 'live');
  run.askResync(1);
  await r.clock.until(() => r.store.json(KEY).resync === 1 && r.store.json(KEY).phase === 'live');
  assert.deepEqual(r.stream.ids().slice(2), [
    ...['a.update', 'b.insert', 'a', 'b'],
    ...['c.insert', 'c', 'gone.delete', 'gone'],
  ]);
  assert.equal(count(r, 'page'), 2);
  assert.equal(count(r, 'read'), 3, 'each page of what is held, and what may be older than the stream');
  assert.deepEqual(r.kept(), { ...LIVE, changesFrom: { at: 0 }, done: 3, total: 3, resync: 1 });
  assert.deepEqual(r.lines, [`${NAME} is read anew`]);
  assert.deepEqual(phases(r), ['live', 'backfill', 'live']);
});

test('a backfill is left for another one after its page', async (t) => {
  const r = rig(t, records('a', 'b', 'c', 'd', 'e'));
  const late = latch();
  r.stream.before = () => late.opened;
  const { run } = r.start();
  await settle();
  run.askResync(1);
  late.open();
  await r.clock.until(() => run.progress.phase === 'live');
  assert.deepEqual(r.stream.ids(), ['a', 'b', 'c', 'd', 'e']);
  assert.equal(count(r, 'now'), 2);
  assert.equal(r.kept()?.resync, 1);
});

test('what has been asked before is not done again', async (t) => {
  const r = rig(t);
  r.store.set(KEY, { ...LIVE, resync: 4 });
  const { run } = r.start({}, 4);
  await settle();
  run.askResync(4);
  await settle();
  assert.equal(count(r, 'now'), 0);
  assert.equal(count(r, 'ready'), 1, 'it isn’t even woken');
});

for (const phase of ['live', 'backfill', 'reconcile'] as const)
  test(`a checkpoint ahead of its control entry is gone on with (${phase})`, async (t) => {
    const r = rig(t, records('a', 'b', 'c'));
    const reconcile = phase !== 'live';
    r.store.set(KEY, { ...LIVE, phase, changesFrom: { at: 50 }, resync: 7, reconcile });
    const { run } = r.start({ liveIds: () => pages(['a']) }, 3);
    await r.clock.until(() => run.progress.phase === 'live');
    r.collection.change({ records: [record('z')], position: { at: 51 } });
    await r.clock.until(() => r.stream.ids().includes('z'));
    await settle();
    assert.equal(count(r, 'now'), 0, 'it is not read anew');
    assert.deepEqual(r.kept()?.changesFrom, { at: 51 });
    assert.equal(r.kept()?.resync, 7);
    run.askResync(8);
    await r.clock.until(() => r.store.json(KEY).resync === 8);
    assert.equal(count(r, 'now'), 1, 'a later command is followed');
  });

test('a control entry that falls behind changes nothing', async (t) => {
  const r = rig(t);
  r.store.set(KEY, { ...LIVE, resync: 7 });
  const { run } = r.start({}, 7);
  await settle();
  run.askResync(0);
  r.collection.change({ records: [], position: { at: 3 }, gap: 'too old' });
  await r.clock.until(() => count(r, 'page') > 0);
  await r.clock.until(() => run.progress.phase === 'live');
  assert.equal(r.store.json(KEY).resync, 7);
  run.askResync(7);
  await r.clock.pass(1_000);
  assert.equal(count(r, 'page'), 1);
});

test('where changes were lost everything is read again, and what is gone is looked for', async (t) => {
  const r = rig(t, records('a'));
  r.store.set(KEY, { ...LIVE, resync: 2 });
  const { run } = r.start({ events: true, liveIds: () => pages(['gone']) }, 2);
  r.collection.change({ records: [], position: { at: 33 }, gap: 'the events are too old' });
  await r.clock.until(() => r.stream.ids().includes('gone'));
  await r.clock.until(() => run.progress.phase === 'live');
  assert.deepEqual(r.stream.ids(), ['a.insert', 'a', 'gone.delete', 'gone']);
  assert.deepEqual(r.lines, [
    `! Changes of ${NAME} are lost: the events are too old; everything is read again`,
  ]);
  assert.deepEqual(r.kept(), { ...LIVE, changesFrom: { at: 33 }, done: 1, total: 1, resync: 2 });
  assert.equal(count(r, 'now'), 0, 'the position is the one of the gap');
});

test('what was known of the stream is forgotten where everything is read again', async (t) => {
  const r = rig(t, records('a'));
  r.store.set(KEY, LIVE);
  const { run } = r.start();
  r.collection.change({ records: records('a') });
  await settle();
  r.stream.subjects.clear();
  run.askResync(1);
  await r.clock.until(() => r.store.json(KEY).resync === 1 && r.store.json(KEY).phase === 'live');
  assert.equal(r.stream.subjects.size, 1, 'the record is there again');
});

test('the whole stream is compared once for each command, over restarts', async (t) => {
  const r = rig(t, records('a'));
  r.store.set(KEY, LIVE);
  const { run } = r.start({ liveIds: () => pages(['gone']) });
  run.askReconcile(5);
  await r.clock.until(() => count(r, 'read') === 1 && r.store.json(KEY).phase === 'live');
  assert.deepEqual(r.stream.ids(), ['gone']);
  assert.equal(r.kept()?.compared, 5);
  run.askReconcile(5);
  r.collection.change({ records: [] });
  await r.clock.pass(1_000);
  assert.equal(count(r, 'read'), 1);
});

test('the whole stream is compared with the API as often as is asked for', async (t) => {
  const r = rig(t, records('a'));
  r.store.set(KEY, LIVE);
  r.start({ reconcile: 60_000, liveIds: () => pages(['gone']) });
  const look = async (): Promise<void> => {
    r.collection.change({ records: [] });
    await r.clock.pass(200);
  };
  await look();
  await r.clock.pass(59_700);
  await look();
  assert.equal(count(r, 'read'), 0);
  await look();
  assert.equal(count(r, 'read'), 1);
  assert.deepEqual(r.stream.ids(), ['gone']);
  assert.deepEqual(r.lines, [`${NAME} is reconciled with the stream`]);
  await look();
  await r.clock.pass(59_000);
  await look();
  assert.equal(count(r, 'read'), 1);
  await r.clock.pass(1_000);
  await look();
  await r.clock.pass(200);
  assert.equal(count(r, 'read'), 2);
  assert.equal(count(r, 'page'), 0);
});

test('the age of a comparison does not depend on the clock on the wall', async (t) => {
  const r = rig(t, records('a'));
  r.store.set(KEY, LIVE);
  r.start({ reconcile: 60_000, liveIds: () => pages(['gone']) });
  await settle();
  t.mock.method(performance, 'now', () => 1);
  await r.clock.pass(120_000);
  r.collection.change({ records: [] });
  await r.clock.pass(500);
  assert.equal(count(r, 'read'), 0);
});

for (const [name, more] of [
  ['where it is not asked for', { reconcile: 0 }],
  ['where the stream can’t be read', { reconcile: 1_000, liveIds: undefined }],
] as const)
  test(`nothing is compared ${name}`, async (t) => {
    const r = rig(t);
    r.store.set(KEY, LIVE);
    r.start(more);
    await r.clock.pass(5_000);
    r.collection.change({ records: [] });
    await r.clock.pass(500);
    r.collection.change({ records: [] });
    await r.clock.pass(500);
    assert.equal(count(r, 'read'), 0);
    assert.equal(r.store.json(KEY).phase, 'live');
    assert.deepEqual(r.lines, []);
  });

test('where the stream can’t be read it is said that deletions can’t be found', async (t) => {
  const r = rig(t, records('a'));
  r.store.set(KEY, LIVE);
  const { run } = r.start({ liveIds: undefined }, 1);
  await r.clock.until(() => run.progress.phase === 'live');
  assert.match(r.lines.join(), /records deleted in the meantime can't be found: the NATS user may not read/);
  assert.deepEqual(r.kept(), { ...LIVE, done: 1, total: 1, resync: 1, reconcile: true });
});

test('a first reading needs no look for deletions', async (t) => {
  const r = rig(t, records('a'));
  const { run } = r.start({ liveIds: undefined });
  await r.clock.until(() => run.progress.phase === 'live');
  assert.deepEqual(r.lines, []);
  assert.equal(r.kept()?.complete, false);
});

const denied = (): FlowError => new FlowError('PERMISSION_DENIED', 'The user may not do that');

test('a stream that turns out not to be readable is said, and followed all the same', async (t) => {
  const r = rig(t);
  r.store.set(KEY, { ...LIVE, phase: 'reconcile', reconcile: true });
  const { run } = r.start({
    liveIds: async function* () {
      yield* pages(['gone']);
      throw denied();
    },
  });
  await r.clock.until(() => run.progress.phase === 'live');
  assert.deepEqual(r.stream.ids(), ['gone']);
  assert.deepEqual(r.lines, [`! Deleted records of ${NAME} can't be found: The user may not do that`]);
});

test('while the API lists records without an id none is taken for deleted, and changes are followed', async (t) => {
  const r = rig(t);
  r.store.set(KEY, { ...LIVE, phase: 'reconcile', reconcile: true });
  Object.assign(r.collection, { read: undefined, ids: () => pages(['a']), unidentified: 1 });
  const { run } = r.start({ liveIds: () => pages(['a', 'b']) });
  await r.clock.until(() => run.progress.phase === 'live');
  assert.deepEqual(r.stream.ids(), []);
  assert.deepEqual(r.lines, [`! Deleted records of ${NAME} can't be found: 1 records there have no id`]);
  assert.equal(run.progress.refused, 1, 'they are counted');
  assert.equal(r.kept()?.reconcile, true, 'what may be lost is still to be found');
});

test('a stream that can’t be read for another reason is read again', async (t) => {
  const r = rig(t);
  r.store.set(KEY, { ...LIVE, phase: 'reconcile', reconcile: true });
  let failed = false;
  const { run } = r.start({
    liveIds: () => {
      if (failed) return pages(['gone']);
      failed = true;
      throw new FlowError('TIMEOUT', 'no answer');
    },
  });
  await r.clock.until(() => run.progress.phase === 'live');
  assert.deepEqual(r.stream.ids(), ['gone']);
});

test('deletions that may not be published are not passed over', async (t) => {
  const r = rig(t);
  r.store.set(KEY, { ...LIVE, phase: 'reconcile', reconcile: true });
  r.stream.outcome = denied;
  const { run } = r.start({ liveIds: () => pages(['gone']) });
  await r.clock.pass(10_000);
  assert.equal(r.store.json(KEY).phase, 'reconcile');
  r.stream.outcome = () => undefined;
  await r.clock.until(() => run.progress.phase === 'live');
  assert.deepEqual(r.stream.ids(), ['gone']);
});

test('a comparison that is stopped is not taken for done', async (t) => {
  const r = rig(t);
  r.store.set(KEY, { ...LIVE, phase: 'reconcile', reconcile: true });
  const late = latch();
  const { stop } = r.start({
    liveIds: async function* () {
      await late.opened;
      yield* pages();
    },
  });
  await settle();
  const stopped = stop();
  late.open();
  await stopped;
  assert.equal(r.store.json(KEY).phase, 'reconcile');
});

test('a failure is tried again after 1 s, and each time after twice as long, up to a minute', async (t) => {
  const r = rig(t);
  const times: number[] = [];
  r.collection.before = (call) => {
    if (call !== 'now') return;
    times.push(r.clock.now);
    throw new FlowError('API_DOWN' as string, 'the API is down');
  };
  const { run } = r.start();
  await r.clock.pass(200_000, 250);
  const waits = times.slice(1).map((time, i) => Math.round((time - (times[i] ?? 0)) / 1_000));
  assert.deepEqual(waits.slice(0, 8), [1, 2, 4, 8, 16, 32, 60, 60]);
  assert.deepEqual(r.lines, [`! ${NAME}: the API is down`], 'it is said once');
  assert.equal(run.progress.phase, 'waiting');
  const { since, ...error } = run.progress.error ?? {};
  assert.deepEqual(error, { code: 'API_DOWN', message: 'the API is down' });
  assert.equal(typeof since, 'number');
});

test('after something was saved the next failure is waited for a second again', async (t) => {
  const r = rig(t);
  r.store.set(KEY, LIVE);
  let [down, failures] = [true, 0];
  r.collection.before = (call) => {
    if (!down || call !== 'changes') return;
    failures++;
    throw new FlowError('API_DOWN' as string, 'the API is down');
  };
  r.start();
  r.collection.change({ records: [], more: true });
  await r.clock.pass(5_000);
  assert.equal(failures, 3, 'after 0, 1 and 3 seconds');
  down = false;
  await r.clock.pass(5_000);
  down = true;
  r.collection.change({ records: records('a') });
  await settle();
  assert.equal(failures, 4);
  await r.clock.pass(1_100);
  assert.equal(failures, 5);
});

test('what isn’t mended by waiting is soon tried again, then ever more rarely, up to every ten minutes', async (t) => {
  const r = rig(t);
  const times: number[] = [];
  r.collection.before = (call) => {
    if (call !== 'now') return;
    times.push(r.clock.now);
    throw new FlowError('NO_RIGHTS' as string, `no rights, ${times.length} times`, false);
  };
  const { run } = r.start();
  await settle();
  assert.equal(run.progress.phase, 'failed');
  await r.clock.pass(3_000_000, 1_000);
  const waits = times.slice(1).map((time, i) => Math.round((time - (times[i] ?? 0)) / 1_000));
  assert.deepEqual(waits.slice(0, 12), [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
  assert.deepEqual(r.lines, [`! ${NAME}: no rights, 1 times`], 'it is said once');
});

test('a failure that comes back before anything has worked is not said again', async (t) => {
  const r = rig(t, records('a'));
  r.store.set(KEY, LIVE);
  let down = true;
  r.collection.before = (call) => {
    if (down && call === 'changes') throw new FlowError('REFUSED' as string, 'refused', false);
  };
  r.start();
  r.collection.change({ records: records('a'), more: true });
  await r.clock.pass(10_000);
  assert.ok(count(r, 'changes') > 2);
  assert.deepEqual(r.lines, [`! ${NAME}: refused`]);
  down = false;
  await r.clock.until(() => r.stream.ids().includes('a'));
  assert.deepEqual(r.lines, [`! ${NAME}: refused`, `${NAME} goes on`]);
});

test('where deletions were lost the stream is compared, and nothing is read again', async (t) => {
  const r = rig(t, records('a'));
  r.store.set(KEY, LIVE);
  const { run } = r.start({ liveIds: () => pages(['a', 'gone']) });
  r.collection.change({
    records: [],
    position: { at: 33 },
    gap: 'the log was purged',
    lost: 'deletions',
  });
  await r.clock.until(() => r.stream.ids().includes('gone'));
  await r.clock.until(() => r.kept()?.phase === 'live');
  assert.equal(count(r, 'page'), 0);
  assert.deepEqual(r.kept()?.changesFrom, { at: 33 });
  assert.equal(run.progress.phase, 'live');
  assert.match(r.lines[0] ?? '', /^! Deletions of test:thing are lost: the log was purged/);
});

test('where there are more fields everything is read again, and nothing is looked for', async (t) => {
  const r = rig(t, records('a'));
  r.store.set(KEY, LIVE);
  r.start({ liveIds: () => assert.fail('compared') });
  r.collection.change({ records: [], position: { at: 33 }, gap: 'it has field b', lost: 'fields' });
  await r.clock.until(() => r.stream.ids().includes('a') && r.kept()?.phase === 'live');
  assert.equal(count(r, 'read'), 0);
  assert.deepEqual(r.kept()?.changesFrom, { at: 33 });
});

test('of another place everything is read, and what it doesn’t have is held where it is most: the login may be the wrong one', async (t) => {
  const ids = Array.from({ length: 12 }, (_, i) => `r${i}`);
  const r = rig(t, records('new'));
  r.store.set(KEY, LIVE);
  const { run } = r.start({ liveIds: () => pages(ids) });
  r.collection.change({ records: [], position: { at: 33 }, gap: 'another organization', lost: 'all' });
  await r.clock.until(() => run.progress.error?.code === 'MASS_LOSS');
  assert.deepEqual(r.stream.ids(), ['new']);
  run.askResync(9);
  await r.clock.until(() => r.stream.ids().length === 13);
});

test('a mass loss that turns out to be none goes on by itself', async (t) => {
  const ids = Array.from({ length: 12 }, (_, i) => `r${i}`);
  const r = rig(t);
  r.store.set(KEY, { ...LIVE, phase: 'reconcile', reconcile: true });
  const { run } = r.start({ liveIds: () => pages(ids) });
  await r.clock.until(() => run.progress.error?.code === 'MASS_LOSS');
  await r.clock.pass(5_000);
  r.collection.records = records(...ids);
  await r.clock.until(() => run.progress.phase === 'live', 20_000);
  assert.ok(![...r.stream.subjects.values()].some(({ data }) => data.includes('"deleted":true')));
  assert.equal(r.lines.filter((line) => line.startsWith('!')).length, 1, 'said once');
});

test('a failure isn’t waited out by who is woken or stopped', async (t) => {
  const r = rig(t, records('a'));
  let down = true;
  r.collection.before = () => {
    if (down) throw new FlowError('NO_RIGHTS' as string, 'no rights', false);
  };
  const { run, stop } = r.start();
  await settle();
  run.wake();
  await settle();
  assert.equal(count(r, 'now'), 2);
  down = false;
  run.wake();
  await r.clock.until(() => run.progress.phase === 'live', 100);
  assert.equal(run.progress.error, undefined);
  await stop();
});

test('who is woken while all is well goes on', async (t) => {
  const r = rig(t);
  r.store.set(KEY, LIVE);
  const { run } = r.start();
  await settle();
  run.wake();
  await settle();
  assert.equal(count(r, 'changes'), 0);
  r.collection.change({ records: records('a') });
  await settle();
  assert.deepEqual(r.stream.ids(), ['a']);
});

test('whether a save got through is looked up after its failure', async (t) => {
  const r = rig(t);
  r.store.set(KEY, LIVE);
  let lost = true;
  r.store.after = (call) => {
    if (call === 'put' && lost) {
      lost = false;
      throw new FlowError('TIMEOUT', 'no answer');
    }
  };
  const started = r.start();
  r.collection.change({ records: records('a'), position: { at: 5 } });
  await r.clock.pass(1_500);
  r.collection.change({ records: records('b'), position: { at: 6 } });
  await r.clock.pass(1_000);
  assert.equal(started.error, undefined);
  assert.deepEqual(r.stream.ids(), ['a', 'b']);
  assert.equal(at(r.kept()?.changesFrom), 6);
});

test('whoever has lost the lease writes no checkpoint', async (t) => {
  const r = rig(t, records('a', 'b', 'c'));
  let lost = false;
  const started = r.start({
    fence: () => {
      if (lost) throw new FlowError('LEASE_LOST', 'the lease is lost');
    },
  });
  const late = latch();
  r.stream.before = () => late.opened;
  await settle();
  const before = r.store.values.get(KEY);
  lost = true;
  late.open();
  await settle();
  assert.deepEqual(r.store.values.get(KEY), before);
  assert.equal((started.error as FlowError).code, 'LEASE_LOST');
  assert.deepEqual(r.lines, []);
});

test('whoever finds that somebody else has written the checkpoint has lost the lease', async (t) => {
  const r = rig(t);
  r.store.set(KEY, LIVE);
  const started = r.start();
  await settle();
  r.store.set(KEY, { ...LIVE, changesFrom: { at: 99 } });
  r.collection.change({ records: records('a') });
  await settle();
  assert.equal((started.error as FlowError).code, 'LEASE_LOST');
  assert.match((started.error as FlowError).message, /Another instance has taken over test:thing/);
  assert.equal(at(r.store.json(KEY).changesFrom), 99);
  assert.equal(count(r, 'close'), 1);
});

test('a stream that is gone is made again', async (t) => {
  const r = rig(t);
  r.store.set(KEY, LIVE);
  let made = 0;
  r.stream.outcome = () => (made < 2 ? new FlowError('NO_STREAM', 'no stream') : undefined);
  r.start({
    reopenStream: () => (made++ === 0 ? Promise.reject(new Error('not yet')) : Promise.resolve()),
  });
  for (let i = 0; i < 3; i++) {
    r.collection.change({ records: records('a') });
    await r.clock.pass(4_000);
  }
  assert.equal(made, 2);
  assert.deepEqual(r.stream.ids(), ['a']);
});

test('another failure makes no stream', async (t) => {
  const r = rig(t);
  r.collection.before = () => Promise.reject(new FlowError('API_DOWN' as string, 'down'));
  let made = 0;
  r.start({ reopenStream: () => Promise.resolve(made++) });
  await r.clock.pass(5_000);
  assert.equal(made, 0);
});

test('a stream that was made anew is filled from the beginning', async (t) => {
  const r = rig(t, records('a'));
  r.store.set(KEY, { ...LIVE, changesFrom: { at: 50 }, stream: 'an earlier one' });
  const { run } = r.start();
  await r.clock.until(() => run.progress.phase === 'live');
  assert.deepEqual(r.stream.ids(), ['a']);
  assert.deepEqual(r.lines, [
    `The stream was made anew at ${r.stream.created}: ${NAME} is read from the beginning`,
  ]);
  assert.deepEqual(r.kept(), { ...LIVE, done: 1, total: 1, complete: false });
});

test('where only what is new is wanted, a stream that was made anew is gone on with', async (t) => {
  const r = rig(t, records('a'));
  r.store.set(KEY, { ...LIVE, changesFrom: { at: 50 }, stream: 'an earlier one' });
  r.start({ start: 'now' });
  await settle();
  r.collection.change({ records: records('z') });
  await settle();
  assert.deepEqual(r.stream.ids(), ['z']);
  assert.deepEqual(r.kept(), { ...LIVE, changesFrom: { at: 51 }, done: 1 });
  assert.deepEqual(r.lines, []);
});

test('a backfill on its way into a stream that was made anew begins again', async (t) => {
  const r = rig(t, records('a', 'b', 'c'));
  r.store.set(KEY, { ...LIVE, phase: 'backfill', pageFrom: { at: 2 }, resync: 1, stream: 'an earlier one' });
  const { run } = r.start({ start: 'now' }, 1);
  await r.clock.until(() => run.progress.phase === 'live');
  assert.deepEqual(r.stream.ids(), ['a', 'b', 'c']);
  assert.equal(r.kept()?.resync, 1);
});

test('where nobody can say when the stream was made it is taken for the same', async (t) => {
  const r = rig(t, records('a'));
  r.store.set(KEY, { ...LIVE, stream: 'an earlier one' });
  r.start({ streamCreated: () => undefined });
  r.collection.change({ records: records('z') });
  await settle();
  assert.deepEqual(r.stream.ids(), ['z']);
  assert.equal(r.store.json(KEY).stream, 'an earlier one', 'and what is known of it is kept');
});

for (const garbage of [
  ...['', '{', 'null', '7', '"live"', '[]', '{}'],
  JSON.stringify({ ...LIVE, phase: 'paused' }),
  JSON.stringify({ ...LIVE, changesFrom: undefined }),
  JSON.stringify({ ...LIVE, changesFrom: null }),
  JSON.stringify({ ...LIVE, changesFrom: 'here' }),
])
  test(`a checkpoint that says nothing (${garbage}) is told, and everything is read again`, async (t) => {
    const r = rig(t, records('a'));
    r.store.set(KEY, garbage);
    const { run } = r.start({ liveIds: () => pages(['a', 'gone']), start: 'now' });
    await r.clock.until(() => run.progress.phase === 'live');
    assert.deepEqual(r.stream.ids(), ['a', 'gone']);
    assert.deepEqual(r.kept(), { ...LIVE, done: 1, total: 1 });
    assert.equal(r.lines[0], `! The checkpoint of ${NAME} can't be read: everything is read again`);
  });

test('a checkpoint that lacks what isn’t needed is gone on with', async (t) => {
  const r = rig(t);
  r.store.set(KEY, {
    phase: 'live',
    changesFrom: { at: 5 },
    done: 'x',
    total: 'y',
    resync: null,
    pageFrom: 3,
    stream: 4,
  });
  r.start();
  r.collection.change({ records: records('a') });
  await settle();
  assert.deepEqual(r.kept(), { ...LIVE, changesFrom: { at: 6 }, done: 1 });
});

test('a provider that always says there is something is asked ten times a second', async (t) => {
  const r = rig(t);
  r.store.set(KEY, LIVE);
  r.collection.ready = () => Promise.resolve();
  r.start();
  await r.clock.pass(1_000);
  assert.ok(count(r, 'changes') >= 9 && count(r, 'changes') <= 12, `${count(r, 'changes')} times`);
});

const SOME: Record<string, Partial<Changes>> = {
  found: { records: records('a') },
  announced: { records: [], more: true },
};
for (const [name, changes] of Object.entries(SOME))
  test(`where changes are ${name} the next look is at once`, async (t) => {
    const r = rig(t);
    r.store.set(KEY, LIVE);
    r.start();
    r.collection.change(changes);
    r.collection.change({ records: records('b') });
    await settle(12);
    assert.ok(r.stream.ids().includes('b'));
  });

test('a command comes through while there is nothing new', async (t) => {
  const r = rig(t);
  r.store.set(KEY, LIVE);
  const { run } = r.start();
  r.collection.change({ records: [] });
  await settle();
  run.askResync(1);
  await settle(20);
  assert.equal(r.store.json(KEY).resync, 1);
});

test('progress says how far it is', async (t) => {
  const r = rig(t, records('a', 'b', 'c'));
  const late = latch();
  r.collection.before = (call) => (call === 'page' && count(r, 'page') === 2 ? late.opened : undefined);
  const { run } = r.start();
  await r.clock.pass(1_000);
  const expected = { sync_id: 'sync', collection: NAME, lag: null, refused: 0 };
  assert.deepEqual(run.progress, {
    ...expected,
    phase: 'backfill',
    done: 2,
    total: 3,
    rate: 2,
    published: 2,
  });
  assert.deepEqual(r.progress.at(-1), { ...run.progress });
  late.open();
  await r.clock.until(() => run.progress.phase === 'live');
  assert.equal(run.progress.lag, null, 'not known yet');
  r.collection.change({ records: records('a', 'z'), asOf: Date.now() - 700 });
  await settle();
  assert.equal(run.progress.lag, 700);
  assert.equal(run.progress.published, 4);
  assert.equal(run.progress.done, 1);
  assert.equal(run.progress.total, null);
  r.collection.change({ records: [], asOf: Date.now() + 700 });
  await settle();
  assert.equal(run.progress.lag, 0);
});

test('before it has begun it is waiting', (t) => {
  const r = rig(t);
  const { run } = r.start();
  const { phase, done, total } = run.progress;
  assert.deepEqual({ phase, done, total }, { phase: 'waiting', done: 0, total: null });
});

test('a record that no stream takes is told and counted, and the others are published', async (t) => {
  const r = rig(t, records('a', 'big'));
  r.stream.outcome = ({ subject }) =>
    subject.endsWith('big') ? new FlowError('MESSAGE_TOO_LARGE', 'too large', false) : undefined;
  const { run } = r.start();
  await r.clock.until(() => run.progress.phase === 'live');
  assert.deepEqual(r.lines, [`! ${NAME} big is not in the stream: too large`]);
  assert.equal(run.progress.refused, 1);
  assert.equal(run.progress.published, 1);
});

test('while the provider waits so does the collection, unless it has failed', async (t) => {
  const r = rig(t);
  r.store.set(KEY, LIVE);
  const { run } = r.start();
  r.collection.change({ records: [] });
  await settle();
  assert.equal(run.progress.lag, 0);
  r.provider.unavailable = { code: 'LIMIT', message: 'the limit is spent' };
  assert.equal(run.progress.phase, 'waiting');
  assert.deepEqual(run.progress.error, { code: 'LIMIT', message: 'the limit is spent' });
  r.collection.before = () => Promise.reject(new FlowError('NO_RIGHTS' as string, 'no rights', false));
  r.collection.change({ records: [] });
  await r.clock.pass(200);
  assert.equal(run.progress.phase, 'failed');
  assert.equal(run.progress.error?.code, 'NO_RIGHTS');
  assert.equal(run.progress.lag, null);
});

test('what is in the way of a collection is told once, and shown for as long as it lasts', async (t) => {
  const r = rig(t);
  r.store.set(KEY, LIVE);
  const { run } = r.start();
  await settle();
  const told = (): number => r.progress.length;
  const before = told();
  r.collection.problem = { code: 'NO_EVENTS', message: 'it is polled' };
  for (let i = 0; i < 3; i++) {
    r.collection.change({ records: [] });
    await r.clock.pass(200);
  }
  assert.deepEqual(r.lines, ['! it is polled']);
  assert.equal(told(), before + 1);
  assert.equal(r.progress.at(-1)?.error?.code, 'NO_EVENTS');
  assert.equal(run.progress.phase, 'live');
  r.collection.problem = undefined;
  r.collection.change({ records: [] });
  await r.clock.pass(200);
  assert.equal(told(), before + 2);
  assert.equal(r.progress.at(-1)?.error, undefined);
  r.collection.change({ records: [] });
  await r.clock.pass(200);
  assert.equal(told(), before + 2, 'a look that finds nothing is not worth telling');
  assert.deepEqual(r.lines, ['! it is polled']);
});

test('a collection is closed when it fails and when it is stopped, whether it can be or not', async (t) => {
  const r = rig(t);
  r.collection.before = (call) => Promise.reject(new Error(`${call} fails`));
  const started = r.start();
  await settle();
  assert.deepEqual(r.collection.calls, ['now', 'close']);
  r.collection.before = (call) => (call === 'close' ? Promise.reject(new Error('close fails')) : undefined);
  await r.clock.until(() => started.run.progress.phase === 'live');
  await started.stop();
  assert.equal(count(r, 'close'), 2);
  assert.equal(started.error, undefined);
});

test('a collection that can’t be opened is opened again', async (t) => {
  const r = rig(t);
  const open = r.provider.open.bind(r.provider);
  let failures = 0;
  r.provider.open = (...args) => (failures++ === 0 ? Promise.reject(new Error('down')) : open(...args));
  const { run } = r.start();
  await r.clock.until(() => run.progress.phase === 'live');
  assert.equal(count(r, 'close'), 0, 'nothing was open yet when it failed');
});

test('an error that comes after the stop is none', async (t) => {
  const r = rig(t);
  const late = latch();
  r.collection.before = async (call) => {
    if (call !== 'now') return;
    await late.opened;
    throw new FlowError('CLOSED', 'closed');
  };
  const started = r.start();
  await settle();
  const stopped = started.stop();
  late.open();
  await stopped;
  assert.deepEqual(r.lines, []);
  assert.equal(started.error, undefined);
});

test('who is stopped before it began does nothing', async (t) => {
  const r = rig(t);
  const run = new CollectionRun({ store: r.store, provider: r.provider } as unknown as RunOptions, 0);
  r.store.before = () => assert.fail('asked');
  await run.run(AbortSignal.abort());
});

test('a mass loss is held, said, and confirmed by the next command to read everything anew', async (t) => {
  const ids = Array.from({ length: 12 }, (_, i) => `r${i}`);
  const r = rig(t, records(...ids));
  const { run, stop } = r.start();
  await r.clock.until(() => run.progress.phase === 'live');
  await stop();
  r.collection.records = [];
  const again = r.start({ liveIds: () => pages(ids) }, 1);
  await r.clock.until(() => again.run.progress.error?.code === 'MASS_LOSS');
  assert.equal(again.run.progress.phase, 'failed');
  const deleted = () =>
    [...r.stream.subjects.values()].filter(({ data }) => data.includes('"deleted":true')).length;
  assert.equal(deleted(), 0);
  await again.stop();
  const confirmed = r.start({ liveIds: () => pages(ids) }, 2);
  await r.clock.until(() => confirmed.run.progress.phase === 'live');
  assert.equal(deleted(), 12);
});
