import type { TestContext } from 'node:test';
import type { Changes, Collection, Position } from '../../../../nodes/sync/engine/provider';
import type { SourceRecord } from '../../../../nodes/sync/engine/record';
import type { Declaration } from '../../../../nodes/sync/providers/rest/declaration';
import { RestProvider } from '../../../../nodes/sync/providers/rest/provider';

const never = new AbortController().signal;

/** Positions are kept as JSON between any two calls. */
const kept = <T>(position: T): T => JSON.parse(JSON.stringify(position)) as T;

/** A collection of a declared API, read as the engine reads it. */
export async function opened(
  t: TestContext,
  declaration: Declaration,
  baseUrl: string,
  name: string,
): Promise<Collection> {
  const provider = new RestProvider({
    declaration: { ...declaration, rates: { ...declaration.rates, windows: [] } },
    values: { baseUrl, user: 'me@ex.test', token: 'token-of-tests' },
    budget: 100,
    pollInterval: 0,
    lookback: 60_000,
  });
  t.after(() => provider.close());
  return provider.open(`${declaration.name}:${name}`);
}

export async function history(collection: Collection): Promise<SourceRecord[]> {
  const records: SourceRecord[] = [];
  let from: Position | undefined;
  do {
    const page = await collection.page(from, never);
    records.push(...page.records);
    from = page.next && kept(page.next);
  } while (from);
  return records;
}

/** Until there is nothing more just now. */
export async function changes(
  collection: Collection,
  from: Position,
): Promise<{ records: SourceRecord[]; position: Position; gap?: string }> {
  const records: SourceRecord[] = [];
  let found: Changes;
  let position = from;
  do {
    found = await collection.changes(kept(position), never);
    const unread = found.records.filter((record) => record.unread).map(({ id }) => id);
    records.push(...found.records.filter((record) => !record.unread));
    if (unread.length > 0) records.push(...((await collection.read?.(unread, never)) ?? []));
    ({ position } = found);
  } while (found.more && found.gap === undefined);
  return { records, position, gap: found.gap };
}

export const idsOf = (records: readonly SourceRecord[]): string[] => records.map(({ id }) => id);
export const start = (collection: Collection): Promise<Position> => collection.now(never);
export async function listed(collection: Collection): Promise<string[]> {
  const found: string[] = [];
  for await (const ids of collection.ids?.(never) ?? []) found.push(...ids);
  return found;
}
