import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { connect } from 'nats';
import { startOrg } from '../org/org';
import { freePort, temporaryFolder } from '../support/cleanup';
import { startNats } from '../support/nats';
import { embedNodeRed, type FlowNode } from '../support/node-red';
import { until } from '../support/until';
import { root } from '../support/user-dir';

const TYPES = ['full', 'flows', 'nodes'] as const;

test('every example at once, deployed again and again in a hurry: nothing of the former ones is left', async (t) => {
  const monitor = await freePort();
  const org = await startOrg({ pubsub: true, latencyMs: 5 });
  t.after(() => org.close());
  const nats = await startNats({ config: `http: "127.0.0.1:${monitor}"` });
  t.after(() => nats.stop());
  const folder = temporaryFolder('redeploy');
  t.after(() => folder.remove());
  const credentials = join(folder.path, 'sfdc.json');
  const { clientId, clientSecret, url } = org;
  writeFileSync(
    credentials,
    JSON.stringify({ client_id: clientId, client_secret: clientSecret, login_url: url }),
  );
  const here: Record<string, object> = {
    'jetstream-server': { servers: nats.url, auth: 'none' },
    'sfdc-org': { credentialsPath: credentials, pubsubEndpoint: org.pubsub },
    'api-source': { mode: 'cdc' },
    'jetstream-in': { ackWait: '2s', backoff: '200ms' },
  };
  const examples = readdirSync(join(root, 'examples')).flatMap(
    (file) => JSON.parse(readFileSync(join(root, 'examples', file), 'utf8')) as FlowNode[],
  );
  const nodes = new Map(examples.map((node) => [node.id, { ...node, ...here[node.type] }]));
  const flows = (round: number): FlowNode[] =>
    [...nodes.values()].map((node) => (node.z ? { ...node, name: `${node.type} ${round}` } : node));

  const unhandled: unknown[] = [];
  const note = (error: unknown): void => void unhandled.push(error);
  process.on('unhandledRejection', note);
  t.after(() => process.off('unhandledRejection', note));
  const red = await embedNodeRed({ flows: flows(0) });
  t.after(() => red.stop());
  for (let round = 1; round <= 24; round++) {
    await wait((round * 37) % 150);
    org.write('Contact', { LastName: `Contact ${round}` });
    await red.deploy(flows(round), TYPES[round % TYPES.length]);
  }

  const nc = await connect({ servers: nats.url, name: 'test' });
  t.after(() => nc.close());
  const connections = async (): Promise<unknown[]> => {
    const answer = await fetch(`http://127.0.0.1:${monitor}/connz`);
    return ((await answer.json()) as { connections: { name?: string }[] }).connections.filter(
      ({ name }) => name !== 'test',
    );
  };
  const subscriptions = () =>
    org.requests().filter(({ path, endedAt }) => /Subscribe/.test(path) && endedAt === undefined).length;
  const wanted = [...nodes.values()].reduce((sum, { type, provider, collections }) => {
    if (type === 'sfdc-event-in') return sum + 1;
    return type === 'api-source' && provider === 'salesforce' ? sum + (collections as string[]).length : sum;
  }, 0);
  const servers = [...nodes.values()].filter(({ type }) => type === 'jetstream-server').length;
  await until(async () => (await connections()).length === servers && subscriptions() === wanted, {
    timeout: 30_000,
    what: `${servers} connections and ${wanted} subscriptions to be left`,
  }).catch(async (error: Error) => {
    throw new Error(`${error.message}; ${(await connections()).length} and ${subscriptions()}`);
  });
  const trouble = red.log.filter(({ text }) => /close timed out|unhandled|uncaught/i.test(text));
  assert.deepEqual([trouble, unhandled], [[], []]);

  const jsm = await nc.jetstreamManager();
  org.write('Contact', { LastName: 'Last' });
  await until(
    async () => {
      const { state } = await jsm.streams.info('SEQUIN-RECORDS', {
        subjects_filter: 'sequin-records.default.*.salesforce.salesforce:contact.>',
      });
      // Two examples sync contacts.
      return Object.keys(state.subjects ?? {}).length === 2 * org.records('Contact').length;
    },
    { timeout: 30_000, what: 'every contact to be in the stream' },
  );
  await red.deploy([]);
  await until(async () => (await connections()).length === 0 && subscriptions() === 0, {
    timeout: 30_000,
    what: 'nothing to be left',
  });
});
