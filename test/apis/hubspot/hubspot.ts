/** The simulated HubSpot portal. */
import { type FaultAction } from '../../support/simulated/faults';
import { type Reply, type Request } from '../../support/simulated/exchange';
import { type LedgerEntry } from '../../support/simulated/ledger';
import { Limits, type Taken } from '../frame/limits';
import { Refusal, type Simulation, type SimulationFactory, type Surroundings } from '../frame/simulation';
import { Associations, paging } from './associations';
import { errorReply, invalid, notFound } from './errors';
import {
  boolean,
  limitOf,
  list,
  properties,
  read,
  readBatch,
  searchObjects,
  shown,
  typeNamed,
  type Reading,
} from './objects';
import { Search, type SearchBody } from './search';
import { TypeStore } from './store';
import { SWITCHES, type Switches } from './switches';
import { TYPES, type Property, type TypeName } from './types';

const TOKEN = 'pat-na1-00000000-0000-4000-8000-000000000000';
const DAY = 86_400_000;

const POLICIES = { tenSecondly: 'TEN_SECONDLY_ROLLING', secondly: 'SECONDLY', daily: 'DAILY' };

type LimitName = keyof typeof POLICIES;

export const hubspot: SimulationFactory = (surroundings) => new HubSpot(surroundings);

class HubSpot implements Simulation {
  readonly token = TOKEN;
  readonly switches: Switches = { ...SWITCHES, missingScopes: [] };
  readonly limits: Limits;
  readonly #associations = new Associations(this.switches);
  readonly #types: Record<TypeName, { store: TypeStore; search: Search }>;
  #lastId = 500;

  constructor(private readonly around: Surroundings) {
    this.limits = new Limits(
      {
        tenSecondly: { max: 190, windowMs: 10_000 },
        secondly: { max: 5, windowMs: 1_000 },
        daily: { max: 625_000, windowMs: DAY, aligned: true },
      },
      around.clock,
    );
    const made = (name: TypeName): { store: TypeStore; search: Search } => {
      const store = new TypeStore(name, () => ++this.#lastId, around.clock, this.switches);
      return { store, search: new Search(store, this.switches) };
    };
    this.#types = {
      contacts: made('contacts'),
      companies: made('companies'),
      deals: made('deals'),
      tickets: made('tickets'),
    };
  }

  collections(): TypeName[] {
    return Object.keys(TYPES) as TypeName[];
  }

  records(collection: string): Readonly<Record<string, unknown>>[] {
    const store = this.#store(collection);
    return store.all().map((record) => shown(store, record, [...store.properties.keys()]));
  }

  write(
    collection: string,
    rows: Parameters<Simulation['write']>[1],
    at: number,
  ): ReturnType<Simulation['write']> {
    const store = this.#store(collection);
    return rows.map((row) => shown(store, store.write(row, at), [...store.properties.keys()]));
  }

  remove(collection: string, ids: readonly string[], at: number, { purge }: { purge: boolean }): void {
    const store = this.#store(collection);
    for (const id of ids) {
      if (purge) store.purge(Number(id));
      else store.archive(Number(id), at);
    }
  }

  readonly actions: Simulation['actions'] = {
    /** {ids} */
    archive: (collection, body, at) => this.remove(collection, idsOf(body), at, { purge: false }),
    /** {ids} */
    restore: (collection, body) => {
      const store = this.#store(collection);
      return idsOf(body).map((id) => shown(store, store.restore(Number(id))));
    },
    /** {ids: [primary, other, …]}: gives the new record. */
    merge: (collection, body, at) => {
      const store = this.#store(collection);
      const ids = idsOf(body).map(Number);
      const merged = store.merge(ids, at);
      for (const id of ids) this.#associations.move(store.type, id, merged.id, this.collections());
      return shown(store, merged, ['hs_merged_object_ids']);
    },
    /** [{name, type}]: properties beside those that there are. */
    define: (collection, body) => this.#store(collection).define(body as Property[]),
    /** [{id, to, toId}] */
    associate: (collection, body, at) => this.#associate(collection, body, at, 'link'),
    /** [{id, to, toId}] */
    dissociate: (collection, body, at) => this.#associate(collection, body, at, 'unlink'),
  };

