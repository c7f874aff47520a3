import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setDefaultCACertificates } from 'node:tls';
import { writeFileSync } from 'node:fs';
import { temporaryFolder } from '../test/support/cleanup';
import { startChild } from '../test/support/child';
import { embedNodeRed, type EmbeddedNodeRed, type FlowNode } from '../test/support/node-red';
import { until } from '../test/support/until';
import { orgNodes, startOrgProcess, type OrgProcess } from './org';
import { median, round, type Row } from './row';

const root = join(__dirname, '..');
const TOPIC = '/event/OrderStatus__e';
/** Through a flow: as many messages with one event each, and in messages of 200. */
const EVENTS = 20_000;
const BATCH = 200;
const ROUNDS = 3;

/** What salesforce-pubsub-api-client does meanwhile, as its documentation shows: events one by one, and batches. */
interface Reference {
  /** Milliseconds the org takes for a call. */
  latency: number;
  single: number;
  batches: number;
}

/** An org as near as one can be; and one that takes no time at all, where only the work on this machine counts. */
const REFERENCES: Reference[] = [
  { latency: 20, single: 50, batches: 25 },
  { latency: 0, single: 1_500, batches: 60 },
];

/** Each org in turn, from a process of its own: gRPC reads once for a process which authorities it trusts. */
export async function rows(): Promise<Row[]> {
  const measured: Row[] = [];
  for (const index of REFERENCES.keys()) {
    const child = startChild(process.execPath, ['--import', 'tsx', __filename, `${index}`], { cwd: root });
    const line = await until(() => child.log.find((text) => text.startsWith('[{')), {
      timeout: 300_000,
      what: `the rows; it has said: ${child.log.join('\n')}`,
    });
    measured.push(...(JSON.parse(line) as Row[]));
    await child.end('SIGTERM');
  }
  return measured;
}

/** Both over TLS, which is all that the client speaks, to an org in a process of its own. */
async function compare({ latency, single, batches }: Reference): Promise<Row[]> {
  const org = await startOrgProcess('--tls', '--latency', `${latency}`);
  const folder = trust(org.ca ?? '');
  const red = await embedNodeRed({ flows: flow(org) });
  const client = await connect(org);
  const rate = async (count: number, work: () => Promise<void>) => count / (await seconds(work));
  const [ourSingle, theirSingle, ourBatches, theirBatches]: number[][] = [[], [], [], []];
  try {
    // Both warm, as they are after a minute of work.
    for (const size of [1, BATCH]) await publishByFlow(red, 2 * EVENTS, size);
    await publishSingly(client, single);
    await publishBatches(client, batches);
    for (let turn = 0; turn < ROUNDS; turn++) {
      ourSingle?.push(await rate(EVENTS, () => publishByFlow(red, EVENTS, 1)));
      theirSingle?.push(await rate(single, () => publishSingly(client, single)));
      ourBatches?.push(await rate(EVENTS, () => publishByFlow(red, EVENTS, BATCH)));
      theirBatches?.push(await rate(batches * BATCH, () => publishBatches(client, batches)));
    }
  } finally {
    await red.stop();
    // The client isn't closed: it would leave its stream open and deaf, and end the process with the stream's error.
    await org.stop();
    folder.remove();
  }
  const where = latency > 0 ? `org: ${latency} ms a call` : 'org: no latency';
  const by = 'salesforce-pubsub-api-client';
  return [
    row(`events/s, one a message ÷ ${by} publish (${where})`, ourSingle ?? [], theirSingle ?? []),
    row(
      `events/s, ${BATCH} a message ÷ ${by} publishBatch of ${BATCH} (${where})`,
      ourBatches ?? [],
      theirBatches ?? [],
    ),
  ];
}

function row(name: string, ours: number[], theirs: number[]): Row {
  const [value, reference] = [median(ours), median(theirs)];
  return {
    name: `platform ${name}`,
    value: round(value, 0),
    unit: 'events/s',
    reference: round(reference, 0),
    ratio: round(value / reference),
  };
}

function trust(authority: string): { remove: () => void } {
  const folder = temporaryFolder('bench-ca');
  process.env.GRPC_DEFAULT_SSL_ROOTS_FILE_PATH = join(folder.path, 'ca.pem');
  writeFileSync(process.env.GRPC_DEFAULT_SSL_ROOTS_FILE_PATH, authority);
  setDefaultCACertificates([authority]);
  return folder;
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
    ...orgNodes(org),
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

async function seconds(work: () => Promise<void>): Promise<number> {
  const begun = performance.now();
  await work();
  return (performance.now() - begun) / 1_000;
}

if (require.main === module) {
  const reference = REFERENCES[Number(process.argv[2])];
  if (!reference) throw new Error('say which of the references');
  compare(reference).then(
    (measured) => process.stdout.write(`${JSON.stringify(measured)}\n`, () => process.exit(0)),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
}
