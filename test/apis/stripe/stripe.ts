/** The simulated Stripe account. */
import { randomUUID } from 'node:crypto';
import { type FaultAction } from '../../support/simulated/faults';
import { type Reply, type Request } from '../../support/simulated/exchange';
import { type LedgerEntry } from '../../support/simulated/ledger';
import { seconds } from '../frame/clock';
import { Limits } from '../frame/limits';
import {
  Refusal,
  type Row,
  type Simulation,
  type SimulationFactory,
  type Surroundings,
} from '../frame/simulation';
import { errorReply, forbidden, invalid, missing } from './errors';
import { LIST_PARAMS, nestedPage, page } from './lists';
import { paramsOf, type Params } from './params';
import { linesOf, render } from './render';
import { isResourceName, RESOURCES, STATUSES, type ResourceName } from './resources';
import { AccountStore, EVENTS_KEPT_S, resourceNamed, type EventItem, type Item } from './store';
import { SWITCHES, type Switches } from './switches';

const KEY = 'sk_test_simulatedAccountKey';
const ACCOUNT = 'acct_1Simulated';

export const stripe: SimulationFactory = (surroundings) => new Stripe(surroundings);

class Stripe implements Simulation {
  readonly token = KEY;
  readonly switches: Switches = { ...SWITCHES, forbidden: [] };
  readonly limits: Limits;
  readonly #store: AccountStore;

  constructor(private readonly around: Surroundings) {
    this.#store = new AccountStore(around.clock, this.switches);
    this.limits = new Limits(
      { global: { max: 100, windowMs: 1_000 }, endpoint: { max: 25, windowMs: 1_000 } },
      around.clock,
    );
  }

  collections(): ResourceName[] {
    return Object.keys(RESOURCES) as ResourceName[];
  }

  /** In the account's own version; deleted customers are `{id, deleted: true}`. */
  records(collection: string): Row[] {
    const name = resourceNamed(collection);
    const rows = this.#store.shelves[name].list.items.map(({ row }) => render(row, this.switches.apiVersion));
    const deleted = name === 'customers' ? [...this.#store.deletedCustomers].map(deletedCustomer) : [];
    return [...rows, ...deleted];
  }

  write(collection: string, rows: readonly Row[], at: number): Row[] {
    const name = resourceNamed(collection);
    return rows.map((row) => render(this.#store.write(name, row, at).row, this.switches.apiVersion));
  }

  remove(collection: string, ids: readonly string[], at: number): void {
    for (const id of ids) this.#store.remove(resourceNamed(collection), id, at);
  }

  readonly actions: Simulation['actions'] = {
    /** [{type, object}]: an event by itself, such as charge.dispute.created with its dispute. */
    event: (_collection, body, at) =>
      (body as { type: string; object: Row }[]).map(
        ({ type, object }) => this.#store.emit(type, object, at).row,
      ),
  };

  generate(collection: string, count: number): void {
    this.#store.generate(resourceNamed(collection), count);
  }

  answer(request: Request, entry: LedgerEntry): Reply {
    const version = request.headers['stripe-version'] ?? this.switches.apiVersion;
    const headers = { 'Request-Id': `req_${randomUUID().slice(0, 14)}`, 'Stripe-Version': version };
    try {
      const reply = this.#refused(request, entry) ?? this.#reply(request, version);
      const { data } = reply.body as { data?: unknown };
      entry.records = Array.isArray(data) ? data.length : 1;
      return { ...reply, headers: { ...headers, ...reply.headers } };
    } catch (thrown) {
      if (!(thrown instanceof Refusal)) throw thrown;
      return { ...thrown.reply, headers: { ...headers, ...thrown.reply.headers } };
    }
  }

  refusal({ errorCode, message = 'simulated' }: FaultAction, status: number): Reply {
    if (status === 429)
      return errorCode === 'lock_timeout' ? LOCKED : this.#tooMany(errorCode ?? 'global-rate');
    if (status >= 500)
      return errorReply(status, {
        type: 'api_error',
        message: `An error occurred with our connection. ${message}`,
      });
    return errorReply(status, { type: 'invalid_request_error', message, code: errorCode });
  }

  #refused(request: Request, entry: LedgerEntry): Reply | undefined {
    const key = keyOf(request.headers.authorization);
    if (key === undefined) return unauthorized('You did not provide an API key.');
    if (key !== KEY) return unauthorized(`Invalid API Key provided: ${key.slice(0, 8)}****`);
    const version = request.headers['stripe-version'];
    if (version !== undefined && !/^\d{4}-\d{2}-\d{2}(\.\w+)?$/.test(version))
      throw invalid(`Invalid Stripe API version: ${version}`);
    const account = request.headers['stripe-account'];
    if (account !== undefined && account !== ACCOUNT)
      return errorReply(403, {
        type: 'invalid_request_error',
        code: 'account_invalid',
        message: `The provided key does not have access to account '${account}' (or that account does not exist).`,
      });
    if (entry.concurrent > this.switches.maxConcurrent) return this.#tooMany('global-concurrency');
    if (!this.limits.take('global').ok) return this.#tooMany('global-rate');
    if (!this.limits.take('endpoint', request.path[1]).ok) return this.#tooMany('endpoint-rate');
    return undefined;
  }

  #tooMany(reason: string): Reply {
    return errorReply(
      429,
      {
        type: 'invalid_request_error',
        code: 'rate_limit',
        message:
          'Request rate limit exceeded. Learn more about rate limits at https://stripe.com/docs/rate-limits.',
      },
      { 'Stripe-Rate-Limited-Reason': reason, ...(this.switches.retryAfter && { 'Retry-After': '1' }) },
    );
  }

  #reply(request: Request, version: string): Reply {
    const [v1, name = '', id, part, ...rest] = request.path;
    if (v1 === 'v1' && request.method === 'GET' && rest.length === 0) {
      if (name === 'account' && id === undefined)
        return {
          status: 200,
          body: { id: ACCOUNT, object: 'account', country: 'DE', email: 'owner@example.test' },
        };
      if (name === 'events' && part === undefined) return this.#events(request.query, id);
      if (isResourceName(name)) {
        this.#permit(name);
        if (id === undefined) return this.#list(name, request.query, version);
        if (part === undefined) return this.#read(name, id, request.query, version);
        if (name === 'invoices' && part === 'lines') return this.#lines(id, request.query);
      }
    }
    throw new Refusal(
      errorReply(404, {
        type: 'invalid_request_error',
        message: `Unrecognized request URL (${request.method}: ${request.url.split('?')[0]}). Please see https://stripe.com/docs or we can help at https://support.stripe.com/.`,
      }),
    );
  }