  generate(collection: string, count: number): void {
    this.#store(collection).generate(count);
  }

  answer(request: Request, entry: LedgerEntry): Reply {
    if (request.url.length > this.switches.maxUrl)
      return { status: 414, body: '<html><body><h1>414 Request-URI Too Large</h1></body></html>' };
    const refused = this.#unauthenticated(request.headers.authorization);
    if (refused) return refused;
    const isSearch = request.path.at(-1) === 'search';
    const { headers, limited } = this.#spend(isSearch);
    if (limited) {
      const reply = this.#tooMany(limited);
      return { ...reply, headers: { ...headers, ...reply.headers } };
    }
    const reply = this.#reply(request);
    const { results } = reply.body as { results?: unknown[] };
    entry.records = results?.length ?? 0;
    return { ...reply, headers };
  }

  refusal(action: FaultAction, status: number): Reply {
    const message = action.message ?? 'simulated';
    if (status === 429) return this.#tooMany((action.errorCode as LimitName | undefined) ?? 'tenSecondly');
    if (status === 401)
      return errorReply(
        401,
        'EXPIRED_AUTHENTICATION',
        `The OAuth token used to make this call expired. ${message}`,
      );
    if (status === 403) return errorReply(403, action.errorCode ?? 'MISSING_SCOPES', message);
    if (status === 404) return errorReply(404, 'OBJECT_NOT_FOUND', message);
    if (status === 423) return errorReply(423, 'LOCKED', message);
    if (status === 477)
      return { ...errorReply(477, 'MIGRATION_IN_PROGRESS', message), headers: { 'Retry-After': '1' } };
    return errorReply(
      status,
      action.errorCode ?? (status < 500 ? 'VALIDATION_ERROR' : 'SERVICE_UNAVAILABLE'),
      message,
    );
  }

