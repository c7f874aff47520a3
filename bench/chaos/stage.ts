import { connect, type ConsumerInfo, type JetStreamManager, type StreamConfig } from 'nats';
import { copyName, partitionDurable } from '../../nodes/jetstream/consume/partition-copy';
import { functionNode, inNode, serverNode, TAB } from '../../test/jetstream/room';
import { startOrg, type Org } from '../../test/org/org';
import { freePort } from '../../test/support/cleanup';
import { startCluster, startNats, type Cluster, type Nats } from '../../test/support/nats';
import { startNodeRed, type FlowNode, type NodeRed } from '../../test/support/node-red';
import { until } from '../../test/support/until';
import { Load, type Contact, type LoadOptions } from './load';
import { verify, writtenBy, type DeadLetter, type Verdict } from './verify';

export const STREAM = 'crm';
export const DURABLE = 'flow';
const SUBJECT = 'crm.contacts.changed';
const DEAD = 'crm.dead';
/** A stream of its own for the dead letters, where `deadStream` asks for one, and its only subject. */
export const DEAD_STREAM = 'dead';
export const DEAD_APART = 'dead.crm';

export interface StageOptions {
  /** What the flow does in the org; a create has no external id to be repeated by. */
  operation?: 'upsert' | 'create';
  changes?: LoadOptions['changes'];
  /** Milliseconds between two events. */
  gap?: number;
  filler?: number;
  /** nats-servers: one, or a cluster of three with three replicas of everything. */
  servers?: 1 | 3;
  natsConfig?: string;
  /** Other settings of the jetstream-in. */
  consumer?: object;
  /** Other settings of the sfdc-composite. */
  write?: object;
  /** Into so many partitions the durable is split, and each contact has a subject of its own. */
  partitions?: number;
  /** The dead letters have a stream of their own: with this configuration, or made by the fault. */
  deadStream?: Partial<StreamConfig> | 'missing';
  /** Other settings of Node-RED. */
  settings?: Record<string, unknown>;
  /** Code with which good events may be given up. */
  mayGiveUp?: string;
  /** What the flow does before it writes: code with `event`, the number of the event, and what functions have. */
  check?: string;
}

/** How far the durable is. */
export type Standing = Pick<ConsumerInfo, 'num_pending' | 'num_ack_pending' | 'ack_floor' | 'delivered'>;

/** nats-server, Node-RED with a flow from JetStream into a simulated org, and events that keep coming. */
export interface Stage {
  org: Org;
  nats: Nats;
  /** With three servers. */
  cluster?: Cluster;
  jsm: JetStreamManager;
  red: NodeRed;
  load: Load;
  /** The flow; another `name` of a node is a change of it. */
  flow: (names?: { in?: string; write?: string }) => FlowNode[];
  /** One more Node-RED with the same flow. */
  another: () => Promise<NodeRed>;
  consumer: () => Promise<Standing>;
  /** Connections that the Node-REDs have to the one server. */
  connections: () => Promise<number>;
  /** Resolves when so many contacts more were written. */
  flowing: (count: number) => Promise<void>;
  /** Resolves when so many messages are under way in the flow at once. */
  busy: (count: number) => Promise<void>;
  /** Resolves when all messages that were delivered so far are settled. */
  settled: () => Promise<void>;
  /** Codes of the dead letters. */
  givenUp: () => Promise<string[]>;
  /** Resolves when every event is settled; fails where none is for a minute. */
  drained: () => Promise<void>;
  verdict: () => Promise<Verdict>;
  stop: () => Promise<void>;
}

