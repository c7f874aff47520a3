import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from 'nats';
import { escapeToken } from '../../nodes/shared/token';
import { startProviderStack } from '../../scripts/demo-provider';
import { until } from '../support/until';
import { readTable } from '../sync/table';

test('the demo of an API brings its records into JetStream, and one that its button creates', async (t) => {
  const stack = await startProviderStack('github');
  t.after(() => stack.stop());
  const nc = await connect({ servers: stack.nats.url, ...stack.login });
  t.after(() => nc.close());
  const collection = 'acme/website:issues';
  assert.ok(stack.collections.includes(`github:${collection}`));
  const held = async () =>
    (await readTable(nc, escapeToken(`github:${collection}`)).catch(() => new Map())).size;
  // The API's own list has pull requests, too.
  const there = () => stack.api.records(collection).filter((row) => !row.pull_request).length;
  assert.ok(there() >= 300);
  const complete = async () => (await held()) === there();
  await until(complete, { timeout: 60_000, interval: 200, what: 'all issues to be in the stream' });
  const before = there();
  await stack.red.inject(`create${stack.collections.indexOf(`github:${collection}`)}`);
  await until(() => there() === before + 1, { timeout: 20_000, what: 'the button to create an issue' });
  await until(complete, { timeout: 60_000, interval: 200, what: 'the new issue to be in the stream' });
});
