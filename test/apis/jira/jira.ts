/** The simulated Jira Cloud site, by itself and behind Atlassian's gateway (`/ex/jira/{cloudId}`). */
import { type FaultAction } from '../../support/simulated/faults';
import { type Reply, type Request } from '../../support/simulated/exchange';
import { type LedgerEntry } from '../../support/simulated/ledger';
import { Limits, type Taken } from '../frame/limits';
import { basic, TokenDesk } from '../frame/oauth';
import {
  ControlError,
  type Row,
  type Simulation,
  type SimulationFactory,
  type Surroundings,
} from '../frame/simulation';
import { Access, API_TOKEN, EMAIL, type Caller } from './access';
import { errorReply, noIssue, noRoute } from './errors';
import { searchProjects, searchUsers } from './lists';
import { issue, project, user, type Manner } from './render';
import { askedBy, bodyOf, bulkFetch, isVisible, Search, type Asked, type Searching } from './search';
import { Site, type Issue } from './store';
import { SWITCHES, type Switches } from './switches';

export const CLOUD_ID = '11223344-a1b2-4b33-8c44-def123456789';
const HOUR = 3_600_000;
const COLLECTIONS = ['issues', 'projects', 'users'] as const;

type Collection = (typeof COLLECTIONS)[number];

const SCOPES = { issue: 'read:jira-work', user: 'read:jira-user' };
const REASONS = { points: 'jira-quota-global-based', burst: 'jira-burst-based' };

export const jira: SimulationFactory = (surroundings) => new Jira(surroundings);

class Jira implements Simulation {
  readonly user = EMAIL;
  readonly token = API_TOKEN;
  readonly authorization = basic(EMAIL, API_TOKEN);
  readonly switches: Switches = {
    ...SWITCHES,
    hiddenProjects: [],
    hiddenIssues: [],
    scopes: [...SWITCHES.scopes],
  };
  readonly limits: Limits;
  readonly #tokens: TokenDesk;
  readonly #access: Access;
  readonly #site: Site;
  readonly #search = new Search();

