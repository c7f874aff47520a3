/** The simulated GitHub: one organization with a few repositories, and those that tests add. */
import { createHash } from 'node:crypto';
import { type FaultAction } from '../../support/simulated/faults';
import { type Reply, type Request } from '../../support/simulated/exchange';
import { type LedgerEntry } from '../../support/simulated/ledger';
import { Limits, type Taken } from '../frame/limits';
import {
  ControlError,
  Refusal,
  type Row,
  type Simulation,
  type SimulationFactory,
  type Surroundings,
} from '../frame/simulation';
import { App, type AppLogin } from './app';
import { errorReply, moved, notFound } from './errors';
import { listIssues, listPulls, searchIssues } from './issues';
import {
  listBranches,
  listCommits,
  listReleases,
  listRepositories,
  readCommit,
  readRelease,
} from './repositories';
import { commit, issue, pull, release, repository, user, type Manner } from './render';
import { Store, type Repository } from './store';
import { SWITCHES, type Switches } from './switches';

const TOKEN = 'ghp_simulatedPersonalAccessToken0000000';
const VERSIONS = ['2022-11-28', '2026-03-10'];
const OWNER = 'acme';
const HOUR = 3_600_000;
const PARTS = ['issues', 'pull_requests', 'commits', 'releases'] as const;

type Part = (typeof PARTS)[number];

export const github: SimulationFactory = (surroundings) => new GitHub(surroundings);

class GitHub implements Simulation {
  readonly token = TOKEN;
  readonly switches: Switches = { ...SWITCHES, hidden: [], forbidden: [] };
  readonly limits: Limits;
  readonly #store: Store;
  readonly #app: App;

  constructor(private readonly around: Surroundings) {
    this.#store = new Store(around.clock);
    this.#app = new App(around.clock, this.switches);
    this.limits = new Limits(
      {
        core: { max: 5_000, windowMs: HOUR },
        anonymous: { max: 60, windowMs: HOUR },
        search: { max: 30, windowMs: 60_000 },
        secondary: { max: 900, windowMs: 60_000 },
      },
      around.clock,
    );
    const long = around.clock.now() - 365 * 24 * HOUR;
    for (const name of ['website', 'api', 'empty']) this.#store.write(OWNER, { name }, long);
  }

  get app(): AppLogin {
    return this.#app.login;
  }

