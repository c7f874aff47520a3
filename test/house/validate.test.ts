import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { judge, type Scorecard } from '../../scripts/validate';
import { temporaryFolder } from '../support/cleanup';
import { root } from './source';

const rules = ['P01', 'P03', 'P04', 'P05', 'P06', 'P07', 'P08', 'N01', 'N02', 'D01', 'D02', 'D03'];
const scorecard = (changed: Scorecard): Scorecard => ({
  package: { name: 'x', version: '1.0.0' },
  ...Object.fromEntries(rules.map((rule) => [rule, { test: true }])),
  ...changed,
});

test('a rule that is not true fails, with what was found', () => {
  assert.deepEqual(judge(scorecard({})), { accepted: [], failed: [] });
  assert.deepEqual(judge(scorecard({ N02: { test: false, nodes: ['a'] } })), {
    accepted: [],
    failed: ['N02 is not true: {"nodes":["a"]}'],
  });
});

test('that a dependency has a newer version is told, and fails nothing', () => {
  const { accepted, failed } = judge(scorecard({ D03: { test: false, packages: ['ajv'] } }));
  assert.deepEqual(failed, []);
  assert.match(accepted.join(), /^D03 is not true, and need not be: /);
});

test('a rule that the tool came to no verdict on is no rule kept', () => {
  assert.throws(() => judge(scorecard({ D02: {} })), /no verdict on D02/);
  assert.throws(() => judge({}), /no verdict on P01, P03/);
});

test('without a network it says so in words, and fails', async () => {
  const cache = temporaryFolder('validate-test');
  const env = {
    ...process.env,
    npm_config_registry: 'http://127.0.0.1:9/',
    npm_config_fetch_retries: '0',
    npm_config_cache: cache.path,
  };
  const script = ['--import=tsx', join(root, 'scripts/validate.ts')];
  const { code, said } = await new Promise<{ code: unknown; said: string }>((resolve) =>
    execFile(process.execPath, script, { cwd: root, env }, (error, _stdout, stderr) =>
      resolve({ code: error?.code, said: stderr }),
    ),
  );
  cache.remove();
  assert.equal(code, 1);
  assert.match(said, /^Nothing was validated: npm can't fetch node-red-dev@[\d.]+\. Is there a network\?/);
});
