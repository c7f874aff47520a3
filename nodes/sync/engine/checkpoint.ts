import { readObject } from '../../shared/positions';
import type { Position } from './provider';

/** Where a collection stands, as it is kept. */
export interface Checkpoint {
  phase: 'backfill' | 'reconcile' | 'live';
  /** From where changes go on: taken before the backfill began. */
  changesFrom: Position;
  /** The next page of the backfill. */
  pageFrom?: Position;
  done: number;
  total?: number;
  /** Which command to read everything anew it has followed: `Wanted.resync`, 0 for none. */
  resync: number;
  /** Which command to compare everything it has followed: `Wanted.reconcile`. */
  compared?: number;
  /** It has been complete once: what is new since then is an event. */
  complete: boolean;
  /** What the backfill doesn't show has to be looked for in the stream, because it may have been deleted. */
  reconcile: boolean;
  /** When all ids were last compared, epoch ms; only where the collection asks for it. */
  reconciled?: number;
  /** A mass loss was found after this command to read everything anew; a later one confirms it. */
  heldAt?: number;
  /** When the stream was made that all this is about. */
  stream?: string;
}

/** Of somebody who was there, it isn't known where: older than any command to read everything anew. */
export const LOST: Checkpoint = {
  phase: 'backfill',
  changesFrom: {},
  done: 0,
  resync: -Infinity,
  complete: true,
  reconcile: true,
};

/** The checkpoint that a text holds; undefined where it says no place to go on from. */
export function readCheckpoint(text: string): Checkpoint | undefined {
  const stored = readObject(text) ?? {};
  const { done, total, resync, complete, stream, reconciled, compared, heldAt } = stored;
  // The other names are those of 0.1.
  const { changesFrom = stored.position, pageFrom = stored.cursor, reconcile = stored.sweep } = stored;
  const phase = stored.phase === 'sweep' ? 'reconcile' : stored.phase;
  if (phase !== 'backfill' && phase !== 'reconcile' && phase !== 'live') return undefined;
  if (!isObject(changesFrom)) return undefined;
  return {
    phase,
    changesFrom,
    ...(isObject(pageFrom) && { pageFrom }),
    done: typeof done === 'number' ? done : 0,
    ...(typeof total === 'number' && { total }),
    resync: typeof resync === 'number' ? resync : 0,
    ...(typeof compared === 'number' && { compared }),
    complete: complete === true,
    reconcile: reconcile === true,
    ...(typeof reconciled === 'number' && { reconciled }),
    ...(typeof heldAt === 'number' && { heldAt }),
    ...(typeof stream === 'string' && { stream }),
  };
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
