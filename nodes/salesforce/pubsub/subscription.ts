import { setImmediate as turn } from 'node:timers/promises';
import { formatDuration } from '../../shared/duration';
import { FlowError, codeOf, messageOf } from '../../shared/errors';
import { Waker } from '../../shared/async/waker';
import { readChange, isChange } from './change-events';
import { OrgOutage } from '../org/outage';
import type { PubSub } from './client';
import type { EventSchema } from './schemas';
import { Stopped, unlessStopped } from '../../shared/async/signals';
import type { Log } from '../../shared/log';
import type { FetchRequest, FetchResponse, ProducerEvent, RpcStream } from './messages';
import { say } from '../../shared/say';

/** An event as it came. */
export interface ReceivedEvent {
  /** Base64: opaque, not contiguous. */
  replayId: string;
  /** What its publisher gave it: the same for an event that was published twice. */
  id: string;
  schemaId: string;
  /** Bytes of what it came as. */
  size: number;
  /** By field names; of a change event as `readChange` gives it. Undefined where the event can't be read. */
  payload: Record<string, unknown> | undefined;
  /** Why it can't be read, and what it is made of. */
  error?: FlowError;
  bytes?: Buffer;
}

/** Where to begin: at a preset, or behind the event with a replay id. */
export type ReplayStart = 'latest' | 'earliest' | { replayId: string };

export type SubscriptionState =
  { phase: 'connecting' | 'subscribed' } | { phase: 'failing'; error: FlowError };

/** What has come from the org and has not been handed out. */
export interface Coming {
  events: number;
  /** Of what they came as. */
  bytes: number;
}

export interface SubscriptionHandler {
  /** The next event. Called in the order of the topic, without pause: `room` is how to stop it. */
  event(event: ReceivedEvent): void;
  /** There is no event between the last one and this replay id. */
  idle(replayId: string): void;
  /** Whether an event whose schema the org doesn't give waits until it does, with all behind it. Else it is handed out. */
  readonly waitsForSchema?: boolean;
  /** How many events may come now, beside those that `event` was called with. Of these, some are `coming`. */
  room(coming: Coming): number;
  /** The org doesn't know the position any more; it goes on with the earliest event that the org has. */
  positionLost(error: FlowError): void;
  state(state: SubscriptionState): void;
  log: Log;
}

const NONE: Coming = { events: 0, bytes: 0 };

/** Salesforce delivers no more before it is asked again. */
export const MOST_OUTSTANDING = 100;
/** The org says something within 270 s, if only that there is nothing. */
const SILENCE_MS = 300_000;
/** A stream that wasn't refused by then is taken for good: the org says nothing until it has an event. */
const ACCEPTED_MS = 2_000;
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 60_000;

type Stream = RpcStream<FetchRequest>;

/**
 * Reads one topic until it is stopped: asks for as many events as there is room for, opens the stream again
 * whenever it breaks, behind the last event it handed out, and waits where the org can't be reached.
 */
export class Subscription {
  private readonly stopping = new AbortController();
  private from: ReplayStart = 'latest';
  private running: Promise<void> = Promise.resolve();
  private stream: Stream | undefined;
  /** The session it was opened with. */
  private token = '';
  /** Events that the org still owes to this stream. */
  private outstanding = 0;
  private readonly coming: Coming = { events: 0, bytes: 0 };
  /** The stream has shown that it works, and has handed out events. */
  private accepted = false;
  private delivered = false;
  private everAccepted = false;
  private brokenAt = 0;
  private failing: FlowError | undefined;
  private pausing = false;
  private readonly waker = new Waker();

  constructor(
    private readonly pubsub: PubSub,
    readonly topic: string,
    private readonly handler: SubscriptionHandler,
  ) {}

  start(from: ReplayStart): void {
    this.from = from;
    this.handler.state({ phase: 'connecting' });
    this.running = this.run();
  }

  /** There is room again. */
  more(): void {
    if (this.stream) this.ask(this.stream);
    else if (!this.pausing) this.waker.wake();
  }

  /** Nothing is handed out any more when this is called. */
  async stop(): Promise<void> {
    const { stream } = this;
    this.stream = undefined;
    this.stopping.abort();
    stream?.cancel();
    await this.running;
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    const stopListening = this.pubsub.onChange(() => this.waker.wake());
    for (let failures = 0; !signal.aborted;) {
      if (this.pubsub.availability.current || this.handler.room(NONE) <= 0) {
        await this.waker.wait(undefined, signal);
        continue;
      }
      let failure: unknown;
      const openedAt = performance.now();
      try {
        await this.read();
      } catch (error) {
        failure = error;
      }
      if (signal.aborted) break;
      this.brokenAt = performance.now();
      // One that breaks as soon as it has said something is no better than one that is refused.
      if (this.delivered || (this.accepted && this.brokenAt - openedAt >= ACCEPTED_MS)) failures = 0;
      failures++;
      await this.recover(failure ?? new Error(say`the org ended the stream`), failures);
    }
    stopListening();
  }

