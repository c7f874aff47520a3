/** The calls that read objects: lists, single ones, batches, search, property lists. */
import { type Reply } from '../../support/simulated/exchange';
import { type Row } from '../frame/simulation';
import { inputsOf, type Associations } from './associations';
import { invalid, notFound } from './errors';
import { type Search, type SearchBody } from './search';
import { type Stored, type TypeStore } from './store';
import { type Switches } from './switches';
import { TYPES, isTypeName, type TypeName } from './types';

export interface Reading {
  store: TypeStore;
  search: Search;
  associations: Associations;
  switches: Switches;
  /** Of the simulation, for links. */
  url: string;
}

/** A record as the API shows it. */
export function shown(store: TypeStore, record: Stored, asked?: readonly string[], history?: string[]): Row {
  const { modified, defaults } = TYPES[store.type];
  const names = new Set(['createdate', 'hs_object_id', modified, ...(asked ?? defaults)]);
  const properties: Record<string, string | null> = {};
  for (const name of names) if (store.properties.has(name)) properties[name] = store.value(record, name);
  return {
    id: String(record.id),
    properties,
    ...(history && {
      propertiesWithHistory: Object.fromEntries(
        history.map((name) => [
          name,
          [{ value: store.value(record, name), timestamp: iso(record.updatedAt), sourceType: 'CRM_UI' }],
        ]),
      ),
    }),
    createdAt: iso(record.createdAt),
    updatedAt: iso(record.updatedAt),
    archived: record.archivedAt !== undefined,
    ...(record.archivedAt !== undefined && { archivedAt: iso(record.archivedAt) }),
  };
}

const iso = (ms: number): string => new Date(ms).toISOString();

/** GET /crm/v3/objects/{type} */
export function list({ store, associations, switches, url }: Reading, query: URLSearchParams): Reply {
  const history = names(query, 'propertiesWithHistory');
  const limit = limitOf(query, history ? 50 : 100, switches);
  const archived = boolean(query, 'archived');
  const after = query.get('after') ?? '0';
  if (!/^\d+$/.test(after)) throw invalid(`Unable to parse value for query parameter after: "${after}"`);
  const { page, next } = cut(store, Number(after), limit, archived, switches.shortPages);
  const asked = names(query, 'properties');
  const types = names(query, 'associations') ?? [];
  const results = page.map((record) => ({
    ...shown(store, record, asked, history),
    ...(types.length > 0 && { associations: associated(associations, store.type, record.id, types) }),
  }));
  return {
    status: 200,
    body: { results, ...(next !== undefined && { paging: paging(url, query, store, next) }) },
  };
}

/** So many ids from one on, or so many that are to be seen. */
function cut(
  store: TypeStore,
  after: number,
  limit: number,
  archived: boolean,
  short: boolean,
): { page: Stored[]; next: number | undefined } {
  const page: Stored[] = [];
  let at = firstAtLeast(store.ids, after);
  for (let slots = 0; at < store.ids.length && (short && !archived ? slots : page.length) < limit; slots++) {
    const record = store.get(store.ids[at++] as number);
    if (record && (record.archivedAt !== undefined) === archived) page.push(record);
  }
  return { page, next: store.ids[at] };
}

function firstAtLeast(ids: readonly number[], id: number): number {
  let low = 0;
  let high = ids.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ids[middle] as number) >= id) high = middle;
    else low = middle + 1;
  }
  return low;
}

function paging(url: string, query: URLSearchParams, store: TypeStore, next: number): object {
  const params = new URLSearchParams(query);
  params.set('after', String(next));
  return { next: { after: String(next), link: `${url}/crm/v3/objects/${store.type}?${params}` } };
}

function associated(associations: Associations, from: string, id: number, types: readonly string[]): object {
  const found = types
    .map((to) => [to, associations.list(from, id, to)] as const)
    .filter(([, ids]) => ids.length > 0);
  return Object.fromEntries(
    found.map(([to, ids]) => [
      to,
      { results: ids.slice(0, 100).map((other) => ({ id: String(other), type: `${from}_to_${to}` })) },
    ]),
  );
}

