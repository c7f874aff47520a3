import { FlowError } from '../../shared/errors';
import { jsApi } from '../server/api';
import { ApiCode, JetStreamError } from '../server/errors';
import type { NatsConnection } from '../server/nats';
import {
  serverAtLeast,
  streamInfo,
  type StreamConfig,
  type StreamInfo,
  type SubjectTransform,
} from '../streams/stream';
import { consumerInfo } from './durable';
import type { DeliverFrom } from './durable-config';
import type { Layout } from './partition-plan';
import { labelOf, say } from '../../shared/say';

/** A durable that is split: the stream and the name that the node has, and where it was told to start. */
export interface Whole {
  nc: NatsConnection;
  domain: string | undefined;
  stream: string;
  durable: string;
  deliver: DeliverFrom;
  startSequence?: number | undefined;
  startTime?: string | undefined;
}

type CopyConfig = StreamConfig & { metadata?: Record<string, string>; description?: string; mirror?: Mirror };

interface Mirror {
  name: string;
  opt_start_seq?: number;
  opt_start_time?: string;
  subject_transforms: SubjectTransform[];
}

interface CopyInfo extends StreamInfo {
  config: StreamInfo['config'] & { metadata?: Record<string, string> };
  mirror?: { lag: number };
}

const GENERATION = 'jetforce.generation';
const LAYOUT = 'jetforce.layout';
/** When the stream was made that it copies. */
const COPIES = 'jetforce.copies';
/** Tokens behind the fixed ones of a filter that ends with > by which its subjects are split. */
const TOKENS = 16;
/** The number of the partition stands in front of each subject, and counts in max bytes. */
const ROOM = 1.25;

/** Two names in turn, so that both can stand in a user's rights. */
export function copyName(stream: string, durable: string, generation: number): string {
  return `${stream}-${durable}-${generation % 2 === 0 ? 'b' : 'a'}`;
}

export function partitionDurable(durable: string, partition: number): string {
  return `${durable}-${partition}`;
}

/** The server puts the partition of a subject in front of it, by all of its tokens that a filter leaves open. */
export function transformsOf({ filters, partitions }: Layout): SubjectTransform[] {
  return (filters.length > 0 ? filters : ['>']).flatMap((filter) => {
    const tokens = filter.split('.');
    if (tokens.at(-1) !== '>') return transform(tokens, partitions);
    const fixed = tokens.slice(0, -1);
    const stars = (count: number): string[] => [...fixed, ...Array.from({ length: count }, () => '*')];
    const each = Array.from({ length: TOKENS }, (_, i) => transform(stars(i + 1), partitions));
    return [...each, transform([...stars(TOKENS), '>'], partitions)];
  });
}

function transform(tokens: string[], partitions: number): SubjectTransform {
  let open = 0;
  const kept = tokens.map((token) => (token === '*' ? `{{wildcard(${++open})}}` : token));
  const indexes = Array.from({ length: open }, (_, i) => i + 1).join(',');
  const partition =
    open > 0 ? `{{partition(${partitions},${indexes})}}` : String(hash(tokens.join('.')) % partitions);
  return { src: tokens.join('.'), dest: `${partition}.${kept.join('.')}` };
}

/** FNV-1a, 32 bit, as the server does. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const byte of Buffer.from(text)) value = Math.imul(value ^ byte, 0x01000193) >>> 0;
  return value;
}

/** Throws FlowError: SHARING_IMPOSSIBLE, SERVER_TOO_OLD, NO_STREAM. */
export async function checkPartitions({ nc, domain, stream, deliver }: Whole): Promise<StreamInfo> {
  if (!serverAtLeast(nc, 2, 10))
    throw new FlowError(
      'SERVER_TOO_OLD',
      say`"Instances: partitioned" needs nats-server 2.10 or newer; this is ${nc.info?.version ?? say`older`}: use "shared"`,
    );
  const info = await streamInfo(nc, domain, stream);
  if (!info)
    throw new JetStreamError(
      ApiCode.streamNotFound,
      'stream not found',
      say`There is no stream "${stream}": create it, or tick "${labelOf('jetstream-in', 'provision')}" in this node`,
    );
  const { retention } = info.config;
  if (retention !== undefined && retention !== 'limits')
    throw new FlowError(
      'SHARING_IMPOSSIBLE',
      say`The stream "${stream}" has retention ${retention}, so that it can't be copied into partitions and read again in order: use "Instances: shared", or a stream with retention limits`,
    );
  if (deliver === 'last_per_subject')
    throw new FlowError(
      'SHARING_IMPOSSIBLE',
      say`A durable that starts with the last message of each subject can't be split into partitions: start with "everything the stream holds", and let the stream keep one message per subject`,
    );
  return info;
}

