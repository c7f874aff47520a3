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
  /** Collections each part of which (a repository) costs as much again. */
  parts: string[];
}

/** `names` of collections that aren't there cost nothing. `pollInterval` in milliseconds. */
export function costOf(declaration: Declaration, names: readonly string[], pollInterval: number): Cost {
  const polls = DAY / pollInterval;
  const cost: Cost = { calls: 0, free: declaration.conditional ?? false, whole: [], parts: [] };
  for (const name of names) {
    if (!hasCollection(declaration, name)) continue;
    const { of, partition } = findCollection(declaration, name);
    cost.calls += polls * (1 + binShare(of)) + comparisons(of);
    if (!of.changes) cost.whole.push({ name, size: of.list.size ?? 1 });
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
