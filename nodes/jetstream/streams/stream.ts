import { labelOf } from '../../shared/say';
import { parseFields } from '../../shared/settings/settings';
import { jsApi } from '../server/api';
import { ApiCode, JetStreamError } from '../server/errors';
import type { NatsConnection } from '../server/nats';
import { streamSettings, type StoredStream, type StreamSettings } from './stream.settings';
import { checkStreamName } from './subjects';

/** What `streamConfig` of a node asks for as it stands in a flow, and what no form has. */
export type StreamForm = Partial<Omit<StoredStream, 'subjects'>> &
  StreamFeatures & { subjects?: string | string[] };

export interface StreamFeatures {
  /** Atomic batch publishing, servers from 2.12; for api-sync-out. */
  allowAtomic?: boolean;
  /** Fast batch publishing, servers from 2.14; for api-sync-out. */
  allowBatched?: boolean;
  /** Reading single messages from any replica; for api-sync-out. */
  allowDirect?: boolean;
}

/** The server's own stream configuration: durations in nanoseconds, sizes in bytes, -1 for no limit. */
export interface StreamConfig {
  name: string;
  subjects?: string[];
  max_age?: number;
  max_bytes?: number;
  max_msgs?: number;
  max_msgs_per_subject?: number;
  max_msg_size?: number;
  retention?: string;
  discard?: string;
  storage?: string;
  num_replicas?: number;
  duplicate_window?: number;
  deny_delete?: boolean;
  deny_purge?: boolean;
  allow_rollup_hdrs?: boolean;
  compression?: string;
  allow_atomic?: boolean;
  allow_batched?: boolean;
  allow_direct?: boolean;
}

export interface SubjectTransform {
  src: string;
  dest: string;
}

export interface StreamSource {
  name: string;
  filter_subject?: string;
  subject_transforms?: SubjectTransform[];
}

export interface StreamInfo {
  /** With what no form of ours has. */
  config: StreamConfig & {
    subject_transform?: SubjectTransform;
    mirror?: StreamSource;
    sources?: StreamSource[];
  };
  created: string;
  state: { messages: number; bytes: number; first_seq: number; last_seq: number };
}

const NANOS = 1_000_000;

/** What a form asks for, and nothing it leaves open. Throws FlowError naming the setting that is wrong. */
export function streamConfig(name: string, asked: StreamForm): StreamConfig {
  const { allowAtomic, allowBatched, allowDirect, ...form } = asked;
  return serverConfig(name, {
    ...parseFields(streamSettings, form, (setting) => labelOf('stream', setting)),
    allowAtomic,
    allowBatched,
    allowDirect,
  });
}

/** What writing and reading records takes, as far as the server has it. */
export function recordFeatures(nc: NatsConnection): StreamFeatures {
  return {
    allowDirect: true,
    allowAtomic: serverAtLeast(nc, 2, 12),
    allowBatched: serverAtLeast(nc, 2, 14),
  };
}

/** The same of settings that are read already. */
export function serverConfig(name: string, settings: Partial<StreamSettings> & StreamFeatures): StreamConfig {
  const { subjects = [], maxAge, duplicateWindow } = settings;
  const config: StreamConfig = {
    name: checkStreamName(name),
    subjects: subjects.length > 0 ? subjects : undefined,
    max_age: maxAge === undefined ? undefined : maxAge * NANOS,
    max_bytes: settings.maxBytes,
    max_msgs: settings.maxMsgs,
    max_msgs_per_subject: settings.maxMsgsPerSubject,
    max_msg_size: settings.maxMsgSize,
    retention: settings.retention,
    discard: settings.discard,
    storage: settings.storage,
    num_replicas: settings.replicas,
    duplicate_window: duplicateWindow === undefined ? undefined : duplicateWindow * NANOS,
    // A box that isn't ticked asks for nothing: the server refuses to take these two back.
    deny_delete: settings.denyDelete || undefined,
    deny_purge: settings.denyPurge || undefined,
    allow_rollup_hdrs: settings.allowRollup || undefined,
    compression: settings.compression,
    allow_atomic: settings.allowAtomic || undefined,
    allow_batched: settings.allowBatched || undefined,
    allow_direct: settings.allowDirect || undefined,
  };
  const asked = Object.entries(config).filter(([, value]) => value !== undefined);
  return Object.fromEntries(asked) as unknown as StreamConfig;
}

export async function streamInfo(
  nc: NatsConnection,
  domain: string | undefined,
  name: string,
): Promise<StreamInfo | undefined> {
  try {
    return await jsApi<StreamInfo>(nc, domain, `STREAM.INFO.${name}`);
  } catch (error) {
    if (error instanceof JetStreamError && error.apiCode === ApiCode.streamNotFound) return undefined;
    throw error;
  }
}

export function serverAtLeast(nc: NatsConnection, major: number, minor: number): boolean {
  const [a = 0, b = 0] = (nc.info?.version ?? '').split('.').map(Number);
  return a > major || (a === major && b >= minor);
}
