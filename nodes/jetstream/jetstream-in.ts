import { randomBytes } from 'node:crypto';
import type { Node, NodeAPI, NodeDef, NodeMessage, NodeStatus } from 'node-red';
import { flowTracker } from '../shared/flow/completion';
import { FlowError, codeOf, messageOf } from '../shared/errors';
import { parseSettings, type Settings, type Stored } from '../shared/settings/settings';
import { StatusReporter } from '../shared/status';
import type { Connection } from './server/connection';
import { Consumer, type ConsumerState } from './consume/consumer';
import { consumerOf } from './consume/consumer-settings';
import { refuseInboxIn } from './server/inbox';
import { jetstreamIn } from './jetstream-in.settings';
import { connectionOf } from './jetstream-server';
import { jetStreamProperties, type JetStreamProperties } from './consume/message';
import type { Held, Unit } from './consume/settlement';

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
      show('red', 'ring', 'misconfigured');
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

    let consumer: Consumer;
    const ready = (): NodeStatus =>
      consumer.inFlow === 0
        ? look('green', 'dot', 'ready')
        : look('green', 'dot', 'inFlow', { count: consumer.inFlow });
    const showState = (state: ConsumerState): void => {
      if (state.phase === 'ready') status.show(ready);
      else if (state.phase === 'connecting') show('yellow', 'ring', 'connecting');
      else show('red', 'ring', statusKey(state.error));
    };
    try {
      const wanted = consumerOf(settings);
      refuseInboxIn(connection.settings.inboxPrefix, wanted.provision?.subjects ?? [], wanted.stream);
      consumer = new Consumer(connection, wanted, {
        deliver: (unit, payloads) => deliver(this, settings, unit, payloads),
        state: showState,
        log: (level, said) => {
          const text = connection.secrets.strike(said);
          if (level === 'info') this.log(text);
          else if (level === 'warn') this.warn(text);
          else this.error(text);
        },
      });
      consumer.start();
    } catch (error) {
      return refuse(error);
    }
    const unhook = settings.ack === 'flow' ? flowTracker.use(RED) : undefined;

    this.on('close', (_removed: boolean, done: () => void) => {
      const fail = (error: unknown): void => this.error(messageOf(error));
      consumer
        .stop(GRACE)
        .catch(fail)
        .finally(() => {
          status.stop();
          consumer.finished.catch(fail).finally(() => unhook?.());
          done();
        });
    });
  }

  RED.nodes.registerType('jetstream-in', JetstreamIn);
}

function deliver(node: Node, { ack, batchSize }: InSettings, unit: Unit, payloads: unknown[]): void {
  const token = nextToken();
  const msg = flowMessage(unit, payloads, token, batchSize > 1);
  if (ack === 'delivery') {
    node.send(msg);
    unit.succeeded();
    return;
  }
  const delivery = flowTracker.begin(token, msg, unit, ack === 'flow', () => node.send(msg));
  unit.progress = delivery;
  if (delivery.followed && delivery.count === 0) {
    delivery.abandon();
    unit.failed({ error: new FlowError('NOT_WIRED', 'No enabled node is wired to this jetstream-in node') });
  }
}

/** Of this process; random, so that messages of two processes never share an id. */
const TOKENS = randomBytes(6).toString('hex');
let serial = 0;

function nextToken(): string {
  return `${TOKENS}-${(++serial).toString(36)}`;
}

type InMessage = NodeMessage & { _msgid: string };

function flowMessage(unit: Unit, payloads: unknown[], token: string, batched: boolean): InMessage {
  if (batched) {
    const each = unit.messages.map((held) => jetStreamProperties(held, token));
    return { _msgid: token, topic: each[0]?.subject, payload: payloads, jetstream: batchProperties(each) };
  }
  const jetstream = jetStreamProperties(unit.messages[0] as Held, token);
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
