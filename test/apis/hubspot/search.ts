/** POST /crm/v3/objects/{type}/search */
import { type SortedList } from '../frame/sorted-list';
import { invalid } from './errors';
import { type Stored, type TypeStore } from './store';
import { type Switches } from './switches';
import { TYPES, type Property } from './types';

interface Filter {
  propertyName: string;
  operator: string;
  value?: string;
  highValue?: string;
  values?: string[];
}

export interface SearchBody {
  filterGroups?: { filters?: Filter[] }[];
  sorts?: (string | { propertyName?: string; direction?: string })[];
  query?: string;
  properties?: string[];
  limit?: number;
  after?: string | number;
}

const MAX_HITS = 10_000;
const MAX_FILTERS = 18;

export interface Hits {
  total: number;
  page: Stored[];
  /** Offset of the next page. */
  next: number | undefined;
}

/** One page of hits. A query's answer is kept as long as nothing changes, so that its later pages cost nothing. */
export class Search {
  #last = { key: '', hits: [] as readonly Stored[] };

  constructor(
    private readonly store: TypeStore,
    private readonly switches: Switches,
  ) {}

  page(body: SearchBody): Hits {
    const limit = limitOf(body.limit, this.switches);
    const after = offsetOf(body.after);
    if (after + limit > MAX_HITS)
      throw invalid(`The maximum number of search results is ${MAX_HITS}: after + limit is ${after + limit}`);
    const entries = this.store.index.entries();
    const { filterGroups, sorts, query } = body;
    const key = JSON.stringify([this.store.index.version, this.switches.idOrder, filterGroups, sorts, query]);
    if (key !== this.#last.key) this.#last = { key, hits: this.#hits(entries, body) };
    const { hits } = this.#last;
    const next = after + limit;
    return {
      total: hits.length,
      page: hits.slice(after, next),
      next: next < hits.length ? next : undefined,
    };
  }

  #hits(
    entries: SortedList<Stored>,
    { filterGroups = [], sorts = [], query }: SearchBody,
  ): readonly Stored[] {
    const groups = this.#filters(filterGroups);
    const only = groups.length === 1 ? groups[0] : undefined;
    const [from, to] = range(
      entries,
      (only ?? []).filter(({ name }) => name === this.#modified),
    );
    let hits = from === 0 && to === entries.items.length ? entries.items : entries.items.slice(from, to);
    if (groups.length > 0)
      hits = hits.filter((record) =>
        groups.some((group) => group.every(({ name, test }) => test(this.store.value(record, name)))),
      );
    if (query !== undefined && query !== '')
      hits = hits.filter(({ properties }) =>
        Object.values(properties).some((value) => value?.toLowerCase().includes(query.toLowerCase())),
      );
    return this.#sorted(hits, sorts);
  }

  get #modified(): string {
    return TYPES[this.store.type].modified;
  }

  #sorted(hits: readonly Stored[], sorts: NonNullable<SearchBody['sorts']>): readonly Stored[] {
    if (sorts.length > 1) throw invalid('Only one sort is allowed');
    const [sort] = sorts;
    // Without a sort the newest record comes first.
    const given = sort === undefined ? { propertyName: 'createdate', direction: 'DESCENDING' } : sort;
    const { propertyName = '', direction = 'ASCENDING' } =
      typeof given === 'string'
        ? {
            propertyName: given.replace(/^-/, ''),
            direction: given.startsWith('-') ? 'DESCENDING' : 'ASCENDING',
          }
        : given;
    if (direction !== 'ASCENDING' && direction !== 'DESCENDING')
      throw invalid(`Invalid sort direction ${direction}`);
    const sign = direction === 'ASCENDING' ? 1 : -1;
    if (propertyName === this.#modified) return sign === 1 ? hits : [...hits].reverse();
    const key = this.#key(this.#property(propertyName));
    const keyed = hits.map((record) => ({ record, key: key(this.store.value(record, propertyName)) }));
    keyed.sort((a, b) => sign * (order(a.key, b.key) || a.record.id - b.record.id));
    return keyed.map(({ record }) => record);
  }

