import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { apiFor } from '../apis/support';
import { startOrg, type Org } from '../org/org';
import { startNats, type Nats } from '../support/nats';
import { embedNodeRed, type EmbeddedNodeRed, type FlowNode } from '../support/node-red';
import { until } from '../support/until';
import { syncFlow } from './flow';

/** What an operator reads in the log of an outage: when it begins, why and what is waited for; and that it is over. */

let org: Org;
let nats: Nats;
let red: EmbeddedNodeRed;
before(async () => {
  [org, nats] = await Promise.all([startOrg(), startNats()]);
  red = await embedNodeRed({ flows: [] });
});
after(async () => {
  await red.stop();
  await Promise.all([nats.stop(), org.close()]);
});

const shows = (text: string) =>
  until(() => red.statusOf('sync')?.text === text, { timeout: 30_000, what: `the status "${text}"` });
/** Lines of the log since `from`, with their level and node; durations differ. */
const lines = (from: number) =>
  red.log.slice(from).map(({ level, id, text }) => `${level} ${id}: ${text.replace(/\d+(ms|s)$/, '…')}`);

async function deploy(source: object): Promise<number> {
  await red.deploy(syncFlow(nats.url, org, { source: { pollInterval: '200ms', ...source } }) as FlowNode[]);
  await shows('live');
  return red.log.length;
}

test('an org at 503 has two lines in the log of api-sync-out, whatever it has of collections', async () => {
  const from = await deploy({
    mode: 'poll',
    lookback: '1m',
    collections: ['salesforce:contact', 'salesforce:account'],
  });
  org.faults.add({ match: {}, action: { status: 503 } });
  await shows('unreachable');
  org.faults.clear();
  await shows('live');
  const [begin = '', ...rest] = lines(from).filter((line) => line.includes(' sync: '));
  assert.match(
    begin,
    /^info sync: The org is not available \(503.*\(salesforce:\w+ waits until it answers again\)$/,
  );
  assert.equal(rest.length, 1, rest.join('\n'));
  assert.match(rest[0] ?? '', /^info sync: salesforce:\w+ goes on after …$/);
});

test('so does an API at 503, as a warning', async (t) => {
  const api = await apiFor(t, 'hubspot');
  const from = await deploy({
    provider: 'hubspot',
    baseUrl: api.baseUrl,
    collections: ['hubspot:contacts', 'hubspot:companies'],
    credentials: { token: api.token },
  });
  api.faults.add({ match: {}, action: { status: 503 } });
  await shows('unreachable');
  api.faults.clear();
  await shows('live');
  const [begin = '', ...rest] = lines(from);
  assert.match(
    begin,
    /^warn sync: HubSpot answered \S+ with 503.*\(hubspot:\w+ waits until it answers again\)$/,
  );
  assert.equal(rest.length, 1, rest.join('\n'));
  assert.match(rest[0] ?? '', /^info sync: hubspot:\w+ goes on after …$/);
});

test('of NATS being away its jetstream-server has the two lines, and api-sync-out none', async () => {
  const from = await deploy({ mode: 'poll', lookback: '1m' });
  await nats.kill();
  await shows('disconnected');
  await nats.restart();
  await shows('live');
  assert.deepEqual(lines(from), [
    `error server: The connection to ${nats.url} is lost; trying again until it is back`,
    `info server: Connected to ${nats.url} again`,
  ]);
});
