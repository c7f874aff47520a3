import { formatDuration } from '../../shared/duration';
import { FlowError } from '../../shared/errors';
import { readObject } from '../../shared/positions';
import { jsApi } from '../server/api';
import { ApiCode, JetStreamError } from '../server/errors';
import type { NatsConnection } from '../server/nats';
import { serverAtLeast, streamInfo, type StreamInfo } from '../streams/stream';
import { overlap } from '../streams/subjects';
import { say } from '../../shared/say';

export type DeliverFrom = 'all' | 'last' | 'new' | 'last_per_subject' | 'by_start_sequence' | 'by_start_time';

/** A durable pull consumer as jetstream-in wants it. Milliseconds. */
export interface DurableSettings {
  stream: string;
  durable: string;
  filters: string[];
  deliver: DeliverFrom;
  startSequence?: number;
  startTime?: string;
  ackWait: number;
  maxDeliver: number;
  maxAckPending: number;
}

/** The server's own consumer configuration (the part that is used). Durations in nanoseconds. */
export interface ConsumerConfig {
  durable_name: string;
  name?: string;
  deliver_policy: string;
  opt_start_seq?: number;
  opt_start_time?: string;
  ack_policy: string;
  ack_wait: number;
  max_deliver: number;
  backoff?: number[];
  max_ack_pending: number;
  /** Of pull requests. */
  max_waiting?: number;
  filter_subject?: string;
  filter_subjects?: string[];
  replay_policy: string;
  metadata?: Record<string, string>;
  pause_until?: string;
  [other: string]: unknown;
}

export interface ConsumerInfo {
  stream_name: string;
  name: string;
  config: ConsumerConfig;
  num_pending: number;
  num_ack_pending: number;
  num_redelivered: number;
  created: string;
  delivered: { consumer_seq: number; stream_seq: number };
  ack_floor: { consumer_seq: number; stream_seq: number };
  /** Where it is kept, on a cluster. */
  cluster?: { replicas?: unknown[] };
  /** Servers from 2.11: held back by an administrator, until `pause_until` of the configuration. */
  paused?: boolean;
}

/** What came out, with what the user should know. */
export interface EnsuredDurable {
  info: ConsumerInfo;
  warnings: string[];
}

const NANOS = 1_000_000;

/**
 * The server never gives up on a message by itself, so that one whose last delivery ends in a crash still comes
 * back and reaches the dead letter: `maxDeliver` is kept by jetstream-in, and written here to be seen.
 */
const UNLIMITED = -1;
/** Metadata of the durables that this pack has made. */
const MAX_DELIVER = 'jetforce.max_deliver';
/** And of those that were made anew at a later place: where it was told to start first. */
const STARTS = 'jetforce.starts';

type Starts = Pick<ConsumerConfig, 'deliver_policy' | 'opt_start_seq' | 'opt_start_time'>;

/** Metadata that keeps where a durable was told to start, for one that is made anew in its place. */
export function startsOf(config: ConsumerConfig): Record<string, string> {
  const { deliver_policy, opt_start_seq, opt_start_time } = config;
  return {
    [STARTS]: config.metadata?.[STARTS] ?? JSON.stringify({ deliver_policy, opt_start_seq, opt_start_time }),
  };
}

/** As it was told to start first. */
function asMade(config: ConsumerConfig): ConsumerConfig {
  const starts = readObject(config.metadata?.[STARTS] ?? '');
  if (!starts) return config;
  return { ...config, opt_start_seq: undefined, opt_start_time: undefined, ...(starts as Partial<Starts>) };
}
/** Metadata of one whose max ack pending is raised for a while: what it is without that. (AckRoom) */
const RAISED_FROM = 'jetforce.max_ack_pending';

/**
 * Finds the durable, creates it where it is missing, applies changed options where the server can. Throws
 * FlowError with the way out: NO_STREAM, DURABLE_NOT_UPDATABLE, NOT_A_PULL_CONSUMER, and what the API says.
 */
