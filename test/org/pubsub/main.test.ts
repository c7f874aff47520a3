import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { credentials, Client } from '@grpc/grpc-js';
import { freePort } from '../../support/cleanup';
import { startChild } from '../../support/child';
import { until } from '../../support/until';

const ROOT = path.resolve(__dirname, '../../..');

test('npm run org says where its Pub/Sub side is, behind TLS too', async (t) => {
  const port = await freePort();
  const child = startChild(
    process.execPath,
    ['--import', 'tsx', 'test/org/main.ts', '--tls', '--pubsub-port', String(port)],
    { cwd: ROOT },
  );
  t.after(() => child.end('SIGKILL'));
  const line = await until(() => child.log[0], { timeout: 30_000, what: 'the first line' });
  const { pubsub, ca } = JSON.parse(line) as Record<string, string>;
  assert.equal(pubsub, `localhost:${port}`);
  const client = new Client(String(pubsub), credentials.createSsl(Buffer.from(String(ca))));
  t.after(() => client.close());
  await new Promise<void>((resolve, reject) =>
    client.waitForReady(Date.now() + 10_000, (error) => (error ? reject(error) : resolve())),
  );
});
