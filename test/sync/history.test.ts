import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Worker } from 'node:worker_threads';
import { Connection } from '../../nodes/jetstream/server/connection';
import { Remote, type Port } from '../../nodes/shared/async/remote';
import { FlowError } from '../../nodes/shared/errors';
import { speak } from '../../nodes/shared/language';
import type { Position } from '../../nodes/sync/engine/provider';
import { Target } from '../../nodes/sync/engine/target';
import { SalesforceProvider } from '../../nodes/sync/providers/salesforce';
import { sessionWith } from '../salesforce/rig';
import { HistoryThread, startWorker } from '../../nodes/sync/history/thread';
import type { NatsOptions } from '../support/nats';
import { until } from '../support/until';
import { contacts, startRig, SYNC_ID, type Instance, type Rig } from './rig';

/** Read by a Bulk job, in several pages. */
const RECORDS = 12_000;

interface Large extends Rig {
  /** Everything that the threads have been. */
  workers: Worker[];
  log: string[];
  sync: (start?: () => Worker) => Instance;
  stored: () => Promise<number>;
}

async function large(t: TestContext, nats: NatsOptions = {}): Promise<Large> {
  const rig = await startRig(t, { nats });
  rig.org.write('Contact', ...contacts(RECORDS));
  const workers: Worker[] = [];
  const log: string[] = [];
  return {
    ...rig,
    workers,
    log,
    sync: (start = startWorker) => {
      const started = (): Worker => {
        const worker = start();
        workers.push(worker);
        return worker;
      };
      const histories = new HistoryThread((text) => void log.push(text), started);
      return rig.instance({ sync: { histories } });
    },
    stored: async () =>
      (await rig.jsm.streams.info('SEQUIN-RECORDS').catch(() => undefined))?.state.last_seq ?? 0,
  };
}

const TARGET = {
  ...{ stream: 'S', prefix: 'p', provision: true, form: {}, events: false, narrow: false },
  ...{ info: () => undefined, warn: () => undefined },
};

/** Neither lost nor doubled. */
async function assertWhole({ equal, stored }: Large): Promise<void> {
  await equal();
  assert.equal(await stored(), RECORDS, 'each record is stored once');
}

test('a large history is read and published in a thread, which ends with it', async (t) => {
  const rig = await large(t);
  const one = rig.sync();
  await one.live();
  await assertWhole(rig);
  assert.equal(rig.workers.length, 1);
  await until(() => rig.workers[0]?.threadId === -1, { what: 'the thread to end' });
  const { published, done, error } = one.progress.findLast(({ phase }) => phase === 'backfill') ?? {};
  assert.deepEqual([published, done, error], [RECORDS, RECORDS, undefined]);
  assert.deepEqual(
    one.lines.filter(({ level }) => level === 'error'),
    [],
  );
});

test('a thread that is killed is missed, and another goes on at the last position', async (t) => {
  const rig = await large(t);
  const one = rig.sync();
  await until(async () => (await rig.stored()) > 0, { what: 'the first records', interval: 1 });
  await rig.workers[0]?.terminate();
  await one.live();
  await assertWhole(rig);
  assert.equal(rig.workers.length, 2);
  assert.match(one.lines.map(({ text }) => text).join('\n'), /thread that reads large histories ended /);
});

test('one that dies again and again gives way to the thread of Node-RED', async (t) => {
  const rig = await large(t);
  const one = rig.sync(() => {
    const worker = startWorker();
    worker.once('online', () => void worker.terminate());
    return worker;
  });
  await one.live();
  await assertWhole(rig);
  assert.equal(rig.workers.length, 2);
  assert.match(rig.log.join('\n'), /are read in the thread of Node-RED, as one of their own ends/);
});