  #permit(resource: string): void {
    if (this.switches.forbidden.includes(resource)) throw forbidden(resource.replace(/s$/, ''));
  }

  #list(name: ResourceName, query: URLSearchParams, version: string): Reply {
    const { filters, object } = RESOURCES[name];
    const params = paramsOf(query, [...LIST_PARAMS, ...filters]);
    const inline = this.#expansion(params, 'data.', version);
    return page(this.#store.shelves[name], {
      params,
      switches: this.switches,
      url: `/v1/${name}`,
      kind: object,
      shows: filter(name, params),
      render: ({ row }) => inline(render(row, version)),
    });
  }

  #read(name: ResourceName, id: string, query: URLSearchParams, version: string): Reply {
    const inline = this.#expansion(paramsOf(query, ['expand']), '', version);
    const item = this.#store.shelves[name].get(id);
    if (item) return { status: 200, body: inline(render(item.row, version)) };
    if (name === 'customers' && this.#store.deletedCustomers.has(id))
      return { status: 200, body: deletedCustomer(id) };
    throw missing(404, RESOURCES[name].object, id, 'id');
  }

  /** Puts the customer in the place of its id, where `expand[]` asks for that. */
  #expansion(params: Params, prefix: string, version: string): (row: Row) => Row {
    const asked = params.list('expand') ?? [];
    const unknown = asked.find((name) => name !== `${prefix}customer`);
    if (unknown !== undefined) throw invalid(`This property cannot be expanded (${unknown}).`, 'expand');
    if (asked.length === 0) return (row) => row;
    return (row) => {
      const customer = this.#store.shelves.customers.get(String(row.customer as string));
      return customer ? { ...row, customer: render(customer.row, version) } : row;
    };
  }

  #lines(id: string, query: URLSearchParams): Reply {
    const item = this.#store.shelves.invoices.get(id);
    if (!item) throw missing(404, 'invoice', id, 'invoice');
    const params = paramsOf(query, LIST_PARAMS);
    return nestedPage(linesOf(item.row), params, this.switches, `/v1/invoices/${id}/lines`);
  }

  #events(query: URLSearchParams, id: string | undefined): Reply {
    this.#permit('events');
    const now = this.around.clock.now();
    const oldest = seconds(now) - EVENTS_KEPT_S;
    const isKept = (event: EventItem): boolean => event.visibleAt <= now && event.created >= oldest;
    // Whatever version is asked for, an event is in the version of its time.
    const shown = ({ row, object }: EventItem): Row => ({
      ...row,
      data: { ...(row.data as Row), object: render(object, String(row.api_version as string)) },
    });
    if (id !== undefined) {
      const event = this.#store.events.get(id);
      if (!event || !isKept(event)) throw missing(404, 'event', id, 'id');
      return { status: 200, body: shown(event) };
    }
    const params = paramsOf(query, [...LIST_PARAMS, 'type', 'types', 'delivery_success']);
    const wanted = eventTypes(params);
    // `place` looks for what is kept, whatever its type.
    const starts = [params.text('starting_after'), params.text('ending_before')];
    return page(this.#store.events, {
      params,
      switches: this.switches,
      url: '/v1/events',
      kind: 'event',
      shows: (event) => isKept(event) && (starts.includes(event.id) || wanted(event.type)),
      render: shown,
    });
  }
}

