import { readFileSync } from 'node:fs';
import { connect, type NatsConnection } from 'nats';
import { Connection } from '../nodes/jetstream/server/connection';
import { Bucket } from '../nodes/jetstream/streams/kv';
import type { Changes, Collection, Page, Provider } from '../nodes/sync/engine/provider';
import { recordBodies, type SourceRecord } from '../nodes/sync/engine/record';
import { Sync } from '../nodes/sync/engine/sync';
import { Target } from '../nodes/sync/engine/target';
import { startOrg, type Org } from '../test/org/org';
import { startCluster, startNats } from '../test/support/nats';
import { startNodeRed, type NodeRed } from '../test/support/node-red';
import { until } from '../test/support/until';
import { syncFlow } from '../test/sync/flow';
import { asking, type Answers } from './asking';
import { median, round, type Row } from './row';

const PUBLISHED = 60_000;
const IN_FLIGHT = 1_000;
/** What a page of a Bulk job holds of such records, about. */
const PAGE = 10_000;
const ROUNDS = 5;
const CHANGES = 100;
const LATENCIES = 20;

export async function rows(): Promise<Row[]> {
  return [
    await publishing('latest'),
    await publishing('2.10'),
    await publishing('latest', 3),
    ...(await ofAnOrg()),
  ];
}

/** Backfill by the engine from a source that costs nothing ÷ the client's own publish of the same messages. */
async function publishing(version: 'latest' | '2.10', replicas = 1): Promise<Row> {
  const nats = replicas > 1 ? await startCluster(replicas, { version }) : await startNats({ version });
  const nc = await connect({ servers: nats.url.split(',') });
  const jsm = await nc.jetstreamManager();
  const [ours, theirs]: [number[], number[]] = [[], []];
  try {
    for (let turn = 0; turn < ROUNDS; turn++) {
      theirs.push(PUBLISHED / (await bare(nc, replicas)));
      await jsm.streams.delete('BARE');
      ours.push(PUBLISHED / (await backfill(nats.url, `sync-${turn}`, replicas)));
      await jsm.streams.delete('SEQUIN-RECORDS');
    }
  } finally {
    await nc.close();
    await nats.stop();
  }
  const [value, reference] = [median(ours), median(theirs)];
  return {
    name: `backfill publishing ÷ bare js.publish, ${IN_FLIGHT} in flight (nats-server ${version}${replicas > 1 ? `, ${replicas} replicas` : ''})`,
    value: round(value, 0),
    unit: 'records/s',
    reference: round(reference, 0),
    ratio: round(median(ours.map((rate, i) => rate / (theirs[i] ?? NaN)))),
  };
}

const record = (i: number): SourceRecord => ({
  id: `003Hs00000${String(i).padStart(8, '0')}`,
  data: {
    FirstName: 'Ada',
    LastName: `Person ${i}`,
    Email: `p${i}@example.com`,
    Phone: null,
    Score__c: i % 100,
  },
  createdAt: '2026-01-31T12:00:00Z',
  updatedAt: '2026-01-31T12:00:00Z',
});
const body = recordBodies({
  prefix: 'bare',
  syncId: 'sync',
  provider: 'bench',
  collection: 'bench:thing',
});

/** Seconds. */
async function bare(nc: NatsConnection, num_replicas: number): Promise<number> {
  const jsm = await nc.jetstreamManager();
  await jsm.streams.add({ name: 'BARE', subjects: ['bare.>'], max_msgs_per_subject: 1, num_replicas });
  const js = nc.jetstream();
  const began = performance.now();
  const publish = async (first: number): Promise<void> => {
    for (let i = first; i < PUBLISHED; i += IN_FLIGHT)
      await js.publish(`bare.default.sync.bench.bench:thing.${record(i).id}`, body(record(i)));
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, (_, first) => publish(first)));
  return (performance.now() - began) / 1_000;
}

/** Seconds. */
async function backfill(servers: string, syncId: string, replicas: number): Promise<number> {
  const connection = new Connection({ servers, auth: 'none' });
  const release = connection.use({});
  const silent = (): void => undefined;
  const target = new Target(connection, {
    stream: 'SEQUIN-RECORDS',
    prefix: 'sequin-records',
    provision: true,
    form: { replicas },
    events: false,
    narrow: false,
    info: silent,
    warn: silent,
  });
  await target.open(new AbortController().signal);
  const began = performance.now();
  const seconds = await new Promise<number>((resolve, reject) => {
    const sync = new Sync({
      syncId,
      provider: synthetic,
      collections: ['bench:thing'],
      prefix: 'sequin-records',
      start: 'beginning',
      events: false,
      store: new Bucket(connection, 'api-sync'),
      lease: 15_000,
      reconcile: 0,
      stream: (signal) => target.open(signal),
      liveIds: (subject, signal) => target.liveIds(subject, signal),
      progress: ({ phase, published }) => {
        if (phase !== 'live') return;
        const took = (performance.now() - began) / 1_000;
        sync
          .stop()
          .then(() => (published === PUBLISHED ? resolve(took) : reject(new Error(`${published}`))), reject);
      },
      log: silent,
      error: (text) => reject(new Error(text)),
    });
    sync.start();
  });
  await target.close();
  await release();
  return seconds;
}