  constructor(private readonly around: Surroundings) {
    this.limits = new Limits(
      { points: { max: 65_000, windowMs: HOUR, aligned: true }, burst: { max: 100, windowMs: 1_000 } },
      around.clock,
    );
    this.#tokens = new TokenDesk(
      'jira',
      { grants: ['client_credentials', 'refresh_token'], scopes: SWITCHES.scopes, livesMs: HOUR },
      around.clock,
    );
    this.#access = new Access(this.switches, this.#tokens);
    this.#site = new Site(around.clock, this.switches);
    for (const key of ['PAY', 'OPS']) this.#site.writeProject({ key });
  }

  get oauth(): TokenDesk['client'] {
    return this.#tokens.client;
  }

  collections(): Collection[] {
    return [...COLLECTIONS];
  }

  records(collection: string): Row[] {
    const manner = this.#manner();
    switch (named(collection)) {
      case 'issues':
        return [...this.#site.issues.values()].map((one) => this.#shown(one));
      case 'projects':
        return [...this.#site.projects.values()].map((one) => project(one, manner));
      case 'users':
        return this.#site.users.filter(({ deleted }) => !deleted).map((one) => user(one, manner));
    }
  }

  /** Issues: fields by their names, and the key of a `project`. Users go by `accountId`. */
  write(collection: string, rows: readonly Row[], at: number): Row[] {
    const manner = this.#manner();
    return rows.map((row) => {
      switch (named(collection)) {
        case 'issues':
          return this.#shown(this.#site.writeIssue(row, at));
        case 'projects':
          return project(this.#site.writeProject(row), manner);
        case 'users':
          return user(this.#site.writeUser(row), manner);
      }
    });
  }

  /** Projects go to the trash, or for good. */
  remove(collection: string, ids: readonly string[], _at: number, { purge }: { purge: boolean }): void {
    for (const id of ids) {
      switch (named(collection)) {
        case 'issues':
          this.#site.removeIssue(Number(id));
          break;
        case 'projects':
          if (purge) this.#site.removeProject(id);
          else this.#site.setState(id, 'deleted');
          break;
        case 'users':
          this.#site.removeUser(id);
      }
    }
  }

  readonly actions: Simulation['actions'] = {
    /** {ids, to: "OPS"}: issues get new keys; those that they had still lead to them. */
    move: (_collection, body, at) =>
      idsOf(body).map((id) => this.#shown(this.#site.move(Number(id), (body as { to: string }).to, at))),
    /** {ids}: issues or projects. */
    archive: (collection, body, at) => this.#archive(collection, idsOf(body), at),
    /** {ids}: issues from the archive, projects from there or the trash. */
    restore: (collection, body) => this.#archive(collection, idsOf(body)),
  };

  #archive(collection: string, ids: readonly string[], at?: number): void {
    for (const id of ids) {
      if (named(collection) === 'issues') this.#site.archive(Number(id), at);
      else this.#site.setState(id, at === undefined ? 'live' : 'archived');
    }
  }

  generate(collection: string, count: number): void {
    if (named(collection) === 'issues') return this.#site.generateIssues(count);
    for (let n = 0; n < count; n++) {
      if (collection === 'users') this.#site.writeUser({});
      else this.#site.writeProject({});
    }
  }

  answer(request: Request, entry: LedgerEntry): Reply {
    const { method, path } = request;
    const address = path.join('/');
    if (method === 'POST' && address === 'oauth/token') return this.#exchange(request);
    if (method === 'GET' && address === '_edge/tenant_info')
      return { status: 200, body: { cloudId: CLOUD_ID } };
    if (method === 'GET' && address === 'oauth/token/accessible-resources') return this.#resources(request);
    const isGateway = path[0] === 'ex' && path[1] === 'jira';
    if (isGateway && path[2] !== CLOUD_ID) return errorReply(404, 'No message available');
    const [rest, api, version, ...route] = isGateway ? path.slice(3) : path;
    if (rest !== 'rest' || api !== 'api' || !['2', '3', 'latest'].includes(version ?? '')) throw noRoute();
    const caller = this.#access.caller(request.headers.authorization, isGateway ? 'gateway' : 'site');
    const burst = this.limits.take(
      'burst',
      `${method} ${route[0] ?? ''}/${/^\d|-\d/.test(route[1] ?? '') ? '' : (route[1] ?? '')}`,
    );
    if (!burst.ok) return this.#tooMany('burst', burst);
    const reply = this.#reply(request, route, caller, isGateway);
    entry.records = recordsOf(reply.body);
    if (!caller.isApp) return { ...reply, headers: { ...this.#headers(burst), ...reply.headers } };
    const points = this.limits.take('points', '', 1 + entry.records);
    if (!points.ok) return this.#tooMany('points', points);
    return { ...reply, headers: { ...this.#headers(points), ...reply.headers } };
  }

  refusal({ errorCode, message = 'simulated' }: FaultAction, status: number): Reply {
    if (status === 429) {
      const name = errorCode === 'points' ? 'points' : 'burst';
      return this.#tooMany(name, this.limits.take(name, '', 0));
    }
    if (status === 401) return this.#access.unauthorized('site');
    return errorReply(status, message);
  }

  #exchange(request: Request): Reply {
    const answer = this.#tokens.exchange(request);
    return {
      status: 'error' in answer ? (answer.error === 'invalid_client' ? 401 : 403) : 200,
      body: answer,
    };
  }

  #resources({ headers }: Request): Reply {
    const { scopes = [] } = this.#access.caller(headers.authorization, 'gateway');
    return {
      status: 200,
      body: [{ id: CLOUD_ID, url: this.around.url(), name: 'simulated', scopes, avatarUrl: '' }],
    };
  }

  #headers({ limit, remaining, resetAt }: Taken): Record<string, string> {
    return {
      'X-RateLimit-Limit': String(limit),
      'X-RateLimit-Remaining': String(remaining),
      'X-RateLimit-Reset': new Date(resetAt).toISOString(),
      ...(remaining < limit / 5 && { 'X-RateLimit-NearLimit': 'true' }),
    };
  }

  #tooMany(name: keyof typeof REASONS, taken: Taken): Reply {
    const wait = Math.max(1, Math.ceil((taken.resetAt - this.around.clock.now()) / 1000));
    return errorReply(
      429,
      'Rate limit exceeded.',
      {},
      {
        ...this.#headers({ ...taken, remaining: 0 }),
        'RateLimit-Reason': REASONS[name],
        ...(this.switches.retryAfter && { 'Retry-After': String(wait) }),
      },
    );
  }

  #reply(request: Request, route: readonly string[], caller: Caller, isGateway: boolean): Reply {
    const { method, query, text } = request;
    const [area = '', name = '', ...more] = route;
    if (more.length > 0) throw noRoute();
    const isOfUsers = ['users', 'user', 'myself'].includes(area);
    if (area !== 'serverInfo') this.#access.require(isOfUsers ? SCOPES.user : SCOPES.issue, caller);
    const manner = this.#manner(isGateway);
    const reading = { site: this.#site, switches: this.switches, manner, query };
    const searching: Searching = { ...reading, now: this.around.clock.now() };
    switch (`${method} ${area}/${name}`) {
      case 'GET search/':
      case 'POST search/':
        return REMOVED;
      case 'GET search/jql':
        return this.#search.page(searching, askedBy(query));
      case 'POST search/jql':
        return this.#search.page(searching, bodyOf(text, 'search') as Asked);
      case 'POST search/approximate-count':
        return this.#search.count(searching, (bodyOf(text, 'count') as Asked).jql);
      case 'POST issue/bulkfetch':
        return bulkFetch(searching, bodyOf(text, 'bulk'));
      case 'GET project/search':
        return searchProjects(reading);
      case 'GET users/':
      case 'GET users/search':
        return searchUsers(reading);
      case 'GET user/':
        return this.#oneUser(query.get('accountId'), manner);
      case 'GET myself/':
        return { status: 200, body: user(SELF, manner) };
      case 'GET serverInfo/':
        return {
          status: 200,
          body: { baseUrl: this.around.url(), deploymentType: 'Cloud', version: '1001.0.0-SNAPSHOT' },
        };
      default:
        if (method === 'GET' && area === 'issue' && name !== '')
          return this.#oneIssue(name, query, searching);
        if (method === 'GET' && area === 'project' && name !== '') return this.#oneProject(name, manner);
        throw noRoute();
    }
  }

  #oneIssue(idOrKey: string, query: URLSearchParams, searching: Searching): Reply {
    const found = this.#site.issue(idOrKey);
    if (!found || !isVisible(searching, found)) throw noIssue();
    const { fields = ['*all'] } = askedBy(query);
    return { status: 200, body: issue(this.#site, found, fields, searching.manner) };
  }

  #oneProject(idOrKey: string, manner: Manner): Reply {
    const found = this.#site.project(idOrKey);
    if (!found || found.state === 'deleted' || this.switches.hiddenProjects.includes(found.key))
      return errorReply(404, `No project could be found with key '${idOrKey}'.`);
    return { status: 200, body: project(found, manner) };
  }

  #oneUser(accountId: string | null, manner: Manner): Reply {
    const found = this.#site.users.find((one) => one.accountId === accountId && !one.deleted);
    if (found) return { status: 200, body: user(found, manner) };
    return errorReply(404, 'Specified user does not exist or you do not have required permissions');
  }

  #shown(record: Issue): Row {
    return issue(this.#site, record, ['*all'], this.#manner());
  }

  #manner(isGateway = false): Manner {
    const url = this.around.url();
    return { base: isGateway ? `${url}/ex/jira/${CLOUD_ID}` : url, timeZone: this.switches.timeZone };
  }
}

const SELF = {
  accountId: '5b10a2844c20165700edself',
  deleted: false,
  fields: { displayName: 'Admin', emailAddress: EMAIL },
};

const REMOVED = errorReply(
  410,
  'The requested API has been removed. Please migrate to the /rest/api/3/search/jql API. A full migration guideline is available at https://developer.atlassian.com/changelog/#CHANGE-2046',
);

function named(collection: string): Collection {
  const found = COLLECTIONS.find((name) => name === collection);
  if (!found) throw new ControlError(`no collection ${collection}`);
  return found;
}

function recordsOf(body: unknown): number {
  if (Array.isArray(body)) return body.length;
  const { issues, values } = body as { issues?: unknown[]; values?: unknown[] };
  return (issues ?? values)?.length ?? 1;
}

function idsOf(body: unknown): string[] {
  return (body as { ids: (string | number)[] }).ids.map(String);
}
