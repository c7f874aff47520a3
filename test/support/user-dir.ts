import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { temporaryFolder } from './cleanup';

export const root = join(__dirname, '..', '..');

/** Node-RED 5 is the development dependency; 4 is the oldest line that is supported. */
export type NodeRedVersion = 4 | 5;

export type FlowNode = {
  id: string;
  type: string;
  z?: string;
  wires?: string[][];
  credentials?: Record<string, string>;
  [property: string]: unknown;
};

export interface NodeRedOptions {
  /** Nodes as in a flow file; those with wires need no coordinates here. */
  flows?: FlowNode[];
  /** Secrets by node id; the same as `credentials` on a node of `flows`. */
  credentials?: Record<string, Record<string, string>>;
  /** Default: $NODE_RED_TEST_VERSION, else 5. */
  version?: NodeRedVersion;
  /** More Node-RED settings. */
  settings?: Record<string, unknown>;
  /** An existing user folder: its flows are kept where `flows` is missing, and it isn't deleted at the end. */
  userDir?: string;
}

/** The module of that version. */
export function nodeRedModule(version: NodeRedVersion | undefined): 'node-red' | 'node-red-4' {
  const wanted = version ?? Number(process.env.NODE_RED_TEST_VERSION ?? 5);
  return wanted === 4 ? 'node-red-4' : 'node-red';
}

/** A user folder that holds this package as installed (a link to the checkout), the flows and their secrets. */
export function prepareUserDir(options: NodeRedOptions): { path: string; remove: () => void } {
  const folder = options.userDir
    ? { path: options.userDir, remove: () => undefined }
    : temporaryFolder('node-red');
  const { name } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { name: string };
  const link = join(folder.path, 'node_modules', name);
  mkdirSync(dirname(link), { recursive: true });
  try {
    symlinkSync(root, link, 'dir');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const write = (file: string, content: unknown) =>
    writeFileSync(join(folder.path, file), JSON.stringify(content, null, 2));
  write('package.json', { name: 'test-user-folder', private: true, dependencies: { [name]: '*' } });
  if (options.flows) {
    const { nodes, secrets } = splitSecrets(options.flows);
    write('flows.json', nodes);
    write('flows_cred.json', { ...secrets, ...options.credentials });
  }
  return folder;
}

/** Node-RED takes a node without coordinates for a config node. */
export function placed(nodes: FlowNode[]): FlowNode[] {
  return nodes.map((node) => (node.wires && node.x === undefined ? { ...node, x: 0, y: 0 } : node));
}

function splitSecrets(flows: FlowNode[]): {
  nodes: FlowNode[];
  secrets: Record<string, Record<string, string>>;
} {
  const secrets: Record<string, Record<string, string>> = {};
  const nodes = placed(flows).map(({ credentials, ...node }) => {
    if (credentials) secrets[node.id] = credentials;
    return node;
  });
  return { nodes, secrets };
}

const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  devDependencies: Record<string, string>;
};

/** Nodes of others that a test tries: Node-RED finds them in this checkout, and loads them where it is told to. */
export const THIRD_PARTY = Object.keys(devDependencies).filter(
  (name) => /^node-red-(contrib|node)-/.test(name) && name !== 'node-red-node-test-helper',
);

/** Settings both ways of starting share: only on 127.0.0.1, English, silent towards the network. */
export function baseSettings(userDir: string, port: number): Record<string, unknown> {
  return {
    userDir,
    uiHost: '127.0.0.1',
    uiPort: port,
    flowFile: 'flows.json',
    credentialSecret: false,
    lang: 'en-US',
    telemetry: { enabled: false, updateNotification: false },
    externalModules: { autoInstall: false, palette: { allowInstall: false } },
    nodesExcludes: THIRD_PARTY,
    editorTheme: { tours: false, projects: { enabled: false } },
  };
}
