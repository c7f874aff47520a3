import type { NatsConnection } from 'nats';
import { OrgVersions, timeline, type Stored } from './oracle-timeline';
import type { Org } from '../org/org';
import type { Message } from './table';

export interface Observed {
  org: Org;
  nc: NatsConnection;
  /** When each record was deleted for good, epoch ms. */
  purged: ReadonlyMap<string, number>;
  /** Milliseconds of the lease; without one nobody else runs the sync. */
  lease?: number;
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

interface Checkpoint {
  phase: 'backfill' | 'reconcile' | 'live';
  pageFrom?: { after?: string };
  done: number;
  changesFrom: { since?: number; poll?: object; replay?: string; pollTo?: number };
}

interface Event extends Message {
  action: 'insert' | 'update' | 'delete';
}

/**
 * Looks at all that was ever stored, in the order of its times, and throws what is wrong with it: a record that went
 * back or came twice, a deletion without the data that it had, an event that is missing, wrong or of nothing, a
 * checkpoint that was ahead of the stream, a lease that was taken from somebody who may have believed in it.
 */
export async function assertHistory(observed: Observed): Promise<Seen> {
  const history = new History(observed);
  for (const entry of await timeline(observed.nc)) history.take(entry);
  const problems = history.end();
  if (problems.length > 0)
    throw new Error(`${problems.length} things are wrong:\n${problems.slice(0, 10).join('\n')}`);
  return history.seen;
}

class History {
  readonly seen: Seen = { records: 0, events: 0, alone: 0, checkpoints: 0, handovers: 0 };
  private readonly problems: string[] = [];
  private readonly versions: OrgVersions;
  /** The version of each record that the stream has come to, and the message that says so. */
  private readonly reached = new Map<string, { version: number; message: Message; body: string }>();
  private readonly events = new Map<string, { event: Event; body: string; used: boolean }>();
  private live = false;
  private holder = { owner: '', at: 0 };
  private checked = { since: 0, replay: Buffer.alloc(0) };

  constructor(private readonly observed: Observed) {
    this.versions = new OrgVersions(observed.org);
  }

  take(entry: Stored): void {
    if (entry.kind === 'record') this.record(entry);
    else if (entry.kind === 'event') this.event(entry);
    else if (entry.kind === 'lease') this.lease(entry);
    else this.checkpoint(entry);
  }

  end(): string[] {
    for (const [msgId, { event, used }] of this.events) {
      if (used) continue;
      this.seen.alone++;
      const id = String(event.data.upstream_id);
      const at = this.versions.find(id, event, 0);
      // What it tells was overtaken, or is told by a record under another id of a message.
      if (at === -1 || at > (this.reached.get(id)?.version ?? -1)) this.wrong(`${msgId} tells of nothing`);
    }
    return this.problems;
  }

  private record({ seq, at, msgId, data }: Stored): void {
    this.seen.records++;
    const message = JSON.parse(data) as Message;
    const id = String(message.data.upstream_id);
    const before = this.reached.get(id);
    const version = this.versions.find(id, message, before?.version ?? 0);
    if (version === -1)
      return this.wrong(
        `${id} went back: message ${seq} is none of its versions from ${before?.version ?? 0} on\n${data}`,
      );
    if (before?.body === data) this.wrong(`${id} came twice: message ${seq}`);
    const gone = message.deleted && Object.keys(message.data).length === 1;
    if (gone && !this.isPurged(id, at))
      this.wrong(`${id} is deleted without its data, which the org had: message ${seq}`);
    this.reached.set(id, { version, message, body: data });
    if (this.live) this.expectEvent(seq, msgId, data, actionOf(message, before?.message));
  }

  private expectEvent(seq: number, msgId: string, data: string, action: Event['action']): void {
    const found = this.events.get(`${msgId}:${action}`);
    if (!found) return this.wrong(`message ${seq} has no event ${action} before it`);
    if (found.body !== `{"action":"${action}",${data.slice(1)}`)
      this.wrong(`message ${seq} isn't what its event says`);
    found.used = true;
  }

  private event({ subject, msgId, data }: Stored): void {
    this.seen.events++;
    const event = JSON.parse(data) as Event;
    if (this.events.has(msgId)) this.wrong(`the event ${msgId} came twice`);
    if (!subject.endsWith(`.${event.action}`) || (event.action === 'delete') !== event.deleted)
      this.wrong(`${msgId} is a wrong event: ${subject}`);
    this.events.set(msgId, { event, body: data, used: false });
  }

  private lease({ at, data }: Stored): void {
    const { owner } = JSON.parse(data) as { owner: string };
    const before = this.holder;
    if (owner !== before.owner) this.seen.handovers++;
    const { lease = 0 } = this.observed;
    // A millisecond for what the times are rounded by.
    if (owner !== '' && before.owner !== '' && owner !== before.owner && at - before.at < lease - 1)
      this.wrong(`the lease was taken ${at - before.at} ms after its holder had renewed it`);
    this.holder = { owner, at };
  }

  private checkpoint({ seq, at, data }: Stored): void {
    this.seen.checkpoints++;
    const { phase, pageFrom, done, changesFrom } = JSON.parse(data) as Checkpoint;
    const ahead = (id: string, what: string): void =>
      this.wrong(`checkpoint ${seq} is ahead of ${id}: ${what}`);
    if (phase === 'backfill') {
      if (done > this.reached.size) ahead('the stream', `${done} done, ${this.reached.size} there`);
      for (const id of this.versions.untouched)
        if (id <= (pageFrom?.after ?? '') && !this.reached.has(id)) ahead(id, `its page is done`);
      return;
    }
    this.live = true;
    const due = this.newlyDue(changesFrom);
    for (const { id, version } of due) {
      const there = this.reached.get(id)?.version ?? -1;
      if (there >= version || this.versions.same(id, there, version)) continue;
      // What a backfill doesn't find any more comes as a deletion.
      const unseen = there === -1 && this.versions.deletedBehind(id, version, at);
      if (!unseen && !this.isPurged(id, at)) ahead(id, `${there} of ${version}`);
    }
  }

  /** What this position says is read, and the ones before it did not. */
  private newlyDue({ since, replay, pollTo }: Checkpoint['changesFrom']): { id: string; version: number }[] {
    if (since !== undefined) {
      const from = this.checked.since;
      this.checked.since = Math.max(from, since);
      return this.versions.committed(from, since);
    }
    if (replay === undefined || pollTo !== undefined) return [];
    const to = Buffer.from(replay, 'base64');
    const from = this.checked.replay;
    if (Buffer.compare(to, from) > 0) this.checked.replay = to;
    return this.versions.told(from, to);
  }

  private isPurged(id: string, by: number): boolean {
    return (this.observed.purged.get(id) ?? Infinity) <= by;
  }

  private wrong(what: string): void {
    this.problems.push(what);
  }
}

function actionOf(message: Message, before: Message | undefined): Event['action'] {
  if (message.deleted) return 'delete';
  return before && !before.deleted ? 'update' : 'insert';
}
