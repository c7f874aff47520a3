import type { Org } from '../org/org';
import type { Checkpoint, World } from './oracle-history';
import type { Message } from './table';

/** The contacts of an org. */
export class OrgWorld implements World {
  private readonly versions: OrgVersions;
  private checked = { since: 0, replay: Buffer.alloc(0) };

  constructor(
    org: Org,
    private readonly purged: ReadonlyMap<string, number>,
  ) {
    this.versions = new OrgVersions(org);
  }

  find(id: string, message: Message, from: number): number {
    return this.versions.find(id, message, from);
  }

  isGone(id: string, at: number): boolean {
    return (this.purged.get(id) ?? Infinity) <= at;
  }

  ahead(
    { phase, pageFrom, done, changesFrom }: Checkpoint,
    reached: ReadonlyMap<string, number>,
    at: number,
  ): string[] {
    if (phase !== 'backfill') return this.missed(changesFrom, reached, at);
    const { after = '' } = (pageFrom ?? {}) as { after?: string };
    const skipped = this.versions.untouched.filter((id) => id <= after && !reached.has(id));
    return [
      ...(done > reached.size ? [`the stream: ${done} done, ${reached.size} there`] : []),
      ...skipped.map((id) => `${id}: its page is done`),
    ];
  }

  private missed(position: object, reached: ReadonlyMap<string, number>, at: number): string[] {
    return this.newlyDue(position).flatMap(({ id, version }) => {
      const there = reached.get(id) ?? -1;
      if (there >= version || this.versions.same(id, there, version)) return [];
      // What was deleted before a backfill came to it was never said to be there.
      const unseen = there === -1 && this.versions.deletedFrom(id, version, at);
      return unseen || this.isGone(id, at) ? [] : [`${id}: ${there} of ${version}`];
    });
  }

  /** What this position says is read, and the ones before it did not. */
  private newlyDue(position: object): { id: string; version: number }[] {
    const { since, replay, pollTo } = position as { since?: number; replay?: string; pollTo?: number };
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
}

interface Version {
  deleted: boolean;
  data: Record<string, unknown>;
  /** When it was committed, and its own time, epoch ms. */
  at: number;
  stamp: number;
}

/** Every version of each contact that the org ever committed. */
class OrgVersions {
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

  /** Whether this version, or the one behind it, is a deletion by a moment: whoever reads what there is sees neither. */
  deletedFrom(id: string, version: number, by: number): boolean {
    const list = this.byId.get(id) ?? [];
    return list.slice(version, version + 2).some(({ deleted, at }) => deleted && at <= by);
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