const LOCKED = errorReply(429, {
  type: 'invalid_request_error',
  code: 'lock_timeout',
  message:
    'This object cannot be accessed right now because another API request or Stripe process is currently accessing it.',
});

function unauthorized(message: string): Reply {
  return errorReply(401, { type: 'invalid_request_error', message });
}

function keyOf(authorization = ''): string | undefined {
  const bearer = /^Bearer (\S+)$/.exec(authorization)?.[1];
  const basic = /^Basic (\S+)$/.exec(authorization)?.[1];
  return bearer ?? (basic === undefined ? undefined : Buffer.from(basic, 'base64').toString().split(':')[0]);
}

function deletedCustomer(id: string): Row {
  return { id, object: 'customer', deleted: true };
}

function filter(name: ResourceName, params: Params): (item: Item) => boolean {
  const tests: ((row: Row) => boolean)[] = [];
  const statuses = STATUSES[name];
  for (const field of RESOURCES[name].filters) {
    if (field === 'active' || field === 'shippable') {
      const wanted = params.boolean(field);
      if (wanted !== undefined) tests.push((row) => row[field] === wanted);
    } else if (field === 'ids') {
      const ids = params.list('ids');
      if (ids) tests.push(({ id }) => ids.includes(String(id as string)));
    } else if (field === 'price') {
      const price = params.text('price');
      if (price !== undefined)
        tests.push(({ items }) => (items as Row[]).some((item) => item.price === price));
    } else {
      const wanted = params.text(field);
      if (field === 'status' && statuses) tests.push(statusTest(name, statuses, wanted));
      else if (wanted !== undefined) tests.push((row) => row[field] === wanted);
    }
  }
  return ({ row }) => tests.every((test) => test(row));
}

/** Without a status, canceled subscriptions stay hidden. */
function statusTest(
  name: ResourceName,
  statuses: readonly string[],
  wanted: string | undefined,
): (row: Row) => boolean {
  if (wanted !== undefined && !statuses.includes(wanted))
    throw invalid(`Invalid status: must be one of ${statuses.join(', ')}`, 'status');
  if (wanted === undefined) return ({ status }) => name !== 'subscriptions' || status !== 'canceled';
  if (wanted === 'all') return () => true;
  if (wanted === 'ended') return ({ status }) => status === 'canceled' || status === 'incomplete_expired';
  return ({ status }) => status === wanted;
}

/** `types[]`, at most 20 names, or `type`, which may end in `*`. */
function eventTypes(params: Params): (type: string) => boolean {
  const [type, types] = [params.text('type'), params.list('types')];
  if (type !== undefined && types !== undefined)
    throw invalid('You may pass either type or types, not both.', 'type');
  if (types && types.length > 20) throw invalid('You may pass up to 20 types.', 'types');
  if (types?.some((name) => name.includes('*')))
    throw invalid('types doesn’t take wildcards; use type.', 'types');
  if (types) return (name) => types.includes(name);
  if (type === undefined) return () => true;
  return type.endsWith('*') ? (name) => name.startsWith(type.slice(0, -1)) : (name) => name === type;
}
