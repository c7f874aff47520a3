import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { troubleTab } from './demo-trouble';
import { isPortFree, temporaryFolder } from '../test/support/cleanup';
import { startNats, type Nats } from '../test/support/nats';
import { startNodeRed, type FlowNode, type NodeRed } from '../test/support/node-red';
import { startOrg, type Org } from '../test/org/org';

/** All that the demo needs, running on this machine: a nats-server, a simulated org, Node-RED with example flows. */
export interface Stack {
  nats: Nats;
  org: Org;
  red: NodeRed;
  /** What a client of the nats-server logs in with. */
  login: { user: string; pass: string };
  stop(): Promise<void>;
}

const examples = join(__dirname, '..', 'examples');

export interface StackOptions {
  /** Of the Node-RED editor. */
  port?: number;
  /** Folder that keeps flows and credentials from one run to the next; default one that is deleted at the end. */
  home?: string;
  /** Is given each line that Node-RED writes. */
  onLine?: (line: string) => void;
}

export async function startStack({ port, home, onLine }: StackOptions = {}): Promise<Stack> {
  if (port !== undefined && !(await isPortFree(port))) {
    throw new Error(`port ${port} is in use: choose another with -- --port ${port + 1}`);
  }
  const login = { user: 'demo', pass: 'demo' };
  const folder = home ? { path: home, remove: () => undefined } : temporaryFolder('demo');
  const org = await startOrg({ pubsub: true });
  const authorization = `authorization { user: ${login.user}, password: ${login.pass} }`;
  const nats = await startNats({ config: authorization });
  const credentials = join(folder.path, 'credentials');
  mkdirSync(credentials, { recursive: true });
  const secret = (file: string, content: object) => {
    const path = join(credentials, file);
    writeFileSync(path, JSON.stringify(content), { mode: 0o600 });
    return path;
  };
  const here: Record<string, object> = {
    'jetstream-server': {
      credentialsPath: secret('nats.json', { user: login.user, password: login.pass }),
    },
    'sfdc-org': {
      credentialsPath: secret('sfdc.json', {
        client_id: org.clientId,
        client_secret: org.clientSecret,
        username: org.username,
        password: org.password + org.securityToken,
        login_url: org.url,
      }),
      pubsubEndpoint: org.pubsub,
    },
    'api-source': { mode: 'cdc' },
    'jetstream-in': { provision: true },
  };
  const userDir = join(folder.path, 'node-red');
  const red = await startNodeRed({
    port,
    onLine,
    userDir,
    flows: existsSync(join(userDir, 'flows.json')) ? undefined : demoFlow(here, org.url),
    env: { NATS_URL: nats.url },
    settings: { editorTheme: { tours: false, page: { title: 'Jetforce demo' } } },
  });
  return {
    nats,
    org,
    red,
    login,
    async stop() {
      await red.stop();
      await Promise.all([nats.stop(), org.close()]);
      folder.remove();
    },
  };
}

/**
 * Examples as a user imports them, a direction on each tab. What they are given differs from what is shipped: the
 * places of the credentials files, the addresses, that a sync need not wait a minute for its changes, and its reader
 * not for the stream.
 */
function demoFlow(here: Record<string, object>, orgUrl: string): FlowNode[] {
  const flow = [
    ...onOneTab('Upsert contacts from JetStream', 'Publish contacts to JetStream', 200),
    ...onOneTab('Salesforce into JetStream', 'Keep a table of records', 280),
    ...readExample('Read and write records'),
  ];
  const nodes = new Map(flow.map((node) => [node.id, quiet({ ...node, ...here[node.type] })]));
  const server = flow.find(({ type }) => type === 'jetstream-server')?.id ?? '';
  return [...nodes.values(), ...troubleTab({ server, orgUrl })];
}

/** Where thousands of messages come by: they belong in a status, not in the debug sidebar. */
const BUSY = ['results', 'acknowledgement', 'progress', 'record'];

function quiet(node: FlowNode): FlowNode {
  if (node.type !== 'debug' || !BUSY.includes(String(node['name']))) return node;
  return { ...node, tosidebar: false, tostatus: true };
}

/** The second example below the first one. */
export function onOneTab(above: string, below: string, offset: number): FlowNode[] {
  const first = readExample(above);
  const tab = first.find(({ type }) => type === 'tab')?.id;
  const second = readExample(below).filter(({ type }) => type !== 'tab');
  return [
    ...first,
    ...second.map((node) => (node.z ? { ...node, z: tab, y: Number(node.y) + offset } : node)),
  ];
}

function readExample(name: string): FlowNode[] {
  return JSON.parse(readFileSync(join(examples, `${name}.json`), 'utf8')) as FlowNode[];
}
