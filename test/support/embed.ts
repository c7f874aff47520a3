import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { NodeRedApp } from 'node-red';
import { postFlows, pressInject, type DeployType } from './admin-api';
import { freePort } from './cleanup';
import { until } from './until';
import { baseSettings, nodeRedModule, prepareUserDir, type FlowNode, type NodeRedOptions } from './user-dir';

export interface LogEntry {
  level: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'audit' | 'metric';
  /** Node that wrote it. */
  id?: string;
  type?: string;
  text: string;
}

export interface StatusEntry {
  id: string;
  status: { fill?: string; shape?: string; text?: string };
}

/** A running node, as far as tests look at it. */
export interface RunningNode {
  id: string;
  receive(msg: object): void;
  send(msg: unknown): void;
  [property: string]: unknown;
}

/** The real Node-RED runtime inside this process: the same nodes and flows, quicker to start, open to look at. */
export interface EmbeddedNodeRed {
  readonly url: string;
  readonly userDir: string;
  readonly RED: NodeRedApp;
  readonly log: LogEntry[];
  readonly statuses: StatusEntry[];
  /** The last status of a node: {} where it was cleared, undefined where it never had one. */
  statusOf(id: string): StatusEntry['status'] | undefined;
  /** Waits for an entry of the log. */
  waitForLog(pattern: RegExp, options?: { timeout?: number; from?: number }): Promise<LogEntry>;
  getNode(id: string): RunningNode;
  /** The messages a node has received since the start, in order: the very objects, not copies. */
  received(id: string): Record<string, unknown>[];
  /** Lets go of what it has noted so far: log, statuses and received messages. */
  forget(): void;
  /** Hands a message to a node's input. */
  send(id: string, msg: Record<string, unknown>): void;
  deploy(flows: FlowNode[], type?: DeployType): Promise<void>;
  inject(id: string, message?: Record<string, unknown>): Promise<void>;
  stop(): Promise<void>;
}

const LEVELS: Record<number, LogEntry['level']> = {
  10: 'fatal',
  20: 'error',
  30: 'warn',
  40: 'info',
  50: 'debug',
  60: 'trace',
  98: 'audit',
  99: 'metric',
};

/** Only one at a time in a process; stop it before the next. */
export async function embedNodeRed(options: NodeRedOptions = {}): Promise<EmbeddedNodeRed> {
  const folder = prepareUserDir(options);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const log: LogEntry[] = [];
  const statuses: StatusEntry[] = [];
  const received = new Map<string, Record<string, unknown>[]>();

  forgetNodeRed();
  const RED = createRequire(__filename)(nodeRedModule(options.version)) as NodeRedApp;
  type Handler = (req: IncomingMessage, res: ServerResponse, next?: () => void) => void;
  const server = createServer((req, res) => {
    const [flows, admin] = [RED.httpNode, RED.httpAdmin] as unknown as [Handler, Handler];
    flows(req, res, () => admin(req, res));
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');

  RED.init(server, {
    ...baseSettings(folder.path, port),
    disableEditor: true,
    ...options.settings,
    logging: {
      console: { level: 'off' },
      test: { level: 'debug', handler: () => (entry: RawEntry) => log.push(readEntry(entry)) },
    },
  } as never);
  RED.events.on('node-status', (entry: StatusEntry) =>
    statuses.push({ id: entry.id, status: { ...entry.status } }),
  );
  RED.hooks.add('onReceive.testSupport', ({ msg, destination }: ReceiveEvent) => {
    const messages = received.get(destination.id) ?? [];
    received.set(destination.id, messages);
    messages.push(msg);
  });

  const stop = async () => {
    await RED.stop();
    RED.events.removeAllListeners();
    server.closeAllConnections();
    server.close();
    folder.remove();
  };
  /** Runs what starts flows, and waits until they have. */
  const starting = async (begin: () => Promise<unknown>) => {
    const from = log.length;
    await begin();
    const outcome = await until(
      () => log.slice(from).find(({ text }) => /^Started |Waiting for missing types/.test(text)),
      {
        timeout: 30_000,
        what: 'the flows to start',
      },
    );
    if (outcome.text.startsWith('Waiting'))
      throw new Error(
        log
          .slice(from)
          .map(({ text }) => text)
          .join('\n'),
      );
  };
  try {
    await starting(() => RED.start());
  } catch (error) {
    await stop();
    throw error;
  }

  const getNode = (id: string) => {
    const node = (RED.nodes as unknown as { getNode(id: string): RunningNode | null }).getNode(id);
    if (!node) throw new Error(`no node ${id} is running`);
    return node;
  };
  return {
    url,
    userDir: folder.path,
    RED,
    log,
    statuses,
    statusOf: (id) => statuses.findLast((entry) => entry.id === id)?.status,
    waitForLog: (pattern, { timeout = 10_000, from = 0 } = {}) =>
      until(() => log.slice(from).find(({ text }) => pattern.test(text)), {
        timeout,
        what: `a log entry matching ${pattern}`,
      }),
    getNode,
    received: (id) => received.get(id) ?? [],
    forget() {
      log.length = statuses.length = 0;
      received.clear();
    },
    send: (id, msg) => getNode(id).receive(msg),
    deploy: (flows, type = 'full') => starting(() => postFlows(url, flows, type)),
    inject: (id, message) => pressInject(url, id, message),
    stop,
  };
}

interface RawEntry {
  level: number;
  id?: string;
  type?: string;
  msg: unknown;
}

interface ReceiveEvent {
  msg: Record<string, unknown>;
  destination: { id: string };
}

function readEntry({ level, id, type, msg }: RawEntry): LogEntry {
  const text = msg instanceof Error ? msg.message : typeof msg === 'string' ? msg : JSON.stringify(msg);
  return { level: LEVELS[level] ?? 'info', id, type, text: text ?? String(msg) };
}

/**
 * Node-RED can't start twice from the same modules, so each start gets fresh ones. Node modules (the core's and ours)
 * stay loaded: Node-RED 5 imports them, and an import is for good. They see a second RED.
 */
function forgetNodeRed(): void {
  for (const path of Object.keys(require.cache)) {
    if (/[\\/](@node-red|node-red|node-red-4)[\\/]/.test(path)) delete require.cache[path];
  }
}