  /** One stream, until it ends (resolves) or fails. */
  private async read(): Promise<void> {
    const { signal } = this.stopping;
    this.accepted = false;
    this.delivered = false;
    this.outstanding = 0;
    Object.assign(this.coming, NONE);
    const channel = await unlessStopped(signal, this.pubsub.open());
    const grant = await unlessStopped(signal, this.pubsub.login(this.pubsub.session.login()));
    this.token = grant.accessToken;
    const accepting = setTimeout(() => this.accept(), ACCEPTED_MS);
    let silence: NodeJS.Timeout | undefined;
    let opened: Stream | undefined;
    const listen = () => {
      clearTimeout(silence);
      silence = setTimeout(() => opened?.cancel(), SILENCE_MS);
    };
    try {
      await new Promise<void>((resolve, reject) => {
        let tail = Promise.resolve();
        const stream: Stream = channel.subscribe(grant, {
          data: (response) => {
            if (this.stream !== stream) return;
            listen();
            this.accept();
            this.pubsub.worked();
            this.arrived(stream, response);
            tail = tail.then(() => this.take(stream, response)).catch(reject);
          },
          over: (error) => void tail.then(() => (error ? reject(error) : resolve())),
        });
        opened = this.stream = stream;
        listen();
        this.begin(stream);
      });
    } finally {
      clearTimeout(accepting);
      clearTimeout(silence);
      opened?.cancel();
      this.stream = undefined;
    }
  }

  private begin(stream: Stream): void {
    const { from } = this;
    this.outstanding = Math.min(MOST_OUTSTANDING, this.handler.room(NONE));
    stream.write({
      topic_name: this.topic,
      num_requested: this.outstanding,
      ...(typeof from === 'object'
        ? { replay_preset: 'CUSTOM', replay_id: Buffer.from(from.replayId, 'base64') }
        : { replay_preset: from === 'earliest' ? 'EARLIEST' : 'LATEST' }),
    });
  }

  /** The next are asked for before these are handed out: the org works on them meanwhile. */
  private arrived(stream: Stream, { events }: FetchResponse): void {
    const bytes = events.reduce((sum, { event }) => sum + (event?.payload?.length ?? 0), 0);
    this.outstanding -= events.length;
    this.coming.events += events.length;
    this.coming.bytes += bytes;
    this.ask(stream);
  }

  /** A few at a time, so that not every event that is finished costs a request. */
  private ask(stream: Stream): void {
    const wanted = Math.min(
      this.handler.room(this.coming) - this.coming.events - this.outstanding,
      MOST_OUTSTANDING - this.outstanding,
    );
    if (wanted <= 0 || (wanted < MOST_OUTSTANDING / 4 && this.outstanding > MOST_OUTSTANDING / 4)) return;
    this.outstanding += wanted;
    stream.write({ topic_name: this.topic, num_requested: wanted });
  }

  private accept(): void {
    if (this.accepted || this.stopping.signal.aborted) return;
    this.accepted = true;
    // One that waits at an event is opened each time, and gets no further.
    if (this.failing?.code !== 'SCHEMA_UNREADABLE') this.works();
    if (this.everAccepted && this.from === 'latest') {
      const gap = formatDuration(performance.now() - this.brokenAt);
      this.handler.log(
        'error',
        say`The subscription to ${this.topic} broke before anything was received from it, so there was no position to go on from: events of the ${gap} until now are missed`,
      );
    }
    this.everAccepted = true;
  }

  private works(): void {
    if (this.failing) this.handler.log('info', say`Receiving from ${this.topic} again`);
    this.failing = undefined;
    this.handler.state({ phase: 'subscribed' });
  }

  private async take(stream: Stream, { events, ...tip }: FetchResponse): Promise<void> {
    // What was asked for is sent when the event loop turns.
    await turn();
    if (events.length === 0) return this.passed(stream, tip);
    const schemas = new Map<string, EventSchema | FlowError>();
    for (const id of new Set(events.map(({ event }) => event?.schema_id ?? '')))
      schemas.set(id, await this.schemaOf(id));
    for (const { event, replay_id } of events) {
      // What has come on a broken stream comes again on the next.
      if (this.stream !== stream) return;
      const replayId = base64(replay_id);
      const schemaId = event?.schema_id ?? '';
      const schema = schemas.get(schemaId) as EventSchema | FlowError;
      if (schema instanceof FlowError && schemaId !== '' && this.handler.waitsForSchema)
        throw new FlowError(
          'SCHEMA_UNREADABLE',
          say`Reading ${this.topic} waits at an event: ${schema.message}`,
        );
      const received = receivedEvent(replayId, schemaId, schema, event);
      if (this.failing) this.works();
      this.coming.events--;
      this.coming.bytes -= received.size;
      this.from = { replayId };
      this.delivered = true;
      this.handler.event(received);
    }
    this.ask(stream);
  }

