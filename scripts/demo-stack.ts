import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isPortFree, temporaryFolder } from '../test/support/cleanup';
import { startNats, type Nats } from '../test/support/nats';
import { startNodeRed, type FlowNode, type NodeRed } from '../test/support/node-red';
import { startOrg, type Org } from '../test/org/org';

/** All that the demo needs, running on this machine: a nats-server, a simulated org, Node-RED with the example flow. */
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
  const org = await startOrg();
  const authorization = `authorization { user: ${login.user}, password: ${login.pass} }`;
  const nats = await startNats({ config: authorization });
  const credentials = join(folder.path, 'credentials');
  mkdirSync(credentials, { recursive: true });
  const secret = (file: string, content: object) => {
    const path = join(credentials, file);
    writeFileSync(path, JSON.stringify(content), { mode: 0o600 });
    return path;
  };
  const paths: Record<string, string> = {
    'jetstream-server': secret('nats.json', { user: login.user, password: login.pass }),
    'sfdc-org': secret('sfdc.json', {
      client_id: org.clientId,
      client_secret: org.clientSecret,
      username: org.username,
      password: org.password + org.securityToken,
      login_url: org.url,
    }),
  };
  const userDir = join(folder.path, 'node-red');
  const red = await startNodeRed({
    port,
    onLine,
    userDir,
    flows: existsSync(join(userDir, 'flows.json')) ? undefined : demoFlow(paths),
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
 * The example as a user imports it, with the nodes of "Publish contacts to JetStream" below it on the same tab.
 * Only the places of the credentials files and the addresses differ from what is shipped.
 */
function demoFlow(credentialsPaths: Record<string, string>): FlowNode[] {
  const upsert = readExample('Upsert contacts from JetStream');
  const publish = readExample('Publish contacts to JetStream');
  const tab = upsert.find(({ type }) => type === 'tab')?.id;
  const known = new Set(upsert.map(({ id }) => id));
  const below = publish
    .filter((node) => node.type !== 'tab' && !known.has(node.id))
    .map((node) => (node.z ? { ...node, z: tab, y: Number(node.y) + 200 } : node));
  return [...upsert, ...below].map((node) => {
    const path = credentialsPaths[node.type];
    return path ? { ...node, credentialsPath: path } : node;
  });
}

function readExample(name: string): FlowNode[] {
  return JSON.parse(readFileSync(join(examples, `${name}.json`), 'utf8')) as FlowNode[];
}
