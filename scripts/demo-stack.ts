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
  const env = {
    NATS_URL: nats.url,
    NATS_CREDENTIALS: secret('nats.json', { user: login.user, password: login.pass }),
    SFDC_CREDENTIALS: secret('sfdc.json', {
      client_id: org.clientId,
      client_secret: org.clientSecret,
      username: org.username,
      password: org.password + org.securityToken,
      login_url: org.url,
    }),
    SFDC_PUBSUB: org.pubsub ?? '',
  };
  const userDir = join(folder.path, 'node-red');
  const red = await startNodeRed({
    port,
    onLine,
    userDir,
    flows: existsSync(join(userDir, 'flows.json')) ? undefined : demoFlow(org.url),
    env,
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
 * Examples as a user imports them, a direction on each tab; the environment says where everything is, and does so for
 * those that are imported later. They differ in that a sync need not wait a minute for its changes, and its reader not
 * for the stream.
 */
function demoFlow(orgUrl: string): FlowNode[] {
  const here: Record<string, object> = { 'api-source': { mode: 'cdc' }, 'jetstream-in': { provision: true } };
  const flow = withOneConnection([
    ...onOneTab('Upsert contacts from JetStream', 'Publish contacts to JetStream', 200),
    ...onOneTab('Salesforce into JetStream', 'Keep a table of records', 280),
    ...readExample('Read and write records'),
  ]);
  const server = flow.find(({ type }) => type === 'jetstream-server')?.id ?? '';
  return [...flow.map((node) => quiet({ ...node, ...here[node.type] })), ...troubleTab({ server, orgUrl })];
}

const CONFIG = ['jetstream-server', 'sfdc-org', 'api-source'];

/** Each example brings its own config nodes for its tab; here all share one server and one org. */
export function withOneConnection(flow: FlowNode[]): FlowNode[] {
  const kept = new Map<string, string>();
  const stands = (id: unknown): unknown => {
    const type = flow.find((node) => node.id === id)?.type ?? '';
    return CONFIG.slice(0, 2).includes(type) ? kept.get(type) : id;
  };
  for (const { id, type } of flow) if (!kept.has(type)) kept.set(type, id);
  return flow
    .filter(({ id }) => stands(id) === id)
    .map(({ z, ...node }) => ({
      ...node,
      ...(z && !CONFIG.includes(node.type) ? { z } : {}),
      ...('server' in node ? { server: stands(node.server) } : {}),
      ...('org' in node ? { org: stands(node.org) } : {}),
    }));
}

/** Where thousands of messages come by: they belong in a status, not in the debug sidebar. */
const BUSY = ['results', 'acknowledgement', 'progress', 'record'];
/** What the status of those shows that have nothing of their own for it. */
const BRIEF = { statusVal: 'payload.data.LastName', statusType: 'msg' };

function quiet(node: FlowNode): FlowNode {
  if (node.type !== 'debug' || !BUSY.includes(String(node['name']))) return node;
  return { ...node, ...(node['statusVal'] ? {} : BRIEF), tosidebar: false, tostatus: true };
}

/** The second example below the first one. */
export function onOneTab(above: string, below: string, offset: number): FlowNode[] {
  const first = readExample(above);
  const tab = first.find(({ type }) => type === 'tab')?.id;
  const second = readExample(below).filter(({ type }) => type !== 'tab');
  return [
    ...first,
    ...second.map((node) => ({ ...node, z: tab, ...(node.wires && { y: Number(node.y) + offset }) })),
  ];
}

function readExample(name: string): FlowNode[] {
  return JSON.parse(readFileSync(join(examples, `${name}.json`), 'utf8')) as FlowNode[];
}
