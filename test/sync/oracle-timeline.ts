import type { NatsConnection } from 'nats';
import type { Org } from '../org/org';
import type { Message } from './table';

const RECORDS = 'SEQUIN-RECORDS';
const BUCKET = 'api-sync';

export interface Stored {
  kind: 'record' | 'event' | 'lease' | 'checkpoint';
  seq: number;
  /** Epoch ms, with a fraction, by the server's clock. */
  at: number;
  subject: string;
  msgId: string;
  data: string;
}

/** Makes the bucket of checkpoints so that it keeps each of them. */
export async function keepCheckpoints(nc: NatsConnection): Promise<void> {
  await nc.jetstream().views.kv(BUCKET);
  await (await nc.jetstreamManager()).streams.update(`KV_${BUCKET}`, { max_msgs_per_subject: -1 });
}

/** All records, events, leases and checkpoints that were ever stored, in the order of their times. */
export async function timeline(nc: NatsConnection): Promise<Stored[]> {
  const all = await Promise.all([
    read(nc, RECORDS, () => 'record'),
    read(nc, `${RECORDS}-EVENTS`, () => 'event'),
    read(nc, `KV_${BUCKET}`, (key) =>
      key.endsWith('.lease') ? 'lease' : key.endsWith('.control') ? undefined : 'checkpoint',
    ),
  ]);
  return all.flat().sort((a, b) => a.at - b.at);
}

async function read(
  nc: NatsConnection,
  stream: string,
  kindOf: (subject: string) => Stored['kind'] | undefined,
): Promise<Stored[]> {
  const consumer = await nc.jetstream().consumers.get(stream);
  const { num_pending } = await consumer.info();
  const found: Stored[] = [];
  if (num_pending === 0) return found;
  for await (const msg of await consumer.fetch({ max_messages: num_pending, expires: 30_000 })) {
    const { subject, seq, headers } = msg;
    const kind = kindOf(subject);
    const at = msg.info.timestampNanos / 1_000_000;
    if (kind && msg.data.length > 0)
      found.push({ kind, seq, at, subject, msgId: headers?.get('Nats-Msg-Id') ?? '', data: msg.string() });
    if (msg.info.pending === 0) break;
  }
  return found;
}

interface Version {
  deleted: boolean;
  data: Record<string, unknown>;
  /** When it was committed, and its own time, epoch ms. */
  at: number;
  stamp: number;
}

/** Every version of each contact that the org ever committed. */
export class OrgVersions {
  /** Records that nobody has changed since they were made. */
  readonly untouched: string[];
  private readonly byId = new Map<string, Version[]>();
  private readonly events: { replay: Buffer; at: number; ids: string[] }[];

  constructor(org: Org) {
    for (const { changes, commitTimestamp } of org.store.commits)
      for (const { entity, recordId, after } of changes) {
        if (entity !== 'Contact') continue;
        const list = this.byId.get(recordId) ?? [];
        this.byId.set(recordId, list);
        list.push({
          deleted: after?.IsDeleted === true,
          data: { ...after },
          at: commitTimestamp,
          stamp: Date.parse(String(after?.SystemModstamp)),
        });
      }
    this.untouched = [...this.byId].flatMap(([id, list]) => (list.length === 1 ? [id] : [])).sort();
    this.events = (org.pubsub === undefined ? [] : org.events('/data/ContactChangeEvent')).map((event) => {
      const { recordIds, commitTimestamp } = event.payload?.ChangeEventHeader as {
        recordIds: string[];
        commitTimestamp: number | string;
      };
      return { replay: Buffer.from(event.replayId, 'base64'), at: Number(commitTimestamp), ids: recordIds };
    });
  }

  /** Whether the record was deleted behind this version, by a moment: whoever reads what there is doesn't see it. */
  deletedBehind(id: string, version: number, by: number): boolean {
    const next = this.byId.get(id)?.[version + 1];
    return next !== undefined && next.deleted && next.at <= by;
  }

  /** The first version from `from` on that a message tells, or -1. */
  find(id: string, message: Message, from: number): number {
    return (this.byId.get(id) ?? []).findIndex((version, i) => i >= from && tells(message, version));
  }

  /** Whether two versions of a record can't be told apart. */
  same(id: string, one: number, other: number): boolean {
    const list = this.byId.get(id) ?? [];
    return one >= 0 && JSON.stringify(list[one]?.data) === JSON.stringify(list[other]?.data);
  }

  /** The last version of each record that was committed in a window of time; not those that came late. */
  committed(from: number, to: number): { id: string; version: number }[] {
    return [...this.byId].flatMap(([id, list]) => {
      const version = list.findLastIndex(({ at, stamp }) => at <= to && at - stamp < 1_000);
      return version >= 0 && (list[version]?.at ?? 0) > from ? [{ id, version }] : [];
    });
  }

  /** The versions that change events behind a replay id, up to another, have told of. */
  told(from: Buffer, to: Buffer): { id: string; version: number }[] {
    return this.events
      .filter(({ replay }) => Buffer.compare(replay, from) > 0 && Buffer.compare(replay, to) <= 0)
      .flatMap(({ at, ids }) =>
        ids.map((id) => ({ id, version: (this.byId.get(id) ?? []).findLastIndex((one) => one.at <= at) })),
      );
  }
}

function tells(message: Message, version: Version): boolean {
  if (message.deleted !== version.deleted) return false;
  // Of what is gone for good nothing is left to compare.
  if (message.deleted && Object.keys(message.data).length === 1) return true;
  return Object.entries(version.data).every(([field, value]) => message.data[field] === value);
}