/** Pages of records out of nothing. */
const synthetic: Provider = {
  name: 'bench',
  unavailable: undefined,
  onChange: () => () => undefined,
  open: () => Promise.resolve(syntheticCollection),
  close: () => Promise.resolve(),
};
const syntheticCollection: Collection = {
  problem: undefined,
  count: () => Promise.resolve(PUBLISHED),
  now: () => Promise.resolve({}),
  page: (from): Promise<Page> => {
    const { at } = (from ?? { at: 0 }) as { at: number };
    const to = Math.min(PUBLISHED, at + PAGE);
    const records = Array.from({ length: to - at }, (_, i) => record(at + i));
    return Promise.resolve({ records, next: to < PUBLISHED ? { at: to } : undefined });
  },
  ready: (_from, signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve())),
  changes: (): Promise<Changes> => Promise.reject(new Error('never ready')),
  read: () => Promise.resolve([]),
  close: () => Promise.resolve(),
};

/** What a real Node-RED does with a (simulated) org. */
async function ofAnOrg(): Promise<Row[]> {
  const small = await synced(100_000, async ({ org, red, nc, rate }, calls) => {
    const ids = org.records('Contact').slice(0, CHANGES);
    for (const { Id } of ids) {
      org.write('Contact', { Id, LastName: 'Changed' });
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await until(async () => (await sequence(nc)) >= 100_000 + CHANGES, {
      timeout: 60_000,
      what: 'the changes',
    });
    return { calls: calls(), memory: peak(red), rate, latency: await latency(org, nc) };
  });
  // Apart from the others: Node-RED's own answers take memory, too.
  const asked = await synced(100_000, ({ answers }) => Promise.resolve(answers), true);
  const large = await synced(1_000_000, ({ red }) => Promise.resolve({ memory: peak(red) }));
  return [
    { name: 'backfill of 100k records from an org', value: round(small.rate, 0), unit: 'records/s' },
    {
      name: 'answer of the editor during a backfill of 100k records, p99',
      value: round(asked[Math.floor(asked.length * 0.99)] ?? NaN, 1),
      unit: 'ms',
    },
    { name: 'peak memory of a backfill of 100k records', value: small.memory, unit: 'MB' },
    {
      name: 'peak memory of a backfill of 1M records ÷ of 100k',
      value: large.memory,
      unit: 'MB',
      reference: small.memory,
      ratio: round(large.memory / small.memory),
    },
    {
      name: `API calls of a sync of 100k records with ${CHANGES} changes (cdc)`,
      value: small.calls,
      unit: 'calls',
    },
    { name: 'change → message of an idle sync (cdc)', value: round(small.latency, 0), unit: 'ms' },
  ];
}

interface Stage {
  org: Org;
  red: NodeRed;
  nc: NatsConnection;
  /** Records per second from the first in the stream to the last. */
  rate: number;
  /** Of Node-RED in that time, where it was asked. */
  answers: Answers;
}

/** An org of so many contacts, synced by a Node-RED of its own. */
async function synced<T>(
  contacts: number,
  measure: (stage: Stage, calls: () => number) => Promise<T>,
  ask = false,
): Promise<T> {
  const org = await startOrg({ pubsub: true, generate: { Contact: contacts } });
  const nats = await startNats();
  const nc = await connect({ servers: nats.url });
  const red = await startNodeRed({ flows: syncFlow(nats.url, org, { source: { mode: 'cdc' } }) });
  try {
    const begun = async (): Promise<boolean> => (await sequence(nc)) > 0;
    await until(begun, { timeout: 60_000, interval: 10, what: 'the first record' });
    const began = performance.now();
    const answers = ask ? asking(red.url) : () => Promise.resolve([]);
    await until(async () => (await sequence(nc)) >= contacts, {
      timeout: 20 * 60_000,
      interval: 100,
      what: `${contacts} records`,
    });
    const rate = (contacts * 1_000) / (performance.now() - began);
    const took = await answers();
    // The subscription to change events stands by then.
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    const calls = () => org.requests().filter(({ path }) => path.includes('/services/data/')).length;
    return await measure({ org, red, nc, rate, answers: took }, calls);
  } finally {
    await red.stop();
    await nc.close();
    await nats.stop();
    await org.close();
  }
}

async function sequence(nc: NatsConnection): Promise<number> {
  const jsm = await nc.jetstreamManager();
  return (await jsm.streams.info('SEQUIN-RECORDS').catch(() => undefined))?.state.last_seq ?? 0;
}

/** Milliseconds from the commit in the org to the message, in the middle. */
async function latency(org: Org, nc: NatsConnection): Promise<number> {
  const Id = String(org.records('Contact')[CHANGES]?.Id);
  const times: number[] = [];
  for (let i = 0; i < LATENCIES; i++) {
    const subscription = nc.subscribe(`sequin-records.default.*.*.*.${Id}`, { max: 1 });
    await nc.flush();
    const began = performance.now();
    org.write('Contact', { Id, LastName: `Version ${i}` });
    for await (const _ of subscription) break;
    times.push(performance.now() - began);
    await new Promise((resolve) => setTimeout(resolve, 700));
  }
  return median(times);
}

/** The most memory the process has ever held, in MB. */
function peak({ pid }: NodeRed): number {
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Math.round(Number(kilobytes) / 1024);
}
