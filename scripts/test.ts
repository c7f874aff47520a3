import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';

/**
 * npm test [-- part …] [-- --flag …]: node's own test runner over test/**, or over the files whose path contains
 * one of the parts; flags go to the runner. Each test, its hooks included, is bounded.
 */
const root = join(__dirname, '..');
const TEST_TIMEOUT = 180_000;

const flags = process.argv.slice(2).filter((argument) => argument.startsWith('-'));
const parts = process.argv.slice(2).filter((argument) => !argument.startsWith('-'));
const files = globSync('test/**/*.test.ts', { cwd: root })
  .filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)))
  .sort();

if (files.length === 0) {
  console.error(`no test file's path contains ${parts.join(' or ')}`);
  process.exit(1);
}

const runner = spawn(
  process.execPath,
  [
    '--import=tsx',
    '--test',
    '--test-reporter=spec',
    '--test-concurrency=2',
    `--test-timeout=${TEST_TIMEOUT}`,
    ...flags,
    ...files,
  ],
  { cwd: root, stdio: 'inherit' },
);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => runner.kill(signal));
runner.on('exit', (code) => (process.exitCode = code ?? 1));
