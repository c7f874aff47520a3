import { pause } from '../../shared/async/pause';
import { FlowError } from '../../shared/errors';
import type { Collection } from './provider';
import type { SourceRecord } from './record';
import { say } from '../../shared/say';

export interface Comparison {
  /** How many records the stream shows as living. */
  living: number;
  /** Those of them of which the API has nothing any more. */
  lost: SourceRecord[];
  /** Why it isn't known whether others are lost. */
  doubt?: string;
}

export interface Comparing {
  collection: Collection;
  /** The ids that the stream shows as living, in pages. */
  liveIds: AsyncIterable<string[]>;
  /** Publishes what was read. */
  write: (records: SourceRecord[]) => Promise<unknown>;
  /** Runs a piece of the work when it is its turn. */
  turn: <T>(work: () => Promise<T>) => Promise<T>;
  /** The stream is to have everything that is in the API. */
  complete: boolean;
  signal: AbortSignal;
}

/**
 * Compares what the stream shows as living with the API, and gives what is lost. An API that lists its ids is asked
 * for them; an id that isn't among them is read, or looked for in a second list, which began when the stream had
 * shown it already, and what is listed but not living in the stream is read and published. Where ids can't be listed,
 * or records change without a trace, each is read, and what is still there is published as it is now; where the API then has more than that, because
 * something came back into sight, everything is read.
 */
export async function compare(comparing: Comparing): Promise<Comparison> {
  const { collection, liveIds, write, turn, signal } = comparing;
  const present = collection.ids && (await listed(comparing));
  const lost: SourceRecord[] = [];
  let living = 0;
  for await (const ids of liveIds) {
    living += ids.length;
    // What is left in the end is what the stream doesn't show.
    const missing = present ? ids.filter((id) => !present.delete(keyOf(id))) : ids;
    const wanted = collection.changesUnseen && collection.read ? ids : missing;
    if (wanted.length === 0 || signal.aborted) continue;
    await turn(async () => {
      const records = collection.read ? await collection.read(wanted, signal) : wanted.map(gone);
      await write(records.filter((record) => !record.gone));
      lost.push(...records.filter((record) => record.gone));
    });
  }
  if (comparing.complete && collection.permissioned && !signal.aborted)
    await fill(comparing, living - lost.length);
  if (collection.read && present) await heal(comparing, collection.read, [...present].map(String));
  if (lost.length === 0 || collection.read || signal.aborted) return { living, lost };
  const again = await listed(comparing);
  const { unidentified = 0 } = collection;
  if (unidentified > 0) return { living, lost: [], doubt: say`${unidentified} records there have no id` };
  return { living, lost: lost.filter(({ id }) => !again.has(keyOf(id))) };
}

/** Of fewer records anybody may delete all. */
const FEW = 10;
const SHARE = 0.5;
/** Where every deletion has been followed there is nothing left to be found. */
const UNEXPLAINED = 0.1;

/**
 * Throws MASS_LOSS where most of what was there is gone: a right that was taken away, or a filter that somebody set in
 * the API, looks like that. Somebody has to say that it is meant. `missed`: deletions may have been missed. Where none
 * was, what is gone without a trace is taken for deleted only as long as it is little, and others can be read.
 */
export function refuseMassLoss(name: string, { living, lost }: Comparison, missed: boolean): void {
  const unproven = lost.filter((record) => record.unproven).length;
  const most = lost.length >= FEW && lost.length > living * SHARE;
  const unexplained = unproven >= FEW && unproven > living * UNEXPLAINED;
  if (!most && (missed || !(unexplained || (unproven > 0 && unproven === living)))) return;
  throw new FlowError(
    'MASS_LOSS',
    say`${lost.length} of ${living} records of ${name} are gone from the API: none of them is published as deleted, because a lost permission looks the same. Check what the API's user may see; if they were deleted, “Read everything again” in the operations tab confirms it, as the command "resync" does`,
    false,
  );
}

/** `seen`: of so many that the stream shows as living the API has something. */
async function fill({ collection, turn, write, signal }: Comparing, seen: number): Promise<void> {
  if (((await turn(() => collection.count(signal))) ?? 0) <= seen) return;
  let from: object | undefined;
  do {
    const { next, wait = 0 } = await turn(async () => {
      const page = await collection.page(from, signal);
      await write(page.records);
      return page;
    });
    if (wait > 0) await pause(wait, signal);
    from = next;
  } while (from && !signal.aborted);
}

const HEALED = 1_000;

async function heal(
  { turn, write, signal }: Comparing,
  read: NonNullable<Collection['read']>,
  ids: readonly string[],
): Promise<void> {
  for (let from = 0; from < ids.length && !signal.aborted; from += HEALED)
    await turn(async () => {
      const records = await read(ids.slice(from, from + HEALED), signal);
      await write(records.filter((record) => !record.gone));
    });
}

async function listed({ collection, turn, signal }: Comparing): Promise<Set<string | number>> {
  const found = new Set<string | number>();
  const pages = collection.ids?.(signal)[Symbol.asyncIterator]();
  for (;;) {
    const page = await turn(async () => pages?.next());
    if (!page || page.done === true) return found;
    for (const id of page.value) found.add(keyOf(id));
  }
}

/** Most ids are numbers, which take a fraction of a text's memory. */
function keyOf(id: string): string | number {
  const number = Number(id);
  return Number.isSafeInteger(number) && String(number) === id ? number : id;
}

function gone(id: string): SourceRecord {
  return { id, data: {}, deleted: true, gone: true };
}
