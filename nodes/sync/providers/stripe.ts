import type { CollectionDeclaration, Declaration, Json } from './rest/declaration';

const LIST = { records: 'data', paging: { by: 'last', path: 'id', while: 'has_more' }, size: 100 } as const;

/**
 * A resource. Objects have no time of their last change, so events tell which to read again; they carry the version of
 * their day, so that their payload counts only where nothing else is left: of a deleted object.
 */
function resource(
  name: string,
  label: string,
  { object, types, query = {} }: { object: string; types: readonly string[]; query?: Record<string, Json> },
): CollectionDeclaration {
  return {
    label,
    rights: `${label}: read, Events: read`,
    docs: `https://docs.stripe.com/api/${name}`,
    id: 'id',
    created: 'created|seconds',
    deleted: { deleted: true },
    list: {
      ...LIST,
      get: `/${name}`,
      query: {
        limit: '{size}',
        starting_after: '{next}',
        'created[gte]': '{since|seconds}',
        'created[lt]': '{until|seconds}',
        ...query,
      },
      slices: { time: 'created|seconds' },
    },
    changes: {
      by: 'newest',
      time: 'created|seconds',
      lookback: '10m',
      keeps: '29d',
      events: {
        object: 'data.object',
        where: { 'data.object.object': object, 'data.object.id': '*' },
        deleted: { type: [`${object}.deleted`] },
      },
      list: {
        ...LIST,
        get: '/events',
        query: { limit: '{size}', starting_after: '{next}', 'created[gte]': '{since|seconds}', types },
      },
    },
    read: { get: `/${name}/{id}`, records: '', size: 1 },
    compare: { every: '1d' },
  };
}

const of = (object: string, ...types: string[]): string[] => types.map((type) => `${object}.${type}`);

export const stripe: Declaration = {
  name: 'stripe',
  label: 'Stripe',
  docs: 'https://docs.stripe.com/api',
  baseUrl: 'https://api.stripe.com',
  base: '/v1',
  auth: [{ kind: 'bearer', token: '{token}' }],
  login: {
    token: {
      label: { en: 'Restricted key', de: 'Restricted Key' },
      required: true,
      tip: {
        en: 'Developers → API keys → Create restricted key: “Read” for each collection, and for Events, which tell the changes.',
        de: 'Entwickler → API-Schlüssel → Eingeschränkten Schlüssel erstellen: „Lesen“ für jede Collection und für Events, die die Änderungen melden.',
      },
    },
  },
  lists: 'brackets',
  whoami: { get: '/account', name: 'id' },
  // docs.stripe.com/rate-limits: 100 a second live, 25 in a sandbox and for one endpoint
  rates: { concurrency: 8, windows: [{ calls: 25, per: '1s' }] },
  errors: [
    { status: 429, where: { 'error.code': 'lock_timeout' }, do: 'retry' },
    { status: 429, do: 'wait', wait: '1s' },
    { headers: { 'stripe-should-retry': 'true' }, do: 'retry' },
    // An id to begin after that was deleted, or an event of more than 30 days ago.
    { status: [400, 404], where: { 'error.param': ['starting_after', 'ending_before'] }, do: 'restart' },
    { status: 403, do: 'fail', advice: 'Give the restricted key this right' },
  ],
  collections: {
    customers: resource('customers', 'Customers', {
      object: 'customer',
      types: of('customer', 'created', 'updated', 'deleted'),
    }),
    subscriptions: resource('subscriptions', 'Subscriptions', {
      object: 'subscription',
      // Without it the canceled ones are hidden. "deleted" is a cancellation: the object stays.
      query: { status: 'all' },
      types: of(
        'customer.subscription',
        ...['created', 'updated', 'deleted', 'paused', 'resumed', 'trial_will_end'],
        ...['pending_update_applied', 'pending_update_expired'],
      ),
    }),
    invoices: resource('invoices', 'Invoices', {
      object: 'invoice',
      // Without "upcoming", which has no id. Only drafts can be deleted.
      types: of(
        'invoice',
        ...['created', 'updated', 'deleted', 'finalized', 'finalization_failed', 'paid', 'payment_failed'],
        ...[
          'payment_succeeded',
          'payment_action_required',
          'marked_uncollectible',
          'overdue',
          'sent',
          'voided',
        ],
        'will_be_due',
      ),
    }),
    charges: resource('charges', 'Charges', {
      object: 'charge',
      types: of('charge', 'pending', 'succeeded', 'captured', 'updated', 'failed', 'refunded', 'expired'),
    }),
    products: {
      ...resource('products', 'Products', {
        object: 'product',
        types: of('product', 'created', 'updated', 'deleted'),
      }),
      // The only list that takes ids.
      read: { get: '/products', query: { ids: '{ids}', limit: '{size}' }, records: 'data', size: 100 },
    },
    prices: resource('prices', 'Prices', {
      object: 'price',
      types: of('price', 'created', 'updated', 'deleted'),
    }),
  },
};
