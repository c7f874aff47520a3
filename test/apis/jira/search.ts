/** What finds issues: search by JQL, the count, and reads of many at once. */
import { createHash } from 'node:crypto';
import { type Reply } from '../../support/simulated/exchange';
import { type Row } from '../frame/simulation';
import { SortedList } from '../frame/sorted-list';
import { invalid } from './errors';
import { parseJql, type Clause, type Expression, type Field, type Query } from './jql';
import { isIdOnly, issue, nameOf, type Manner } from './render';
import { type Issue, type Site } from './store';
import { type Switches } from './switches';

const MAX = 5_000;
const TOKEN_LIVES_MS = 7 * 86_400_000;
const BODY = {
  search: [
    'jql',
    'nextPageToken',
    'maxResults',
    'fields',
    'expand',
    'properties',
    'fieldsByKeys',
    'failFast',
    'reconcileIssues',
  ],
  count: ['jql'],
  bulk: ['issueIdsOrKeys', 'fields', 'expand', 'properties', 'fieldsByKeys'],
};

export interface Searching {
  site: Site;
  switches: Switches;
  manner: Manner;
  /** Epoch ms. */
  now: number;
}

export interface Asked {
  jql?: string;
  nextPageToken?: string;
  maxResults?: number;
  fields?: string[];
  reconcileIssues?: number[];
}

export function askedBy(query: URLSearchParams): Asked {
  const maxResults = query.get('maxResults');
  if (maxResults !== null && !/^\d+$/.test(maxResults)) throw invalid('maxResults is not a number');
  const list = (name: string): string[] => query.getAll(name).flatMap((part) => part.split(','));
  return {
    jql: query.get('jql') ?? undefined,
    nextPageToken: query.get('nextPageToken') ?? undefined,
    maxResults: maxResults === null ? undefined : Number(maxResults),
    fields: query.has('fields') ? list('fields') : undefined,
    reconcileIssues: query.has('reconcileIssues') ? list('reconcileIssues').map(Number) : undefined,
  };
}

/** A body with nothing in it that its call doesn't know. */
export function bodyOf(text: string, call: keyof typeof BODY): Row {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    body = undefined;
  }
  if (
    typeof body !== 'object' ||
    body === null ||
    !Object.keys(body).every((name) => BODY[call].includes(name))
  )
    throw invalid('Invalid request payload. Refer to the REST API documentation and try again.');
  const { fields, maxResults } = body as Row;
  if (
    (fields !== undefined && !Array.isArray(fields)) ||
    (maxResults !== undefined && typeof maxResults !== 'number')
  )
    throw invalid('Invalid request payload. Refer to the REST API documentation and try again.');
  return body as Row;
}

export function isVisible({ site, switches }: Searching, { id, project }: Issue): boolean {
  const home = site.projects.get(project);
  return (
    home?.state === 'live' &&
    !switches.hiddenProjects.includes(home.key) &&
    !switches.hiddenIssues.includes(String(id))
  );
}

export class Search {
  /** The issues in another order than that of their changes, while search knows nothing new. */
  #ordered?: { order: string; version: number; list: SortedList<Issue> };

