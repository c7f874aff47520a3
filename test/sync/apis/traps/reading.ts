import type { TestContext } from 'node:test';
import type { Collection, Position } from '../../../../nodes/sync/engine/provider';
import type { SourceRecord } from '../../../../nodes/sync/engine/record';
import { declarationOf } from '../../../../nodes/sync/providers/catalog';
import type { Declaration } from '../../../../nodes/sync/providers/rest/declaration';
import { RestProvider } from '../../../../nodes/sync/providers/rest/provider';
import type { Api, ApiOptions } from '../../../apis/api';
import type { ApiName } from '../../../apis/catalog';
import type { Row } from '../../../apis/frame/simulation';
import { apiFor } from '../../../apis/support';
import { changes, history, start } from '../../providers/rest/drain';

export interface Reading {
  api: Api;
  collection: Collection;
  /** Opens it anew, as after an error: with nothing kept but positions. */
  reopen: () => Promise<Collection>;
  /** Those of the API, as far as they live in this collection. */
  rows: () => Row[];
  calls: (path?: string) => number;
}

/** A collection of a simulated API, read as the engine reads it. */
export async function reading(
  t: TestContext,
  name: ApiName,
  of: string,
  options: ApiOptions = {},
  declared: (declaration: Declaration) => Declaration = (declaration) => declaration,
): Promise<Reading> {
  const api = await apiFor(t, name, options);
  const declaration = declared(declarationOf(name) as Declaration);
  const provider = new RestProvider({
    // What is permitted is up to the simulated API here.
    declaration: { ...declaration, rates: { ...declaration.rates, windows: [] } },
    values: { baseUrl: api.baseUrl, user: api.user?.replace(/\/token$/, ''), token: api.token },
    budget: 100,
    pollInterval: 0,
    lookback: 60_000,
  });
  t.after(() => provider.close());
  const reopen = (): Promise<Collection> => provider.open(`${name}:${of}`);
  return {
    api,
    collection: await reopen(),
    reopen,
    rows: () => api.records(of),
    calls: (path = '') => api.requests().filter((each) => each.path.includes(path)).length,
  };
}

export const many = <T>(count: number, make: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i));

export const DAY = 86_400_000;
export const longAgo = (): number => Date.now() - 100 * DAY;

/** Ids of what is read, each once, in order. */
export const distinct = (records: readonly SourceRecord[]): string[] =>
  [...new Set(records.map(({ id }) => id))].sort();

export const ids = (rows: readonly Row[], field = 'id'): string[] =>
  rows.map((row) => String(row[field] as string)).sort();

/** Where changes begin, with what was changed before already told. */
export async function settled(collection: Collection): Promise<Position> {
  const from = await start(collection);
  await history(collection);
  return (await changes(collection, from)).position;
}