  #property(name: string): Property {
    const property = this.store.properties.get(name);
    if (!property) throw invalid(`There was a problem with the request: property ${name} does not exist`);
    return property;
  }

  /** What a value compares as. */
  #key({ name, type }: Property): (value: string | null) => string | number | null {
    if (type === 'datetime') return (value) => (value === null || value === '' ? null : time(value));
    if (type === 'number' && !(name === 'hs_object_id' && this.switches.idOrder === 'text'))
      return (value) => (value === null || value === '' ? null : Number(value));
    return (value) => value;
  }

  #filters(groups: NonNullable<SearchBody['filterGroups']>): Compiled[][] {
    if (groups.length > this.switches.maxFilterGroups)
      throw invalid(`At most ${this.switches.maxFilterGroups} filterGroups are allowed`);
    const counts = groups.map(({ filters = [] }) => filters.length);
    if (Math.max(0, ...counts) > this.switches.maxFiltersPerGroup)
      throw invalid(`At most ${this.switches.maxFiltersPerGroup} filters are allowed in a filterGroup`);
    if (counts.reduce((sum, count) => sum + count, 0) > MAX_FILTERS)
      throw invalid(`At most ${MAX_FILTERS} filters are allowed`);
    return groups.map(({ filters = [] }) => filters.map((filter) => this.#filter(filter)));
  }

  #filter(filter: Filter): Compiled {
    const { propertyName, operator, value, highValue, values } = filter;
    const property = this.#property(propertyName);
    const key = this.#key(property);
    const need = (text: unknown): string | number | null => {
      if (text === undefined || text === null) throw invalid(`${operator} wants a value for ${propertyName}`);
      const asked = key(String(text as string));
      if (typeof asked === 'number' && Number.isNaN(asked))
        throw invalid(`${String(text as string)} is not a valid ${property.type} for ${propertyName}`);
      return asked;
    };
    const compared = (holds: (difference: number) => boolean, with_: unknown): Compiled['test'] => {
      const asked = need(with_);
      return (has) => has !== null && has !== '' && holds(order(key(has), asked));
    };
    const list = (): Set<string | number | null> => {
      if (!Array.isArray(values)) throw invalid(`${operator} wants values for ${propertyName}`);
      return new Set(values.map(need));
    };
    const at = (text: unknown): number | undefined => {
      const asked = need(text);
      return typeof asked === 'number' ? asked : undefined;
    };
    const base = { name: propertyName };
    switch (operator) {
      case 'EQ':
        return { ...base, from: at(value), to: at(value), test: compared((d) => d === 0, value) };
      case 'NEQ':
        return { ...base, test: compared((d) => d !== 0, value) };
      case 'LT':
        return { ...base, to: at(value), test: compared((d) => d < 0, value) };
      case 'LTE':
        return { ...base, to: at(value), test: compared((d) => d <= 0, value) };
      case 'GT':
        return { ...base, from: at(value), test: compared((d) => d > 0, value) };
      case 'GTE':
        return { ...base, from: at(value), test: compared((d) => d >= 0, value) };
      case 'BETWEEN': {
        const low = compared((d) => d >= 0, value);
        const high = compared((d) => d <= 0, highValue);
        return { ...base, from: at(value), to: at(highValue), test: (has) => low(has) && high(has) };
      }
      case 'IN': {
        const set = list();
        return { ...base, test: (has) => has !== null && set.has(key(has)) };
      }
      case 'NOT_IN': {
        const set = list();
        return { ...base, test: (has) => has !== null && !set.has(key(has)) };
      }
      case 'HAS_PROPERTY':
        return { ...base, test: (has) => has !== null && has !== '' };
      case 'NOT_HAS_PROPERTY':
        return { ...base, test: (has) => has === null || has === '' };
      case 'CONTAINS_TOKEN':
        return { ...base, test: (has) => tokens(has).includes(String(need(value)).toLowerCase()) };
      case 'NOT_CONTAINS_TOKEN':
        return { ...base, test: (has) => !tokens(has).includes(String(need(value)).toLowerCase()) };
      default:
        throw invalid(`Invalid input JSON: ${operator} is not a valid operator`);
    }
  }
}

interface Compiled {
  name: string;
  test: (value: string | null) => boolean;
  /** Bounds, inclusive, of a number or a time. */
  from?: number;
  to?: number;
}

/** The part of the index in which filters on the time of the last change can hold. */
function range(entries: SortedList<Stored>, filters: readonly Compiled[]): [from: number, to: number] {
  const low = Math.max(-Infinity, ...filters.map(({ from = -Infinity }) => from));
  const high = Math.min(Infinity, ...filters.map(({ to = Infinity }) => to));
  return [
    entries.search(({ updatedAt }) => updatedAt >= low),
    entries.search(({ updatedAt }) => updatedAt > high),
  ];
}

function time(text: string): number {
  return /^-?\d+$/.test(text) ? Number(text) : Date.parse(text);
}

function order(a: string | number | null, b: string | number | null): number {
  if (a === b) return 0;
  if (a === null) return -1;
  if (b === null) return 1;
  return a < b ? -1 : 1;
}

function tokens(value: string | null): string[] {
  return (value ?? '').toLowerCase().split(/[^\p{L}\p{N}]+/u);
}

function limitOf(limit: unknown, { overLimit }: Switches): number {
  if (limit === undefined || limit === null) return 10;
  const asked = Number(limit);
  if (!Number.isInteger(asked) || asked < 0)
    throw invalid(`Invalid input JSON: limit ${String(limit as string)}`);
  if (asked <= 200) return asked;
  if (overLimit === 'clamp') return 200;
  throw invalid(`The limit of a search is 200 results a page, not ${asked}`);
}

function offsetOf(after: unknown): number {
  if (after === undefined || after === null || after === '') return 0;
  const asked = Number(after);
  if (!Number.isInteger(asked) || asked < 0) throw invalid('after is not a valid integer');
  return asked;
}
