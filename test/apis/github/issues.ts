/** Lists of issues (which hold pull requests) and of pull requests, and the search for both. */
import { type Reply } from '../../support/simulated/exchange';
import { Refusal, type Row } from '../frame/simulation';
import { type SortedList } from '../frame/sorted-list';
import { errorReply, unprocessable } from './errors';
import {
  backwards,
  cursorOf,
  link,
  numbered,
  pageNumber,
  perPage,
  positionOf,
  type Pageable,
} from './paging';
import { issue, pull, type Manner } from './render';
import { type Issue, type Repository, type Store } from './store';
import { type Switches } from './switches';

/** One of a few words; any other is refused. */
export function oneOf<T extends string>(
  query: URLSearchParams,
  resource: string,
  field: string,
  words: readonly T[],
  usual: T,
): T {
  const given = query.get(field) ?? usual;
  const word = words.find((one) => one === given);
  if (word === undefined) throw unprocessable(resource, field);
  return word;
}

export function timeOf(query: URLSearchParams, resource: string, field: string): number | undefined {
  const text = query.get(field);
  if (text === null) return undefined;
  const ms = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : NaN;
  if (Number.isNaN(ms)) throw unprocessable(resource, field);
  return ms;
}

/** GET /repos/{owner}/{repo}/issues */
export function listIssues(
  repo: Repository,
  query: URLSearchParams,
  manner: Manner,
  switches: Switches,
): Reply {
  const state = oneOf(query, 'Issue', 'state', ['open', 'closed', 'all'], 'open');
  const sort = oneOf(query, 'Issue', 'sort', ['created', 'updated', 'comments'], 'created');
  const direction = oneOf(query, 'Issue', 'direction', ['asc', 'desc'], 'desc');
  const since = timeOf(query, 'Issue', 'since') ?? -Infinity;
  const labels = (query.get('labels') ?? '').split(',').filter((label) => label !== '');
  const size = perPage(query);
  const after = query.get('after');
  if (after === null && pageNumber(query) * size >= switches.pageLimit && pageNumber(query) > 1)
    throw new Refusal(
      errorReply(
        422,
        'Pagination with the page parameter is not supported for large datasets, please use cursor based pagination (after/before)',
      ),
    );
  const address = `${manner.url}/repositories/${repo.id}/issues`;
  const shows = (one: Issue): boolean =>
    (state === 'all' || one.fields.state === state) &&
    one.updated >= since &&
    labels.every((label) => labelsOf(one).includes(label));
  const render = (one: Issue): Row => issue(repo, one, manner);
  if (sort === 'comments') {
    const all = repo.issues.byCreated.items.filter(shows);
    const sign = direction === 'asc' ? 1 : -1;
    const comments = ({ fields }: Issue): number => Number(fields.comments ?? 0);
    return numbered(
      all.sort((a, b) => sign * (comments(a) - comments(b) || a.number - b.number)),
      query,
      address,
      render,
    );
  }
  const list = sort === 'created' ? repo.issues.byCreated : repo.issues.byUpdated;
  if (!switches.issueCursors && after === null)
    return numbered(ordered(list.items, direction, shows), query, address, render);
  const { rows, more } = walk(
    list,
    sort,
    direction,
    after,
    after === null ? (pageNumber(query) - 1) * size : 0,
    size,
    shows,
  );
  const last = rows.at(-1);
  const next = more &&
    last && {
      after: cursorOf({ value: last[sort], number: last.number }),
      page: String(pageNumber(query) + 1),
    };
  return { status: 200, body: rows.map(render), headers: link(address, query, next ? { next } : {}) };
}

function labelsOf({ fields }: Issue): string[] {
  return ((fields.labels ?? []) as (string | { name: string })[]).map((label) =>
    typeof label === 'string' ? label : label.name,
  );
}

function ordered(
  items: readonly Issue[],
  direction: 'asc' | 'desc',
  shows: ((one: Issue) => boolean) | undefined,
): Pageable<Issue> {
  const found = shows ? items.filter(shows) : items;
  return direction === 'asc' ? found : backwards(found);
}

/** A page from a cursor, or after so many, on. */
function walk(
  list: SortedList<Issue>,
  sort: 'created' | 'updated',
  direction: 'asc' | 'desc',
  after: string | null,
  skip: number,
  size: number,
  shows: (one: Issue) => boolean,
): { rows: Issue[]; more: boolean } {
  const { items } = list;
  const step = direction === 'asc' ? 1 : -1;
  let at = direction === 'asc' ? 0 : items.length - 1;
  if (after !== null) {
    const { value, number } = positionOf(after);
    const isBeyond = (one: Issue): boolean =>
      one[sort] > value || (one[sort] === value && one.number > number);
    const isThere = (one: Issue): boolean =>
      one[sort] > value || (one[sort] === value && one.number >= number);
    at = direction === 'asc' ? list.search(isBeyond) : list.search(isThere) - 1;
  }
  const rows: Issue[] = [];
  for (let skipped = 0; at >= 0 && at < items.length && rows.length <= size; at += step) {
    const one = items[at] as Issue;
    if (!shows(one)) continue;
    if (skipped < skip) skipped++;
    else rows.push(one);
  }
  return { rows: rows.slice(0, size), more: rows.length > size };
}

