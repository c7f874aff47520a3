/** A process that syncs one collection of a simulated API, to be killed. Its settings are its only argument, as JSON. */
import { Connection } from '../../../nodes/jetstream/server/connection';
import { Bucket } from '../../../nodes/jetstream/streams/kv';
import { Sync } from '../../../nodes/sync/engine/sync';
import { Target } from '../../../nodes/sync/engine/target';
import { declarationOf } from '../../../nodes/sync/providers/catalog';
import type { CollectionDeclaration, Declaration } from '../../../nodes/sync/providers/rest/declaration';
import { RestProvider } from '../../../nodes/sync/providers/rest/provider';

export interface RunnerSettings {
  nats: string;
  provider: string;
  /** With the provider. */
  collection: string;
  baseUrl: string;
  user: string | undefined;
  token: string;
  /** Milliseconds. */
  lease: number;
  /** For a storm: everything is kept, told as an event, and looked at all the time. */
  hurried?: boolean;
}

/**
 * With everything that takes minutes and hours in an API's declaration in seconds: what a lookback of an hour would
 * make good again is lost here.
 */
function inAHurry(declaration: Declaration): Declaration {
  const { errors = [], collections } = declaration;
  return {
    ...declaration,
    errors: errors.map((rule) => ({ ...rule, ...(rule.wait !== undefined && { wait: '500ms' }) })),
    collections: Object.fromEntries(
      Object.entries(collections).map(([name, of]): [string, CollectionDeclaration] => [
        name,
        {
          ...of,
          ...(of.changes && {
            changes: { ...of.changes, ...('lookback' in of.changes && { lookback: '3s' }) },
          }),
          ...(of.compare && { compare: { ...of.compare, every: '2s' } }),
        },
      ]),
    ),
  };
}

function run(settings: RunnerSettings): void {
  const { nats, provider: name, collection, baseUrl, user, token, lease, hurried = false } = settings;
  const declaration = declarationOf(name);
  if (!declaration) throw new Error(`no provider ${name}`);
  // What is permitted is up to the simulated API.
  const free = { ...declaration, rates: { ...declaration.rates, windows: [] } };
  const connection = new Connection({ servers: nats, auth: 'none' });
  connection.use({});
  const log = (text: string): void => console.log(`${new Date().toISOString()} ${text}`);
  const target = new Target(connection, {
    stream: 'SEQUIN-RECORDS',
    prefix: 'sequin-records',
    provision: true,
    form: hurried ? { maxMsgsPerSubject: 1_000_000 } : {},
    events: hurried,
    narrow: false,
    info: log,
    warn: log,
  });
  const sync = new Sync({
    syncId: 'sync',
    provider: new RestProvider({
      declaration: hurried ? inAHurry(free) : free,
      values: { baseUrl, user, token },
      budget: 100,
      pollInterval: 100,
      lookback: hurried ? 3_000 : 60_000,
    }),
    collections: [collection],
    prefix: 'sequin-records',
    start: 'beginning',
    events: hurried,
    store: new Bucket(connection, 'api-sync'),
    lease,
    reconcile: 0,
    stream: (signal) => target.open(signal),
    liveIds: (subject, signal) => target.liveIds(subject, signal),
    progress: ({ phase, error }) => log(`${phase} ${error?.message ?? ''}`),
    log,
    error: (text) => log(`! ${text}`),
  });
  sync.start();
}

run(JSON.parse(process.argv[2] ?? '') as RunnerSettings);
