import { FlowError } from '../../shared/errors';
import { jsApi } from '../server/api';
import { ApiCode, JetStreamError } from '../server/errors';
import type { NatsConnection } from '../server/nats';
import { serverAtLeast, streamInfo, type StreamInfo } from '../streams/stream';
import { overlap } from '../streams/subjects';
import { labelOf, say } from '../../shared/say';
import {
  asMade,
  changedOptions,
  checkFixed,
  consumerConfig,
  limitWarnings,
  raisedConfig,
  updatedConfig,
  type ConsumerConfig,
  type DurableSettings,
} from './durable-config';

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
  const config = raisedConfig(nc, wanted, existing, most);
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
    say`There is no stream "${stream}": create it, or tick "${labelOf('jetstream-in', 'provision')}" in this node`,
  );
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