export async function ensureDurable(
  nc: NatsConnection,
  domain: string | undefined,
  wanted: DurableSettings,
): Promise<EnsuredDurable> {
  const { stream, durable } = wanted;
  const existing = await consumerInfo(nc, domain, stream, durable);
  const fresh = consumerConfig(nc, wanted);
  const warnings = await filterWarnings(nc, domain, wanted);
  if (existing) warnings.push(...limitWarnings(existing.config, wanted));
  if (!existing) {
    return { info: await putConsumer(nc, domain, wanted, fresh, 'create'), warnings };
  }
  checkFixed(asMade(existing.config), fresh, wanted);
  const config = updatedConfig(existing.config, fresh);
  const changed = changedOptions(existing.config, config);
  if (changed.length === 0) return { info: existing, warnings };
  try {
    return { info: await putConsumer(nc, domain, wanted, config, 'update'), warnings };
  } catch (error) {
    if (!(error instanceof FlowError) || error.code !== 'PERMISSION_DENIED') throw error;
    const differing = changed.join(', ');
    return {
      info: existing,
      warnings: [
        ...warnings,
        say`The durable "${durable}" differs in ${differing} and this user may not change it: ${error.message}`,
      ],
    };
  }
}

/** Raises max ack pending for a while, or takes it back to what the node asks for; the rest of the durable stays. */
export async function changeMaxAckPending(
  nc: NatsConnection,
  domain: string | undefined,
  wanted: DurableSettings,
  existing: ConsumerConfig,
  most: number,
): Promise<void> {
  const { [RAISED_FROM]: _, ...others } = existing.metadata ?? {};
  const metadata: Record<string, string> = { ...others };
  if (most > wanted.maxAckPending) metadata[RAISED_FROM] = String(wanted.maxAckPending);
  const config: ConsumerConfig = { ...existing, max_ack_pending: most };
  if (serverAtLeast(nc, 2, 10)) config.metadata = metadata;
  await putConsumer(nc, domain, wanted, config, 'update');
}

export async function consumerInfo(
  nc: NatsConnection,
  domain: string | undefined,
  stream: string,
  durable: string,
): Promise<ConsumerInfo | undefined> {
  try {
    return await jsApi<ConsumerInfo>(nc, domain, `CONSUMER.INFO.${stream}.${durable}`);
  } catch (error) {
    if (error instanceof JetStreamError && error.apiCode === ApiCode.consumerNotFound) return undefined;
    if (error instanceof JetStreamError && error.apiCode === ApiCode.streamNotFound) throw noStream(stream);
    throw error;
  }
}

function noStream(stream: string): JetStreamError {
  return new JetStreamError(
    ApiCode.streamNotFound,
    'stream not found',
    say`There is no stream "${stream}": create it, or tick "Create the stream, or widen it to these settings" in this node`,
  );
}

function consumerConfig(nc: NatsConnection, wanted: DurableSettings): ConsumerConfig {
  const { filters } = wanted;
  if (filters.length > 1 && !serverAtLeast(nc, 2, 10)) {
    throw new FlowError(
      'SERVER_TOO_OLD',
      say`Several subjects in one consumer need nats-server 2.10 or newer; this is ${nc.info?.version ?? say`older`}: use one subject, or one jetstream-in for each`,
    );
  }
  return {
    durable_name: wanted.durable,
    name: wanted.durable,
    deliver_policy: wanted.deliver,
    ...(wanted.deliver === 'by_start_sequence' ? { opt_start_seq: wanted.startSequence ?? 1 } : {}),
    ...(wanted.deliver === 'by_start_time' ? { opt_start_time: wanted.startTime } : {}),
    ack_policy: 'explicit',
    ack_wait: wanted.ackWait * NANOS,
    max_deliver: UNLIMITED,
    max_ack_pending: wanted.maxAckPending,
    replay_policy: 'instant',
    ...(filters.length === 1 ? { filter_subject: filters[0] } : {}),
    ...(filters.length > 1 ? { filter_subjects: filters } : {}),
    ...(serverAtLeast(nc, 2, 10) ? { metadata: { [MAX_DELIVER]: String(wanted.maxDeliver) } } : {}),
  };
}

