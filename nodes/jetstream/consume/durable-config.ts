import { formatDuration } from '../../shared/duration';
import { FlowError } from '../../shared/errors';
import { readObject } from '../../shared/positions';
import { labelOf, say } from '../../shared/say';
import type { NatsConnection } from '../server/nats';
import { serverAtLeast } from '../streams/stream';

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
/** Metadata of one whose max ack pending is raised for a while: what it is without that. (AckRoom) */
const RAISED_FROM = 'jetforce.max_ack_pending';

type Starts = Pick<ConsumerConfig, 'deliver_policy' | 'opt_start_seq' | 'opt_start_time'>;

/** Metadata that keeps where a durable was told to start, for one that is made anew in its place. */
export function startsOf(config: ConsumerConfig): Record<string, string> {
  const { deliver_policy, opt_start_seq, opt_start_time } = config;
  return {
    [STARTS]: config.metadata?.[STARTS] ?? JSON.stringify({ deliver_policy, opt_start_seq, opt_start_time }),
  };
}

/** As it was told to start first. */
export function asMade(config: ConsumerConfig): ConsumerConfig {
  const starts = readObject(config.metadata?.[STARTS] ?? '');
  if (!starts) return config;
  return { ...config, opt_start_seq: undefined, opt_start_time: undefined, ...(starts as Partial<Starts>) };
}

/** A durable as the node asks for it, in the words of that server. Throws SERVER_TOO_OLD. */
export function consumerConfig(nc: NatsConnection, wanted: DurableSettings): ConsumerConfig {
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
export function updatedConfig(existing: ConsumerConfig, fresh: ConsumerConfig): ConsumerConfig {
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

/** The same with max ack pending raised for a while, or taken back to what the node asks for. */
export function raisedConfig(
  nc: NatsConnection,
  wanted: DurableSettings,
  existing: ConsumerConfig,
  most: number,
): ConsumerConfig {
  const { [RAISED_FROM]: _, ...others } = existing.metadata ?? {};
  const metadata: Record<string, string> = { ...others };
  if (most > wanted.maxAckPending) metadata[RAISED_FROM] = String(wanted.maxAckPending);
  const config: ConsumerConfig = { ...existing, max_ack_pending: most };
  if (serverAtLeast(nc, 2, 10)) config.metadata = metadata;
  return config;
}

/** No server changes it. */
function startOf({ deliver_policy, opt_start_seq, opt_start_time }: ConsumerConfig): Starts {
  return { deliver_policy, opt_start_seq, opt_start_time };
}

/** Options that a server never changes. (facts: deliver policy, start, ack policy) */
export function checkFixed(existing: ConsumerConfig, config: ConsumerConfig, wanted: DurableSettings): void {
  const name = say`The durable "${wanted.durable}" of the stream "${wanted.stream}"`;
  if (typeof existing.deliver_subject === 'string' && existing.deliver_subject !== '') {
    throw new FlowError('NOT_A_PULL_CONSUMER', say`${name} is a push consumer: choose another durable name`);
  }
  const wayOut = say`set it back here, choose another durable name, or delete the durable (it then starts anew)`;
  const refuse = (option: string, from: unknown, to: unknown): never => {
    throw new FlowError(
      'DURABLE_NOT_UPDATABLE',
      say`${name} has "${option}: ${String(from)}", which can't be changed to ${String(to)}: ${wayOut}`,
    );
  };
  if (existing.ack_policy !== 'explicit')
    throw new FlowError(
      'DURABLE_NOT_UPDATABLE',
      say`${name} has ack policy ${existing.ack_policy}, which can't be changed, and this node needs explicit (--ack explicit): choose another durable name, or delete the durable and make it anew`,
    );
  const groups = existing.priority_groups;
  if (Array.isArray(groups) && groups.length > 0)
    throw new FlowError(
      'DURABLE_NOT_UPDATABLE',
      say`${name} has priority groups (${groups.join(', ')}), in which this node does not pull: choose another durable name, or delete the durable and make it anew without them; for one instance at a time choose "exclusive" here`,
    );
  if (existing.deliver_policy !== config.deliver_policy)
    refuse(labelOf('jetstream-in', 'deliver'), existing.deliver_policy, config.deliver_policy);
  if (config.opt_start_seq !== undefined && existing.opt_start_seq !== config.opt_start_seq) {
    refuse(labelOf('jetstream-in', 'startSequence'), existing.opt_start_seq, config.opt_start_seq);
  }
  if (
    config.opt_start_time !== undefined &&
    Date.parse(existing.opt_start_time ?? '') !== Date.parse(config.opt_start_time)
  ) {
    refuse(labelOf('jetstream-in', 'startTime'), existing.opt_start_time, config.opt_start_time);
  }
}

export function changedOptions(existing: ConsumerConfig, config: ConsumerConfig): string[] {
  const filters = (from: ConsumerConfig): string =>
    (from.filter_subjects ?? (from.filter_subject ? [from.filter_subject] : [])).slice().sort().join(', ');
  const changed: string[] = [];
  if (existing.ack_wait !== config.ack_wait) changed.push(labelOf('jetstream-in', 'ackWait'));
  if (existing.max_deliver !== config.max_deliver) changed.push(labelOf('jetstream-in', 'maxDeliver'));
  if ((existing.backoff?.length ?? 0) > 0) changed.push(labelOf('jetstream-in', 'backoff'));
  if (existing.max_ack_pending !== config.max_ack_pending)
    changed.push(labelOf('jetstream-in', 'maxAckPending'));
  if (filters(existing) !== filters(config)) changed.push(labelOf('jetstream-in', 'subject'));
  if (existing.metadata?.[MAX_DELIVER] !== config.metadata?.[MAX_DELIVER] && changed.length === 0) {
    changed.push(labelOf('jetstream-in', 'maxDeliver'));
  }
  return changed;
}

/** What others have set on a durable, and would look like a fault of the flow. */
export function limitWarnings(existing: ConsumerConfig, { durable, stream }: DurableSettings): string[] {
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
