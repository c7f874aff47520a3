import { connect, headers, type JetStreamManager, type NatsConnection } from 'nats';
import type { FlowNode } from '../support/node-red';
import { startNats, type Nats, type NatsOptions } from '../support/nats';
import { until } from '../support/until';

/** One settlement as it went over the wire. `at` is ms epoch at which the test saw it. */
export interface Settled {
  sequence: number;
  deliveries: number;
  verb: '+ACK' | '-NAK' | '+TERM' | '+WPI';
  body: string;
  at: number;
}

/** A server, a plain client of it, and everything that any consumer says to it. */
export interface Room {
  nats: Nats;
  nc: NatsConnection;
  jsm: JetStreamManager;
  settlements: Settled[];
  /** Final settlements (not +WPI) of one stream sequence. */
  settled(sequence: number): Settled[];
  waitSettled(sequence: number, verb: Settled['verb'], timeout?: number): Promise<Settled>;
  publish(subject: string, payload: unknown, headers?: Record<string, string>): Promise<number>;
  /** Starts the server again; its plain client is back then too. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export async function openRoom(options: NatsOptions = {}): Promise<Room> {
  const nats = await startNats(options);
  const nc = await connect({ servers: nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
  const jsm = await nc.jetstreamManager();
  await jsm.streams.add({ name: 'crm', subjects: ['crm.>'] });
  const settlements: Settled[] = [];
  nc.subscribe('$JS.ACK.>', {
    callback: (_error, msg) => {
      const tokens = msg.subject.split('.');
      const body = msg.string();
      settlements.push({
        sequence: Number(tokens.at(-4)),
        deliveries: Number(tokens.at(-5)),
        verb: body.slice(0, body.indexOf(' ') < 0 ? undefined : body.indexOf(' ')) as Settled['verb'],
        body,
        at: Date.now(),
      });
    },
  });
  await nc.flush();
  const settled = (sequence: number): Settled[] =>
    settlements.filter((entry) => entry.sequence === sequence && entry.verb !== '+WPI');
  return {
    nats,
    nc,
    jsm,
    settlements,
    settled,
    waitSettled: (sequence, verb, timeout = 10_000) =>
      until(() => settlements.find((entry) => entry.sequence === sequence && entry.verb === verb), {
        timeout,
        what: `${verb} of message ${sequence}`,
      }),
    publish: async (subject, payload, record = {}) => {
      const hdrs = headers();
      for (const [key, value] of Object.entries(record)) hdrs.append(key, value);
      const ack = await nc.jetstream().publish(subject, JSON.stringify(payload), { headers: hdrs });
      return ack.seq;
    },
    restart: async () => {
      await nats.restart();
      // What is asked while it is disconnected would wait for its time-out.
      await until(() => nc.rtt().then(() => true));
    },
    stop: async () => {
      await nc.close();
      await nats.stop();
    },
  };
}

export const TAB: FlowNode = { id: 'tab', type: 'tab', label: 'test' };

export function serverNode(url: string, more: object = {}): FlowNode {
  return { id: 'server', type: 'jetstream-server', servers: url, auth: 'none', ...more };
}

/** A jetstream-in on the stream "crm", quick to retry. */
export function inNode(more: object = {}): FlowNode {
  return {
    id: 'in',
    type: 'jetstream-in',
    z: 'tab',
    server: 'server',
    stream: 'crm',
    provision: true,
    streamConfig: { subjects: ['crm.>'] },
    subject: 'crm.contacts.>',
    durable: 'flow',
    deliver: 'all',
    ackWait: '30s',
    maxDeliver: 3,
    backoff: '100ms, 200ms',
    maxAckPending: 1000,
    prefetch: 100,
    ack: 'flow',
    processingLimit: '20s',
    deadLetter: 'crm.dead',
    format: 'auto',
    batchSize: 1,
    batchWait: '50ms',
    wires: [[]],
    ...more,
  };
}

/** Without coordinates the runtime takes a node for a config node. */
export function placed(node: FlowNode): FlowNode {
  return node.z ? { x: 0, y: 0, ...node } : node;
}

export function functionNode(id: string, func: string, more: object = {}): FlowNode {
  const settings = { outputs: 1, timeout: 0, noerr: 0, initialize: '', finalize: '', libs: [], wires: [[]] };
  return { id, type: 'function', z: 'tab', func, ...settings, ...more };
}
