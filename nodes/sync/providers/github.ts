import type { Declaration, Listing } from './rest/declaration';

const page = { paging: { by: 'link' }, size: 100, records: '' } as const;
const list = (path: string, query: Listing['query'] = {}): Listing => ({
  ...page,
  get: `/repos/{repo}/${path}`,
  query: { ...query, per_page: '{size}' },
});
const OF_REPOSITORY = { of: 'repositories', as: { repo: 'full_name' } } as const;

/**
 * GitHub, of an owner or of one repository. Deletions are never told: ids are compared. Everything moves on by pages'
 * links, followed as they are.
 */
export const github: Declaration = {
  name: 'github',
  label: 'GitHub',
  docs: 'https://docs.github.com/en/rest',
  baseUrl: 'https://api.github.com',
  auth: [
    // docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app: a JWT of ten minutes at most
    {
      kind: 'jwt',
      url: '{baseUrl}/app/installations/{account}/access_tokens',
      key: '{privateKey}',
      claims: { iss: '{user}' },
      token: 'token',
      expires: 'expires_at',
    },
    { kind: 'bearer', token: '{token}' },
  ],
  login: {
    token: {
      label: { en: 'Access token', de: 'Access-Token' },
      tip: {
        en: 'A personal one: Settings → Developer settings → Fine-grained tokens, read-only: Metadata, and Issues, Pull requests or Contents as the collections need. Of an organization with SSO it must be authorized.',
        de: 'Ein persönliches: Settings → Developer settings → Fine-grained tokens, nur lesend: Metadata, und Issues, Pull requests oder Contents, wie es die Collections brauchen. In einer Organisation mit SSO muss es freigegeben werden.',
      },
      required: 'user=',
    },
    user: {
      label: { en: 'App id', de: 'App-ID' },
      tip: {
        en: 'In the place of a token: the id, or client id, of a GitHub App with the same rights.',
        de: 'Statt eines Tokens: die ID oder Client-ID einer GitHub-App mit denselben Rechten.',
      },
    },
    account: {
      label: { en: 'Installation id', de: 'Installations-ID' },
      tip: {
        en: 'Of the GitHub App: the number at the end of the address of Settings → Applications → Configure.',
        de: 'Der GitHub-App: die Nummer am Ende der Adresse von Settings → Applications → Configure.',
      },
      required: '!user= token=',
    },
    privateKey: {
      label: { en: 'Private key', de: 'Privater Schlüssel' },
      tip: {
        en: 'The .pem file that the settings of the GitHub App generate.',
        de: 'Die .pem-Datei, die die Einstellungen der GitHub-App erzeugen.',
      },
      required: '!user= token=',
    },
  },
  headers: { accept: 'application/vnd.github+json', 'x-github-api-version': '2022-11-28' },
  // A 304 is free of the primary limit: docs.github.com/rest/using-the-rest-api/best-practices
  conditional: true,
  whoami: { get: '/user', name: 'login' },
  // docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api: 5,000 an hour, 900 points a minute
  rates: {
    concurrency: 8,
    windows: [{ calls: 900, per: '1m' }],
    quota: {
      limit: 'x-ratelimit-limit',
      remaining: 'x-ratelimit-remaining',
      reset: 'x-ratelimit-reset|seconds',
    },
  },
  errors: [
    // What is spent has its reset; a secondary limit has neither that nor always a Retry-After.
    {
      status: [403, 429],
      headers: { 'x-ratelimit-remaining': '0' },
      do: 'wait',
      until: 'x-ratelimit-reset|seconds',
    },
    { status: [403, 429], text: 'rate limit', do: 'wait' },
    { status: [403, 429], headers: { 'retry-after': '*' }, do: 'wait' },
    { status: 409, text: 'repository is empty', do: 'empty' },
    { status: 410, do: 'empty' },
    { status: 422, do: 'restart' },
    { status: 451, do: 'empty' },
    {
      status: 403,
      do: 'fail',
      advice: "Give the token the right, and authorize it for the organization's SSO",
    },
  ],
  scope: {
    example: 'owner/repo',
    parts: ['owner', 'repository?'],
    partition: { repo: '{owner}/{repository}' },
    choices: { get: '/user/repos', query: { per_page: '100', sort: 'pushed' }, names: '[].full_name' },
  },
  collections: {
    repositories: {
      label: 'Repositories',
      rights: 'Metadata: read',
      id: 'id',
      created: 'created_at',
      updated: 'updated_at',
      list: {
        ...page,
        get: '/orgs/{owner}/repos',
        otherwise: '/users/{owner}/repos',
        query: { type: 'all', per_page: '{size}' },
      },
      compare: { every: '1h' },
    },
    issues: {
      ...OF_REPOSITORY,
      label: 'Issues',
      rights: 'Issues: read',
      id: 'id',
      created: 'created_at',
      updated: 'updated_at',
      // The list has pull requests, too.
      skip: { pull_request: '*' },
      list: {
        ...list('issues', { state: 'all', sort: 'updated', direction: 'asc', since: '{since|iso}' }),
        // The link has a cursor, or a number.
        paging: { by: 'link', counts: true },
        order: 'updated_at',
        slices: { time: 'updated_at' },
      },
      changes: { by: 'since', lookback: '5m' },
      compare: { every: '1d' },
    },
    pull_requests: {
      ...OF_REPOSITORY,
      label: 'Pull requests',
      rights: 'Pull requests: read',
      id: 'id',
      created: 'created_at',
      updated: 'updated_at',
      list: list('pulls', { state: 'all', sort: 'created', direction: 'asc' }),
      // No `since`; in ascending order records that change would move behind the page being read.
      changes: {
        by: 'newest',
        time: 'updated_at',
        lookback: '5m',
        list: list('pulls', { state: 'all', sort: 'updated', direction: 'desc' }),
      },
      compare: { every: '1d' },
    },
    commits: {
      ...OF_REPOSITORY,
      label: 'Commits (of the default branch)',
      rights: 'Contents: read',
      id: 'sha',
      created: 'commit.author.date',
      updated: 'commit.committer.date',
      // What leads to a commit stays the same, whatever a force-push does to the branch.
      list: { ...list('commits'), paging: { by: 'link', pin: { parameter: 'sha', path: 'sha' } } },
      changes: { by: 'walk', parents: 'parents[].sha' },
      compare: { every: '1d' },
    },
    releases: {
      ...OF_REPOSITORY,
      label: 'Releases',
      rights: 'Contents: read (drafts: write)',
      id: 'id',
      created: 'created_at',
      list: list('releases'),
      compare: { every: '1h' },
    },
  },
};
