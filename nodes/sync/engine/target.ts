import { BatchPublisher, type Batches } from '../../jetstream/publish/batches';
import type { Connection } from '../../jetstream/server/connection';
import { ApiCode, JetStreamError } from '../../jetstream/server/errors';
import { LastMessages } from '../../jetstream/publish/last-messages';
import { refuseInboxIn } from '../../jetstream/server/inbox';
import type { NatsConnection } from '../../jetstream/server/nats';
import { RequestMany } from '../../jetstream/publish/request-many';
import { scan } from '../../jetstream/streams/scan';
import { provisionStream, type Provisioned } from '../../jetstream/streams/provision';
import {
  recordFeatures,
  serverConfig,
  streamInfo,
  type StreamConfig,
  type StreamInfo,
} from '../../jetstream/streams/stream';
import type { StreamSettings } from '../../jetstream/streams/stream.settings';
import { covers } from '../../jetstream/streams/subjects';
import { codeOf, FlowError, messageOf } from '../../shared/errors';
import { recordStreamOf } from '../api-sync-out.settings';
import { escapeToken } from '../../shared/token';
import { readBody } from './record';
import type { RecordStream } from './record-writer';
import type { StreamAddress } from './address';
import { labelOf, say } from '../../shared/say';

export interface TargetSettings {
  stream: string;
  prefix: string;
  /** Create or update the stream; `form` holds what differs from the guide's advice. */
  provision: boolean;
  form: Partial<StreamSettings>;
  /** Whether provisioning may take anything from a stream that exists. */
  narrow: boolean;
  events: boolean;
  info: (text: string) => void;
  warn: (text: string) => void;
}

const EVENTS_KEPT = 7 * 24 * 60 * 60_000;

/** The stream that records go to, with what it takes to write there and to see what is there. */
export class Target {
  private readonly requests: RequestMany;
  private readonly publisher: BatchPublisher;
  private readonly last: LastMessages;
  private readonly said = new Set<string>();

  constructor(
    private readonly connection: Connection,
    private readonly settings: TargetSettings,
  ) {
    this.requests = new RequestMany(connection);
    this.publisher = new BatchPublisher(this.requests);
    this.last = new LastMessages(this.requests, settings.stream);
  }

  /** Makes the streams where that is asked for, and finds out what this user may do. Throws FlowError. */
  async open(signal: AbortSignal): Promise<RecordStream> {
    const { stream, prefix, form } = this.settings;
    refuseInboxIn(
      this.connection.settings.inboxPrefix,
      form.subjects?.length ? form.subjects : [`${prefix}.>`],
      stream,
    );
    const nc = await this.connection.ready(signal);
    if (this.settings.provision) await this.provision(nc);
    const info = await this.info(nc);
    this.publisher.batches = batchesOf(info?.config);
    const readable = await this.readable(signal);
    const { batches } = this.publisher;
    return {
      created: info?.created,
      publish: (messages, stop) => this.publisher.publish(messages, stop),
      last: readable ? (subjects, stop) => this.last.read(subjects, stop) : undefined,
      address: { server: this.connection.settings, stream, readable, batches },
    };
  }

  /** The ids of the records that the messages below a subject show as living, in pages. */
  async *liveIds(subject: string, signal: AbortSignal): AsyncGenerator<string[], void, undefined> {
    for await (const page of scan(this.connection, this.settings.stream, `${subject}*`, signal)) {
      const ids = page.map((msg) => livingId(msg.string(), msg.subject));
      yield ids.filter((id) => id !== undefined);
    }
  }

  close(): Promise<void> {
    return this.requests.close();
  }

  private async provision(nc: NatsConnection): Promise<void> {
    const { stream, prefix, form, narrow, events } = this.settings;
    const { domain } = this.connection.settings;
    const features = recordFeatures(nc);
    const wanted = serverConfig(stream, { ...recordStreamOf(form, prefix), ...features });
    this.say(await provisionStream(nc, domain, wanted, narrow));
    const subject = `${prefix}-events.>`;
    if (!events || wanted.subjects?.some((each) => covers(each, subject))) return;
    const forEvents = { subjects: [subject], maxAge: EVENTS_KEPT, ...features };
    try {
      this.say(await provisionStream(nc, domain, serverConfig(`${stream}-EVENTS`, forEvents)));
    } catch (error) {
      // Another stream takes the events already.
      if (!(error instanceof JetStreamError) || error.apiCode !== ApiCode.subjectsOverlap) throw error;
    }
  }

  private say({ changes, warnings }: Provisioned): void {
    for (const change of changes) this.settings.info(change);
    for (const warning of warnings) this.warn(warning);
  }

  /** Once each: the stream is opened again after every failure. */
  private warn(text: string): void {
    if (this.said.has(text)) return;
    this.said.add(text);
    this.settings.warn(text);
  }

  private async info(nc: NatsConnection): Promise<StreamInfo | undefined> {
    try {
      return await streamInfo(nc, this.connection.settings.domain, this.settings.stream);
    } catch (error) {
      if (codeOf(error) === 'PERMISSION_DENIED') return undefined;
      throw error;
    }
  }

  /** A user who may do nothing but publish can't compare; that works, but is worth knowing. */
  private async readable(signal: AbortSignal): Promise<boolean> {
    const { stream, prefix } = this.settings;
    try {
      await this.last.read([`${prefix}.default`], signal);
      return true;
    } catch (error) {
      if (codeOf(error) === 'NO_STREAM')
        throw new FlowError(
          'NO_STREAM',
          say`There is no stream "${stream}": create it, or tick "${labelOf('api-sync-out', 'provision')}" in this node`,
        );
      if (codeOf(error) !== 'PERMISSION_DENIED') throw error;
      this.warn(
        say`${messageOf(error)}. Records are published without a look at what the stream holds: fine as long as this is the only instance`,
      );
      return false;
    }
  }
}

export interface OpenStream extends RecordStream {
  close(): Promise<void>;
}

/** The stream of a Target, in another thread. */
export function openStream(connection: Connection, { stream, readable, batches }: StreamAddress): OpenStream {
  const requests = new RequestMany(connection);
  const publisher = new BatchPublisher(requests);
  publisher.batches = batches;
  const last = new LastMessages(requests, stream);
  return {
    publish: (messages, signal) => publisher.publish(messages, signal),
    last: readable ? (subjects, signal) => last.read(subjects, signal) : undefined,
    close: () => requests.close(),
  };
}

/**
 * Atomic ones are worth it with replicas only: the server writes what is in one twice, first aside and then into the
 * stream, which is less work than agreeing on each message, and more than storing it (12.7–15 against 9.7–10.8 µs of
 * its CPU for a message on one server, 20–24 against 28–29 on three; a fast batch 9–10.8 and 18–24).
 */
function batchesOf(config: StreamConfig | undefined): Batches {
  const { num_replicas = 1, allow_atomic = false, allow_batched = false } = config ?? {};
  return { fast: allow_batched, atomic: allow_atomic && num_replicas > 1 };
}

/** The id of a record that a message shows as living. What somebody else has put under the subject is none. */
function livingId(body: string, subject: string): string | undefined {
  const { id, deleted } = readBody(body);
  if (id === undefined || deleted) return undefined;
  return subject.endsWith(`.${escapeToken(id)}`) ? id : undefined;
}
