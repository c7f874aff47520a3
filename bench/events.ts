import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { Type } from 'avsc';
import { embedNodeRed, type EmbeddedNodeRed, type FlowNode } from '../test/support/node-red';
import { until } from '../test/support/until';
import { orgNodes, startOrgProcess, type OrgProcess } from './org';
import { median, round, type Row } from './row';

const root = join(__dirname, '..');
const TOPIC = '/event/OrderStatus__e';
const EVENTS = 20_000;
const ROUNDS = 3;
/** The most that the org lets a client have outstanding. */
const OUTSTANDING = 100;

/** sfdc-event-in with a flow behind it that acknowledges each event, and gRPC with avsc alone, in turn. */
export async function rows(): Promise<Row[]> {
  const org = await startOrgProcess();
  const red = await embedNodeRed({ flows: flow(org, []) });
  const [ours, bare]: [number[], number[]] = [[], []];
  try {
    await publish(red);
    for (let turn = -2; turn < ROUNDS; turn++) {
      const rates = [await byFlow(red, org), await byClient(org)] as const;
      // Both warm, as they are after a minute of work.
      if (turn < 0) continue;
      ours.push(rates[0]);
      bare.push(rates[1]);
    }
  } finally {
    await red.stop();
    await org.stop();
  }
  return [
    {
      name: 'sfdc-event-in through a flow ÷ @grpc/grpc-js with avsc',
      value: Math.round(median(ours)),
      unit: 'events/s',
      reference: Math.round(median(bare)),
      ratio: round(median(ours.map((rate, index) => rate / (bare[index] ?? NaN)))),
    },
  ];
}

async function publish(red: EmbeddedNodeRed): Promise<void> {
  red.send('publish', {
    payload: Array.from({ length: EVENTS }, (_, i) => ({
      Order_ID__c: `O-${i}`,
      Status__c: 'shipped',
      Timestamp__c: 1_769_846_400_000,
      Amount__c: 12.5,
      Urgent__c: true,
    })),
  });
  await until(() => red.received('published').length === 1, { timeout: 120_000, what: 'all events' });
}

async function byFlow(red: EmbeddedNodeRed, org: OrgProcess): Promise<number> {
  let count = 0;
  // What was seen isn't kept: memory that the client doesn't need either.
  const seen = (): number => (count += red.received('end').splice(0).length);
  const place = { z: 'tab', x: 1, y: 1 };
  await red.deploy(
    flow(org, [
      {
        ...{ id: 'in', type: 'sfdc-event-in', ...place, org: 'org', topic: TOPIC, replay: 'earliest' },
        wires: [['end']],
      },
      { id: 'end', type: 'change', ...place, rules: [], wires: [[]] },
    ]),
  );
  return measured(seen);
}

/** Events a second, from the first that is seen to the last. */
async function measured(seen: () => number): Promise<number> {
  const first = await until(seen, { interval: 1, what: 'the first event' });
  const from = performance.now();
  await until(() => seen() >= EVENTS, { timeout: 120_000, interval: 1, what: 'the last event' });
  return ((EVENTS - first) * 1_000) / (performance.now() - from);
}

interface Response {
  events: { event: { schema_id: string; payload: Buffer }; replay_id: Buffer }[];
  pending_num_requested: number;
}
type Client = grpc.Client & {
  Subscribe(metadata: grpc.Metadata): grpc.ClientDuplexStream<object, Response>;
  GetSchema(
    asked: object,
    metadata: grpc.Metadata,
    answer: (error: Error | null, said: { schema_json: string }) => void,
  ): void;
};

async function byClient(org: OrgProcess): Promise<number> {
  const proto = grpc.loadPackageDefinition(
    loadSync(join(root, 'nodes/salesforce/pubsub/pubsub.proto'), {
      ...{ keepCase: true, longs: String, enums: String, defaults: true, oneofs: true },
    }),
  ) as unknown as { eventbus: { v1: { PubSub: new (at: string, how: grpc.ChannelCredentials) => Client } } };
  const client = new proto.eventbus.v1.PubSub(
    org.pubsub.replace('http://', ''),
    grpc.credentials.createInsecure(),
  );
  const metadata = await login(org);
  const types = new Map<string, Promise<Type>>();
  const typeOf = (id: string): Promise<Type> => {
    let type = types.get(id);
    if (!type) types.set(id, (type = load(id)));
    return type;
  };
  const load = (schema_id: string) =>
    new Promise<Type>((resolve, reject) =>
      client.GetSchema({ schema_id }, metadata, (error, said) =>
        error ? reject(error) : resolve(Type.forSchema(JSON.parse(said.schema_json) as never)),
      ),
    );
  let seen = 0;
  const stream = client.Subscribe(metadata);
  stream.on('error', () => undefined);
  stream.on('data', (response: Response) => {
    void (async () => {
      for (const { event } of response.events) {
        (await typeOf(event.schema_id)).fromBuffer(event.payload);
        seen++;
      }
      const wanted = OUTSTANDING - response.pending_num_requested;
      if (wanted >= OUTSTANDING / 4) stream.write({ topic_name: TOPIC, num_requested: wanted });
    })();
  });
  stream.write({ topic_name: TOPIC, num_requested: OUTSTANDING, replay_preset: 'EARLIEST' });
  const rate = await measured(() => seen);
  stream.cancel();
  client.close();
  return rate;
}

async function login({ login: url, clientId, clientSecret }: OrgProcess): Promise<grpc.Metadata> {
  const answer = await fetch(`${url}/services/oauth2/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: clientId,
      client_secret: clientSecret,
    }),
  });
  const said = (await answer.json()) as { access_token: string; instance_url: string; id: string };
  const metadata = new grpc.Metadata();
  metadata.set('accesstoken', said.access_token);
  metadata.set('instanceurl', said.instance_url);
  metadata.set('tenantid', new URL(said.id).pathname.split('/')[2] ?? '');
  return metadata;
}

function flow(org: OrgProcess, more: FlowNode[]): FlowNode[] {
  const place = { z: 'tab', x: 1, y: 1 };
  return [
    ...orgNodes(org),
    {
      ...{ id: 'publish', type: 'sfdc-platform-event', ...place, org: 'org', topic: TOPIC },
      ...{ payload: { mode: 'event' }, wires: [['published']] },
    },
    { id: 'published', type: 'debug', ...place, active: false, wires: [] },
    ...more,
  ];
}