  #associate(collection: string, body: unknown, at: number, how: 'link' | 'unlink'): void {
    for (const { id, to, toId } of body as { id: string; to: string; toId: string }[]) {
      this.#associations[how](collection, Number(id), to, Number(toId));
      if (!this.switches.associationsTouch) continue;
      this.#store(collection).write({ id, properties: {} }, at);
      this.#store(to).write({ id: toId, properties: {} }, at);
    }
  }

  #store(collection: string): TypeStore {
    return this.#types[typeNamed(collection)].store;
  }

  #unauthenticated(authorization: string | undefined): Reply | undefined {
    const token = /^Bearer (.*)$/.exec(authorization ?? '')?.[1];
    if (token === undefined)
      return errorReply(401, 'INVALID_AUTHENTICATION', 'Authentication credentials not found.', {
        links: { 'api key': 'https://app.hubspot.com/l/api-key/' },
      });
    // The gateway's answer to what can't be a token.
    if (!/^[\w-]+$/.test(token)) return { status: 530, body: '<html><body>error code: 1016</body></html>' };
    if (token !== TOKEN)
      return errorReply(401, 'INVALID_AUTHENTICATION', 'Authentication credentials not found.');
    return undefined;
  }

  /** Counts the call. Search has a limit of its own and no headers. */
  #spend(isSearch: boolean): { headers: Record<string, string>; limited?: LimitName } {
    const burst = this.limits.take(isSearch ? 'secondly' : 'tenSecondly');
    if (!burst.ok)
      return {
        headers: isSearch ? {} : this.#headers(burst, this.limits.take('daily', '', 0)),
        limited: isSearch ? 'secondly' : 'tenSecondly',
      };
    const daily = this.limits.take('daily');
    return { headers: isSearch ? {} : this.#headers(burst, daily), limited: daily.ok ? undefined : 'daily' };
  }

  #headers(burst: Taken, daily: Taken): Record<string, string> {
    return {
      'X-HubSpot-RateLimit-Interval-Milliseconds': String(this.limits.set().tenSecondly?.windowMs),
      'X-HubSpot-RateLimit-Max': String(burst.limit),
      'X-HubSpot-RateLimit-Remaining': String(burst.remaining),
      ...(!this.switches.oauth && {
        'X-HubSpot-RateLimit-Daily': String(daily.limit),
        'X-HubSpot-RateLimit-Daily-Remaining': String(daily.remaining),
      }),
    };
  }

  #tooMany(name: LimitName): Reply {
    const message =
      name === 'daily'
        ? 'You have reached your daily limit.'
        : `You have reached your ${name === 'secondly' ? 'secondly' : 'ten_secondly_rolling'} limit.`;
    const { resetAt } = this.limits.take(name, '', 0);
    const wait = Math.max(1, Math.ceil((resetAt - this.around.clock.now()) / 1000));
    const named =
      this.switches.rateLimitBody === 'errorType' ? { errorType: 'RATE_LIMIT' } : { category: 'RATE_LIMITS' };
    return {
      status: 429,
      body: {
        status: 'error',
        message,
        ...named,
        policyName: POLICIES[name],
        correlationId: '00000000-0000-4000-8000-000000000429',
      },
      headers: this.switches.retryAfter ? { 'Retry-After': String(wait) } : {},
    };
  }

  #reply(request: Request): Reply {
    const [crm, version = '', area, ...rest] = normalized(request.path);
    if (crm !== 'crm') throw notFound();
    const route = `${request.method} ${version} ${area ?? ''}`;
    switch (route) {
      case 'GET v3 properties':
        return properties(this.#reading(rest[0], `crm.schemas.${rest[0] ?? ''}.read`));
      case 'GET v3 objects':
        return rest.length === 1
          ? list(this.#reading(rest[0]), request.query)
          : read(this.#reading(rest[0]), rest.slice(1).join('/'), request.query);
      case 'POST v3 objects':
        if (rest[1] === 'search') return searchObjects(this.#reading(rest[0]), json(request) as SearchBody);
        if (rest[1] === 'batch' && rest[2] === 'read')
          return readBatch(this.#reading(rest[0]), json(request), boolean(request.query, 'archived'));
        throw notFound();
      case 'GET v4 objects':
        return this.#associated(rest, request.query);
      case 'POST v4 associations':
      case 'POST v3 associations':
        return this.#readAssociations(version, rest, json(request));
      default:
        throw notFound();
    }
  }

  /** GET /crm/v4/objects/{from}/{id}/associations/{to} */
  #associated([from, id = '', , to = '']: string[], query: URLSearchParams): Reply {
    const { store } = this.#reading(from);
    const limit = limitOf(query, 500, this.switches, 500);
    const after = Number(query.get('after') ?? 0);
    const { rows, next } = this.#associations.page(store.type, Number(id), typeNamed(to), limit, after);
    const link = `${this.around.url()}/crm/v4/objects/${store.type}/${id}/associations/${to}`;
    return { status: 200, body: { results: rows, ...paging(next, link) } };
  }

  #readAssociations(version: string, [from = '', to = '', batch, verb]: string[], body: unknown): Reply {
    if (batch !== 'batch' || verb !== 'read') throw notFound();
    this.#reading(from);
    this.#reading(to);
    return version === 'v4'
      ? this.#associations.readV4(from, to, body, this.around.url())
      : this.#associations.readV3(from, to, body);
  }

  #reading(name = '', scope?: string): Reading {
    const type = typeNamed(name);
    const wanted = scope ?? TYPES[type].scope;
    if (this.switches.missingScopes.includes(wanted))
      throw new Refusal(
        errorReply(
          403,
          'MISSING_SCOPES',
          'This app hasn’t been granted all required scopes to make this call.',
          {
            errors: [
              {
                message: 'One or more of the following scopes are required.',
                context: { requiredGranularScopes: [wanted] },
              },
            ],
            links: { scopes: 'https://developers.hubspot.com/scopes' },
          },
        ),
      );
    return {
      ...this.#types[type],
      associations: this.#associations,
      switches: this.switches,
      url: this.around.url(),
    };
  }
}

/** Dated addresses are answered as v3's: /crm/objects/2026-03/contacts. */
function normalized(path: readonly string[]): string[] {
  const [crm = '', area = '', date = '', ...rest] = path;
  return /^\d{4}-\d{2}$/.test(date) ? [crm, 'v3', area, ...rest] : [...path];
}

function json(request: Request): unknown {
  try {
    return JSON.parse(request.text);
  } catch {
    throw invalid('Invalid input JSON');
  }
}

function idsOf(body: unknown): string[] {
  return (body as { ids: (string | number)[] }).ids.map(String);
}