  collections(): string[] {
    const repos = [...this.#store.repositories.values()];
    return [
      ...[...new Set([OWNER, ...this.#store.owners()])].map((owner) => `${owner}:repositories`),
      ...repos.flatMap(({ fullName }) => PARTS.map((part) => `${fullName}:${part}`)),
    ];
  }

  records(collection: string): Row[] {
    const { owner, repo, part } = this.#named(collection);
    const manner = this.#manner();
    if (!repo)
      return [...this.#store.repositories.values()]
        .filter((one) => one.owner === owner)
        .map((one) => repository(one, manner));
    switch (part) {
      case 'issues':
        return repo.issues.byCreated.items.map((one) => issue(repo, one, manner));
      case 'pull_requests':
        return repo.pulls.byCreated.items.map((one) => pull(repo, one, manner));
      case 'commits':
        return [...new Map([...repo.branches.values()].flat().map((one) => [one.sha, one])).values()].map(
          (one) => commit(repo, one, manner),
        );
      case 'releases':
        return repo.releases.map((one) => release(repo, one, manner));
    }
  }

  /** Issues and pull requests also go by `number`. Commits are pushed: `{message, branch?, date?}`. */
  write(collection: string, rows: readonly Row[], at: number): Row[] {
    const { owner, repo, part } = this.#named(collection);
    const manner = this.#manner();
    return rows.map((row) => {
      if (!repo) return repository(this.#store.write(owner, row, at), manner);
      switch (part) {
        case 'issues':
          return issue(repo, repo.writeIssue(row, at, false), manner);
        case 'pull_requests':
          return pull(repo, repo.writeIssue(row, at, true), manner);
        case 'commits':
          return commit(repo, repo.push(row, at), manner);
        case 'releases':
          return release(repo, repo.writeRelease(row, at), manner);
      }
    });
  }

  /** Commits go by rewriting the branches that they are in. */
  remove(collection: string, ids: readonly string[], at: number): void {
    const { repo, part } = this.#named(collection);
    if (repo && part === 'commits') {
      for (const name of repo.branches.keys()) repo.rewrite(name, new Set(ids), at);
      return;
    }
    for (const id of ids) {
      if (!repo) {
        if (!this.#store.repositories.delete(Number(id))) throw new ControlError(`no repository ${id}`);
      } else if (part === 'releases') repo.removeRelease(Number(id));
      else repo.removeIssue(Number(id), at);
    }
  }

  readonly actions: Simulation['actions'] = {
    /** Ends the tokens of the App's installation. */
    revoke: () => this.#app.revoke(),
    /** {ids, to: "owner/name"}: issues move to another repository, where they get new ids. */
    transfer: (collection, body, at) => {
      const { ids, to } = body as { ids: (string | number)[]; to: string };
      const [from, into] = [this.#named(collection).repo, this.#store.byName(to)];
      if (!from || !into) throw new ControlError(`no repository ${to}`);
      return ids.map((id) => {
        const there = from.removeIssue(Number(id), at, into);
        return there && issue(into, there, this.#manner());
      });
    },
    /** {ids, branch}: a force-push drops these commits from a branch. */
    'force-push': (collection, body, at) => {
      const { ids, branch } = body as { ids: string[]; branch?: string };
      const { repo } = this.#named(collection);
      repo?.rewrite(branch ?? repo.defaultBranch, new Set(ids), at);
    },
  };

  generate(collection: string, count: number): void {
    const { owner, repo, part } = this.#named(collection);
    const now = this.around.clock.now();
    if (repo && part === 'issues') repo.generateIssues(count, false);
    else if (repo && part === 'pull_requests') repo.generateIssues(count, true);
    else if (repo && part === 'commits') repo.generateCommits(count);
    else
      for (let n = 0; n < count; n++) {
        const at = now - 300 * 24 * HOUR + (n * 200 * 24 * HOUR) / count;
        if (repo) repo.writeRelease({ tag_name: `v0.${n}.0` }, at);
        else this.#store.write(owner, { name: `repository-${n}` }, at);
      }
  }

  answer(request: Request, entry: LedgerEntry): Reply {
    const version = request.headers['x-github-api-version'] ?? '2022-11-28';
    const common = {
      'Content-Type': 'application/json; charset=utf-8',
      'X-GitHub-Media-Type': 'github.v3; format=json',
      'X-GitHub-Api-Version-Selected': version,
    };
    // What the gateway refuses has none of the API's headers.
    if (!request.headers['user-agent'])
      return {
        status: 403,
        body: 'Request forbidden by administrative rules. Please make sure your request has a User-Agent header.',
      };
    if (this.switches.heavyPage > 0 && Number(request.query.get('per_page') ?? 30) >= this.switches.heavyPage)
      return {
        status: 502,
        body: '<html><head><title>502 Bad Gateway</title></head><body>Server Error</body></html>',
      };
    const reply = this.#limited(request, entry, version);
    return { ...reply, headers: { ...(reply.body !== undefined && common), ...reply.headers } };
  }

  refusal({ errorCode, message = 'simulated' }: FaultAction, status: number): Reply {
    if (errorCode === 'secondary') return this.#secondary(status);
    if (status === 429 || (status === 403 && errorCode === 'primary'))
      return {
        ...this.#primary(status),
        headers: rateHeaders({ ...this.limits.take('core', '', 0), remaining: 0 }, 'core'),
      };
    if (status === 401) return errorReply(401, 'Bad credentials');
    if (status === 403) return errorReply(403, message);
    if (status === 404) return errorReply(404, 'Not Found');
    if (status === 451) return errorReply(451, 'Repository access blocked', { block: { reason: 'dmca' } });
    return errorReply(status, status >= 500 ? 'Server Error' : message);
  }

  /** With what limits say, and 304 for what hasn't changed: that one is free. */
  #limited(request: Request, entry: LedgerEntry, version: string): Reply {
    const token = /^(?:Bearer|token) (\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
    if (request.path[0] === 'app') return this.#app.answer(request);
    const ofApp = this.#app.knows(token);
    if (request.headers.authorization !== undefined && token !== TOKEN && !ofApp)
      return errorReply(401, 'Bad credentials');
    if (ofApp && request.path[0] === 'user') return errorReply(403, 'Resource not accessible by integration');
    if (!VERSIONS.includes(version)) return errorReply(400, `"${version}" is not a supported API version.`);
    if (entry.concurrent > this.switches.maxConcurrent || !this.limits.take('secondary').ok)
      return this.#secondary(this.switches.rateStatus);
    const name = token === undefined ? 'anonymous' : request.path[0] === 'search' ? 'search' : 'core';
    const resource = name === 'search' ? 'search' : 'core';
    const before = this.limits.take(name, '', 0);
    if (request.path[0] === 'rate_limit') return this.#rateLimits(token !== undefined);
    if (before.remaining === 0)
      return { ...this.#primary(this.switches.rateStatus), headers: rateHeaders(before, resource) };
    const reply = this.#safely(request, { ...this.#manner(), version }, token !== undefined);
    const text = JSON.stringify(reply.body);
    const etag = reply.status === 200 ? etagOf(text, token) : undefined;
    const isSame = etag !== undefined && sameTag(request.headers['if-none-match'], etag);
    const spent = isSame && token !== undefined ? before : this.limits.take(name);
    const headers = { ...rateHeaders(spent, resource), ...(etag !== undefined && { ETag: etag }) };
    if (isSame) return { status: 304, headers };
    entry.records = rowsOf(reply.body);
    return { status: reply.status, body: text, headers: { ...headers, ...reply.headers } };
  }

  #safely(request: Request, manner: Manner, authenticated: boolean): Reply {
    try {
      return this.#reply(request, manner, authenticated);
    } catch (thrown) {
      if (thrown instanceof Refusal) return thrown.reply;
      throw thrown;
    }
  }

  #primary(status: number): Reply {
    return errorReply(
      status,
      'API rate limit exceeded for user ID 1. If you reach out to GitHub Support for help, please include the request ID.',
    );
  }

  #secondary(status: number): Reply {
    const { resetAt } = this.limits.take('secondary', '', 0);
    const wait = Math.max(1, Math.ceil((resetAt - this.around.clock.now()) / 1000));
    const core = this.limits.take('core', '', 0);
    return errorReply(
      status,
      'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.',
      {},
      {
        ...rateHeaders(core, 'core'),
        ...(this.switches.secondaryRetryAfter && { 'Retry-After': String(wait) }),
      },
    );
  }

  #rateLimits(authenticated: boolean): Reply {
    const of = (name: string): object => {
      const { limit, used, remaining, resetAt } = this.limits.take(name, '', 0);
      return { limit, used, remaining, reset: Math.ceil(resetAt / 1000) };
    };
    const core = of(authenticated ? 'core' : 'anonymous');
    return { status: 200, body: { resources: { core, search: of('search') }, rate: core } };
  }

  #reply({ method, path, query }: Request, manner: Manner, authenticated: boolean): Reply {
    const [area, one = '', two = '', ...rest] = path;
    if (method !== 'GET') throw notFound();
    const visible = [...this.#store.repositories.values()].filter((repo) =>
      this.#isVisible(repo, authenticated),
    );
    switch (area) {
      case 'user':
        if (!authenticated) return errorReply(401, 'Requires authentication');
        if (one === '') return this.#self(manner);
        if (one === 'repos')
          return listRepositories(visible, query, `${manner.url}/user/repos`, manner, 'full_name');
        throw notFound();
      case 'orgs':
      case 'users': {
        const repos = visible.filter(({ owner }) => owner.toLowerCase() === one.toLowerCase());
        if (one.toLowerCase() !== OWNER && repos.length === 0) throw notFound();
        if (two === '') return { status: 200, body: user(one, manner, 'Organization') };
        if (two === 'repos')
          return listRepositories(
            repos,
            query,
            `${manner.url}/${area}/${one}/repos`,
            manner,
            area === 'orgs' ? 'created' : 'full_name',
          );
        throw notFound();
      }
      case 'installation':
        if (!this.switches.installation)
          return errorReply(
            403,
            'You must authenticate with an installation access token in order to list repositories for an installation.',
          );
        return listRepositories(
          visible,
          query,
          `${manner.url}/installation/repositories`,
          manner,
          'created',
          (repositories) => ({
            total_count: visible.length,
            repository_selection: 'all',
            repositories,
          }),
        );
      case 'search':
        if (one === 'issues')
          return searchIssues(
            this.#store,
            query,
            manner,
            this.around.clock.now() - this.switches.searchLagMs,
          );
        throw notFound();
      case 'repos':
        return this.#inRepository(
          this.#byName(`${one}/${two}`, rest, query, authenticated),
          rest,
          query,
          manner,
        );
      case 'repositories': {
        const repo = this.#store.repositories.get(Number(one));
        if (!repo || !this.#isVisible(repo, authenticated)) throw notFound();
        return this.#inRepository(repo, two === '' ? [] : [two, ...rest], query, manner);
      }
      default:
        throw notFound();
    }
  }

  #self(manner: Manner): Reply {
    return {
      status: 200,
      body: user('integration', manner),
      headers: { 'X-OAuth-Scopes': 'repo, read:org' },
    };
  }

  #isVisible(repo: Repository, authenticated: boolean): boolean {
    return !this.switches.hidden.includes(repo.fullName) && (authenticated || repo.fields.private !== true);
  }

  /** By its present name; an earlier one leads there. */
  #byName(
    fullName: string,
    rest: readonly string[],
    query: URLSearchParams,
    authenticated: boolean,
  ): Repository {
    const repo = this.#store.byName(fullName);
    if (repo && this.#isVisible(repo, authenticated)) return repo;
    const renamed = repo ? undefined : this.#store.renamed.get(fullName.toLowerCase());
    if (!renamed || !this.#store.repositories.has(renamed.id) || !this.#isVisible(renamed, authenticated))
      throw notFound();
    const search = query.size === 0 ? '' : `?${query}`;
    throw moved([`${this.around.url()}/repositories/${renamed.id}`, ...rest].join('/') + search);
  }

  #inRepository(
    repo: Repository,
    [area, id, ...more]: readonly string[],
    query: URLSearchParams,
    manner: Manner,
  ): Reply {
    if (more.length > 0) throw notFound();
    if (area === undefined) return { status: 200, body: repository(repo, manner, true) };
    this.#permit(repo, area);
    switch (area) {
      case 'issues':
        if (repo.fields.has_issues === false)
          return errorReply(410, 'Issues has been disabled in this repository.');
        return id === undefined
          ? listIssues(repo, query, manner, this.switches)
          : this.#issue(repo, Number(id), manner);
      case 'pulls': {
        if (id === undefined) return listPulls(repo, query, manner);
        const found = repo.issue(Number(id));
        if (!found?.isPull) throw notFound();
        return { status: 200, body: pull(repo, found, manner) };
      }
      case 'commits':
        return id === undefined ? listCommits(repo, query, manner) : readCommit(repo, id, manner);
      case 'releases':
        return id === undefined
          ? listReleases(repo, query, manner, this.switches)
          : readRelease(repo, id, manner);
      case 'branches':
        if (id === undefined) return listBranches(repo, query, manner);
        throw notFound();
      default:
        throw notFound();
    }
  }

  #permit(repo: Repository, area: string): void {
    const part = area === 'pulls' ? 'pull_requests' : area;
    if (!this.switches.forbidden.includes(`${repo.fullName}:${part}`)) return;
    const permission = part === 'commits' || part === 'releases' ? 'contents' : part;
    throw new Refusal(
      errorReply(
        403,
        'Resource not accessible by personal access token',
        {},
        { 'X-Accepted-GitHub-Permissions': `${permission}=read` },
      ),
    );
  }

  #issue(repo: Repository, number: number, manner: Manner): Reply {
    const found = repo.issue(number);
    if (found) return { status: 200, body: issue(repo, found, manner) };
    if (!repo.left.has(number)) throw notFound();
    const to = repo.left.get(number);
    if (!to)
      return this.switches.deletedIssue === 410
        ? errorReply(410, 'This issue was deleted')
        : errorReply(404, 'Not Found');
    throw moved(`${manner.url}/repositories/${to.repository.id}/issues/${to.number}`);
  }

  #manner(): Manner {
    return { url: this.around.url(), version: '2022-11-28' };
  }

