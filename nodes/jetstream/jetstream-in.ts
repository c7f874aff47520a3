import type { Node, NodeAPI, NodeDef, NodeStatus } from 'node-red';
import { FlowSource, type FlowMessage } from '../shared/flow/source';
import { codeOf, messageOf, type FlowError } from '../shared/errors';
import { logOf } from '../shared/log';
import { parseSettings, type Settings, type Stored } from '../shared/settings/settings';
import { StatusReporter } from '../shared/status';
import type { Connection } from './server/connection';
import { Consumer, type ConsumerState } from './consume/consumer';
import { consumerOf } from './consume/consumer-settings';
import { refuseInboxIn } from './server/inbox';
import { jetstreamIn } from './jetstream-in.settings';
import { claimConsumer } from './consume/claims';
import { watchPause } from './consume/pause-watch';
import { connectionOf } from './jetstream-server';
import { whenDeployed } from '../shared/flow/deployed';
import { jetStreamProperties, type JetStreamProperties } from './consume/message';
import type { InFlightMessage, MessageBatch } from './consume/settlement';

type InDef = NodeDef & Stored<typeof jetstreamIn>;
type InSettings = Settings<typeof jetstreamIn>;

/** How long closing waits for the flow to finish what it holds, in ms. */
const GRACE = 3_500;

export default function (RED: NodeAPI): void {
  function JetstreamIn(this: Node & { wires?: string[][] }, def: InDef): void {
    RED.nodes.createNode(this, def);
    const status = new StatusReporter(this);
    type Look = [fill: NodeStatus['fill'], shape: NodeStatus['shape'], key: string, values?: object];
    const look = (...[fill, shape, key, values]: Look): NodeStatus => ({
      fill,
      shape,
      text: RED._(`status.${key}`, { ...values }),
    });
    const show = (...args: Look): void => status.show(() => look(...args));

    const refuse = (error: unknown): void => {
      this.error(messageOf(error));
      show('red', 'ring', codeOf(error).endsWith('_CONFLICT') ? 'conflict' : 'misconfigured');
    };
    let settings: InSettings;
    let connection: Connection;
    try {
      settings = parseSettings(jetstreamIn, def);
      connection = connectionOf(RED, settings.server);
    } catch (error) {
      return refuse(error);
    }
    // Pulled messages would be acknowledged without anybody having seen them.
    if (!this.wires?.some((wires) => wires.length > 0)) return show('yellow', 'ring', 'unwired');

    const { ack, batchSize } = settings;
    const source = new FlowSource(RED, this, ack);
    let consumer: Consumer | undefined;
    let phase: ConsumerState['phase'] = 'connecting';
    let pausedUntil: number | undefined;
    const inFlow = (): number => consumer?.inFlow ?? 0;
    const ready = (): NodeStatus => {
      if (inFlow() > 0) return look('green', 'dot', 'inFlow', { count: inFlow() });
      if (pausedUntil === undefined) return look('green', 'dot', 'ready');
      return look('yellow', 'ring', 'paused', { until: minuteOf(pausedUntil) });
    };
    const showState = (state: ConsumerState): void => {
      phase = state.phase;
      if (state.phase === 'ready') status.show(ready);
      else if (state.phase === 'connecting') show('yellow', 'ring', 'connecting');
      else show('red', 'ring', statusKey(state.error));
    };
    const claim = claimConsumer(connection, `jetstream-in "${this.name || this.id}"`, settings);
    // Who else is deployed is known once all nodes have been made; one that runs is not held up by a newcomer.
    const forget = whenDeployed(RED, () => {
      if (consumer) return;
      try {
        claim.check();
        const wanted = consumerOf(settings);
        refuseInboxIn(connection.settings.inboxPrefix, wanted.provision?.subjects ?? [], wanted.stream);
        const fresh = new Consumer(connection, wanted, {
          deliver: (batch, payloads) =>
            source.send(batch, (token) => flowMessage(batch, payloads, token, batchSize > 1)),
          state: showState,
          log: logOf(this, (text) => connection.secrets.strike(text)),
        });
        fresh.start();
        consumer = fresh;
      } catch (error) {
        refuse(error);
      }
    });
    const unwatch = watchPause(
      connection,
      settings,
      () => phase === 'ready' && inFlow() === 0,
      (until) => {
        if (until === pausedUntil) return;
        pausedUntil = until;
        if (phase === 'ready') status.show(ready);
      },
    );

    this.on('close', (_removed: boolean, done: () => void) => {
      const fail = (error: unknown): void => this.error(messageOf(error));
      forget();
      unwatch();
      claim.release();
      Promise.resolve(consumer?.stop(GRACE))
        .catch(fail)
        .finally(() => {
          status.stop();
          Promise.resolve(consumer?.finished)
            .catch(fail)
            .finally(() => source.close());
          done();
        });
    });
  }

  RED.nodes.registerType('jetstream-in', JetstreamIn);
}

function flowMessage(batch: MessageBatch, payloads: unknown[], token: string, batched: boolean): FlowMessage {
  if (batched) {
    const each = batch.items.map((message) => jetStreamProperties(message, token));
    return { _msgid: token, topic: each[0]?.subject, payload: payloads, jetstream: batchProperties(each) };
  }
  const jetstream = jetStreamProperties(batch.items[0] as InFlightMessage, token);
  return { _msgid: token, topic: jetstream.subject, payload: payloads[0], jetstream };
}

/** The properties that differ from message to message become arrays, in the order of the payload. */
function batchProperties(properties: JetStreamProperties[]): object {
  const [first] = properties;
  return {
    stream: first?.stream,
    consumer: first?.consumer,
    subject: properties.map(({ subject }) => subject),
    sequence: properties.map(({ sequence }) => sequence),
    deliveries: properties.map(({ deliveries }) => deliveries),
    pending: properties.at(-1)?.pending,
    timestamp: properties.map(({ timestamp }) => timestamp),
    headers: properties.map(({ headers }) => headers),
    token: first?.token,
  };
}

/** "2026-01-31 12:00", in the time of the machine. */
function minuteOf(ms: number): string {
  return new Date(ms - new Date(ms).getTimezoneOffset() * 60_000)
    .toISOString()
    .slice(0, 16)
    .replace('T', ' ');
}

/** The short word for an error; the log has the sentence. */
function statusKey(error: FlowError): string {
  const words: Record<string, string> = {
    CONNECTION_REFUSED: 'noAnswer',
    CONNECTION_CLOSED: 'disconnected',
    DISCONNECTED: 'disconnected',
    TIMEOUT: 'noAnswer',
    HOST_UNKNOWN: 'hostUnknown',
    AUTHORIZATION: 'loginRefused',
    BAD_CREDENTIALS: 'badCredentials',
    TLS: 'tls',
    PERMISSION_DENIED: 'noRights',
    JETSTREAM_10059: 'noStream',
    JETSTREAM_UNAVAILABLE: 'noJetStream',
    DEAD_LETTER_FAILED: 'deadLetter',
  };
  return words[codeOf(error)] ?? 'failed';
}