  page(searching: Searching, asked: Asked): Reply {
    const { site, switches, manner, now } = searching;
    const query = bounded(searching, asked.jql);
    const fields = asked.fields ?? ['id'];
    const count = sizeOf(asked.maxResults, isIdOnly(fields) ? MAX : switches.fieldsPage, switches);
    if ((asked.reconcileIssues?.length ?? 0) > 50) throw invalid('reconcileIssues: no more than 50 ids');
    const list = this.#inOrder(site, query.order, new Set(asked.reconcileIssues));
    const compare = comparison(query.order);
    const matches = predicate(searching, query);
    const last = asked.nextPageToken === undefined ? undefined : placeOf(asked.nextPageToken, asked.jql, now);
    const start = last ? list.search((other) => compare(other, last) > 0) : 0;
    const found: Issue[] = [];
    let end: Issue | undefined;
    let slots = 0;
    let isLast = true;
    for (let at = start; at < list.items.length; at++) {
      const record = list.items[at] as Issue;
      if (!matches(record)) continue;
      const current = site.issues.get(record.id);
      const shows = current !== undefined && isVisible(searching, current);
      if (!shows && !switches.shortPages) continue;
      if (slots === count) {
        isLast = false;
        break;
      }
      slots++;
      end = record;
      if (shows) found.push(record);
    }
    const issues = found.map((record) => issue(site, record, fields, manner));
    if (asked.nextPageToken !== undefined && switches.repeatTokens > 0) {
      switches.repeatTokens--;
      return { status: 200, body: { issues, nextPageToken: asked.nextPageToken, isLast: false } };
    }
    const token = isLast || !end ? undefined : tokenOf(end, asked.jql, now);
    return { status: 200, body: { issues, ...(token !== undefined && { nextPageToken: token }), isLast } };
  }

  count(searching: Searching, jql: string | undefined): Reply {
    const query = bounded(searching, jql);
    const matches = predicate(searching, query);
    const { items } = searching.site.index.entries();
    return {
      status: 200,
      body: { count: items.filter((record) => matches(record) && isVisible(searching, record)).length },
    };
  }

  #inOrder(site: Site, order: Query['order'], reconciled: ReadonlySet<number>): SortedList<Issue> {
    const entries = site.index.entries(reconciled);
    const name = JSON.stringify(order);
    if (name === BY_CHANGE || name === BY_CHANGE_AND_ID) return entries;
    const { version } = site.index;
    if (this.#ordered?.order !== name || this.#ordered.version !== version) {
      const list = new SortedList(comparison(order));
      list.addAll(entries.items);
      this.#ordered = { order: name, version, list };
    }
    return this.#ordered.list;
  }
}

const BY_CHANGE = JSON.stringify([{ field: 'updated', descending: false }]);
const BY_CHANGE_AND_ID = JSON.stringify([
  { field: 'updated', descending: false },
  { field: 'id', descending: false },
]);
/** Where none is asked for. */
const USUAL_ORDER: Query['order'] = [{ field: 'created', descending: true }];

/** POST /issue/bulkfetch: as things are; those that aren't there, or not to be seen, are left out. */
export function bulkFetch(searching: Searching, body: Row): Reply {
  const { issueIdsOrKeys: wanted, fields = ['*all'] } = body as {
    issueIdsOrKeys?: unknown;
    fields?: string[];
  };
  if (!Array.isArray(wanted) || wanted.length === 0) throw invalid('issueIdsOrKeys is missing');
  if (wanted.length > 100) throw invalid('issueIdsOrKeys: no more than 100');
  const found = new Map<number, Issue>();
  for (const idOrKey of wanted as unknown[]) {
    const record = searching.site.issue(String(idOrKey as string));
    if (record && isVisible(searching, record)) found.set(record.id, record);
  }
  const issues = [...found.values()].map((record) => issue(searching.site, record, fields, searching.manner));
  return { status: 200, body: { expand: 'renderedFields,names,schema', issues, issueErrors: [] } };
}

function sizeOf(asked: number | undefined, most: number, { overLimit }: Switches): number {
  const count = asked ?? 50;
  if (count < 1 || (count > MAX && overLimit === 'refuse'))
    throw invalid(`The value of maxResults must be between 1 and ${MAX}.`);
  return Math.min(count, most);
}

function bounded({ switches, now }: Searching, jql = ''): Query {
  const { timeZone, epochPrecision } = switches;
  const query = parseJql(jql, { timeZone, epochPrecision, now });
  if (query.where) return { where: query.where, order: query.order.length > 0 ? query.order : USUAL_ORDER };
  throw invalid('Unbounded JQL queries are not allowed here. Please add a search restriction to your query.');
}

function predicate(searching: Searching, { where }: Query): (issue: Issue) => boolean {
  return where ? testOf(searching, where) : () => true;
}

