import { spawn, type ChildProcess } from 'node:child_process';
import { atExit } from './cleanup';
import { until } from './until';

/** A child process whose output is kept, and that never outlives this one. */
export interface Child {
  readonly pid: number;
  readonly log: string[];
  readonly running: boolean;
  /** Sends the signal and waits for the end. After `patience` ms it is SIGKILL. */
  end(signal: NodeJS.Signals, patience?: number): Promise<void>;
  /** Sends a signal that doesn't end it, such as SIGSTOP. */
  signal(signal: NodeJS.Signals): void;
}

export function startChild(
  command: string,
  args: string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; log?: string[]; onLine?: (line: string) => void } = {},
): Child {
  const log = options.log ?? [];
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: options.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr])
    collectLines(stream, (line) => {
      log.push(line);
      options.onLine?.(line);
    });
  child.once('error', (error) => log.push(String(error)));
  const forget = atExit(() => child.kill('SIGKILL'));
  const ended = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('exit', () => resolve());
  });
  void ended.then(forget);
  return {
    pid: child.pid ?? -1,
    log,
    get running() {
      return isRunning(child);
    },
    signal: (signal) => void child.kill(signal),
    async end(signal, patience = 20_000) {
      if (!isRunning(child)) return;
      child.kill(signal);
      const timer = setTimeout(() => child.kill('SIGKILL'), patience);
      await ended;
      clearTimeout(timer);
    },
  };
}

function isRunning(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

function collectLines(stream: NodeJS.ReadableStream, add: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    lines.forEach(add);
  });
  stream.on('end', () => rest && add(rest));
}

/** Waits for a line of the child's log, from line `from` on; fails at once when the child has ended. */
export async function waitForLine(
  child: Child,
  pattern: RegExp,
  { timeout = 10_000, from = 0, what = `a line matching ${pattern}` } = {},
): Promise<string> {
  const find = () => child.log.slice(from).find((text) => pattern.test(text));
  try {
    await until(() => find() !== undefined || !child.running, { timeout, what });
    const line = find();
    if (line === undefined) throw new Error(`the process ended before ${what}`);
    return line;
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${child.log.slice(-30).join('\n')}`, { cause: error });
  }
}