test('one that runs out of its memory does not take Node-RED along', async (t) => {
  const rig = await large(t);
  const one = rig.sync(() => startWorker({ maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 1 }));
  await one.live();
  await assertWhole(rig);
  assert.match(one.lines.map(({ text }) => text).join('\n'), /ended \(.*memory/);
});

test('where there can be no thread the history is read in that of Node-RED, and that is said', async (t) => {
  const rig = await large(t);
  const one = rig.sync(() => {
    throw new Error('Access to this API has been restricted');
  });
  await one.live();
  await assertWhole(rig);
  assert.match(rig.log.join('\n'), /There can be no thread .*restricted/);
});

test('after a stop in the middle nothing comes any more, and another instance goes on', async (t) => {
  const rig = await large(t);
  const one = rig.sync();
  await until(async () => (await rig.stored()) > 0, { what: 'the first records', interval: 1 });
  await one.stop();
  const before = await rig.stored();
  assert.ok(before < RECORDS, 'it was not at its end');
  assert.equal(rig.workers[0]?.threadId, -1, 'the thread has ended');
  const two = rig.sync();
  await two.live();
  await assertWhole(rig);
});

test('a record that fits into no message is told, and the others are published', async (t) => {
  const rig = await large(t, { config: 'max_payload: 16KB' });
  const [wide] = rig.org.records('Contact');
  rig.org.write('Contact', { Id: wide?.Id, Description: 'x'.repeat(20_000) });
  const one = rig.sync();
  await one.live();
  assert.equal(await rig.stored(), RECORDS - 1);
  assert.equal(one.sync.status[0]?.refused, 1);
  assert.match(
    one.lines.map(({ text }) => text).join('\n'),
    new RegExp(`${String(wide?.Id)} is not in the stream`),
  );
});

test('what the stream holds in a version that may be the newer one is read again', async (t) => {
  const rig = await large(t);
  const one = rig.sync();
  await one.live();
  const [id = '', message] = [...(await rig.table())][0] ?? [];
  const other = { ...message, data: { ...message?.data, LastName: 'Somebody else’s' } };
  await rig.nc
    .jetstream()
    .publish(`sequin-records.default.${SYNC_ID}.salesforce.salesforce:contact.${id}`, JSON.stringify(other));
  await one.sync.command('resync');
  await rig.equal();
  assert.equal(await rig.stored(), RECORDS + 2);
});

test('whoever has lost the lease publishes nothing from a thread either', async (t) => {
  const rig = await large(t);
  const session = sessionWith(rig.org);
  const connection = new Connection({ servers: rig.nats.url, auth: 'none' });
  const target = new Target(connection, TARGET);
  const stop = new AbortController();
  t.after(async () => {
    await target.close();
    session.close();
  });
  const { address } = await target.open(stop.signal);
  assert.ok(address);
  const log = (): void => undefined;
  const provider = new SalesforceProvider(session, { pollInterval: 1_000, lookback: 1_000, log });
  const collection = await provider.open('salesforce:contact', stop.signal);
  const of = { prefix: 'p', syncId: 'sync', provider: 'salesforce', collection: 'salesforce:contact' };
  const host = {
    fence: () => {
      throw new FlowError('LEASE_LOST', 'The lease is lost');
    },
    read: undefined,
    refused: (id: string) => assert.fail(id),
  };
  const history = new HistoryThread(log).open({ of, address, events: false }, host);
  const read = async (): Promise<void> => {
    for (let from: Position | undefined, first = true; first || from; first = false)
      ({ next: from } = await collection.page(from, stop.signal, history));
  };
  await assert.rejects(read(), { code: 'LEASE_LOST' });
  await history.end();
  assert.equal((await rig.jsm.streams.info('S')).state.last_seq, 0);
});

test('the thread speaks the language of the runtime', async () => {
  speak('de');
  const worker = startWorker();
  speak('en');
  try {
    const passed = new Remote(worker as Port, {}).call(new AbortController().signal, 'pass', 1, {});
    await assert.rejects(passed, { code: 'CLOSED', message: 'Der Bestand wird nicht mehr gelesen' });
  } finally {
    await worker.terminate();
  }
});
