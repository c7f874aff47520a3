import { FlowError } from '../../shared/errors';
import type { Collection } from './provider';
import type { SourceRecord } from './record';

export interface Comparison {
  /** How many records the stream shows as living. */
  living: number;
  /** Those of them of which the API has nothing any more. */
  lost: SourceRecord[];
}

export interface Comparing {
  collection: Collection;
  /** The ids that the stream shows as living, in pages. */
  liveIds: AsyncIterable<string[]>;
  /** Publishes what was read. */
  write: (records: SourceRecord[]) => Promise<unknown>;
  /** Runs a piece of the work when it is its turn. */
  turn: <T>(work: () => Promise<T>) => Promise<T>;
  signal: AbortSignal;
}

/**
 * Compares what the stream shows as living with the API, and gives what is lost. An API that lists its ids is asked
 * for them; an id that isn't among them is read, or looked for in a second list, which began when the stream had
 * shown it already, and what is listed but not living in the stream is read and published. Where ids can't be listed
 * each is read, and what is still there is published as it is now.
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
    if (missing.length === 0 || signal.aborted) continue;
    await turn(async () => {
      const records = collection.read ? await collection.read(missing, signal) : missing.map(gone);
      await write(records.filter((record) => !record.gone));
      lost.push(...records.filter((record) => record.gone));
    });
  }
  if (collection.read && present) await heal(comparing, collection.read, [...present].map(String));
  if (lost.length === 0 || collection.read || signal.aborted) return { living, lost };
  const again = await listed(comparing);
  return { living, lost: lost.filter(({ id }) => !again.has(keyOf(id))) };
}

/** Of fewer records anybody may delete all. */
const FEW = 10;
const SHARE = 0.5;

/**
 * Throws MASS_LOSS where most of what was there is gone: a right that was taken away, or a filter that somebody set in
 * the API, looks like that. Somebody has to say that it is meant.
 */
export function refuseMassLoss(name: string, { living, lost }: Comparison): void {
  if (lost.length < FEW || lost.length <= living * SHARE) return;
  throw new FlowError(
    'MASS_LOSS',
    `${lost.length} of ${living} records of ${name} are gone from the API: none of them is published as deleted, because a lost permission looks the same. Check what the API's user may see; if they were deleted, command "resync" confirms it`,
    false,
  );
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
