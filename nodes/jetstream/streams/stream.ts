import { FlowError } from '../../shared/errors';
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
  allow_direct?: boolean;
}

export interface StreamInfo {
  config: StreamConfig;
  created: string;
  state: { messages: number; bytes: number; first_seq: number; last_seq: number };
}

const NANOS = 1_000_000;

/** What a form asks for, and nothing it leaves open. Throws FlowError naming the setting that is wrong. */
export function streamConfig(name: string, { allowAtomic, allowDirect, ...form }: StreamForm): StreamConfig {
  return serverConfig(name, { ...parseFields(streamSettings, form), allowAtomic, allowDirect });
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

/**
 * Creates the stream, or changes what differs from `wanted` and leaves the rest as it is. Throws FlowError
 * with the way out where the server can't.
 */
export async function provisionStream(
  nc: NatsConnection,
  domain: string | undefined,
  wanted: StreamConfig,
): Promise<'created' | 'updated' | 'unchanged'> {
  checkFeatures(nc, wanted);
  const existing = await streamInfo(nc, domain, wanted.name);
  try {
    if (!existing) {
      await jsApi(nc, domain, `STREAM.CREATE.${wanted.name}`, withCreateDefaults(wanted));
      return 'created';
    }
    const changes = differences(existing.config, wanted);
    if (Object.keys(changes).length === 0) return 'unchanged';
    checkChanges(existing.config, changes);
    await jsApi(nc, domain, `STREAM.UPDATE.${wanted.name}`, { ...existing.config, ...changes });
    return 'updated';
  } catch (error) {
    throw explainStreamError(error, wanted);
  }
}

/** 2.10 servers want the choices spelled out that newer ones default. */
function withCreateDefaults(wanted: StreamConfig): StreamConfig {
  return {
    retention: 'limits',
    discard: 'old',
    storage: 'file',
    num_replicas: 1,
    ...wanted,
    subjects: wanted.subjects ?? [wanted.name],
  };
}

/** The settings whose value is to change. An unset limit and -1 are the same, and so are absent and false. */
export function differences(existing: StreamConfig, wanted: StreamConfig): Partial<StreamConfig> {
  const changes = Object.entries(wanted).filter(([key, value]) => {
    const current = existing[key as keyof StreamConfig];
    if (Array.isArray(value)) return !sameSet(value as string[], (current as string[] | undefined) ?? []);
    return plain(current) !== plain(value as string | number | boolean);
  });
  return Object.fromEntries(changes);
}

function plain(value: unknown): unknown {
  if (value === undefined || value === -1 || value === false || value === 'none') return 0;
  return value;
}

function sameSet(a: string[], b: string[]): boolean {
  return a.length === b.length && a.every((item) => b.includes(item));
}

/** Refused by the server whatever it says: named here with the way out. (facts: error 10052) */
function checkChanges(existing: StreamConfig, changes: Partial<StreamConfig>): void {
  const refuse = (setting: string, from: unknown, to: unknown): never => {
    throw new FlowError(
      'STREAM_NOT_UPDATABLE',
      `The stream "${existing.name}" has ${setting} ${String(from)}, which can't be changed to ${String(to)}: set it to ${String(from)} here, or make a new stream`,
    );
  };
  if (changes.storage !== undefined) refuse('storage', existing.storage, changes.storage);
  if (changes.retention !== undefined && [changes.retention, existing.retention].includes('workqueue')) {
    refuse('retention', existing.retention, changes.retention);
  }
  const age = changes.max_age ?? existing.max_age ?? 0;
  const window = changes.duplicate_window ?? existing.duplicate_window ?? 0;
  if (age > 0 && window > age) {
    if (changes.duplicate_window !== undefined)
      refuse('a maximum age shorter than', 'the duplicate window', 'that');
    // The window came from the server's default; it follows the shorter age.
    changes.duplicate_window = age;
  }
}

/** Servers before a feature ignore it silently (2.10) or refuse the whole request (2.12). */
function checkFeatures(nc: NatsConnection, wanted: StreamConfig): void {
  if (wanted.allow_atomic && !serverAtLeast(nc, 2, 12)) {
    throw new FlowError(
      'SERVER_TOO_OLD',
      `Atomic batches need nats-server 2.12 or newer; this is ${nc.info?.version ?? 'older'}: switch them off for the stream "${wanted.name}"`,
    );
  }
}

export function serverAtLeast(nc: NatsConnection, major: number, minor: number): boolean {
  const [a = 0, b = 0] = (nc.info?.version ?? '').split('.').map(Number);
  return a > major || (a === major && b >= minor);
}

function explainStreamError(error: unknown, wanted: StreamConfig): unknown {
  if (!(error instanceof JetStreamError)) return error;
  const { apiCode, description } = error;
  const stream = `the stream "${wanted.name}"`;
  const say = (sentence: string): JetStreamError => new JetStreamError(apiCode, description, sentence);
  switch (apiCode) {
    case ApiCode.subjectsOverlap:
      return say(
        `${stream} can't have the subjects ${(wanted.subjects ?? []).join(', ')}: another stream of the account already takes some of them; narrow the subjects, or use that stream`,
      );
    case ApiCode.replicasNotSupported:
      return say(
        `${stream} can't have ${wanted.num_replicas} replicas: the server is not in a cluster of that many; set replicas to 1`,
      );
    case ApiCode.streamUpdateRefused:
      return say(
        `${stream} can't be changed as asked (${description}): set that option back, or make a new stream`,
      );
    default:
      return say(`${stream} could not be provisioned: ${description} (${apiCode})`);
  }
}
