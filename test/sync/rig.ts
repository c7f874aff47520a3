import type { TestContext } from 'node:test';
import { connect, type JetStreamManager, type NatsConnection } from 'nats';
import { Connection } from '../../nodes/jetstream/server/connection';
import { Bucket } from '../../nodes/jetstream/streams/kv';
import { PubSub } from '../../nodes/salesforce/pubsub/client';
import { positionsInOne, type PositionStore } from '../../nodes/shared/positions';
import type { Progress } from '../../nodes/sync/engine/progress';
import type { Provider } from '../../nodes/sync/engine/provider';
import { SalesforceProvider, type SalesforceSettings } from '../../nodes/sync/providers/salesforce';
import { Sync, type SyncOptions } from '../../nodes/sync/engine/sync';
import { Target, type TargetSettings } from '../../nodes/sync/engine/target';
import { startOrg, type Org, type OrgOptions } from '../org/org';
import { QUICK, sessionWith } from '../salesforce/rig';
import { startNats, type Nats, type NatsOptions } from '../support/nats';
import { until } from '../support/until';
import { differences, readTable, type Message } from './table';

export const SYNC_ID = 'e39875af-cd83-4406-8d46-3b30e0b5b624';

export interface Instance {
  sync: Sync;
  progress: Progress[];
  lines: { level: 'log' | 'warn' | 'error'; text: string }[];
  phase: (collection?: string) => string | undefined;
  live: (collection?: string) => Promise<void>;
  stop: () => Promise<void>;
}

export interface InstanceOptions {
  sync?: Partial<SyncOptions>;
  target?: Partial<TargetSettings>;
  salesforce?: Partial<SalesforceSettings>;
  /** Changes by events, from an org that has its Pub/Sub side. */
  cdc?: boolean;
  provider?: Provider;
  /** Settings of the connection. */
  connection?: object;
  checkpoint?: 'kv' | 'context';
  /** Puts something in the way of the store. */
  store?: (store: PositionStore) => PositionStore;
  /** Is told of each call that publishes. */
  publishing?: () => void;
}

export interface Rig {
  org: Org;
  nats: Nats;
  nc: NatsConnection;
  jsm: JetStreamManager;
  /** Another process, as far as the others can tell. */
  instance: (options?: InstanceOptions) => Instance;
  /** The last message of each record of a collection, by id. */
  table: (collection?: string, stream?: string) => Promise<Map<string, Message>>;
  /** Waits until the stream says of each record what the org says. */
  equal: (sobject?: string, timeout?: number) => Promise<void>;
  calls: () => number;
}

export async function startRig(
  t: TestContext,
  options: { org?: OrgOptions; nats?: NatsOptions } = {},
): Promise<Rig> {
  const org = await startOrg(options.org);
  const nats = await startNats(options.nats);
  const nc = await connect({
    servers: nats.url,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
    ...(options.nats?.config?.includes('admin') ? { user: 'admin', pass: 'admin' } : {}),
  });
  const jsm = await nc.jetstreamManager();
  const instances: Instance[] = [];
  t.after(async () => {
    await Promise.all(instances.map((instance) => instance.stop()));
    await nc.close();
    await Promise.all([nats.stop(), org.close()]);
  });

  const table: Rig['table'] = (collection, stream) => readTable(nc, collection, stream);

  return {
    org,
    nats,
    nc,
    jsm,
    table,
    instance: (more = {}) => {
      const instance = startInstance(org, nats, more);
      instances.push(instance);
      return instance;
    },
    equal: async (sobject = 'Contact', timeout = 60_000) => {
      await until(
        async () => differences(org, await table(`salesforce:${sobject.toLowerCase()}`), sobject) === '',
        {
          timeout,
          interval: 100,
          what: 'the stream to say what the org says',
        },
      ).catch(async (error: Error) => {
        const found = differences(org, await table(`salesforce:${sobject.toLowerCase()}`), sobject);
        throw new Error(`${error.message}\n${found}`);
      });
    },
    calls: () => org.requests().filter(({ path }) => path.includes('/services/data/')).length,
  };
}

function startInstance(org: Org, nats: Nats, options: InstanceOptions): Instance {
  const session = sessionWith(org);
  const pubsub = options.cdc ? new PubSub(session, org.pubsub ?? '', { ...QUICK }) : undefined;
  const connection = new Connection({ servers: nats.url, auth: 'none', ...options.connection });
  const release = connection.use({});
  const progress: Progress[] = [];
  const lines: Instance['lines'] = [];
  const say = (level: 'log' | 'warn' | 'error') => (text: string) => void lines.push({ level, text });
  const target = new Target(connection, {
    stream: 'SEQUIN-RECORDS',
    prefix: 'sequin-records',
    provision: true,
    form: {},
    events: false,
    narrow: false,
    info: say('log'),
    warn: say('warn'),
    ...options.target,
  });
  const provider =
    options.provider ??
    new SalesforceProvider(
      session,
      { pollInterval: options.cdc ? 60_000 : 100, lookback: 60_000, log: say('log'), ...options.salesforce },
      pubsub,
    );
  const kept: PositionStore =
    options.checkpoint === 'context' ? positionsInOne(memory(), 'sync') : new Bucket(connection, 'api-sync');
  const sync = new Sync({
    syncId: SYNC_ID,
    provider,
    collections: ['salesforce:contact'],
    prefix: 'sequin-records',
    start: 'beginning',
    events: options.target?.events ?? false,
    store: options.store?.(kept) ?? kept,
    lease: options.checkpoint === 'context' ? undefined : 10_000,
    reconcile: 0,
    stream: async (signal) => {
      const stream = await target.open(signal);
      const publish: typeof stream.publish = (messages, stop) => {
        options.publishing?.();
        return stream.publish(messages, stop);
      };
      return { ...stream, publish };
    },
    liveIds: (subject, signal) => target.liveIds(subject, signal),
    progress: (entry) => void progress.push(entry),
    log: say('log'),
    error: say('error'),
    ...options.sync,
  });
  sync.start();
  const phase = (collection = 'salesforce:contact'): string | undefined =>
    sync.status.find((entry) => entry.collection === collection)?.phase;
  let stopped: Promise<void> | undefined;
  return {
    sync,
    progress,
    lines,
    phase,
    live: async (collection) => {
      await until(() => phase(collection) === 'live', { timeout: 30_000, what: 'the collection to be live' });
    },
    stop: () =>
      (stopped ??= (async () => {
        await sync.stop();
        await target.close();
        await release();
        pubsub?.close();
        session.close();
      })()),
  };
}

/** A node's context, whose keys are names. */
function memory(): PositionStore {
  let text: string | undefined;
  return {
    get: () => Promise.resolve(text === undefined ? undefined : { value: text, revision: 1 }),
    put: (_key, value) => {
      text = value;
      return Promise.resolve(1);
    },
  };
}

export const contacts = (count: number, from = 0): Record<string, unknown>[] =>
  Array.from({ length: count }, (_, i) => ({
    LastName: `Person ${from + i}`,
    ExternalId__c: `K${from + i}`,
    Email: `p${from + i}@example.com`,
    Score__c: i / 4,
    DoNotCall: i % 2 === 0,
    Birthdate: '1990-02-03',
    LastSeen__c: '2026-01-31T12:00:00.000+0000',
  }));
