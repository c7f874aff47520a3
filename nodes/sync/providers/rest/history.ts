import type { Listing } from './declaration';
import type { Pass, PassReader } from './pass';

/** How far a history has been read: its slices that are not complete; kept as JSON. */
export type HistoryState = Pass[];

export interface HistoryStep {
  rows: unknown[];
  /** Undefined when all has been read. */
  state: HistoryState | undefined;
}

/** A slice, and the milliseconds that its last page spanned, where that has brought it further. */
interface Slice {
  pass: Pass;
  pace?: number;
}

/** Pages that are left in a slice at least for it to be cut: a cut costs up to a page more. */
const WORTH = 10;
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
/** Cuts are made at whole minutes. */
const LEAST = 2 * MINUTE;

/**
 * Reads a list that can be cut by time in slices side by side, any other page by page. It begins as one slice; while
 * there is room, the one that has most left is cut in two. One whose beginning is unknown, because it is read newest
 * first, is cut as far back as it has come: so that little is asked for from before the first record.
 */
export class History {
  private readonly newestFirst: boolean;

  constructor(
    private readonly reader: PassReader,
    private readonly listing: Listing,
  ) {
    this.newestFirst = listing.order === undefined;
  }

  /** A page of as many slices as there is room for. */
  async step(
    before: HistoryState | Pass | undefined,
    room: number,
    signal: AbortSignal,
  ): Promise<HistoryStep> {
    const { reader } = this;
    // A position of before was a single pass.
    const slices = [before ?? reader.begin(0)].flat();
    const read = await Promise.all(slices.slice(0, room).map((slice) => reader.step(slice, signal)));
    const left = read.flatMap(({ pass, rows }, i): Slice[] =>
      pass ? [{ pass, pace: this.hasAdvanced(slices[i], pass) ? reader.span(rows) : undefined }] : [],
    );
    const all = [...left, ...slices.slice(room).map((pass) => ({ pass }))];
    const rows = read.flatMap((step) => step.rows);
    return { rows, state: all.length === 0 ? undefined : this.cut(all, room).map(({ pass }) => pass) };
  }

  private cut(slices: Slice[], room: number): Slice[] {
    if (!this.listing.slices) return slices;
    const pages = slices.map((slice) => this.pagesLeft(slice));
    const most = pages.indexOf(Math.max(...pages));
    const slice = slices[most];
    if (!slice || slices.length >= room || (pages[most] ?? 0) < WORTH) return slices;
    // What is left of it is known after its next page.
    return this.cut(slices.toSpliced(most, 1, ...this.halves(slice).map((pass) => ({ pass }))), room);
  }

  private pagesLeft({ pass, pace }: Slice): number {
    const { from, to = pass.clock, last, tie, back } = pass;
    if (!last || pace === undefined || tie || back !== undefined) return 0;
    const left = this.newestFirst ? last.time - from : to - last.time;
    return left < LEAST ? 0 : left / Math.max(pace, SECOND);
  }

  /** Where a page brings nothing but the time that was there before, a slice can't be begun again at that time. */
  private hasAdvanced(before: Pass | undefined, { last }: Pass): boolean {
    if (!last) return false;
    if (!before?.last) return true;
    return this.newestFirst ? last.time < before.last.time : last.time > before.last.time;
  }

  private halves({ pass, pace = 0 }: Slice): Pass[] {
    const { reader, newestFirst } = this;
    const { from, to, clock, last } = pass;
    const time = last?.time ?? from;
    if (!newestFirst) {
      const middle = wholeMinute((time + (to ?? clock)) / 2);
      return [reader.again(pass, time, middle), { ...reader.begin(middle), to }];
    }
    const back = time - Math.max(WORTH * pace, clock - time, HOUR);
    const middle = wholeMinute(from === 0 ? Math.max(back, time / 2) : (from + time) / 2);
    return [reader.again(pass, middle, behind(time)), { ...reader.begin(from), to: middle }];
  }
}

/** APIs tell times in seconds, and some compare them in minutes. */
function wholeMinute(time: number): number {
  return Math.floor(time / MINUTE) * MINUTE;
}

function behind(time: number): number {
  return (Math.floor(time / SECOND) + 1) * SECOND;
}
