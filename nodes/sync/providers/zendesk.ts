import type { CollectionDeclaration, Declaration, Listing } from './rest/declaration';

/** The export of everything in the order of its changes: history, and then changes by the same cursor, for ever. */
function exported(name: 'tickets' | 'users'): Listing {
  return {
    get: `/incremental/${name}/cursor`,
    query: { per_page: '{size}', cursor: '{next}' },
    first: { start_time: '{since|seconds}' },
    records: name,
    paging: { by: 'cursor', path: 'after_cursor', until: 'end_of_stream' },
    size: 1_000,
  };
}

/**
 * What was deleted for good may leave no row. What is missing in the export may just have changed, though: it is held
 * back for a minute then, so that each is looked at by itself.
 */
function one(name: 'ticket' | 'user'): Pick<CollectionDeclaration, 'read' | 'compare'> {
  return { read: { get: `/${name}s/{id}`, records: name, size: 1 }, compare: { every: '7d' } };
}

export const zendesk: Declaration = {
  name: 'zendesk',
  label: 'Zendesk',
  docs: 'https://developer.zendesk.com/api-reference/ticketing/ticket-management/incremental_exports/',
  example: 'https://example.zendesk.com',
  base: '/api/v2',
  auth: [
    {
      kind: 'oauth',
      url: '{baseUrl}/oauth/tokens',
      form: {
        grant_type: 'refresh_token',
        client_id: '{user}',
        client_secret: '{secret}',
        refresh_token: '{token}',
      },
      refresh: 'token',
    },
    {
      kind: 'oauth',
      url: '{baseUrl}/oauth/tokens',
      form: {
        grant_type: 'client_credentials',
        client_id: '{user}',
        client_secret: '{secret}',
        scope: 'read',
      },
    },
    { kind: 'basic', user: '{user}/token', password: '{token}' },
    { kind: 'bearer', token: '{token}' },
  ],
  login: {
    user: {
      label: { en: 'E-mail', de: 'E-Mail' },
      tip: {
        en: 'Of the administrator that the token is used for; for OAuth the client id.',
        de: 'Des Administrators, für den das Token gilt; bei OAuth die Client-ID.',
      },
      required: true,
    },
    token: {
      label: { en: 'API token', de: 'API-Token' },
      tip: {
        en: 'Admin Center → Apps and integrations → Zendesk API → Add API token. With a client secret: a refresh token, or empty for client credentials.',
        de: 'Admin Center → Apps und Integrationen → Zendesk-API → API-Token hinzufügen. Mit Client-Secret: ein Refresh-Token, oder leer für Client-Credentials.',
      },
      required: 'secret=',
    },
    secret: { label: { en: 'Client secret (OAuth)', de: 'Secret (OAuth)' } },
  },
  whoami: { get: '/users/me', name: 'user.name' },
  // developer.zendesk.com/api-reference/introduction/rate-limits: the least that a plan has
  rates: {
    concurrency: 4,
    windows: [
      { calls: 200, per: '1m' },
      { calls: 10, per: '1m', path: '/incremental/' },
    ],
  },
  errors: [
    { status: 429, do: 'wait', wait: '1m' },
    // The last minute (once five) is withheld: there is nothing new.
    { status: 422, text: 'start_time', do: 'empty' },
    { status: [400, 422], text: 'cursor', do: 'restart' },
    { status: 401, text: 'authenticate you', do: 'login', advice: 'The user is the e-mail address alone' },
    // An account that isn't paid for, a trial that has ended, or an agent: no right would help.
    {
      status: [401, 402, 403],
      text: 'suspended',
      do: 'fail',
      advice: 'Log in to Zendesk as an administrator: the account or the user is suspended there',
    },
    { status: 403, do: 'fail', advice: 'Exports need an administrator and the scope "read"' },
  ],
  collections: {
    tickets: {
      label: 'Tickets',
      rights: 'tickets:read, as an administrator',
      id: 'id',
      created: 'created_at',
      updated: 'updated_at',
      deleted: { status: 'deleted' },
      list: exported('tickets'),
      changes: { by: 'cursor', lag: '6m' },
      ...one('ticket'),
    },
    users: {
      label: 'Users',
      rights: 'users:read, as an administrator',
      id: 'id',
      created: 'created_at',
      updated: 'updated_at',
      deleted: { active: false },
      list: exported('users'),
      changes: { by: 'cursor', lag: '6m' },
      ...one('user'),
    },
    organizations: {
      label: 'Organizations',
      rights: 'organizations:read, as an administrator',
      id: 'id',
      created: 'created_at',
      updated: 'updated_at',
      deleted: { deleted_at: '*' },
      deletedAt: 'deleted_at',
      list: {
        get: '/organizations',
        query: { 'page[size]': '{size}', 'page[after]': '{next}' },
        records: 'organizations',
        paging: { by: 'cursor', path: 'meta.after_cursor', while: 'meta.has_more' },
        size: 100,
      },
      // By time alone: where one second has more than a page, everything is read again by the list.
      changes: {
        by: 'cursor',
        lag: '6m',
        list: {
          get: '/incremental/organizations',
          query: { start_time: '{next}', per_page: '{size}' },
          first: { start_time: '{since|seconds}' },
          records: 'organizations',
          paging: { by: 'cursor', path: 'end_time', until: 'end_of_stream' },
          size: 1_000,
        },
      },
      compare: { every: '1d' },
    },
  },
};
