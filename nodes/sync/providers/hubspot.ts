import type { CollectionDeclaration, Declaration, Json } from './rest/declaration';

const TYPES = ['contacts', 'companies', 'deals', 'tickets'];
const PAGING = { by: 'cursor', path: 'paging.next.after' } as const;

/** By time, or beyond the 10,000 hits of a query that have one time, by id. */
function search(type: string, time: string) {
  const filters = (...each: Json[]): Json => [{ filters: each }];
  const body = (sort: string, filterGroups: Json): { [name: string]: Json } => ({
    filterGroups,
    sorts: [{ propertyName: sort, direction: 'ASCENDING' }],
    properties: ['hs_object_id', time],
    limit: 200,
    after: '{next}',
  });
  return {
    post: `/crm/v3/objects/${type}/search`,
    body: body(time, filters({ propertyName: time, operator: 'GTE', value: '{since|ms}' })),
    tie: {
      post: `/crm/v3/objects/${type}/search`,
      body: body(
        'hs_object_id',
        filters(
          { propertyName: time, operator: 'EQ', value: '{since|ms}' },
          { propertyName: 'hs_object_id', operator: 'GT', value: '{id}' },
        ),
      ),
    },
  };
}

/**
 * An object of the CRM. The search's index lags, shows ten thousand hits and no archived records: it only tells which
 * ids to read. Archived records have a list of their own, and those that were merged or deleted for good leave nothing.
 */
function object(
  type: string,
  label: string,
  scope: string,
  time = 'hs_lastmodifieddate',
): CollectionDeclaration {
  const path = `/crm/v3/objects/${type}`;
  return {
    label,
    rights: scope,
    docs: `https://developers.hubspot.com/docs/reference/api/crm/objects/${type}`,
    id: 'id',
    created: 'createdAt',
    updated: 'updatedAt',
    deleted: { archived: true },
    deletedAt: 'archivedAt',
    merged: 'properties.hs_merged_object_ids',
    fields: { get: `/crm/v3/properties/${type}`, names: 'results[].name' },
    list: {
      get: path,
      query: { limit: '{size}', after: '{next}', properties: '{fields}' },
      records: 'results',
      paging: PAGING,
      size: 100,
    },
    changes: {
      by: 'since',
      lookback: '1h',
      hydrate: true,
      list: {
        ...search(type, time),
        records: 'results',
        paging: { ...PAGING, counts: true },
        size: 200,
        order: `properties.${time}`,
        cap: 10_000,
      },
    },
    read: {
      post: `${path}/batch/read`,
      body: { properties: '{fields}', inputs: '{ids}' },
      as: { id: '{id}' },
      records: 'results',
      size: 100,
      partial: { errors: 'errors', nothing: { category: 'OBJECT_NOT_FOUND' } },
    },
    // The list shows a hundred of each kind, without their labels; search and batches show none.
    associations: {
      kinds: TYPES,
      post: `/crm/v4/associations/${type}/{to}/batch/read`,
      body: { inputs: '{ids}' },
      as: { id: '{id}', after: '{next}' },
      records: 'results',
      of: 'from.id',
      items: 'to',
      next: 'paging.next.after',
      size: 1_000,
      partial: { errors: 'errors', nothing: { subCategory: 'crm.associations.NO_ASSOCIATIONS_FOUND' } },
    },
    bin: {
      get: path,
      query: { limit: '{size}', after: '{next}', archived: 'true' },
      records: 'results',
      paging: PAGING,
      size: 100,
    },
    compare: {
      every: '1d',
      list: {
        get: path,
        query: { limit: '{size}', after: '{next}', properties: 'hs_object_id' },
        records: 'results',
        paging: PAGING,
        size: 100,
      },
    },
  };
}

export const hubspot: Declaration = {
  name: 'hubspot',
  label: 'HubSpot',
  docs: 'https://developers.hubspot.com/docs',
  baseUrl: 'https://api.hubapi.com',
  auth: [
    {
      kind: 'oauth',
      url: '{baseUrl}/oauth/v1/token',
      form: {
        grant_type: 'refresh_token',
        client_id: '{user}',
        client_secret: '{secret}',
        refresh_token: '{token}',
      },
      refresh: 'token',
    },
    { kind: 'bearer', token: '{token}' },
  ],
  login: {
    token: {
      label: { en: 'Access token', de: 'Access-Token' },
      required: true,
      tip: {
        en: 'Of a private app: Settings → Integrations → Private apps, with a scope for each collection. With client id and secret: the refresh token of an OAuth app.',
        de: 'Einer privaten App: Einstellungen → Integrationen → Private Apps, mit einem Scope für jede Collection. Mit Client-ID und -Secret: das Refresh-Token einer OAuth-App.',
      },
    },
    user: { label: { en: 'Client id (OAuth)', de: 'Client-ID (OAuth)' } },
    secret: { label: { en: 'Client secret (OAuth)', de: 'Secret (OAuth)' } },
  },
  lists: 'comma',
  whoami: { get: '/account-info/v3/details', name: 'portalId' },
  // developers.hubspot.com/docs/guides/apps/api-usage/usage-details: the least that a plan has
  rates: {
    concurrency: 8,
    windows: [
      { calls: 100, per: '10s' },
      { calls: 4, per: '1s', path: '/search' },
    ],
    quota: { limit: 'x-hubspot-ratelimit-daily', remaining: 'x-hubspot-ratelimit-daily-remaining' },
  },
  errors: [
    { status: 429, where: { policyName: 'DAILY' }, do: 'wait', wait: '15m' },
    { status: 429, text: 'secondly', do: 'wait', wait: '1s' },
    { status: 429, do: 'wait', wait: '10s' },
    { status: 423, do: 'retry', wait: '2s' },
    { status: 477, do: 'wait', wait: '1m' },
    {
      status: 403,
      where: { category: 'MISSING_SCOPES' },
      do: 'fail',
      advice: 'Add the scope to the private app',
    },
    { status: 530, do: 'login' },
  ],
  collections: {
    contacts: object('contacts', 'Contacts', 'crm.objects.contacts.read', 'lastmodifieddate'),
    companies: object('companies', 'Companies', 'crm.objects.companies.read'),
    deals: object('deals', 'Deals', 'crm.objects.deals.read'),
    tickets: object('tickets', 'Tickets', 'tickets'),
  },
};
