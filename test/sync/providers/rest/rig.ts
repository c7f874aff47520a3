import type { TestContext } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { connect } from 'nats';
import { Connection } from '../../../../nodes/jetstream/server/connection';
import { Bucket } from '../../../../nodes/jetstream/streams/kv';
import { escapeToken } from '../../../../nodes/shared/token';
import type { Progress } from '../../../../nodes/sync/engine/progress';
import { Sync, type SyncOptions } from '../../../../nodes/sync/engine/sync';
import { Target } from '../../../../nodes/sync/engine/target';
import { declarationOf } from '../../../../nodes/sync/providers/catalog';
import { at, matches } from '../../../../nodes/sync/providers/rest/path';
import {
  findCollection,
  RestProvider,
  type RestSettings,
} from '../../../../nodes/sync/providers/rest/provider';
import type { Declaration } from '../../../../nodes/sync/providers/rest/declaration';
import type { Api, ApiOptions } from '../../../apis/api';
import type { ApiName } from '../../../apis/catalog';
import { apiFor } from '../../../apis/support';
import { startNats } from '../../../support/nats';
import { until } from '../../../support/until';
import { readTable, type Message } from '../../table';

export interface ApiRig {
  api: Api;
  collection: string;
  start: (more?: Partial<RestSettings>, sync?: Partial<SyncOptions>) => Started;
  table: () => Promise<Map<string, Message>>;
  /** Waits until the stream says of each record what the API says. */
  equal: (timeout?: number) => Promise<void>;
  /** Calls to a path that holds this. */
  calls: (path?: string) => number;
}

export interface Started {
  sync: Sync;
  progress: () => Progress;
  lines: string[];
  live: () => Promise<unknown>;
  stop: () => Promise<void>;
}

/** A declared API, simulated, synced into a real nats-server. `collection` without the provider. */
export async function apiRig(
  t: TestContext,
  name: ApiName,
  of: string,
  options: ApiOptions = {},
): Promise<ApiRig> {
  const api = await apiFor(t, name, options);
  const nats = await startNats();
  const nc = await connect({ servers: nats.url });
  const collection = `${name}:${of}`;
  const declared = declarationOf(name) as Declaration;
  const running: Started[] = [];
  t.after(async () => {
    await Promise.all(running.map(({ stop }) => stop()));
    await nc.close();
    await nats.stop();
  });
  const table = () => readTable(nc, escapeToken(collection));
  const wrong = async () => differences(declared, of, api, await table());

  return {
    api,
    collection,
    table,
    equal: async (timeout = 20_000) => {
      await until(async () => (await wrong()) === '', {
        timeout,
        interval: 100,
        what: 'the stream to say what the API says',
      }).catch(async (error: Error) => {
        throw new Error(`${error.message}\n${await wrong()}`);
      });
    },
    calls: (path = '') => api.requests().filter((each) => each.path.includes(path)).length,
    start: (more = {}, sync = {}) => {
      const started = startSync(nats.url, api, collection, declared, more, sync);
      running.push(started);
      return started;
    },
  };
}

function startSync(
  url: string,
  api: Api,
  collection: string,
  declared: Declaration,
  more: Partial<RestSettings>,
  options: Partial<SyncOptions>,
): Started {
  const connection = new Connection({ servers: url, auth: 'none' });
  const release = connection.use({});
  const lines: string[] = [];
  const log = (text: string): void => void lines.push(text);
  const target = new Target(connection, {
    stream: 'SEQUIN-RECORDS',
    prefix: 'sequin-records',
    provision: true,
    form: {},
    events: false,
    narrow: false,
    info: log,
    warn: log,
  });
  const provider = new RestProvider({
    // What is permitted is up to the simulated API here.
    declaration: { ...declared, rates: { ...declared.rates, windows: [] } },
    values: { baseUrl: api.baseUrl, token: api.token, user: api.user?.replace(/\/token$/, '') },
    budget: 100,
    pollInterval: 100,
    lookback: 60_000,
    ...more,
  });
  const sync = new Sync({
    syncId: 'sync',
    provider,
    collections: [collection],
    prefix: 'sequin-records',
    start: 'beginning',
    events: false,
    store: new Bucket(connection, 'api-sync'),
    lease: 3_000,
    reconcile: 0,
    stream: (signal) => target.open(signal),
    liveIds: (subject, signal) => target.liveIds(subject, signal),
    progress: () => undefined,
    log,
    error: (text) => log(`! ${text}`),
    ...options,
  });
  sync.start();
  let stopped: Promise<void> | undefined;
  const progress = (): Progress => sync.status[0] as Progress;
  return {
    sync,
    lines,
    progress,
    live: () =>
      until(() => progress().phase === 'live', { timeout: 30_000, what: 'the collection to be live' }).catch(
        (error: Error) => {
          throw new Error(`${error.message}\n${lines.join('\n')}\n${JSON.stringify(progress())}`);
        },
      ),
    stop: () =>
      (stopped ??= (async () => {
        await sync.stop();
        await target.close();
        await release();
      })()),
  };
}

/** What the stream says wrongly; empty where it is right. */
function differences(declared: Declaration, of: string, api: Api, table: Map<string, Message>): string {
  const { of: declaration } = findCollection(declared, `${declared.name}:${of}`);
  const problems: string[] = [];
  const living = new Map<string, Record<string, unknown>>();
  for (const row of api.records(of))
    if (![declaration.deleted, declaration.skip].some((match) => match && matches(row, match)))
      living.set(String(at(row, declaration.id)), row);
  for (const [id, row] of living) {
    const message = table.get(id);
    const { upstream_id: _id, ...data } = message?.data ?? {};
    if (!message) problems.push(`${id} is missing`);
    else if (message.deleted) problems.push(`${id} is said to be deleted`);
    else if (!isDeepStrictEqual(data, JSON.parse(JSON.stringify(row))))
      problems.push(`${id} is ${JSON.stringify(data)} instead of ${JSON.stringify(row)}`);
  }
  for (const [id, message] of table)
    if (!living.has(id) && !message.deleted) problems.push(`${id} is gone, but not said to be deleted`);
  return problems.slice(0, 10).join('\n');
}