/**
 * What a durable that exists is to become: what others have set beside our options stays, and so do the filters of
 * one that others have made, where the node asks for none.
 */
function updatedConfig(existing: ConsumerConfig, fresh: ConsumerConfig): ConsumerConfig {
  const ours = existing.metadata?.[MAX_DELIVER] !== undefined;
  const asksForAll = fresh.filter_subject === undefined && fresh.filter_subjects === undefined;
  const config: ConsumerConfig = { ...existing };
  // A backoff of the server's would distort ours.
  delete config.backoff;
  if (ours || !asksForAll) {
    delete config.filter_subject;
    delete config.filter_subjects;
  }
  const raised =
    existing.metadata?.[RAISED_FROM] === String(fresh.max_ack_pending) &&
    existing.max_ack_pending > fresh.max_ack_pending;
  return {
    ...config,
    ...fresh,
    ...startOf(existing),
    ...(raised && { max_ack_pending: existing.max_ack_pending }),
    replay_policy: existing.replay_policy,
    metadata: ours ? { ...existing.metadata, ...fresh.metadata } : existing.metadata,
  };
}

/** No server changes it. */
function startOf({ deliver_policy, opt_start_seq, opt_start_time }: ConsumerConfig): Starts {
  return { deliver_policy, opt_start_seq, opt_start_time };
}

async function putConsumer(
  nc: NatsConnection,
  domain: string | undefined,
  wanted: DurableSettings,
  config: ConsumerConfig,
  action: 'create' | 'update',
): Promise<ConsumerInfo> {
  const { stream, durable } = wanted;
  // The subject form that carries one filter is what narrow permissions are granted on.
  const suffix = config.filter_subject ? `.${config.filter_subject}` : '';
  try {
    return await jsApi<ConsumerInfo>(nc, domain, `CONSUMER.CREATE.${stream}.${durable}${suffix}`, {
      stream_name: stream,
      config,
      // 2.9 and older know no action; they take the whole configuration as it is.
      ...(serverAtLeast(nc, 2, 10) ? { action } : {}),
    });
  } catch (error) {
    if (error instanceof JetStreamError) {
      if (error.apiCode === ApiCode.streamNotFound) throw noStream(stream);
      if (error.apiCode === ApiCode.consumerExists && action === 'create')
        return existingConsumer(nc, domain, wanted);
      throw new JetStreamError(
        error.apiCode,
        error.description,
        action === 'create'
          ? say`The durable "${durable}" of the stream "${stream}" could not be created: ${error.description}`
          : say`The durable "${durable}" of the stream "${stream}" could not be updated: ${error.description}`,
      );
    }
    throw error;
  }
}

/** Another instance was quicker. */
async function existingConsumer(
  nc: NatsConnection,
  domain: string | undefined,
  wanted: DurableSettings,
): Promise<ConsumerInfo> {
  const info = await consumerInfo(nc, domain, wanted.stream, wanted.durable);
  if (!info)
    throw new FlowError(
      'CONSUMER_CHANGING',
      say`The durable "${wanted.durable}" is being created and deleted at the same time by others; trying again`,
    );
  return info;
}

