import { RecentMap } from '../../../shared/recent-map';
import { fingerprint, type SourceRecord } from '../../engine/record';
import type { CollectionDeclaration } from './declaration';
import { at, matches } from './path';
import { belongs, idOf, recordOf } from './records';
import type { Unidentified } from './unidentified';

const SEEN = 20_000;

/** What the rows of a list of changes are about. */
export class ChangedRows {
  /** Rows of lists that only show ids, and were followed up. */
  private readonly seen = new RecentMap<string, string>(SEEN);

  constructor(
    private readonly of: CollectionDeclaration,
    private readonly withoutId: Unidentified,
  ) {}

  /** Records as they are now, and the ids of those to be read, with those that were gathered before. */
  followUp(
    rows: readonly unknown[],
    gathered: readonly string[],
  ): { records: SourceRecord[]; ids: string[] } {
    const { of, withoutId } = this;
    const { changes } = of;
    const records: SourceRecord[] = [];
    const ids = new Set(gathered);
    for (const row of rows) {
      if (!changes?.events && !belongs(of, row)) continue;
      if (changes?.events) {
        const { object, where, deleted } = changes.events;
        if (!matches(row, where) || this.isSeen(String(at(row, 'id')), row)) continue;
        const [about] = withoutId.leaveOut([at(row, object)], false);
        if (about === undefined) continue;
        const record = recordOf(of, about);
        if (matches(row, deleted)) records.push({ ...record, deleted: true, gone: true });
        else ids.add(record.id);
      } else if (withoutId.leaveOut([row], false).length === 0) continue;
      else if (!changes?.hydrate) records.push(recordOf(of, row));
      else if (!this.isSeen(idOf(of, row), row)) ids.add(idOf(of, row));
    }
    for (const { id } of records) ids.delete(id);
    return { records, ids: [...ids] };
  }

  private isSeen(id: string, row: unknown): boolean {
    const print = fingerprint(JSON.stringify(row));
    if (this.seen.get(id) === print) return true;
    this.seen.set(id, print);
    return false;
  }
}