function testOf(searching: Searching, expression: Expression): (issue: Issue) => boolean {
  if ('all' in expression) {
    const tests = expression.all.map((part) => testOf(searching, part));
    return (record) => tests.every((test) => test(record));
  }
  if ('any' in expression) {
    const tests = expression.any.map((part) => testOf(searching, part));
    return (record) => tests.some((test) => test(record));
  }
  return clauseTest(searching, expression);
}

function clauseTest(searching: Searching, clause: Clause): (issue: Issue) => boolean {
  const { field, operator } = clause;
  const values = clause.values.map((value) => comparable(searching, field, value));
  const [first] = values;
  const of = (record: Issue): unknown[] =>
    field === 'labels' ? ((record.fields.labels ?? []) as unknown[]) : [sortKey(record, field)];
  switch (operator) {
    case '=':
    case 'in':
      return (record) => of(record).some((own) => values.includes(own as string | number));
    case '!=':
    case 'not in':
      return (record) => !of(record).some((own) => values.includes(own as string | number));
    case 'is':
      return (record) => of(record).length === 0;
    case 'is not':
      return (record) => of(record).length > 0;
    default: {
      if (typeof first !== 'number' || field === 'project')
        throw invalid(`The operator '${operator}' is not supported by the '${field}' field.`);
      const holds = {
        '>': (own: number) => own > first,
        '>=': (own: number) => own >= first,
        '<': (own: number) => own < first,
        '<=': (own: number) => own <= first,
      }[operator];
      return (record) => holds(sortKey(record, field) as number);
    }
  }
}

/** A value of a query as issues hold it. What the caller can't see doesn't exist. */
function comparable({ site, switches }: Searching, field: Field, value: string | number): string | number {
  if (field === 'project') {
    const project = site.project(String(value));
    if (!project || project.state === 'deleted' || switches.hiddenProjects.includes(project.key))
      throw invalid(`The value '${value}' does not exist for the field 'project'.`);
    return project.id;
  }
  if (field !== 'id') return value;
  const id = site.issue(String(value))?.id;
  if (id === undefined) throw invalid(`An issue with key '${value}' does not exist for field 'key'.`);
  return id;
}

function sortKey(record: Issue, field: Field): string | number {
  switch (field) {
    case 'id':
      return record.id;
    case 'project':
      return record.project;
    case 'updated':
      return record.updatedAt;
    case 'created':
      return record.createdAt;
    case 'status':
      return nameOf(record.fields.status, 'To Do');
    case 'type':
      return nameOf(record.fields.issuetype, 'Task');
    case 'labels':
      return '';
  }
}

/** No two issues tie. */
function comparison(order: Query['order']): (a: Issue, b: Issue) => number {
  return (a, b) => {
    for (const { field, descending } of order) {
      const [x, y] = [sortKey(a, field), sortKey(b, field)];
      if (x !== y) return x < y === descending ? 1 : -1;
    }
    return a.id - b.id;
  };
}

/** A place in an order, good for one query and for a while. */
function tokenOf({ fields, ...record }: Issue, jql: string | undefined, now: number): string {
  const { status, issuetype } = fields;
  const last = { ...record, fields: { status, issuetype } };
  return Buffer.from(JSON.stringify({ query: digest(jql), now, last })).toString('base64url');
}

function placeOf(token: string, jql: string | undefined, now: number): Issue {
  let read: { query?: string; now?: number; last?: Issue };
  try {
    read = JSON.parse(Buffer.from(token, 'base64url').toString('utf8')) as typeof read;
  } catch {
    read = {};
  }
  if (!read.last || read.query !== digest(jql) || (read.now ?? 0) + TOKEN_LIVES_MS < now)
    throw invalid('The provided next page token is invalid or expired.');
  return read.last;
}

function digest(jql = ''): string {
  return createHash('sha1').update(jql).digest('base64url').slice(0, 8);
}
