/** What each resource is made of: its filters, what a new one has, and which events its changes make. */
import { type Row } from '../frame/simulation';

export type ResourceName = 'customers' | 'subscriptions' | 'invoices' | 'charges' | 'products' | 'prices';

export interface Resource {
  object: string;
  prefix: string;
  /** Parameters of its list beside those of every list. */
  filters: readonly string[];
  defaults: Row;
  /** The events of a change; `before` is undefined for a new one, `after` for a deleted one. */
  events(before: Row | undefined, after: Row | undefined): string[];
}

/** created, updated, deleted. */
const plainEvents =
  (object: string): Resource['events'] =>
  (before, after) => [
    `${object}.${before === undefined ? 'created' : after === undefined ? 'deleted' : 'updated'}`,
  ];

const became = (before: Row | undefined, after: Row | undefined, field: string, value: unknown): boolean =>
  after?.[field] === value && before?.[field] !== value;

export const RESOURCES: Record<ResourceName, Resource> = {
  customers: {
    object: 'customer',
    prefix: 'cus',
    filters: ['email'],
    defaults: {
      address: null,
      balance: 0,
      currency: null,
      delinquent: false,
      description: null,
      email: null,
      invoice_settings: { default_payment_method: null },
      metadata: {},
      name: null,
      phone: null,
    },
    events: plainEvents('customer'),
  },
  subscriptions: {
    object: 'subscription',
    prefix: 'sub',
    filters: ['customer', 'price', 'status', 'collection_method'],
    defaults: {
      cancel_at_period_end: false,
      canceled_at: null,
      collection_method: 'charge_automatically',
      currency: 'eur',
      customer: 'cus_none',
      items: [],
      metadata: {},
      status: 'active',
    },
    events: (before, after) => {
      const name = 'customer.subscription';
      if (!before) return [`${name}.created`];
      if (became(before, after, 'status', 'canceled')) return [`${name}.deleted`];
      if (became(before, after, 'status', 'paused')) return [`${name}.paused`, `${name}.updated`];
      return before.status === 'paused' ? [`${name}.resumed`, `${name}.updated`] : [`${name}.updated`];
    },
  },
  invoices: {
    object: 'invoice',
    prefix: 'in',
    filters: ['customer', 'status', 'subscription', 'collection_method'],
    defaults: {
      amount_due: 0,
      currency: 'eur',
      customer: 'cus_none',
      lines: [],
      metadata: {},
      number: null,
      status: 'draft',
      subscription: null,
      total: 0,
    },
    events: (before, after) => {
      if (!before) return ['invoice.created'];
      if (!after) return ['invoice.deleted'];
      const more = {
        open: ['invoice.finalized'],
        paid: ['invoice.paid', 'invoice.payment_succeeded'],
        uncollectible: ['invoice.marked_uncollectible'],
        void: ['invoice.voided'],
      }[String(after.status as string)];
      return ['invoice.updated', ...(before.status === after.status ? [] : (more ?? []))];
    },
  },
  charges: {
    object: 'charge',
    prefix: 'ch',
    filters: ['customer', 'payment_intent', 'transfer_group'],
    defaults: {
      amount: 0,
      amount_refunded: 0,
      captured: true,
      currency: 'eur',
      customer: null,
      metadata: {},
      paid: true,
      payment_intent: null,
      refunded: false,
      status: 'succeeded',
      transfer_group: null,
    },
    events: (before, after) => {
      if (!before || before.status !== after?.status || !after)
        return [`charge.${String(after?.status as string)}`];
      if (before.amount_refunded !== after.amount_refunded) return ['charge.refunded', 'charge.updated'];
      return became(before, after, 'captured', true) ? ['charge.captured'] : ['charge.updated'];
    },
  },
  products: {
    object: 'product',
    prefix: 'prod',
    filters: ['active', 'ids', 'shippable', 'url'],
    defaults: {
      active: true,
      default_price: null,
      description: null,
      metadata: {},
      name: 'Product',
      shippable: null,
      url: null,
    },
    events: plainEvents('product'),
  },
  prices: {
    object: 'price',
    prefix: 'price',
    filters: ['active', 'currency', 'product', 'type'],
    defaults: {
      active: true,
      currency: 'eur',
      metadata: {},
      product: 'prod_none',
      recurring: null,
      type: 'one_time',
      unit_amount: 0,
    },
    events: plainEvents('price'),
  },
};

export const STATUSES: Partial<Record<ResourceName, readonly string[]>> = {
  subscriptions: [
    'active',
    'all',
    'canceled',
    'ended',
    'incomplete',
    'incomplete_expired',
    'past_due',
    'paused',
    'trialing',
    'unpaid',
  ],
  invoices: ['draft', 'open', 'paid', 'uncollectible', 'void'],
};

export function isResourceName(name: string): name is ResourceName {
  return Object.hasOwn(RESOURCES, name);
}
