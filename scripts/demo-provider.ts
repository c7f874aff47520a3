import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { declarationOf } from '../nodes/sync/providers/catalog';
import { startApi, type Api } from '../test/apis/api';
import type { ApiName } from '../test/apis/catalog';
import { isPortFree, temporaryFolder } from '../test/support/cleanup';
import { startNats, type Nats } from '../test/support/nats';
import { startNodeRed, type FlowNode, type NodeRed } from '../test/support/node-red';
import { onOneTab, withOneConnection, type StackOptions } from './demo-stack';

/** The demo of one API: simulated, with records in it, and Node-RED that brings them into JetStream. */
export interface ProviderStack {
  api: Api;
  nats: Nats;
  red: NodeRed;
  login: { user: string; pass: string };
  /** Of the API, as the flow names them. */
  collections: string[];
  stop(): Promise<void>;
}

const SEED = 300;

export async function startProviderStack(
  name: ApiName,
  { port, onLine }: StackOptions = {},
): Promise<ProviderStack> {
  if (port !== undefined && !(await isPortFree(port)))
    throw new Error(`port ${port} is in use: choose another with -- --port ${port + 1}`);
  const login = { user: 'demo', pass: 'demo' };
  const folder = temporaryFolder('demo');
  const nats = await startNats({ config: `authorization { user: ${login.user}, password: ${login.pass} }` });
  const api = await startApi(name);
  // Of an API with a scope, those of its first repository.
  const all = api.collections();
  const [scope] = all.filter((each) => each.includes('/')).map((each) => each.replace(/:.*/, ''));
  const shown = all.filter((each) => scope === undefined || each.startsWith(`${scope}:`));
  for (const collection of shown)
    api.write(
      collection,
      Array.from({ length: SEED }, () => ({})),
    );
  const credentials = join(folder.path, 'nats.json');
  mkdirSync(folder.path, { recursive: true });
  writeFileSync(credentials, JSON.stringify({ user: login.user, password: login.pass }), { mode: 0o600 });
  const collections = shown.map((each) => `${name}:${each}`);
  const flow = withOneConnection(
    onOneTab(`${declarationOf(name)?.label} into JetStream`, 'Keep a table of records', 280),
  );
  const { baseUrl, user = '', token } = api;
  const here: Record<string, object> = {
    'api-source': { baseUrl, user, collections, pollInterval: '2s', apiBudget: 100, credentials: { token } },
    'jetstream-in': { provision: true },
  };
  const tab = flow.find(({ type }) => type === 'tab')?.id ?? '';
  const red = await startNodeRed({
    port,
    onLine,
    userDir: join(folder.path, 'node-red'),
    flows: [...flow.map((node) => ({ ...node, ...here[node.type] })), ...buttons(api, tab, shown)],
    env: { NATS_URL: nats.url, NATS_CREDENTIALS: credentials },
    settings: { editorTheme: { tours: false, page: { title: 'Jetforce demo' } } },
  });
  return {
    api,
    nats,
    red,
    login,
    collections,
    async stop() {
      await red.stop();
      await Promise.all([nats.stop(), api.close()]);
      folder.remove();
    },
  };
}

/** A button for each collection, which lets a user of the API create a record. */
function buttons({ baseUrl }: Api, tab: string, collections: readonly string[]): FlowNode[] {
  return collections.flatMap((collection, i): FlowNode[] => {
    const y = 560 + 40 * i;
    const url = `${baseUrl}/_api/records/${encodeURIComponent(collection)}`;
    return [
      {
        id: `create${i}`,
        type: 'inject',
        z: tab,
        name: `create one of ${collection}`,
        props: [{ p: 'payload' }],
        payload: '[{}]',
        payloadType: 'json',
        x: 200,
        y,
        wires: [[`call${i}`]],
      },
      { id: `call${i}`, type: 'http request', z: tab, name: '', method: 'POST', url, x: 470, y, wires: [[]] },
    ];
  });
}
