/** What a stored position takes for read, as each API's own rules say it. */
import type { Row } from '../../apis/frame/simulation';

/** How far a list has been read, as a position of the history keeps it. */
export interface Read {
  last?: { id: string };
}

/** Where changes of a part stand. */
export interface Standing {
  since: number;
  cursor?: string;
  head?: string;
  /** It is being read from its beginning. */
  fresh?: object;
}

export interface Committed {
  id: string;
  row: Row;
  /** Epoch ms; not before it could be seen. */
  at: number;
}

/** Whether changes that stand there have had a version: it has to be in the stream then. */
export type Covers = (
  standing: Standing,
  version: Committed,
  find: (id: string) => Row | undefined,
) => boolean;

/** By time. `lag`: how far the API shows a change late, in milliseconds. */
export const byTime =
  (lag = 0): Covers =>
  ({ since }, { at }) =>
    at < since - lag;

/** By a cursor that holds the second and the id of what was exported last. */
export const byCursor: Covers = ({ cursor = '' }, { at, id }) => {
  const [, second, last] =
    /^(\d+)\.0\|\|(\d+)\|\|/.exec(Buffer.from(cursor, 'base64').toString('latin1')) ?? [];
  const own = Math.floor(at / 1_000);
  return own < Number(second) || (own === Number(second) && Number(id) <= Number(last));
};

/** By the second up to which all was exported; what else there is of it is still to come. */
export const bySecond: Covers = ({ cursor }, { at }) => Math.floor(at / 1_000) < Number(cursor);

/** By the newest of linked records: with it come all that it follows. */
export const byAncestry = (parents: (row: Row) => string[]): Covers => {
  const known = new Map<string, Set<string>>();
  const ancestors = (head: string, find: (id: string) => Row | undefined): Set<string> => {
    let found = known.get(head);
    if (found) return found;
    known.set(head, (found = new Set()));
    for (const open = [head]; open.length > 0;) {
      const id = open.pop() ?? '';
      const row = found.has(id) ? undefined : find(id);
      if (!row) continue;
      found.add(id);
      open.push(...parents(row));
    }
    return found;
  };
  return ({ head = '' }, { id }, find) => ancestors(head, find).has(id);
};
