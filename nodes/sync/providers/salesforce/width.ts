/** Characters of rows that are read at once. */
const AT_ONCE = 8_000_000;
/** Rows that say enough about the others. */
const SAMPLE = 20;

/** How wide an object's rows are, so that what is read at once takes little memory whatever they hold. */
export class RowWidth {
  private characters = 0;

  /** Forgets slowly: one page of narrow rows says little about the next. */
  observe(rows: readonly unknown[]): void {
    const step = Math.max(1, Math.floor(rows.length / SAMPLE));
    let [sampled, sum] = [0, 0];
    for (let at = 0; at < rows.length; at += step) {
      sampled++;
      sum += JSON.stringify(rows[at]).length;
    }
    if (sampled > 0) this.measured(sum / sampled);
  }

  /** `characters`: of a row, on the average of some. */
  measured(characters: number): void {
    this.characters = Math.max(characters, this.characters * 0.9);
  }

  /** Rows to be read at once, `most` of them. */
  fit(most: number): number {
    return Math.max(1, Math.min(most, Math.floor(AT_ONCE / Math.max(1, this.characters))));
  }
}
