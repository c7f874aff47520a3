import type { Position } from './provider';
import { readObject } from './store';

/** Where a collection stands, as it is kept. */
export interface Checkpoint {
  phase: 'backfill' | 'sweep' | 'live';
  /** From where changes are to be had: taken before the backfill began. */
  position: Position;
  /** The next page of the backfill. */
  cursor?: Position;
  done: number;
  total?: number;
  /** Which command to read everything anew it has followed: `Wanted.resync`, 0 for none. */
  resync: number;
  /** It has been complete once: what is new since then is an event. */
  complete: boolean;
  /** What the backfill doesn't show has to be looked for in the stream, because it may have been deleted. */
  sweep: boolean;
  /** When the stream was made that all this is about. */
  stream?: string;
}

/** Of somebody who was there, it isn't known where: older than any command to read everything anew. */
export const LOST: Checkpoint = {
  phase: 'backfill',
  position: {},
  done: 0,
  resync: -Infinity,
  complete: true,
  sweep: true,
};

/** The checkpoint that a text holds; undefined where it says no place to go on from. */
export function readCheckpoint(text: string): Checkpoint | undefined {
  const { phase, position, cursor, done, total, resync, complete, sweep, stream } = readObject(text) ?? {};
  if (phase !== 'backfill' && phase !== 'sweep' && phase !== 'live') return undefined;
  if (!isObject(position)) return undefined;
  return {
    phase,
    position,
    ...(isObject(cursor) && { cursor }),
    done: typeof done === 'number' ? done : 0,
    ...(typeof total === 'number' && { total }),
    resync: typeof resync === 'number' ? resync : 0,
    complete: complete === true,
    sweep: sweep === true,
    ...(typeof stream === 'string' && { stream }),
  };
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
