import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { adminApi, NOT_STARTED, postFlows, pressInject, STARTED, type DeployType } from './admin-api';
import { startChild, waitForLine, type Child } from './child';
import { freePort } from './cleanup';
import {
  baseSettings,
  nodeRedModule,
  prepareUserDir,
  root,
  type FlowNode,
  type NodeRedOptions,
} from './user-dir';

export { embedNodeRed, type EmbeddedNodeRed } from './embed';
export type { FlowNode, NodeRedOptions } from './user-dir';

/** A real Node-RED in a process of its own, with this package as built into dist/. */
export interface NodeRed {
  readonly url: string;
  readonly pid: number;
  readonly userDir: string;
  /** Every line it has written, over all its starts. */
  readonly log: string[];
  /** Waits for a line of the log; `from` (an index into `log`) leaves out what came before. */
  waitForLog(pattern: RegExp, options?: { timeout?: number; from?: number }): Promise<string>;
  /** Deploys like the editor and waits until the flows have started. */
  deploy(flows: FlowNode[], type?: DeployType): Promise<void>;
  /** Any other call of the admin API. */
  api(method: string, path: string, body?: unknown): Promise<unknown>;
  /** Presses an inject node's button; `message` replaces what it would send. */
  inject(id: string, message?: Record<string, unknown>): Promise<void>;
  /** kill -9, unless another signal is named; user folder and port stay. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again, after an orderly end where it still runs. */
  restart(): Promise<void>;
  /** Orderly end for good; deletes the user folder where this started it. */
  stop(): Promise<void>;
}

export interface ProcessOptions extends NodeRedOptions {
  env?: Record<string, string>;
  port?: number;
  /** The Node binary it runs on; default the one that runs this. */
  node?: string;
  /** Is given each line it writes. */
  onLine?: (line: string) => void;
}

export async function startNodeRed(options: ProcessOptions = {}): Promise<NodeRed> {
  const folder = prepareUserDir(options);
  const port = options.port ?? (await freePort());
  const settingsFile = join(folder.path, 'settings.js');
  const settings = { ...baseSettings(folder.path, port), ...options.settings };
  writeFileSync(settingsFile, `module.exports = ${JSON.stringify(settings, null, 2)};\n`);
  const script = join(root, 'node_modules', nodeRedModule(options.version), 'red.js');
  const url = `http://127.0.0.1:${port}`;

  const log: string[] = [];
  const started = async (running: Child, from: number) => {
    const line = await waitForLine(running, new RegExp(`${STARTED.source}|${NOT_STARTED.source}`), {
      from,
      timeout: 60_000,
      what: 'Node-RED to start its flows',
    });
    if (NOT_STARTED.test(line)) throw new Error(`the flows did not start:\n${log.slice(from).join('\n')}`);
  };
  const start = async (): Promise<Child> => {
    const from = log.length;
    const env = { ...process.env, NODE_ENV: 'production', ...options.env };
    const running = startChild(options.node ?? process.execPath, [script, '--settings', settingsFile], {
      cwd: folder.path,
      env,
      log,
    });
    try {
      await started(running, from);
    } catch (error) {
      await running.end('SIGKILL');
      throw error;
    }
    return running;
  };
  let child = await start();

  return {
    url,
    get pid() {
      return child.pid;
    },
    userDir: folder.path,
    log,
    waitForLog: (pattern, wait) => waitForLine(child, pattern, wait),
    async deploy(flows, type = 'full') {
      const from = log.length;
      await postFlows(url, flows, type);
      await started(child, from);
    },
    api: (method, path, body) => adminApi(url, method, path, body),
    inject: (id, message) => pressInject(url, id, message),
    kill: (signal = 'SIGKILL') => child.end(signal),
    async restart() {
      await child.end('SIGTERM');
      child = await start();
    },
    async stop() {
      await child.end('SIGTERM');
      folder.remove();
    },
  };
}