/** GET /crm/v3/objects/{type}/{id}: an id that was merged away answers who has it now. */
export function read({ store, associations }: Reading, id: string, query: URLSearchParams): Reply {
  const record = store.find(Number(id));
  if (!record || (record.archivedAt !== undefined) !== boolean(query, 'archived')) throw notFound();
  const types = names(query, 'associations') ?? [];
  const body = {
    ...shown(store, record, names(query, 'properties'), names(query, 'propertiesWithHistory')),
    ...(types.length > 0 && { associations: associated(associations, store.type, record.id, types) }),
  };
  return { status: 200, body };
}

/** POST /crm/v3/objects/{type}/batch/read */
export function readBatch({ store }: Reading, body: unknown, archived: boolean): Reply {
  const { properties, propertiesWithHistory: history } = (body ?? {}) as {
    properties?: string[];
    propertiesWithHistory?: string[];
  };
  const inputs = inputsOf(body, history && history.length > 0 ? 50 : 100);
  const at = new Date().toISOString();
  const records = new Map<number, Stored>();
  const missing: string[] = [];
  for (const { id } of inputs) {
    const record = store.find(Number(id));
    if (record && (record.archivedAt !== undefined) === archived) records.set(record.id, record);
    else missing.push(id);
  }
  const results = [...records.values()].map((record) =>
    shown(store, record, properties, history && history.length > 0 ? history : undefined),
  );
  const answer = { status: 'COMPLETE', results, startedAt: at, completedAt: at };
  if (missing.length === 0) return { status: 200, body: answer };
  const error = {
    status: 'error',
    category: 'OBJECT_NOT_FOUND',
    message: 'Could not get some objects, they may be deleted or not exist. Check that ids are valid.',
    context: { ids: missing },
  };
  return { status: 207, body: { ...answer, numErrors: 1, errors: [error] } };
}

/** POST /crm/v3/objects/{type}/search. Hits that have gone since they were indexed leave their page short. */
export function searchObjects({ store, search, url }: Reading, body: SearchBody): Reply {
  const { total, page, next } = search.page(body);
  const results = page
    .filter(({ id }) => store.get(id)?.archivedAt === undefined && store.get(id) !== undefined)
    .map((record) => shown(store, record, body.properties));
  const link = `${url}/crm/v3/objects/${store.type}/search?after=${next}`;
  return {
    status: 200,
    body: { total, results, ...(next !== undefined && { paging: { next: { after: String(next), link } } }) },
  };
}

/** GET /crm/v3/properties/{type} */
export function properties({ store }: Reading): Reply {
  const results = [...store.properties.values()].map(({ name, type }) => ({
    name,
    label: name,
    type,
    fieldType: type === 'datetime' ? 'date' : 'text',
    description: '',
    groupName: `${store.type}information`,
    options: [],
    displayOrder: -1,
    hasUniqueValue: false,
    hidden: false,
    formField: false,
    calculated: false,
    externalOptions: false,
    archived: false,
    modificationMetadata: { archivable: false, readOnlyDefinition: true, readOnlyValue: false },
  }));
  return { status: 200, body: { results } };
}

/** Comma-separated, repeated, or both. */
export function names(query: URLSearchParams, name: string): string[] | undefined {
  const all = query.getAll(name).flatMap((part) => part.split(','));
  return all.length === 0 ? undefined : all.filter((part) => part !== '');
}

export function boolean(query: URLSearchParams, name: string): boolean {
  const text = query.get(name) ?? 'false';
  if (text !== 'true' && text !== 'false')
    throw invalid(`Unable to parse value for query parameter ${name}: "${text}"`);
  return text === 'true';
}

export function limitOf(query: URLSearchParams, max: number, { overLimit }: Switches, usual = 10): number {
  const text = query.get('limit');
  if (text === null) return usual;
  if (!/^\d+$/.test(text) || Number(text) === 0)
    throw invalid(`Unable to parse value for query parameter limit: "${text}"`);
  if (Number(text) <= max) return Number(text);
  if (overLimit === 'clamp') return max;
  throw invalid(`limit must be at most ${max}, not ${text}`);
}

export function typeNamed(name: string): TypeName {
  if (!isTypeName(name)) throw invalid(`Unable to infer object type from: ${name}`);
  return name;
}