  /** `acme:repositories`, or `acme/website:issues`. */
  #named(
    collection: string,
  ): { owner: string; repo?: undefined; part?: undefined } | { owner: string; repo: Repository; part: Part } {
    const [place = '', what = ''] = collection.split(':');
    const [owner = ''] = place.split('/');
    if (what === 'repositories' && !place.includes('/')) return { owner };
    const part = PARTS.find((name) => name === what);
    const repo = this.#store.byName(place);
    if (!part || !repo) throw new ControlError(`no collection ${collection}`);
    return { owner, repo, part };
  }
}

function rateHeaders({ limit, used, remaining, resetAt }: Taken, resource: string): Record<string, string> {
  return {
    'X-RateLimit-Limit': String(limit),
    'X-RateLimit-Remaining': String(remaining),
    'X-RateLimit-Used': String(used),
    'X-RateLimit-Reset': String(Math.ceil(resetAt / 1000)),
    'X-RateLimit-Resource': resource,
  };
}

/** Of the content and of who asks. */
function etagOf(text: string, token = ''): string {
  return `W/"${createHash('sha1').update(token).update(text).digest('hex')}"`;
}

function rowsOf(body: unknown): number {
  const { items, repositories } = body as { items?: unknown[]; repositories?: unknown[] };
  return (Array.isArray(body) ? body : (items ?? repositories ?? [])).length;
}

function sameTag(given: string | undefined, etag: string): boolean {
  const bare = (tag: string): string => tag.trim().replace(/^W\//, '');
  return given !== undefined && given.split(',').some((tag) => bare(tag) === bare(etag));
}
