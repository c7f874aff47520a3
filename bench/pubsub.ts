import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setDefaultCACertificates } from 'node:tls';
import { writeFileSync } from 'node:fs';
import { temporaryFolder } from '../test/support/cleanup';
import { startChild } from '../test/support/child';
import { embedNodeRed, type EmbeddedNodeRed, type FlowNode } from '../test/support/node-red';
import { until } from '../test/support/until';
import { median, round, type Row } from './row';

const TOPIC = '/event/OrderStatus__e';
/** Through a flow: as many messages with one event each, and in messages of 200. */
const EVENTS = 20_000;
/** What salesforce-pubsub-api-client publishes one by one, and in batches of 200, as its documentation shows. */
const SINGLE = 1_500;
const BATCHES = 60;
const BATCH = 200;
const ROUNDS = 5;

/** Both over TLS, which is all that the client speaks, to an org in a process of its own that takes no time of its own. */
export async function rows(): Promise<Row[]> {
  const org = await startOrgProcess();
  const folder = temporaryFolder('bench-ca');
  setDefaultCACertificates([org.ca]);
  // What gRPC trusts where it is set, read when it is loaded.
  process.env.GRPC_DEFAULT_SSL_ROOTS_FILE_PATH = join(folder.path, 'ca.pem');
  writeFileSync(process.env.GRPC_DEFAULT_SSL_ROOTS_FILE_PATH, org.ca);
  const red = await embedNodeRed({ flows: flow(org) });
  const client = await connect(org);
  const [single, publish, arrays, publishBatch]: [number[], number[], number[], number[]] = [[], [], [], []];
  const rate = async (count: number, work: () => Promise<void>) => count / (await seconds(work));
  try {
    // Both warm, as they are after a minute of work.
    for (const size of [1, BATCH]) await publishByFlow(red, 2 * EVENTS, size);
    await publishSingly(client, SINGLE);
    await publishBatches(client, 2 * BATCHES);
    for (let turn = 0; turn < ROUNDS; turn++) {
      single.push(await rate(EVENTS, () => publishByFlow(red, EVENTS, 1)));
      publish.push(await rate(SINGLE, () => publishSingly(client, SINGLE)));
      arrays.push(await rate(EVENTS, () => publishByFlow(red, EVENTS, BATCH)));
      publishBatch.push(await rate(BATCHES * BATCH, () => publishBatches(client, BATCHES)));
    }
  } finally {
    await red.stop();
    // The client isn't closed: it would leave its stream open and deaf, and end the process with the stream's error.
    await org.stop();
    folder.remove();
  }
  return [
    row('platform events, one a message ÷ salesforce-pubsub-api-client publish', single, publish),
    row(
      `platform events, ${BATCH} a message ÷ salesforce-pubsub-api-client publishBatch of ${BATCH}`,
      arrays,
      publishBatch,
    ),
  ];
}

function row(name: string, ours: number[], theirs: number[]): Row {
  const [value, reference] = [median(ours), median(theirs)];
  return {
    name,
    value: round(value, 0),
    unit: 'events/s',
    reference: round(reference, 0),
    ratio: round(value / reference),
  };
}

async function publishByFlow(red: EmbeddedNodeRed, events: number, size: number): Promise<void> {
  const all = red.received('end').length + events / size;
  red.send('source', { messages: events / size, size });
  await until(() => red.received('end').length === all, {
    timeout: 120_000,
    interval: 1,
    what: 'all events',
  });
}

async function publishSingly(client: Client, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await client.publish(TOPIC, forClient(i));
}

/** The next batch when the results of the one before are there. */
async function publishBatches(client: Client, count: number): Promise<void> {
  for (let batch = 0; batch < count; batch++) {
    const events = Array.from({ length: BATCH }, (_, i) => ({ id: `b${batch}-${i}`, payload: forClient(i) }));
    await new Promise<void>((resolve, reject) => {
      const answered = (_info: unknown, type: string, data?: unknown): void => {
        if (type === 'publishResponse') resolve();
        else if (type === 'error') reject(new Error('the batch failed', { cause: data }));
      };
      client.publishBatch(TOPIC, events, answered).catch(reject);
    });
  }
}

/** What the client wants is Avro's own way: each value that may be null under the name of its type. */
function forClient(i: number): Record<string, unknown> {
  return {
    CreatedDate: Date.now(),
    CreatedById: '005000000000001AAA',
    Order_ID__c: { string: `O-${i}` },
    Status__c: { string: 'shipped' },
    Timestamp__c: { long: 1_769_846_400_000 },
    Amount__c: { double: 12.5 },
    Urgent__c: { boolean: true },
  };
}

type Client = Awaited<ReturnType<typeof connect>>;

async function connect(org: OrgProcess) {
  const { default: PubSubApiClient } = await import('salesforce-pubsub-api-client');
  const silent = () => undefined;
  const client = new PubSubApiClient(
    {
      authType: 'oauth-client-credentials',
      loginUrl: org.login,
      clientId: org.clientId,
      clientSecret: org.clientSecret,
      pubSubEndpoint: org.pubsub,
      rejectUnauthorizedSsl: false,
    },
    { debug: silent, info: silent, warn: silent, error: silent },
  );
  await client.connect();
  return client;
}

function flow(org: OrgProcess): FlowNode[] {
  const place = { z: 'tab', x: 1, y: 1 };
  return [
    { id: 'tab', type: 'tab', label: 'Bench' },
    {
      id: 'org',
      type: 'sfdc-org',
      auth: 'client-credentials',
      loginUrl: org.login,
      apiVersion: '65.0',
      pubsubEndpoint: org.pubsub,
      credentials: { clientId: org.clientId, clientSecret: org.clientSecret },
    },
    {
      id: 'source',
      type: 'function',
      ...place,
      func: `
        const event = (i) => ({ Order_ID__c: 'O-' + i, Status__c: 'shipped', Timestamp__c: 1769846400000,
          Amount__c: 12.5, Urgent__c: true });
        for (let m = 0; m < msg.messages; m++)
          node.send({ payload: msg.size === 1 ? event(m) : Array.from({ length: msg.size }, (_, i) => event(i)) }, false);`,
      wires: [['publish']],
    },
    {
      id: 'publish',
      type: 'sfdc-platform-event',
      ...place,
      org: 'org',
      topic: TOPIC,
      payload: { mode: 'event' },
      maxRequests: 4,
      onOutage: 'hold',
      wires: [['end']],
    },
    { id: 'end', type: 'debug', ...place, active: false, wires: [] },
  ];
}

interface OrgProcess {
  login: string;
  pubsub: string;
  clientId: string;
  clientSecret: string;
  ca: string;
  stop: () => Promise<void>;
}

async function startOrgProcess(): Promise<OrgProcess> {
  const root = join(__dirname, '..');
  const args = ['--import', 'tsx', join(root, 'test/org/main.ts'), '--tls'];
  const child = startChild(process.execPath, args, { cwd: root });
  const line = await until(() => child.log.find((text) => text.startsWith('{')), {
    timeout: 30_000,
    what: 'the org',
  });
  return { ...(JSON.parse(line) as Omit<OrgProcess, 'stop'>), stop: () => child.end('SIGTERM') };
}

async function seconds(work: () => Promise<void>): Promise<number> {
  const begun = performance.now();
  await work();
  return (performance.now() - begun) / 1_000;
}