/**
 * Makes the copy of a generation, where the one before ended: behind the message before which all are acknowledged in
 * every partition. What was acknowledged above it comes again, in order. Without one before, of this stream, it starts
 * where the node says.
 */
export async function makeCopy(
  whole: Whole,
  generation: number,
  before: Layout,
  layout: Layout,
  isCurrent: () => Promise<boolean>,
): Promise<void> {
  const { nc, domain, stream, durable } = whole;
  const origin = await checkPartitions(whole);
  const name = copyName(stream, durable, generation);
  const there: CopyInfo | undefined = await streamInfo(nc, domain, name);
  const isMade = (copy: CopyInfo): boolean =>
    isOf(copy, generation, origin) && copy.config.metadata?.[LAYOUT] === JSON.stringify(layout);
  if (there && isMade(there)) return;
  const old = copyName(stream, durable, generation - 1);
  const copied: CopyInfo | undefined = await streamInfo(nc, domain, old);
  const goesOn = copied && isOf(copied, generation - 1, origin);
  const start = goesOn
    ? { opt_start_seq: (await floorOf(whole, old, copied, before)) + 1 }
    : await startOf(whole, origin, layout);
  // Whoever was quicker may have taken the old one away already.
  if (!(await isCurrent())) return;
  if (there) await deleteStream(nc, domain, name);
  const config: CopyConfig = {
    name,
    description: `Partitions of the durable "${durable}" of the stream "${stream}" (Node-RED)`,
    ...limitsOf(origin),
    retention: 'limits',
    discard: 'old',
    ...(origin.config.storage && { storage: origin.config.storage }),
    ...(origin.config.num_replicas && { num_replicas: origin.config.num_replicas }),
    ...(origin.config.compression && { compression: origin.config.compression }),
    // What rolls up the stream is copied as it comes; it would be refused otherwise.
    allow_rollup_hdrs: true,
    mirror: { name: stream, ...start, subject_transforms: transformsOf(layout) },
    metadata: {
      [GENERATION]: String(generation),
      [LAYOUT]: JSON.stringify(layout),
      [COPIES]: origin.created,
    },
  };
  try {
    await jsApi(nc, domain, `STREAM.CREATE.${name}`, config);
  } catch (error) {
    if (!(error instanceof JetStreamError) || error.apiCode !== ApiCode.streamNameInUse) throw error;
    // Another instance was quicker, by another floor perhaps: its is as good.
    const theirs: CopyInfo | undefined = await streamInfo(nc, domain, name);
    if (!theirs || !isMade(theirs)) throw error;
  }
}

/** The copy never drops what the stream still has, nor keeps what it would not. */
function limitsOf({ config }: StreamInfo): Partial<StreamConfig> {
  const { max_age = 0, max_msgs = -1, max_msgs_per_subject = -1, max_bytes = -1 } = config;
  return {
    max_age,
    max_msgs,
    max_msgs_per_subject,
    max_bytes: max_bytes > 0 ? Math.ceil(max_bytes * ROOM) : -1,
  };
}

function isOf({ config }: CopyInfo, generation: number, origin: StreamInfo): boolean {
  const { metadata = {} } = config;
  return metadata[GENERATION] === String(generation) && metadata[COPIES] === origin.created;
}

/** All up to this sequence is acknowledged, in every partition. */
async function floorOf(whole: Whole, name: string, copy: CopyInfo, { partitions }: Layout): Promise<number> {
  const { nc, domain, durable } = whole;
  let lowest = copy.state.last_seq;
  let reached = 0;
  for (let partition = 0; partition < partitions; partition++) {
    const info = await consumerInfo(nc, domain, name, partitionDurable(durable, partition));
    reached = Math.max(reached, info?.ack_floor.stream_seq ?? 0);
    if (info && info.num_pending + info.num_ack_pending === 0) continue;
    const { ack_floor: floor, delivered, num_ack_pending = 0 } = info ?? {};
    const until = num_ack_pending === 0 ? delivered?.stream_seq : floor?.stream_seq;
    // Nobody has read it yet, or nothing was acknowledged, of which older servers tell no sequence.
    const first = until ? until + 1 : await firstOf(whole, name, partition);
    lowest = Math.min(lowest, first - 1);
  }
  // What follows the last one that was acknowledged is new to everybody, also under subjects that were not read before.
  return reached > 0 ? Math.min(lowest, reached) : lowest;
}

