import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { startChild } from '../support/child';
import { until } from '../support/until';

const ROOT = path.resolve(__dirname, '../..');

function startAlone(...args: string[]): ReturnType<typeof startChild> {
  return startChild(process.execPath, ['--import', 'tsx', 'scripts/api.ts', ...args], { cwd: ROOT });
}

test('npm run api says where it is in one line of JSON, holds its seed and ends on SIGTERM', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'api-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const seed = path.join(folder, 'seed.json');
  writeFileSync(seed, JSON.stringify({ customers: [{ email: 'ana@example.test' }], prices: 12 }));
  const child = startAlone('stripe', '--port', '0', '--latency', '1', '--seed', seed);
  t.after(() => child.end('SIGKILL'));
  const line = await until(() => child.log[0], { timeout: 30_000, what: 'the first line' });
  const { baseUrl, token, collections } = JSON.parse(line) as Record<string, unknown>;
  assert.ok((collections as string[]).includes('customers'));
  const list = async (name: string): Promise<{ email?: string }[]> => {
    const headers = { Authorization: `Bearer ${String(token)}` };
    const answer = await fetch(`${String(baseUrl)}/v1/${name}?limit=100`, { headers });
    return ((await answer.json()) as { data: { email?: string }[] }).data;
  };
  assert.deepEqual(
    (await list('customers')).map(({ email }) => email),
    ['ana@example.test'],
  );
  assert.equal((await list('prices')).length, 12);
  await child.end('SIGTERM');
  assert.equal(child.running, false);
  assert.equal(child.log.length, 1);
});

test('npm run api names the APIs that there are', async (t) => {
  const child = startAlone('hubspott');
  t.after(() => child.end('SIGKILL'));
  const line = await until(() => child.log[0], { timeout: 30_000, what: 'the refusal' });
  assert.match(line, /hubspot\|stripe\|github.*hubspott/);
});
