import type { RestClient } from './client';
import type { CollectionDeclaration } from './declaration';
import { PassReader, type Pass } from './pass';
import { at } from './path';
import { idOf } from './records';
import type { Values } from './template';

/** A list of its own within a collection: a repository's issues, say. */
export interface Partition {
  /** Lasts, also when its names change. */
  key: string;
  values: Values;
}

/** A collection that is one list. */
export const WHOLE: Partition = { key: '', values: {} };

/** Those that there are now, in the order of their keys. */
export async function partitionsOf(
  client: RestClient,
  { as = {} }: CollectionDeclaration,
  parent: CollectionDeclaration,
  values: Values,
  signal: AbortSignal,
): Promise<Partition[]> {
  const id = (row: unknown): string => idOf(parent, row);
  const reader = new PassReader(client, { listing: parent.list, values, idOf: id });
  const found = new Map<string, Partition>();
  for (let pass: Pass | undefined = reader.begin(0); pass;) {
    const step = await reader.step(pass, signal);
    for (const row of step.rows) {
      const named = Object.entries(as).map(([name, path]): [string, unknown] => [name, at(row, path)]);
      found.set(id(row), { key: id(row), values: { ...values, ...Object.fromEntries(named) } });
    }
    pass = step.pass;
  }
  return [...found.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}
