/** Long texts that change a little are sent as what has changed: a unified diff with the hash of the new text. */
import { createHash } from 'node:crypto';

const SHORTEST = 1000;

/** The difference, or undefined where the rules say that the whole text is sent. */
export function textDiff(before: string, after: string): string | undefined {
  if (after.length < SHORTEST || Math.abs(after.length - before.length) > before.length / 2) return undefined;
  const old = lines(before);
  const now = lines(after);
  const hunks = hunksOf(old, now);
  const changed = hunks.reduce((sum, hunk) => sum + hunk.removed.length + hunk.added.length, 0);
  if (changed > (old.length + now.length) / 4) return undefined;
  const body = hunks.map(
    ({ at, removed, to, added }) =>
      `@@ -${start(at, removed)},${removed.length} +${start(to, added)},${added.length} @@\n` +
      removed.map((line) => `-${line}\n`).join('') +
      added.map((line) => `+${line}\n`).join(''),
  );
  const diff = `--- \n+++ ${createHash('sha256').update(after).digest('hex')}\n${body.join('')}`;
  return diff.length > after.length ? undefined : diff;
}

function lines(text: string): string[] {
  return text.split(/\r\n|\r|\n/);
}

/** Lines count from 1; an empty side names the line before. */
function start(index: number, side: readonly string[]): number {
  return side.length === 0 ? index : index + 1;
}

interface Hunk {
  at: number;
  removed: string[];
  to: number;
  added: string[];
}

/** Differences without context, by the longest common subsequence of lines. */
function hunksOf(old: readonly string[], now: readonly string[]): Hunk[] {
  const common = commonLengths(old, now);
  const hunks: Hunk[] = [];
  let open: Hunk | undefined;
  for (let i = 0, j = 0; i < old.length || j < now.length;) {
    if (i < old.length && j < now.length && old[i] === now[j]) {
      open = undefined;
      i++;
      j++;
      continue;
    }
    if (!open) hunks.push((open = { at: i, removed: [], to: j, added: [] }));
    const removing =
      j >= now.length || (i < old.length && (common[i + 1]?.[j] ?? 0) >= (common[i]?.[j + 1] ?? 0));
    if (removing) open.removed.push(old[i++] as string);
    else open.added.push(now[j++] as string);
  }
  return hunks;
}

/** `[i][j]`: how many lines the rests behind i and j have in common, in order. */
function commonLengths(old: readonly string[], now: readonly string[]): number[][] {
  const table = Array.from({ length: old.length + 1 }, () => new Array<number>(now.length + 1).fill(0));
  for (let i = old.length - 1; i >= 0; i--) {
    const row = table[i] as number[];
    const below = table[i + 1] as number[];
    for (let j = now.length - 1; j >= 0; j--)
      row[j] = old[i] === now[j] ? (below[j + 1] ?? 0) + 1 : Math.max(below[j] ?? 0, row[j + 1] ?? 0);
  }
  return table;
}
