import type { NatsConnection } from 'nats';
import { OrgWorld } from './oracle-org';
import { timeline, type Stored } from './oracle-timeline';
import type { Org } from '../org/org';
import type { Message } from './table';

/** What has happened where the records come from: every version of each, oldest first, deletions among them. */
export interface World {
  /** The first version from `from` on that a message of this moment tells, or -1. */
  find(id: string, message: Message, from: number, at: number): number;
  /** Whether nothing but its id is left to be told of a deleted record. */
  isGone(id: string, at: number): boolean;
  /** What a checkpoint of this moment takes for read that the stream hasn't come to: sentences. */
  ahead(checkpoint: Checkpoint, reached: ReadonlyMap<string, number>, at: number): string[];
}

export interface Observation {
  nc: NatsConnection;
  /** Milliseconds of the lease; without one nobody else runs the sync. */
  lease?: number;
}

export interface OrgObservation extends Observation {
  org: Org;
  /** When each record was deleted for good, epoch ms. */
  purged: ReadonlyMap<string, number>;
}

/** How much there was to be looked at. */
export interface Seen {
  records: number;
  events: number;
  /** Events whose record was not published behind them, because of a fault in between. */
  alone: number;
  checkpoints: number;
  handovers: number;
}

export interface Checkpoint {
  phase: 'backfill' | 'reconcile' | 'live';
  pageFrom?: object;
  done: number;
  changesFrom: object;
}

interface Event extends Message {
  action: 'insert' | 'update' | 'delete';
}

/**
 * Looks at all that was ever stored, in the order of its times, and throws what is wrong with it: a record that went
 * back or came twice, a deletion without the data that it had, an event that is missing, wrong or of nothing, a
 * checkpoint that was ahead of the stream, a lease that was taken from somebody who may have believed in it.
 */
export async function assertHistory({ org, purged, ...observed }: OrgObservation): Promise<Seen> {
  return assertHistoryOf(new OrgWorld(org, purged), observed);
}

/** The same of any world. */
export async function assertHistoryOf(world: World, { nc, lease = 0 }: Observation): Promise<Seen> {
  const history = new History(world, lease);
  for (const entry of await timeline(nc)) history.take(entry);
  const problems = history.end();
  if (problems.length > 0)
    throw new Error(`${problems.length} things are wrong:\n${problems.slice(0, 10).join('\n')}`);
  return history.seen;
}

class History {
  readonly seen: Seen = { records: 0, events: 0, alone: 0, checkpoints: 0, handovers: 0 };
  private readonly problems: string[] = [];
  /** The version of each record that the stream has come to, and the message that says so. */
  private readonly reached = new Map<string, number>();
  private readonly last = new Map<string, { message: Message; body: string }>();
  private readonly events = new Map<string, { event: Event; body: string; used: boolean; at: number }>();
  private live = false;
  private holder = { owner: '', at: 0 };

  constructor(
    private readonly world: World,
    private readonly length: number,
  ) {}

  take(entry: Stored): void {
    if (entry.kind === 'record') this.record(entry);
    else if (entry.kind === 'event') this.event(entry);
    else if (entry.kind === 'lease') this.lease(entry);
    else this.checkpoint(entry);
  }

  end(): string[] {
    for (const [msgId, { event, used, at }] of this.events) {
      if (used) continue;
      this.seen.alone++;
      const id = String(event.data.upstream_id);
      const version = this.world.find(id, event, 0, at);
      // What it tells was overtaken, or is told by a record under another id of a message.
      if (version === -1 || version > (this.reached.get(id) ?? -1)) this.wrong(`${msgId} tells of nothing`);
    }
    return this.problems;
  }

  private record({ seq, at, msgId, data }: Stored): void {
    this.seen.records++;
    const message = JSON.parse(data) as Message;
    const id = String(message.data.upstream_id);
    const reached = this.reached.get(id) ?? 0;
    const before = this.last.get(id);
    const version = this.world.find(id, message, reached, at);
    if (version === -1)
      return this.wrong(
        `${id} went back: message ${seq} is none of its versions from ${reached} on\n${data}`,
      );
    if (before?.body === data) this.wrong(`${id} came twice: message ${seq}`);
    const gone = message.deleted && Object.keys(message.data).length === 1;
    if (gone && !this.world.isGone(id, at))
      this.wrong(`${id} is deleted without its data, which was to be had: message ${seq}`);
    this.reached.set(id, version);
    this.last.set(id, { message, body: data });
    if (this.live) this.expectEvent(seq, msgId, data, actionOf(message, before?.message));
  }

  private expectEvent(seq: number, msgId: string, data: string, action: Event['action']): void {
    const found = this.events.get(`${msgId}:${action}`);
    if (!found) return this.wrong(`message ${seq} has no event ${action} before it`);
    if (found.body !== `{"action":"${action}",${data.slice(1)}`)
      this.wrong(`message ${seq} isn't what its event says`);
    found.used = true;
  }

  private event({ subject, msgId, data, at }: Stored): void {
    this.seen.events++;
    const event = JSON.parse(data) as Event;
    if (this.events.has(msgId)) this.wrong(`the event ${msgId} came twice`);
    if (!subject.endsWith(`.${event.action}`) || (event.action === 'delete') !== event.deleted)
      this.wrong(`${msgId} is a wrong event: ${subject}`);
    this.events.set(msgId, { event, body: data, used: false, at });
  }

  private lease({ at, data }: Stored): void {
    const { owner } = JSON.parse(data) as { owner: string };
    const before = this.holder;
    if (owner !== before.owner) this.seen.handovers++;
    // A millisecond for what the times are rounded by.
    if (owner !== '' && before.owner !== '' && owner !== before.owner && at - before.at < this.length - 1)
      this.wrong(`the lease was taken ${at - before.at} ms after its holder had renewed it`);
    this.holder = { owner, at };
  }

  private checkpoint({ seq, at, data }: Stored): void {
    this.seen.checkpoints++;
    const checkpoint = JSON.parse(data) as Checkpoint;
    this.live ||= checkpoint.phase !== 'backfill';
    for (const what of this.world.ahead(checkpoint, this.reached, at))
      this.wrong(`checkpoint ${seq} is ahead of ${what}`);
  }

  private wrong(what: string): void {
    this.problems.push(what);
  }
}

function actionOf(message: Message, before: Message | undefined): Event['action'] {
  if (message.deleted) return 'delete';
  return before && !before.deleted ? 'update' : 'insert';
}