/** Options that a server never changes. (facts: deliver policy, start, ack policy) */
function checkFixed(existing: ConsumerConfig, config: ConsumerConfig, wanted: DurableSettings): void {
  const name = say`The durable "${wanted.durable}" of the stream "${wanted.stream}"`;
  if (typeof existing.deliver_subject === 'string' && existing.deliver_subject !== '') {
    throw new FlowError('NOT_A_PULL_CONSUMER', say`${name} is a push consumer: choose another durable name`);
  }
  const wayOut = say`set it back here, choose another durable name, or delete the durable (it then starts anew)`;
  const refuse = (option: string, from: unknown, to: unknown): never => {
    throw new FlowError(
      'DURABLE_NOT_UPDATABLE',
      say`${name} has ${option} ${String(from)}, which can't be changed to ${String(to)}: ${wayOut}`,
    );
  };
  if (existing.ack_policy !== 'explicit')
    throw new FlowError(
      'DURABLE_NOT_UPDATABLE',
      say`${name} has ack policy ${existing.ack_policy}, which can't be changed, and this node needs explicit (--ack explicit): choose another durable name, or delete the durable and make it anew`,
    );
  if (existing.deliver_policy !== config.deliver_policy)
    refuse(say`deliver policy`, existing.deliver_policy, config.deliver_policy);
  if (config.opt_start_seq !== undefined && existing.opt_start_seq !== config.opt_start_seq) {
    refuse(say`start sequence`, existing.opt_start_seq, config.opt_start_seq);
  }
  if (
    config.opt_start_time !== undefined &&
    Date.parse(existing.opt_start_time ?? '') !== Date.parse(config.opt_start_time)
  ) {
    refuse(say`start time`, existing.opt_start_time, config.opt_start_time);
  }
}

function changedOptions(existing: ConsumerConfig, config: ConsumerConfig): string[] {
  const filters = (from: ConsumerConfig): string =>
    (from.filter_subjects ?? (from.filter_subject ? [from.filter_subject] : [])).slice().sort().join(', ');
  const changed: string[] = [];
  if (existing.ack_wait !== config.ack_wait) changed.push(say`ack wait`);
  if (existing.max_deliver !== config.max_deliver) changed.push(say`max deliver`);
  if ((existing.backoff?.length ?? 0) > 0) changed.push(say`backoff`);
  if (existing.max_ack_pending !== config.max_ack_pending) changed.push(say`max ack pending`);
  if (filters(existing) !== filters(config)) changed.push(say`subject`);
  if (existing.metadata?.[MAX_DELIVER] !== config.metadata?.[MAX_DELIVER] && changed.length === 0) {
    changed.push(say`max deliver`);
  }
  return changed;
}

/** What others have set on a durable, and would look like a fault of the flow. */
function limitWarnings(existing: ConsumerConfig, { durable, stream }: DurableSettings): string[] {
  const name = say`The durable "${durable}" of the stream "${stream}"`;
  const warnings: string[] = [];
  if (existing['headers_only'] === true)
    warnings.push(say`${name} delivers headers only (headers_only): every payload is empty`);
  if (Number(existing['inactive_threshold'] ?? 0) > 0)
    warnings.push(
      say`${name} is deleted by the server, its position with it, when nobody has read it for ${formatDuration(Number(existing['inactive_threshold']) / NANOS)} (inactive_threshold)`,
    );
  return warnings;
}

/** The server takes a filter that can never match without a word. */
async function filterWarnings(
  nc: NatsConnection,
  domain: string | undefined,
  wanted: DurableSettings,
): Promise<string[]> {
  let info: StreamInfo | undefined;
  try {
    info = await streamInfo(nc, domain, wanted.stream);
  } catch {
    return []; // No right to look is no fault of the consumer.
  }
  if (!info) throw noStream(wanted.stream);
  const subjects = info.config.subjects?.join(', ');
  return unmatchable(info.config, wanted.filters).map(
    (filter) => say`The stream "${wanted.stream}" takes ${subjects}: nothing can ever arrive for "${filter}"`,
  );
}

/**
 * The filters under which the stream can hold nothing. None where it gets messages from other streams, or changes
 * their subjects.
 */
export function unmatchable(config: StreamInfo['config'], filters: readonly string[]): string[] {
  const { subjects, subject_transform: transform, mirror, sources = [] } = config;
  if (!subjects || transform || mirror || sources.length > 0) return [];
  return filters.filter((filter) => !subjects.some((subject) => overlap(subject, filter)));
}