/** Sequence of the first message that the copy has of a partition; Infinity for none. */
async function firstOf({ nc, domain }: Whole, name: string, partition: number): Promise<number> {
  try {
    const asked = { next_by_subj: `${partition}.>`, seq: 1 };
    const { message } = await jsApi<{ message: { seq: number } }>(
      nc,
      domain,
      `STREAM.MSG.GET.${name}`,
      asked,
    );
    return message.seq;
  } catch (error) {
    if (error instanceof JetStreamError && error.apiCode === ApiCode.noMessage) return Infinity;
    throw error;
  }
}

async function startOf(whole: Whole, origin: StreamInfo, { filters }: Layout): Promise<Partial<Mirror>> {
  const { deliver, startSequence = 1, startTime } = whole;
  switch (deliver) {
    case 'by_start_sequence':
      return { opt_start_seq: startSequence };
    case 'by_start_time':
      return { ...(startTime && { opt_start_time: startTime }) };
    case 'new':
      return { opt_start_seq: origin.state.last_seq + 1 };
    case 'last':
      return { opt_start_seq: (await lastOf(whole, filters)) ?? origin.state.last_seq + 1 };
    default:
      return {};
  }
}

async function lastOf({ nc, domain, stream }: Whole, filters: string[]): Promise<number | undefined> {
  let last: number | undefined;
  for (const filter of filters.length > 0 ? filters : ['>']) {
    try {
      const asked = { last_by_subj: filter };
      const { message } = await jsApi<{ message: { seq: number } }>(
        nc,
        domain,
        `STREAM.MSG.GET.${stream}`,
        asked,
      );
      last = Math.max(last ?? 0, message.seq);
    } catch (error) {
      if (!(error instanceof JetStreamError) || error.apiCode !== ApiCode.noMessage) throw error;
    }
  }
  return last;
}

async function deleteStream(nc: NatsConnection, domain: string | undefined, name: string): Promise<void> {
  try {
    await jsApi(nc, domain, `STREAM.DELETE.${name}`);
  } catch (error) {
    if (!(error instanceof JetStreamError) || error.apiCode !== ApiCode.streamNotFound) throw error;
  }
}

/** The copy of an earlier generation that was left behind. */
export async function clearUp(whole: Whole, generation: number): Promise<void> {
  const { nc, domain, stream, durable } = whole;
  const old = copyName(stream, durable, generation - 1);
  const { config } = ((await streamInfo(nc, domain, old)) ?? {}) as Partial<CopyInfo>;
  if (Number(config?.metadata?.[GENERATION]) < generation) await deleteStream(nc, domain, old);
}

/** What of a partition is acknowledged needn't be copied any longer. Gives the floor; `done`: as it was before. */
export async function dropDone(
  { nc, domain, durable }: Whole,
  copy: string,
  partition: number,
  done: number,
): Promise<number> {
  const info = await consumerInfo(nc, domain, copy, partitionDurable(durable, partition));
  const floor = info?.ack_floor.stream_seq ?? 0;
  if (floor <= done) return done;
  await jsApi(nc, domain, `STREAM.PURGE.${copy}`, { filter: `${partition}.>`, seq: floor + 1 });
  return floor;
}

/** How the copy stands, for one who looks now and then. */
export interface Look {
  lastSequence: number;
  lag: number;
}

/** Undefined where it has to be made anew: it is gone, or the stream was. Follows the limits of the stream. */
export async function lookAfter(whole: Whole, generation: number): Promise<Look | undefined> {
  const { nc, domain, stream, durable } = whole;
  const origin = await checkPartitions(whole);
  const name = copyName(stream, durable, generation);
  const copy: CopyInfo | undefined = await streamInfo(nc, domain, name);
  if (!copy || !isOf(copy, generation, origin)) return undefined;
  const limits = limitsOf(origin);
  const differs = (Object.keys(limits) as (keyof StreamConfig)[]).some(
    (limit) => (copy.config[limit] ?? -1) !== limits[limit],
  );
  if (differs) await jsApi(nc, domain, `STREAM.UPDATE.${name}`, { ...copy.config, ...limits });
  return { lastSequence: copy.state.last_seq, lag: copy.mirror?.lag ?? 0 };
}
