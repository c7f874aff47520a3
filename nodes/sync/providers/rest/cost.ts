import { parseDuration } from '../../../shared/duration';
import type { CollectionDeclaration, Declaration } from './declaration';
import { findCollection, hasCollection } from './find';

const DAY = 24 * 60 * 60_000;
/** Polls between two readings of a bin. */
export const BIN_EVERY = 5;

/** What a sync costs a day while nothing changes. */
export interface Cost {
  /** Calls, where every list fits on one page. */
  calls: number;
  /** They are conditional: those that find nothing new don't count. */
  free: boolean;
  /** Collections that are read from end to end each time: a call for each `size` records. */
  whole: { name: string; size: number }[];
  /** Collections of which a comparison reads each record, because what belongs to it changes unseen: a call for each `size` records. */
  associated: { name: string; size: number }[];
  /** Collections each part of which (a repository) costs as much again. */
  parts: string[];
}

/** `names` of collections that aren't there cost nothing. `pollInterval` in milliseconds; `kinds` of associations. */
export function costOf(
  declaration: Declaration,
  names: readonly string[],
  pollInterval: number,
  kinds: readonly string[] = [],
): Cost {
  const polls = DAY / pollInterval;
  const cost: Cost = {
    calls: 0,
    free: declaration.conditional ?? false,
    whole: [],
    associated: [],
    parts: [],
  };
  for (const name of names) {
    if (!hasCollection(declaration, name)) continue;
    const { of, partition } = findCollection(declaration, name);
    cost.calls += polls * (1 + binShare(of)) + comparisons(of);
    if (!of.changes) cost.whole.push({ name, size: of.list.size ?? 1 });
    if (of.associations && of.compare && kinds.length > 0)
      cost.associated.push({ name, size: recordsOfACall(of, kinds.length) });
    if (of.of !== undefined && !partition) cost.parts.push(name);
  }
  return { ...cost, calls: Math.round(cost.calls) };
}

function binShare({ bin }: CollectionDeclaration): number {
  return bin ? 1 / (bin.every ?? BIN_EVERY) : 0;
}

function comparisons({ compare, changes }: CollectionDeclaration): number {
  return compare && changes ? DAY / parseDuration(compare.every) : 0;
}

/** They are read, and asked for each kind. */
function recordsOfACall({ read, associations }: CollectionDeclaration, kinds: number): number {
  const each = (read ? 1 / read.size : 0) + kinds / (associations?.size ?? 1);
  return Math.max(1, Math.floor(1 / each));
}
