import type { Declaration, Listing } from './rest/declaration';

/** A number without quotes is epoch ms, whatever the account's time zone. */
const issues = (fields: readonly string[], size: number, order: string): Listing => {
  const body = (where: string): Listing['body'] => ({
    jql: `${where} ORDER BY ${order} ASC, id ASC`,
    fields,
    maxResults: size,
    nextPageToken: '{next}',
  });
  const since = `${order} >= {since|ms}`;
  return {
    post: '/search/jql',
    body: body(since),
    records: 'issues',
    paging: { by: 'cursor', path: 'nextPageToken', until: 'isLast' },
    order: `fields.${order}`,
    slices: { time: `fields.${order}`, body: body(`${since} AND ${order} < {until|ms}`) },
  };
};

export const jira: Declaration = {
  name: 'jira',
  label: 'Jira',
  docs: 'https://developer.atlassian.com/cloud/jira/platform/rest/v3/',
  example: 'https://example.atlassian.net',
  base: '/rest/api/3',
  auth: [
    {
      kind: 'oauth',
      url: 'https://auth.atlassian.com/oauth/token',
      form: {
        grant_type: 'refresh_token',
        client_id: '{user}',
        client_secret: '{secret}',
        refresh_token: '{token}',
      },
      refresh: 'token',
    },
    { kind: 'basic', user: '{user}', password: '{token}' },
    { kind: 'bearer', token: '{token}' },
  ],
  login: {
    user: {
      label: { en: 'E-mail', de: 'E-Mail' },
      tip: {
        en: 'Of the account that the token belongs to; for OAuth the client id.',
        de: 'Des Kontos, dem das Token gehört; bei OAuth die Client-ID.',
      },
      required: true,
    },
    token: {
      label: { en: 'API token', de: 'API-Token' },
      tip: {
        en: 'id.atlassian.com → Security → API tokens. One with scopes needs the address https://api.atlassian.com/ex/jira/{cloudId}. It sees what its account may browse.',
        de: 'id.atlassian.com → Sicherheit → API-Token. Eines mit Scopes braucht die Adresse https://api.atlassian.com/ex/jira/{cloudId}. Es sieht, was sein Konto sehen darf.',
      },
      required: true,
    },
    secret: { label: { en: 'Client secret (OAuth)', de: 'Secret (OAuth)' } },
  },
  whoami: { get: '/myself', name: 'displayName' },
  // developer.atlassian.com/cloud/jira/platform/rate-limiting: bursts of 100 a second
  rates: { concurrency: 8, windows: [{ calls: 100, per: '1s' }] },
  errors: [
    { status: 429, do: 'wait', until: 'x-ratelimit-reset|iso', wait: '10s' },
    { status: 503, headers: { 'retry-after': '*' }, do: 'wait' },
    { status: 400, text: 'nextPageToken', do: 'restart' },
    { status: 400, text: 'page token', do: 'restart' },
    { status: 401, text: 'scope does not match', do: 'fail', advice: 'Give the token this scope' },
    {
      status: 401,
      do: 'login',
      advice: 'A token with scopes goes to https://api.atlassian.com/ex/jira/{cloudId}',
    },
  ],
  collections: {
    issues: {
      label: 'Issues',
      rights: 'read:jira-work',
      // The key changes when an issue moves.
      id: 'id',
      created: 'fields.created',
      updated: 'fields.updated',
      list: issues(['*all'], 100, 'created'),
      changes: { by: 'since', lookback: '1h', list: issues(['*all'], 100, 'updated') },
      read: {
        post: '/issue/bulkfetch',
        body: { issueIdsOrKeys: '{ids}', fields: ['*all'] },
        records: 'issues',
        size: 100,
      },
      compare: { every: '1d', list: issues(['created'], 1_000, 'created') },
    },
    projects: {
      label: 'Projects',
      rights: 'read:jira-work',
      id: 'id',
      list: {
        get: '/project/search',
        query: { startAt: '{next}', maxResults: '{size}', status: ['live', 'archived'], orderBy: 'key' },
        records: 'values',
        paging: { by: 'offset', path: 'maxResults', until: 'isLast' },
        size: 50,
      },
      compare: { every: '1h' },
    },
    users: {
      label: 'Users',
      rights: 'read:jira-user',
      id: 'accountId',
      list: {
        get: '/users/search',
        query: { startAt: '{next}', maxResults: '{size}' },
        records: '',
        // Those that were deleted are left out of their page.
        paging: { by: 'offset', short: true },
        size: 1_000,
      },
      compare: { every: '1d' },
    },
  },
};