/** GET /repos/{owner}/{repo}/pulls: no `since`, pages by number only. */
export function listPulls(repo: Repository, query: URLSearchParams, manner: Manner): Reply {
  const state = oneOf(query, 'PullRequest', 'state', ['open', 'closed', 'all'], 'open');
  const sort = oneOf(
    query,
    'PullRequest',
    'sort',
    ['created', 'updated', 'popularity', 'long-running'],
    'created',
  );
  const usual = sort === 'created' ? 'desc' : 'asc';
  const direction = oneOf(query, 'PullRequest', 'direction', ['asc', 'desc'], usual);
  const base = query.get('base');
  const list = sort === 'created' || sort === 'long-running' ? repo.pulls.byCreated : repo.pulls.byUpdated;
  const shows = ({ fields }: Issue): boolean =>
    (state === 'all' || fields.state === state) &&
    (base === null || (fields.base ?? repo.defaultBranch) === base);
  const found = ordered(list.items, direction, state === 'all' && base === null ? undefined : shows);
  return numbered(found, query, `${manner.url}/repositories/${repo.id}/pulls`, (one) =>
    pull(repo, one, manner),
  );
}

const MAX_HITS = 1000;

/** GET /search/issues: repo:, is:, state:, updated: and words of the title. */
export function searchIssues(
  store: Store,
  query: URLSearchParams,
  manner: Manner,
  visibleBefore: number,
): Reply {
  const q = query.get('q') ?? '';
  if (q === '') throw unprocessable('Search', 'q', 'missing');
  const sort = oneOf(query, 'Search', 'sort', ['created', 'updated', 'comments', ''], '');
  const order = oneOf(query, 'Search', 'order', ['asc', 'desc'], 'desc');
  const terms = q.split(/\s+/).filter((term) => term !== '');
  const named = terms.find((term) => term.startsWith('repo:'))?.slice(5);
  const repos = [...store.repositories.values()].filter(
    (repo) => named === undefined || repo.fullName.toLowerCase() === named.toLowerCase(),
  );
  if (named !== undefined && repos.length === 0) throw unprocessable('Search', 'q');
  const tests = terms.map(searchTerm);
  const hits = repos.flatMap((repo) =>
    repo.issues.byCreated.items
      .filter((one) => one.changedAt <= visibleBefore && tests.every((test) => test(one)))
      .map((one) => ({ repo, one })),
  );
  const key = sort === 'updated' ? 'updated' : 'created';
  hits.sort((a, b) => (order === 'asc' ? 1 : -1) * (a.one[key] - b.one[key] || a.one.number - b.one.number));
  if ((pageNumber(query) - 1) * perPage(query) >= MAX_HITS)
    throw new Refusal(errorReply(422, 'Only the first 1000 search results are available'));
  return numbered(
    hits.slice(0, MAX_HITS),
    query,
    `${manner.url}/search/issues`,
    ({ repo, one }) => ({ ...issue(repo, one, manner), score: 1 }),
    (items) => ({ total_count: hits.length, incomplete_results: false, search_type: 'lexical', items }),
  );
}

function searchTerm(term: string): (one: Issue) => boolean {
  const [, name, value = ''] = /^(repo|is|state|updated|created):(.*)$/.exec(term) ?? [];
  if (name === 'repo') return () => true;
  if (name === 'is' && (value === 'issue' || value === 'pr'))
    return ({ isPull }) => isPull === (value === 'pr');
  if (name === 'is' || name === 'state') return ({ fields }) => fields.state === value;
  if (name === 'updated' || name === 'created') {
    const [, sign = '', date = ''] = /^(>=|<=|>|<)?(.*)$/.exec(value) ?? [];
    const at = Date.parse(date);
    if (Number.isNaN(at)) throw unprocessable('Search', 'q');
    return (one) => compare(one[name], sign, at);
  }
  return ({ fields }) =>
    String((fields.title as string | undefined) ?? '')
      .toLowerCase()
      .includes(term.toLowerCase());
}

function compare(value: number, sign: string, at: number): boolean {
  if (sign === '>') return value > at;
  if (sign === '>=') return value >= at;
  if (sign === '<') return value < at;
  if (sign === '<=') return value <= at;
  return value === at;
}
