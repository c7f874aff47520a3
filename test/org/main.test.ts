import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Connection } from 'jsforce';
import { startChild } from '../support/child';
import { until } from '../support/until';

const ROOT = path.resolve(__dirname, '../..');

test('npm run org says where it is in one line of JSON, holds its seed and ends on SIGTERM', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'org-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const seed = path.join(folder, 'seed.json');
  writeFileSync(seed, JSON.stringify({ Contact: [{ LastName: 'Seeded' }] }));
  const child = startChild(
    process.execPath,
    ['--import', 'tsx', 'test/org/main.ts', '--port', '0', '--latency', '1', '--seed', seed],
    { cwd: ROOT },
  );
  t.after(() => child.end('SIGKILL'));
  const line = await until(() => child.log[0], { timeout: 30_000, what: 'the first line' });
  const { login, clientId, clientSecret, username, password } = JSON.parse(line) as Record<string, string>;
  const sf = new Connection({ version: '65.0', oauth2: { loginUrl: login, clientId, clientSecret } });
  await sf.login(String(username), String(password));
  assert.equal((await sf.query('SELECT LastName FROM Contact')).records[0]?.LastName, 'Seeded');
  await child.end('SIGTERM');
  assert.equal(child.running, false);
  assert.equal(child.log.length, 1);
});