  /** Only an org that could have sent events says by an answer without any that there are none. */
  private passed(stream: Stream, tip: Omit<FetchResponse, 'events'>): void {
    const replayId = base64(tip.latest_replay_id);
    if (this.stream !== stream || !tip.pending_num_requested || replayId === '') return;
    this.from = { replayId };
    this.handler.idle(replayId);
  }

  /** Throws where the org can't be asked now; gives the error where it has no such schema. */
  private async schemaOf(id: string): Promise<EventSchema | FlowError> {
    if (id === '') return unreadable(say`it names no schema`);
    try {
      return await unlessStopped(this.stopping.signal, this.pubsub.schemas.get(id));
    } catch (error) {
      if (error instanceof OrgOutage || error instanceof Stopped || codeOf(error) === 'CLOSED') throw error;
      return unreadable(messageOf(error));
    }
  }

  private async recover(failure: unknown, failures: number): Promise<void> {
    if (failure instanceof OrgOutage) return this.outage(failure, failures);
    const error = failure instanceof FlowError ? failure : undefined;
    const trouble = error ? undefined : this.pubsub.troubleOf(failure, say`topic ${this.topic}`);
    switch (trouble?.kind) {
      case 'session':
        if (failures > 1)
          return this.outage(this.pubsub.explain(failure, say`topic ${this.topic}`) as OrgOutage, failures);
        return this.relogin();
      case 'outage':
        // Streams are cut now and then, by proxies and restarts of the service, and an org lets one go that doesn't
        // ask for more: that is no outage yet.
        if (failures > 1 || trouble.outage.reason === 'limit') await this.outage(trouble.outage, failures);
        return;
      case 'position':
        if (this.from !== 'earliest') {
          this.from = 'earliest';
          return this.handler.positionLost(trouble.error);
        }
        break;
      case 'topic':
      case 'refused':
      case undefined:
    }
    await this.fail(error ?? (trouble as { error: FlowError }).error, failures);
  }

  private async relogin(): Promise<void> {
    try {
      await unlessStopped(this.stopping.signal, this.pubsub.login(this.pubsub.session.relogin(this.token)));
    } catch {
      // The session is unavailable, or nobody needs the login any more.
    }
  }

  /** Said once for each cause; tried again with growing pauses, as an administrator may mend it. */
  private async fail(error: FlowError, failures: number): Promise<void> {
    if (!this.failing || causeOf(this.failing) !== causeOf(error)) this.handler.log('error', error.message);
    this.failing = error;
    this.handler.state({ phase: 'failing', error });
    await this.pause(failures);
  }

  private async outage(outage: OrgOutage, failures: number): Promise<void> {
    this.pubsub.begin(outage, this.topic);
    // The end of the outage ends the pause; an org that is closed holds nobody.
    await this.pause(failures);
  }

  private async pause(failures: number): Promise<void> {
    this.pausing = true;
    const ms = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (failures - 1));
    await this.waker.wait(ms, this.stopping.signal);
    this.pausing = false;
  }
}

/** Without the number that the org gives to each call. */
function causeOf({ message }: FlowError): string {
  return message.replace(/rpcId: [-\w]+/, '');
}

function base64(bytes: Buffer | undefined): string {
  return bytes?.toString('base64') ?? '';
}

function receivedEvent(
  replayId: string,
  schemaId: string,
  schema: EventSchema | FlowError,
  event: Partial<ProducerEvent> | undefined,
): ReceivedEvent {
  const { id = '', payload: bytes } = event ?? {};
  const size = bytes?.length ?? 0;
  try {
    return { replayId, id, schemaId, size, payload: decode(schema, bytes) };
  } catch (failure) {
    const error = failure instanceof FlowError ? failure : unreadable(messageOf(failure));
    // A copy: else it keeps all that came with it in memory.
    return {
      replayId,
      id,
      schemaId,
      size,
      payload: undefined,
      error,
      ...(bytes && { bytes: Buffer.from(bytes) }),
    };
  }
}

/** Throws where it can't be read. */
function decode(schema: EventSchema | FlowError, bytes: Buffer | undefined): Record<string, unknown> {
  if (schema instanceof FlowError) throw schema;
  if (!bytes) throw unreadable(say`it has no data`);
  const event = schema.decode(bytes);
  return isChange(event) ? readChange(event, schema.fields) : event;
}

function unreadable(why: string): FlowError {
  return new FlowError('UNREADABLE_EVENT', say`The event can't be read: ${why}`, false);
}
