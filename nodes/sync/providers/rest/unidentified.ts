import { codeOf, messageOf } from '../../../shared/errors';
import { say } from '../../../shared/say';
import type { Trouble } from '../../engine/progress';
import { fingerprint } from '../../engine/record';
import type { CollectionDeclaration } from './declaration';
import { idIn, idOf } from './records';

/** Of so many the count is exact. */
const MOST = 10_000;

/**
 * Rows without an id, which can't be published: they are left out, counted, and the first is named. They are those
 * since the last beginning; a row that is seen again is the same one.
 */
export class Unidentified {
  private readonly prints = new Set<string>();
  private first: Trouble | undefined;
  /** One with an id has been seen: then the declaration says where it is. */
  private proven = false;

  constructor(private readonly of: CollectionDeclaration) {}

  get count(): number {
    return this.prints.size;
  }

  get problem(): Trouble | undefined {
    return this.first;
  }

  /** All is read anew. */
  begin(): void {
    this.prints.clear();
    this.first = undefined;
  }

  /** Those with an id. Throws INVALID_DECLARATION where `all` is read, and not one has. */
  leaveOut(rows: readonly unknown[], all: boolean): unknown[] {
    const { of } = this;
    const kept = rows.filter((row) => idIn(of, row) !== undefined);
    this.proven ||= kept.length > 0;
    if (kept.length === rows.length) return kept;
    if (all && !this.proven) idOf(of, rows[0]);
    for (const row of rows) if (idIn(of, row) === undefined) this.note(row);
    return kept;
  }

  private note(row: unknown): void {
    if (this.prints.size < MOST) this.prints.add(fingerprint(JSON.stringify(row) ?? ''));
    if (this.first) return;
    try {
      idOf(this.of, row);
    } catch (error) {
      const { list } = this.of;
      const place = list.get ?? list.post ?? '';
      const message = say`Records without an id are left out: ${messageOf(error)} (${place})`;
      this.first = { code: codeOf(error), message };
    }
  }
}
