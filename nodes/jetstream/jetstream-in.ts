import type { Node, NodeAPI, NodeDef, NodeStatus } from 'node-red';
import { now } from '../shared/async/clock';
import { FlowSource, type FlowMessage, type SpanOf } from '../shared/flow/source';
import { codeOf, messageOf } from '../shared/errors';
import { logOf } from '../shared/log';
import { parseDeployed, type Settings, type Stored } from '../shared/settings/settings';
import { Replay } from '../shared/flow/replay';
import { ReplayTurn } from '../shared/flow/replay-turn';
import { GivenUp, keyOf, OPERATIONS_BUCKET } from '../shared/operations/given-up';
import { letterActions, type Letters } from '../shared/operations/letter-actions';
import { operate } from '../shared/operations/registry';
import { Since } from '../shared/operations/since';
import { StatusReporter } from '../shared/status';
import type { Connection } from './server/connection';
import { consumerOf } from './consume/consumer-settings';
import { refuseInboxIn } from './server/inbox';
import { jetstreamIn } from './jetstream-in.settings';
import { bucketPositions } from './streams/bucket-positions';
import { claimConsumer } from './consume/claims';
import { deadLettersOf } from './consume/letters';
import { watchDurable, type Holdup } from './consume/durable-watch';
import { lookOf, stalled, statusKey, type Look, type Reading } from './consume/in-status';
import type { ConsumerState, Reader } from './consume/reader';
import { readerOf } from './consume/reader-of';
import { connectionOf } from './jetstream-server';
import { whenDeployed } from '../shared/flow/deployed';
import { decodePayload, jetStreamProperties, type JetStreamProperties } from './consume/message';
import { durableStates, isPausedHere, pauseActions, resumeHere } from './operations/durable';
import { isLetterOf, letterProperties } from './operations/letters';
import type { InFlightMessage, MessageBatch } from './consume/settlement';
import { speak } from '../shared/language';

type InDef = NodeDef & Stored<typeof jetstreamIn>;
type InSettings = Settings<typeof jetstreamIn>;

/** How long closing waits for the flow to finish what it holds, in ms. */
const GRACE = 3_500;

/** A durable that stalls again and again is told of so often, in ms. */
const STALL_TOLD = 600_000;

