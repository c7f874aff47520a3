import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { RUNNER } from '../../scripts/test';
import { root } from './source';

test('what a test file has told the runner arrives, although its process ends by force', async () => {
  const imports = RUNNER.filter((flag) => flag.startsWith('--import'));
  const told = "process.stdout.write('x'.repeat(5_000_000)); process.exit()";
  const run = promisify(execFile);
  const { stdout } = await run(process.execPath, [...imports, '--eval', told], { cwd: root, maxBuffer: 1e7 });
  assert.equal(stdout.length, 5_000_000);
});
