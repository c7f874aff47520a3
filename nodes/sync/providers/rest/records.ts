import { FlowError } from '../../../shared/errors';
import { isoTime, type SourceRecord } from '../../engine/record';
import type { CollectionDeclaration } from './declaration';
import { at, matches, timeAt } from './path';
import { say } from '../../../shared/say';

/** The row's id as a text; undefined where there is none. */
export function idIn({ id }: CollectionDeclaration, row: unknown): string | undefined {
  const found = at(row, id);
  if (typeof found === 'string' && found !== '') return found;
  return typeof found === 'number' || typeof found === 'bigint' ? String(found) : undefined;
}

/** The row's id as a text. Throws INVALID_DECLARATION where there is none. */
export function idOf(of: CollectionDeclaration, row: unknown): string {
  const found = idIn(of, row);
  if (found !== undefined) return found;
  const { id } = of;
  throw new FlowError(
    'INVALID_DECLARATION',
    say`A record has no id at "${id}", but only ${
      Object.keys(row ?? {})
        .slice(0, 20)
        .join(', ')
        .slice(0, 300) || say`nothing`
    }`,
    false,
  );
}

/** It is a record of the collection; a list may show others, too. */
export function belongs({ skip }: CollectionDeclaration, row: unknown): boolean {
  return skip === undefined || !matches(row, skip);
}

export function isDeleted({ deleted }: CollectionDeclaration, row: unknown): boolean {
  return deleted !== undefined && matches(row, deleted);
}

/** What an API shows of a record → the record. Throws INVALID_DECLARATION. */
export function recordOf(of: CollectionDeclaration, row: unknown): SourceRecord {
  const deleted = isDeleted(of, row);
  const created = timeOf(of.created, row);
  const updated = timeOf(of.updated, row);
  const deletedAt = deleted && of.deletedAt !== undefined ? timeAt(row, of.deletedAt) : undefined;
  const last = deletedAt === undefined ? updated : Math.max(deletedAt, updated ?? deletedAt);
  return {
    id: idOf(of, row),
    data: row as Record<string, unknown>,
    ...(created !== undefined && { createdAt: isoTime(created) }),
    ...(last !== undefined && { updatedAt: isoTime(last) }),
    ...(deleted && { deleted }),
  };
}

/** Deleted, and nothing is known of when: whatever is seen of it later is newer. */
export function goneRecord(id: string): SourceRecord {
  return { id, data: {}, deleted: true, gone: true };
}

/** The ids of those that have become part of this one. */
export function mergedInto({ merged }: CollectionDeclaration, row: unknown): string[] {
  if (merged === undefined) return [];
  const found = at(row, merged);
  const ids: unknown[] = Array.isArray(found) ? found : typeof found === 'string' ? found.split(';') : [];
  return ids.map((id) => String(id).trim()).filter((id) => id !== '');
}

/** A path that leads nowhere is a mistake in the declaration, unless the API says null there. */
function timeOf(path: string | undefined, row: unknown): number | undefined {
  if (path === undefined) return undefined;
  const time = timeAt(row, path);
  const found = at(row, path.split('|')[0] ?? '');
  if (time !== undefined || found === null || found === undefined) return time;
  // "0000-00-00" and "N/A" are ways to say that there is none.
  if (typeof found === 'string' && !/[1-9]/.test(found)) return undefined;
  throw new FlowError(
    'INVALID_DECLARATION',
    say`A record has ${JSON.stringify(found).slice(0, 50)} at "${path}", which is no time of that format`,
    false,
  );
}