export async function openStage(options: StageOptions = {}): Promise<Stage> {
  const { operation = 'upsert', mayGiveUp } = options;
  const closing: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const close of closing.reverse()) await close();
  };
  try {
    const org = await startOrg({ latencyMs: 150, recordLatencyMs: 0.5 });
    closing.push(() => org.close());
    const written = new Set<string>();
    org.store.on('commit', ({ changes }) => {
      for (const { after } of changes) if (after?.LastName != null) written.add(writtenBy(after));
    });

    const { natsConfig: config = '' } = options;
    const monitor = await freePort();
    const cluster = options.servers === 3 ? await startCluster(3, { config }) : undefined;
    const nats =
      cluster?.server('n1') ?? (await startNats({ config: `http: "127.0.0.1:${monitor}"\n${config}` }));
    closing.push(() => (cluster ?? nats).stop());
    const nc = await connect({
      servers: (cluster?.url ?? nats.url).split(','),
      maxReconnectAttempts: -1,
      reconnectTimeWait: 100,
    });
    closing.push(() => nc.close());
    const jsm = await nc.jetstreamManager({ checkAPI: false });

    const { deadStream } = options;
    if (deadStream && deadStream !== 'missing')
      await jsm.streams.add({ name: DEAD_STREAM, subjects: [DEAD_APART], ...deadStream });
    // Of a cluster Node-RED is told one address, and learns the others.
    const flow = flowOf(org, nats.url, options);
    const another = async (): Promise<NodeRed> => {
      const red = await startNodeRed({ flows: flow(), settings: options.settings });
      closing.push(() => red.stop());
      return red;
    };
    const consumer = (): Promise<Standing> =>
      options.partitions ? partitionsOf(jsm, options.partitions) : jsm.consumers.info(STREAM, DURABLE);
    const red = await another();
    await until(consumer, { timeout: 60_000, what: 'the flow to make its durable' });
    const load = new Load(nc.jetstream(), {
      gap: options.gap ?? 5,
      subject: SUBJECT,
      bySubject: options.partitions !== undefined,
      changes: operation === 'create' ? 'never' : (options.changes ?? 'settled'),
      externalIds: operation === 'upsert',
      filler: options.filler ?? 0,
      ackFloor: async () => (await consumer()).ack_floor.stream_seq,
    });

    return {
      org,
      nats,
      cluster,
      jsm,
      red,
      load,
      flow,
      another,
      consumer,
      connections: async () => {
        const answer = await fetch(`http://127.0.0.1:${monitor}/connz`);
        const { connections } = (await answer.json()) as { connections: { name?: string }[] };
        return connections.filter(({ name }) => name?.startsWith('node-red')).length;
      },
      flowing: async (count) => {
        const enough = written.size + count;
        await until(() => written.size >= enough, {
          timeout: 120_000,
          what: `${count} more contacts in the org`,
        });
      },
      busy: async (count) => {
        const underWay = async (): Promise<boolean> => (await consumer()).num_ack_pending >= count;
        await until(underWay, { timeout: 60_000, interval: 5, what: `${count} messages under way` });
      },
      settled: async () => {
        const { delivered } = await consumer();
        await until(async () => (await consumer()).ack_floor.stream_seq >= delivered.stream_seq, {
          timeout: 60_000,
          what: 'all that was delivered to be settled',
        });
      },
      givenUp: async () => (await readDeadLetters(jsm, ...deadLettersOf(options))).map(({ code }) => code),
      drained: async () => {
        const left = async (): Promise<number> => {
          const { num_pending, num_ack_pending } = await consumer();
          return num_pending + num_ack_pending;
        };
        // Not all of it within a time: how much has piled up depends on how slow the org and the machine were.
        for (let now = await left(); now > 0;) {
          const before = now;
          const fewer = async (): Promise<boolean> => (now = await left()) < before;
          await until(fewer, { timeout: 60_000, interval: 100, what: 'another event to be settled' });
        }
      },
      verdict: async () =>
        verify({
          events: load.events,
          records: org.records('Contact'),
          written,
          deadLetters: await readDeadLetters(jsm, ...deadLettersOf(options)),
          mayGiveUp,
        }),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Settings with which what fails comes back soon. Three deliveries have to do: no fault here is an event's own. */
function flowOf(
  org: Org,
  server: string,
  {
    operation = 'upsert',
    servers: replicas = 1,
    consumer,
    partitions,
    write,
    deadStream,
    check,
  }: StageOptions,
): Stage['flow'] {
  return (names = {}) => [
    TAB,
    serverNode(server),
    inNode({
      name: names.in,
      streamConfig: { subjects: ['crm.>'], replicas },
      subject: SUBJECT,
      durable: DURABLE,
      deadLetter: deadLettersOf({ deadStream })[1],
      ackWait: '2s',
      backoff: '200ms, 500ms',
      maxDeliver: 3,
      maxAckPending: 200,
      prefetch: 100,
      processingLimit: '10m',
      wires: [[check ? 'check' : 'write']],
      ...(partitions !== undefined && { sharing: 'partitioned', partitions, subject: `${SUBJECT}.>` }),
      ...consumer,
    }),
    ...(check
      ? [
          functionNode(
            'check',
            `const event = Number(/"event (\\d+)"/.exec(JSON.stringify(msg.payload))[1]);\n${check}\nreturn msg;`,
            { libs: [{ var: 'process', module: 'process' }], wires: [['write']] },
          ),
        ]
      : []),
    {
      id: 'write',
      type: 'sfdc-composite',
      z: 'tab',
      name: names.write,
      org: 'org',
      operation,
      sobject: 'Contact',
      externalIdField: operation === 'upsert' ? 'ExternalId__c' : '',
      allOrNone: true,
      ...write,
      wires: [['end'], []],
    },
    { id: 'end', type: 'change', z: 'tab', rules: [], wires: [[]] },
    {
      id: 'org',
      type: 'sfdc-org',
      auth: 'client-credentials',
      loginUrl: org.url,
      credentials: { clientId: org.clientId, clientSecret: org.clientSecret },
    },
  ];
}

/** As if it were one durable. */
async function partitionsOf(jsm: JetStreamManager, count: number): Promise<Standing> {
  const copy = copyName(STREAM, DURABLE, 1);
  const { mirror } = await jsm.streams.info(copy);
  const each = await Promise.all(
    Array.from({ length: count }, (_, partition) =>
      jsm.consumers.info(copy, partitionDurable(DURABLE, partition)),
    ),
  );
  const sum = (of: (info: ConsumerInfo) => number): number => each.reduce((all, info) => all + of(info), 0);
  const [first] = each.sort((a, b) => a.ack_floor.stream_seq - b.ack_floor.stream_seq);
  return {
    num_pending: sum(({ num_pending }) => num_pending) + (mirror?.lag ?? 0),
    num_ack_pending: sum(({ num_ack_pending }) => num_ack_pending),
    ack_floor: (first as ConsumerInfo).ack_floor,
    delivered: (first as ConsumerInfo).delivered,
  };
}

function deadLettersOf({ deadStream }: StageOptions): [stream: string, subject: string] {
  return deadStream ? [DEAD_STREAM, DEAD_APART] : [STREAM, DEAD];
}

async function readDeadLetters(
  jsm: JetStreamManager,
  stream: string,
  subject: string,
): Promise<DeadLetter[]> {
  const { state } = await jsm.streams.info(stream, { subjects_filter: subject });
  const found: DeadLetter[] = [];
  for (let seq = 0; found.length < (state.subjects?.[subject] ?? 0);) {
    const next = { next_by_subj: subject, seq }; // the server takes more than the client's types say
    const message = await jsm.streams.getMessage(stream, next);
    const contacts = [message.json<Contact | Contact[]>()].flat();
    found.push({ contacts, code: message.header.get('Jetforce-Code') });
    seq = message.seq + 1;
  }
  return found;
}
