import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { Api } from '../../../apis/api';
import { apiFor } from '../../../apis/support';
import { startChild } from '../../../support/child';
import { temporaryFolder } from '../../../support/cleanup';
import { until } from '../../../support/until';

/** A process that asks the API once, with its refresh token kept in a folder; what came of it. */
async function asked(api: Api, folder: string, killed?: () => boolean): Promise<string> {
  const settings = { baseUrl: api.baseUrl, ...api.oauth, folder };
  const child = startChild(process.execPath, [
    '--import',
    'tsx',
    join(__dirname, 'rotation.child.ts'),
    JSON.stringify(settings),
  ]);
  await until(() => !child.running || killed?.() === true, { timeout: 30_000, what: 'the process' });
  await child.end('SIGKILL');
  return child.log.join('\n');
}

const zendesk = (t: TestContext, graceMs: number): Promise<Api> =>
  apiFor(t, 'zendesk', { switches: { graceMs }, seed: { tickets: 1 } });

test('a refresh token that was rotated is found by the next process, and the one after it', async (t) => {
  const api = await zendesk(t, 0);
  const { path } = temporaryFolder('rotation');
  for (let life = 0; life < 3; life++) assert.equal(await asked(api, path), 'ok');
});

test('a process that is killed before it has the new one goes on with the old, as long as the API permits', async (t) => {
  const api = await zendesk(t, 600_000);
  const { path } = temporaryFolder('rotation');
  assert.equal(await asked(api, path), 'ok');
  // The token has been replaced, and the answer is on its way.
  api.faults.add({ match: { path: 'oauth/tokens' }, action: { delayMs: 20_000, after: true }, times: 1 });
  api.clearRequests();
  const tokens = () => api.requests().filter((each) => each.path.includes('oauth/tokens'));
  assert.equal(await asked(api, path, () => tokens().length > 0), '');
  assert.equal(await asked(api, path), 'ok');
  assert.equal(await asked(api, path), 'ok');
});

test('where the API permits it no longer the process says so, and that the app has to be authorized again', async (t) => {
  const api = await zendesk(t, 0);
  const { path } = temporaryFolder('rotation');
  api.faults.add({ match: { path: 'oauth/tokens' }, action: { delayMs: 20_000, after: true }, times: 1 });
  const tokens = () => api.requests().filter((each) => each.path.includes('oauth/tokens'));
  await asked(api, path, () => tokens().length > 0);
  assert.match(await asked(api, path), /^API_LOGIN .*invalid_grant.*authorize the app again/);
});
