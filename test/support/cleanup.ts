import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * What is left when a test fails half way must not outlive the test file: every child process and folder is
 * given up here when the process ends, however it ends (short of kill -9).
 */
const pending = new Set<() => void>();

/** Runs `end` (synchronous) when this process ends; the returned function forgets it. */
export function atExit(end: () => void): () => void {
  pending.add(end);
  return () => void pending.delete(end);
}

// The last thing started ends first: a process before the folder it writes into.
process.on('exit', () => [...pending].reverse().forEach((end) => end()));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => process.exit(1));
}

/** A new folder under the system's temporary folder; `remove` deletes it early. */
export function temporaryFolder(name: string): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), `jetforce-${name}-`));
  const end = () => rmSync(path, { recursive: true, force: true, maxRetries: 3 });
  const forget = atExit(end);
  return { path, remove: () => (end(), forget()) };
}

/**
 * A port of 127.0.0.1 that was free a moment ago, from below those that the system hands to clients: one of these
 * could be taken by somebody's connection before the server listens.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 17_000);
    if (await isPortFree(port)) return port;
  }
}

export function isPortFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
