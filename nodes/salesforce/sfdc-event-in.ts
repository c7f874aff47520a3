import type { Node, NodeAPI, NodeDef, NodeStatus } from 'node-red';
import { contextIsConfigured, contextIsVolatile } from '../shared/context-storage';
import type { DeadLetterKeeper, DeadLetters } from '../shared/dead-letters';
import { codeOf, FlowError, messageOf } from '../shared/errors';
import { FlowSource, type FlowMessage, type SpanOf } from '../shared/flow/source';
import { Replay } from '../shared/flow/replay';
import { ReplayTurn } from '../shared/flow/replay-turn';
import { GivenUp, keyOf, OPERATIONS_BUCKET } from '../shared/operations/given-up';
import { letterActions } from '../shared/operations/letter-actions';
import { operate } from '../shared/operations/registry';
import { Since } from '../shared/operations/since';
import { contextPositions, type PositionKeeper } from '../shared/positions';
import { logOf } from '../shared/log';
import { parseDeployed, type Settings, type Stored } from '../shared/settings/settings';
import { StatusReporter } from '../shared/status';
import { eventLetter, eventOf, isLetterOf } from './events/event-letter';
import { EventReader, type EventReaderHandler } from './events/reader';
import type { KeptPosition } from './events/replay-position';
import { SETTLEMENT } from './events/settlement';
import { topicStates } from './events/topic-state';
import { orgStatus } from './org/status';
import type { ReceivedEvent } from './pubsub/subscription';
import { sfdcEventIn } from './sfdc-event-in.settings';
import { pubsubOf } from './sfdc-org';
import { say } from '../shared/say';
import { speak } from '../shared/language';

type EventInDef = NodeDef & Stored<typeof sfdcEventIn>;
type EventInSettings = Settings<typeof sfdcEventIn>;

/** How long a flow may take to finish what it holds when the node is stopped, in ms. */
const GRACE = 3_000;

export default function (RED: NodeAPI): void {
  speak(RED._('language'));

  function SfdcEventIn(this: Node & { wires?: string[][] }, def: EventInDef): void {
    RED.nodes.createNode(this, def);
    const status = new StatusReporter(this);
    const text = (key: string, values: Record<string, string | number> = {}) => RED._(key, values);
    const setUp = () => {
      const settings = parseDeployed(sfdcEventIn, def);
      const { org, pubsub } = pubsubOf(RED, settings.org);
      const store = settings.replay === 'stored' ? storeOf(this, settings) : undefined;
      const letters = settings.deadLetter ? lettersOf(settings.server, settings.deadLetter) : undefined;
      const noted = letters && keeperOf(settings.server)?.positions?.(OPERATIONS_BUCKET);
      return { org, pubsub, settings, store, letters, noted };
    };
    let ready: ReturnType<typeof setUp>;
    try {
      ready = setUp();
    } catch (error) {
      this.error(messageOf(error));
      status.show({ fill: 'red', shape: 'ring', text: text('status.misconfigured') });
      return;
    }
    // Events would be taken for finished without anybody having seen them.
    if (!this.wires?.some((wires) => wires.length > 0))
      return status.show({ fill: 'yellow', shape: 'ring', text: text('status.unwired') });

    const { org, pubsub, settings, store, letters, noted } = ready;
    const { topic, replay, ack, maxDeliver } = settings;
    const stopping = new AbortController();
    const source = new FlowSource(RED, this, ack, (msg) => spanOf(topic, msg));
    const givenUp = new GivenUp(
      `${this.id} ${topic}`,
      noted
        ? { store: noted, key: keyOf('given-up', this.id, topic) }
        : { store: contextPositions(this, contextIsConfigured(RED)), key: 'givenUp' },
      () => show(),
    );
    const failing = new Since();
    const events: EventReaderHandler = {
      deliver: (attempt, event, deliveries) =>
        source.send(attempt, (token) => flowMessage(event, topic, deliveries, token)),
      changed: () => {
        failing.tell(reader.state.phase === 'failing' ? codeOf(reader.state.error) : undefined);
        show();
      },
      positionLost: (error, gap) => this.error(error, { topic, payload: gap }),
      ...(letters && {
        deadLetter: async (event, failure, deliveries) => {
          await letters.put(eventLetter(topic, event, failure, deliveries), stopping.signal);
          givenUp.add();
        },
      }),
      log: logOf(this),
    };
    const reader = new EventReader(pubsub, topic, store, events, { ...SETTLEMENT, maxDeliver });
    const { show, stop } = orgStatus(status, pubsub, text, () => statusOf(reader, givenUp.count, text));
    const replays =
      letters &&
      new Replay(
        letters,
        {
          isOwn: (letter) => isLetterOf(letter, topic),
          deliver(attempt, letter, deliveries) {
            const event = eventOf(letter);
            source.send(attempt, (token) => flowMessage(event, topic, deliveries, token));
          },
          log: logOf(this),
        },
        SETTLEMENT.processingLimit,
        noted && new ReplayTurn(noted, keyOf('replay', topic, letters.subject), logOf(this)),
      );
    const kept = letters && replays ? { letters, replay: replays } : undefined;
    const unlist = operate({
      ...{ kind: 'topics', id: this.id, name: this.name || topic },
      ...letterActions(kept, givenUp, show),
      state: topicStates({
        id: this.id,
        name: this.name || topic,
        org: settings.org,
        topic,
        reader,
        failingSince: () => failing.at,
        pubsub,
        givenUp,
        kept,
      }),
    });
    letters
      ?.check(stopping.signal)
      .catch((error: unknown) => !stopping.signal.aborted && this.error(messageOf(error)));
    org.register(this);
    show();
    reader.start(replay);

    this.on('close', (removed: boolean, done: () => void) => {
      if (removed) givenUp.forget();
      unlist();
      void Promise.all([reader.stop(GRACE), replays?.stop(GRACE)]).finally(() => {
        stopping.abort();
        void letters?.close();
        void givenUp.close().finally(() => noted?.close());
        source.close();
        stop();
        org.deregister(this);
        done();
      });
    });
  }

  RED.nodes.registerType('sfdc-event-in', SfdcEventIn);

  function lettersOf(server: string, subject: string): DeadLetters {
    const keeper = RED.nodes.getNode(server) as (Node & Partial<DeadLetterKeeper>) | null;
    if (keeper?.deadLetters) return keeper.deadLetters(subject);
    throw new FlowError(
      'NO_SERVER',
      say`Dead letters need a stream: choose a jetstream-server for them`,
      false,
    );
  }

  function keeperOf(server: string): Partial<PositionKeeper> | null {
    return RED.nodes.getNode(server) as (Node & Partial<PositionKeeper>) | null;
  }

  function storeOf(node: Node, { checkpoint, topic, server, bucket }: EventInSettings): KeptPosition {
    if (checkpoint === 'context') {
      if (contextIsVolatile(RED))
        node.warn(
          say`The position of ${topic} is kept in memory, so after a restart of Node-RED reading begins with the earliest event that the org has. Set contextStorage in settings.js to keep it, or keep it in a KV bucket`,
        );
      return {
        store: contextPositions(node, contextIsConfigured(RED)),
        key: 'replay',
        close: () => Promise.resolve(),
      };
    }
    const store = keeperOf(server)?.positions?.(bucket);
    if (store) return { store, key: node.id, close: () => store.close() };
    throw new FlowError(
      'NO_SERVER',
      say`The position is to be kept in a KV bucket: choose a jetstream-server for it`,
      false,
    );
  }
}