export default function (RED: NodeAPI): void {
  speak(RED._('language'));

  function JetstreamIn(this: Node & { wires?: string[][] }, def: InDef): void {
    RED.nodes.createNode(this, def);
    const status = new StatusReporter(this);
    const look = ({ fill, shape, key, values }: Look): NodeStatus => ({
      fill,
      shape,
      text: RED._(`status.${key}`, { ...values }),
    });
    const show = (fill: Look['fill'], shape: Look['shape'], key: string): void =>
      status.show(() => look({ fill, shape, key }));

    const refuse = (error: unknown): void => {
      this.error(messageOf(error));
      show('red', 'ring', codeOf(error).endsWith('_CONFLICT') ? 'conflict' : 'misconfigured');
    };
    let settings: InSettings;
    let connection: Connection;
    try {
      settings = parseDeployed(jetstreamIn, def);
      connection = connectionOf(RED, settings.server);
    } catch (error) {
      return refuse(error);
    }
    // Pulled messages would be acknowledged without anybody having seen them.
    if (!this.wires?.some((wires) => wires.length > 0)) return show('yellow', 'ring', 'unwired');

    const { ack, batchSize, stream, durable } = settings;
    const batched = batchSize > 1;
    const source = new FlowSource(RED, this, ack, (msg) => spanOf(settings, msg));
    let consumer: Reader | undefined;
    let state: ConsumerState = { phase: 'connecting' };
    let letters: Letters | undefined;
    let holdup: Holdup | undefined;
    const [failing, held] = [new Since(), new Since()];
    const noted = bucketPositions(connection, OPERATIONS_BUCKET);
    const givenUp = new GivenUp(
      `${this.id} ${stream} ${durable}`,
      { store: noted, key: keyOf('given-up', this.id, stream, durable) },
      () => state.phase === 'ready' && status.show(ready),
    );
    const inFlow = (): number => consumer?.inFlow ?? 0;
    const retries = (): Reading['retries'] => consumer?.retries() ?? { count: 0, first: 0 };
    const ready = (): NodeStatus =>
      look(
        lookOf({
          ...{ inFlow: inFlow(), givenUp: givenUp.count, retries: retries() },
          partitions: state.phase === 'ready' ? state.partitions : undefined,
          holdup: isPausedHere(this.id) ? { kind: 'paused', until: Infinity } : holdup,
        }),
      );
    const showState = (latest: ConsumerState): void => {
      state = latest;
      failing.tell(state.phase === 'failing' ? state.error.code : undefined);
      if (state.phase === 'ready') status.show(ready);
      else if (state.phase === 'standby') show('grey', 'ring', 'standby');
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
        const fresh = readerOf(connection, wanted, {
          deliver: (batch, payloads) =>
            source.send(batch, (token) => flowMessage(batch, payloads, token, batched)),
          gaveUp: () => givenUp.add(),
          state: showState,
          log: logOf(this, (text) => connection.secrets.strike(text)),
        });
        fresh.paused = isPausedHere(this.id);
        fresh.start();
        consumer = fresh;
      } catch (error) {
        refuse(error);
      }
    });
    const warnStalled = atMostEvery(STALL_TOLD, (said) => this.warn(said));
    const unwatch = watchDurable(
      connection,
      () => consumer?.places('own') ?? [],
      () => state.phase === 'ready' && inFlow() === 0,
      (found) => {
        holdup = found;
        held.tell(found?.kind);
        if (found?.kind === 'stalled') warnStalled(stalled(settings.durable, found, retries()));
        if (state.phase === 'ready') status.show(ready);
      },
    );

    const replayLetters = (deadLetter: string): Letters => {
      const kept = deadLettersOf(connection, deadLetter);
      const log = logOf(this, (text) => connection.secrets.strike(text));
      const replay = new Replay(
        kept,
        {
          isOwn: (letter) => isLetterOf(letter, stream, durable),
          deliver(attempt, letter, deliveries) {
            const payload = decodePayload(letter.payload, settings.format, settings.bigNumbers);
            source.send(attempt, (token) => {
              const properties = letterProperties(letter, deliveries, token);
              return batched
                ? batchMessage([properties], [payload], token)
                : { _msgid: token, topic: properties.subject, payload, jetstream: properties };
            });
          },
          log,
        },
        settings.processingLimit,
        new ReplayTurn(noted, keyOf('replay', stream, durable), log),
      );
      return { letters: kept, replay };
    };
    try {
      letters = settings.deadLetter ? replayLetters(settings.deadLetter) : undefined;
    } catch {
      // A subject that is none: the consumer says so.
    }
    const changed = (): void => {
      if (consumer) consumer.paused = isPausedHere(this.id);
      if (state.phase === 'ready') status.show(ready);
    };
    const operated = {
      ...{ id: this.id, name: this.name ?? '', server: settings.server, stream, durable, connection },
      ...{ givenUp, letters, changed },
      consumer: () => consumer,
      phase: () => state,
      failingSince: () => failing.at,
      holdup: () => holdup,
      holdupSince: () => held.at,
    };
    const { queries, actions } = letterActions(letters, givenUp, changed);
    const unlist = operate({
      ...{ kind: 'durables', id: this.id, name: this.name || durable, queries },
      state: durableStates(operated),
      actions: { ...actions, ...pauseActions(operated) },
    });

    this.on('close', (removed: boolean, done: () => void) => {
      if (removed) {
        givenUp.forget();
        resumeHere(this.id);
      }
      const fail = (error: unknown): void => this.error(messageOf(error));
      forget();
      unwatch();
      unlist();
      claim.release();
      Promise.all([consumer?.stop(GRACE), letters?.replay.stop(GRACE)])
        .catch(fail)
        .finally(() => {
          status.stop();
          void letters?.letters.close();
          void givenUp.close().finally(() => noted.close());
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
    return batchMessage(each, payloads, token);
  }
  const jetstream = jetStreamProperties(batch.items[0] as InFlightMessage, token);
  return { _msgid: token, topic: jetstream.subject, payload: payloads[0], jetstream };
}

function batchMessage(each: JetStreamProperties[], payloads: unknown[], token: string): FlowMessage {
  return { _msgid: token, topic: each[0]?.subject, payload: payloads, jetstream: batchProperties(each) };
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

function spanOf({ stream, durable }: InSettings, { jetstream }: FlowMessage): ReturnType<SpanOf> {
  const { sequence } = jetstream as { sequence: number | number[] };
  return {
    name: `process ${stream}`,
    attributes: {
      'messaging.system': 'nats',
      'messaging.operation.type': 'process',
      'messaging.destination.name': stream,
      'messaging.consumer.group.name': durable,
      ...(Array.isArray(sequence)
        ? { 'messaging.batch.message_count': sequence.length }
        : { 'messaging.message.id': String(sequence) }),
    },
  };
}

function atMostEvery(ms: number, tell: (text: string) => void): (text: string) => void {
  let last = -Infinity;
  return (text) => {
    if (now() - last < ms) return;
    last = now();
    tell(text);
  };
}
