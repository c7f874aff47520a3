/** Open queries: their rows are read when their page is asked for, so that a page may come short. */
import { type Found } from './select';
import { recordId } from '../store/ids';

export interface Cursor {
  found: Found;
  all: boolean;
  /** Id of the user. */
  user: string;
  openedAt: number;
}

const LIFE = 2 * 24 * 60 * 60_000;

export class Cursors {
  readonly #cursors = new Map<string, Cursor>();
  #next = 1;

  /** A user has so many; the next one releases the oldest. */
  open(cursor: Cursor, perUser: number): string {
    const own = [...this.#cursors].filter(([, { user }]) => user === cursor.user);
    for (const [id] of own.slice(0, Math.max(0, own.length + 1 - perUser))) this.#cursors.delete(id);
    const id = recordId('01g', this.#next++);
    this.#cursors.set(id, cursor);
    return id;
  }

  get(id: string, now: number): Cursor | undefined {
    const cursor = this.#cursors.get(id);
    return cursor && cursor.openedAt > now - LIFE ? cursor : undefined;
  }
}
