import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { natsServerPath } from './nats-server';
import { salesforceCliPath } from './salesforce-cli';

/**
 * npm test [-- part …] [-- --flag …]: node's own test runner over test/**, or over the files whose path contains
 * one of the parts; flags go to the runner. Each test, its hooks included, is bounded. $TZ is another time zone.
 */
const root = join(__dirname, '..');
const TEST_TIMEOUT = 180_000;
/** West of UTC, half an hour off, with daylight saving: what is read as local time, or as whole hours, is noticed. */
const ZONE = 'America/St_Johns';
/** They come first, so that two processes end together. */
const LONGEST = ['sync/oracle', 'editor/look', 'org/cli', 'sync/edges', 'jetstream/recovery', 'house/demo'];

/** How node's test runner is called; from the root of the repository. */
export const RUNNER = [
  '--import=tsx',
  '--import=./test/support/whole-report.ts',
  '--test',
  '--test-reporter=spec',
  '--test-concurrency=2',
  `--test-timeout=${TEST_TIMEOUT}`,
  '--test-force-exit', // a test that failed half way leaves sockets open, and its file would never end
];

/** It drives the org with the Salesforce CLI. */
const CLI_TEST = 'org/cli.test.ts';

const rank = (file: string): number =>
  LONGEST.findIndex((part) => file.includes(part)) + 1 || LONGEST.length + 1;

async function main(): Promise<void> {
  const flags = process.argv.slice(2).filter((argument) => argument.startsWith('-'));
  const parts = process.argv.slice(2).filter((argument) => !argument.startsWith('-'));
  const files = globSync('test/**/*.test.ts', { cwd: root })
    .filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)))
    .sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));

  if (files.length === 0) {
    console.error(`no test file's path contains ${parts.join(' or ')}`);
    process.exit(1);
  }

  // Fetched once, before any test's time runs. Where there is none, each test that needs it says so.
  const fetches: Promise<unknown>[] = [natsServerPath()];
  if (files.some((file) => file.endsWith(CLI_TEST))) fetches.push(salesforceCliPath());
  for (const fetched of await Promise.allSettled(fetches))
    if (fetched.status === 'rejected') console.error((fetched.reason as Error).message);
  const runner = spawn(process.execPath, [...RUNNER, ...flags, ...files], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, TZ: process.env.TZ ?? ZONE },
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => runner.kill(signal));
  runner.on('exit', (code) => (process.exitCode = code ?? 1));
}

if (require.main === module) void main();