type FlowEvent = Pick<ReceivedEvent, 'replayId' | 'id' | 'schemaId' | 'payload'>;

function flowMessage(
  { replayId, id, schemaId, payload }: FlowEvent,
  topic: string,
  deliveries: number,
  token: string,
): FlowMessage & { salesforce: { replayId: string } } {
  const salesforce = { topic, replayId, id, schemaId, deliveries, token };
  return { _msgid: token, topic, payload, salesforce };
}

function spanOf(topic: string, msg: FlowMessage): ReturnType<SpanOf> {
  const { replayId } = (msg as ReturnType<typeof flowMessage>).salesforce;
  return {
    name: `process ${topic}`,
    attributes: {
      'messaging.system': 'salesforce',
      'messaging.operation.type': 'process',
      'messaging.destination.name': topic,
      'messaging.message.id': replayId,
    },
  };
}

function statusOf(
  reader: EventReader,
  givenUp: number,
  text: (key: string, values?: Record<string, string | number>) => string,
): NodeStatus | undefined {
  const { state, inFlow } = reader;
  if (state.phase === 'failing')
    return { fill: 'red', shape: 'ring', text: text(WORDS[state.error.code] ?? 'status.failed') };
  if (state.phase === 'connecting') return { fill: 'yellow', shape: 'ring', text: text('status.connecting') };
  if (reader.positionTaken) return { fill: 'yellow', shape: 'dot', text: text('status.positionTaken') };
  return inFlow > 0
    ? { fill: givenUp > 0 ? 'yellow' : 'green', shape: 'dot', text: text('status.inFlow', { count: inFlow }) }
    : givenUp > 0
      ? { fill: 'yellow', shape: 'dot', text: text('status.givenUp', { count: givenUp }) }
      : undefined;
}

/** The short word for an error; the log has the sentence. */
const WORDS: Record<string, string> = {
  TOPIC_NOT_FOUND: 'status.noTopic',
  TOPIC_DENIED: 'status.noTopic',
  POSITION_UNREADABLE: 'status.noPosition',
  SCHEMA_UNREADABLE: 'status.noSchema',
};
