/** The simulated Zendesk account. */
import { type FaultAction } from '../../support/simulated/faults';
import { type Reply, type Request } from '../../support/simulated/exchange';
import { type LedgerEntry } from '../../support/simulated/ledger';
import { Limits, type Taken } from '../frame/limits';
import { basic, bearerOf, TokenDesk } from '../frame/oauth';
import {
  ControlError,
  Refusal,
  type Row,
  type Simulation,
  type SimulationFactory,
  type Surroundings,
} from '../frame/simulation';
import { SortedList } from '../frame/sorted-list';
import { errorReply, forbidden, invalid, noRoute, notFound } from './errors';
import { byCursor, byTime } from './exports';
import { page, type By } from './lists';
import { binned, shown } from './render';
import { KINDS, Shelf, type Kind, type Stored } from './store';
import { SWITCHES, type Switches } from './switches';

const EMAIL = 'admin@example.test';
const KEY = 'simulatedZendeskApiToken';
const MINUTE = 60_000;

export const zendesk: SimulationFactory = (surroundings) => new Zendesk(surroundings);

class Zendesk implements Simulation {
  readonly user = EMAIL;
  readonly token = KEY;
  readonly authorization = basic(`${EMAIL}/token`, KEY);
  readonly switches: Switches = { ...SWITCHES };
  readonly limits: Limits;
  readonly #tokens: TokenDesk;
  readonly #shelves: Record<Kind, Shelf>;
  #lastId = 0;

  constructor(private readonly around: Surroundings) {
    this.limits = new Limits(
      {
        general: { max: 700, windowMs: MINUTE },
        incremental: { max: 10, windowMs: MINUTE },
        usersCursor: { max: 20, windowMs: MINUTE },
      },
      around.clock,
    );
    this.#tokens = new TokenDesk(
      'zendesk',
      {
        grants: ['client_credentials', 'refresh_token'],
        scopes: ['read', ...KINDS.map((kind) => `${kind}:read`)],
        livesMs: 30 * MINUTE,
        graceMs: () => this.switches.graceMs,
      },
      around.clock,
    );
    const made = (kind: Kind): Shelf => new Shelf(kind, () => ++this.#lastId, around.clock, this.switches);
    this.#shelves = {
      tickets: made('tickets'),
      users: made('users'),
      organizations: made('organizations'),
    };
  }

  get oauth(): TokenDesk['client'] {
    return this.#tokens.client;
  }

  collections(): Kind[] {
    return [...KINDS];
  }

  records(collection: string): Row[] {
    const shelf = this.#shelf(collection);
    return shelf.all().map((record) => this.#shown(shelf.kind, record));
  }

  write(collection: string, rows: readonly Row[], at: number): Row[] {
    const shelf = this.#shelf(collection);
    return rows.map((row) => this.#shown(shelf.kind, shelf.write(row, at)));
  }

  remove(collection: string, ids: readonly string[], at: number, { purge }: { purge: boolean }): void {
    const shelf = this.#shelf(collection);
    for (const id of ids) {
      if (purge) shelf.purge(Number(id), at);
      else shelf.remove(Number(id), at);
    }
  }

  readonly actions: Simulation['actions'] = {
    /** {ids}: from the bin. */
    restore: (collection, body, at) => {
      const shelf = this.#shelf(collection);
      return idsOf(body).map((id) => this.#shown(shelf.kind, shelf.restore(id, at)));
    },
    /** {ids}: the system changes a ticket: only `generated_timestamp` moves. */
    touch: (collection, body, at) => {
      const shelf = this.#shelf(collection);
      return idsOf(body).map((id) => this.#shown(shelf.kind, shelf.touch(id, at)));
    },
    /** {ids: [target, other, …]} */
    merge: (collection, body, at) => {
      const shelf = this.#shelf(collection);
      const [target, ...others] = idsOf(body).map((id) => shelf.present(id));
      if (!target || others.length === 0) throw new ControlError('merge wants {"ids": [target, other, …]}');
      for (const other of others) this.#mergeAway(shelf, other, at);
      return this.#shown(shelf.kind, shelf.write({ id: target.id }, at));
    },
  };

  #mergeAway(shelf: Shelf, { id, fields }: Stored, at: number): void {
    if (shelf.kind !== 'tickets') return void shelf.remove(id, at);
    const tags = [
      ...((fields.tags ?? []) as string[]),
      ...(this.switches.mergeTag ? ['closed_by_merge'] : []),
    ];
    shelf.write({ id, status: 'closed', tags }, at);
  }

  generate(collection: string, count: number): void {
    this.#shelf(collection).generate(count);
  }

  answer(request: Request, entry: LedgerEntry): Reply {
    const path = request.path.map((part, at) =>
      at === request.path.length - 1 ? part.replace(/\.json$/, '') : part,
    );
    if (request.method === 'POST' && path.join('/') === 'oauth/tokens') return this.#exchange(request);
    const [api, version, ...rest] = path;
    if (api !== 'api' || version !== 'v2' || request.method !== 'GET') throw noRoute();
    const scopes = this.#scopes(request.headers.authorization);
    const general = this.limits.take('general');
    if (!general.ok) return this.#tooMany(general, 'general');
    for (const shelf of Object.values(this.#shelves)) shelf.settle();
    const { body, ...reply } = this.#reply(rest, request.query, scopes);
    const rows = Object.values(body as Row).find((value) => Array.isArray(value)) as unknown[] | undefined;
    entry.records = rows?.length ?? 1;
    const { heavyPage } = this.switches;
    if (heavyPage > 0 && entry.records >= heavyPage) return GATEWAY_TIMEOUT;
    return { ...reply, body, headers: { ...this.#headers(general), ...reply.headers } };
  }

  refusal({ errorCode, message = 'simulated' }: FaultAction, status: number): Reply {
    if (status === 429) {
      const name = errorCode === 'general' || errorCode === 'usersCursor' ? errorCode : 'incremental';
      return this.#tooMany(this.limits.take(name, '', 0), name);
    }
    if (status === 401) return errorReply(401, 'invalid_token', message);
    if (status === 404) return errorReply(404, 'RecordNotFound', message);
    if (status >= 500) return { status, body: { error: { title: 'Internal error', message } } };
    return errorReply(status, errorCode ?? (status === 403 ? 'Forbidden' : 'InvalidValue'), message);
  }

  #exchange(request: Request): Reply {
    const answer = this.#tokens.exchange(request);
    return {
      status: 'error' in answer ? (answer.error === 'invalid_client' ? 401 : 400) : 200,
      body: answer,
    };
  }

  /** What the caller may read; an API token may read all. */
  #scopes(authorization: string | undefined): readonly string[] {
    const bearer = bearerOf(authorization);
    if (bearer !== undefined) {
      const scopes = this.#tokens.scopesOf(bearer);
      if (scopes) return scopes;
      throw new Refusal({
        status: 401,
        body: {
          error: 'invalid_token',
          error_description:
            'The access token provided is expired, revoked, malformed or invalid for other reasons.',
        },
        headers: { 'WWW-Authenticate': 'Bearer realm="Zendesk"' },
      });
    }
    if (authorization === this.authorization && this.switches.apiTokens) return ['read'];
    throw new Refusal({
      status: 401,
      body: { error: "Couldn't authenticate you" },
      headers: { 'WWW-Authenticate': 'Basic realm="Web Password"' },
    });
  }

  /** Exports say it in JSON, the general limit in plain text. */
  #tooMany(taken: Taken, name: 'general' | 'incremental' | 'usersCursor'): Reply {
    const headers = { ...this.#headers(taken), 'Retry-After': String(this.#secondsTo(taken)) };
    if (name === 'general')
      return {
        status: 429,
        body: 'Number of allowed API requests per minute exceeded\n',
        headers: { ...headers, 'Content-Type': 'text/plain; charset=utf-8' },
      };
    const reply = errorReply(
      429,
      'APIRateLimitExceeded',
      'Number of allowed incremental export API requests per minute exceeded',
    );
    return { ...reply, headers };
  }

  #headers(taken: Taken): Record<string, string> {
    return {
      'X-Rate-Limit': String(taken.limit),
      'X-Rate-Limit-Remaining': String(taken.remaining),
      'ratelimit-limit': String(taken.limit),
      'ratelimit-remaining': String(taken.remaining),
      'ratelimit-reset': String(this.#secondsTo(taken)),
    };
  }

  #secondsTo({ resetAt }: Taken): number {
    return Math.max(1, Math.ceil((resetAt - this.around.clock.now()) / 1000));
  }

  #reply(
    [area = '', one, two, ...more]: readonly string[],
    query: URLSearchParams,
    scopes: readonly string[],
  ): Reply {
    if (more.length > 0) throw noRoute();
    if (area === 'incremental') return this.#export(one, two, query, scopes);
    if (area === 'users' && one === 'me' && two === undefined)
      return {
        status: 200,
        body: { user: { id: 1, name: 'Admin', email: EMAIL, role: this.switches.role, active: true } },
      };
    const bin = /^deleted_(tickets|users)$/.exec(area)?.[1];
    if (bin !== undefined && one === undefined)
      return this.#bin(this.#permitted(bin, scopes), query, `deleted_${bin}`);
    const shelf = this.#permitted(area, scopes);
    if (one === undefined) return this.#list(shelf, query);
    if (one === 'count' && two === undefined)
      return {
        status: 200,
        body: {
          count: {
            value: shelf.byId.items.length,
            refreshed_at: new Date(this.around.clock.now()).toISOString(),
          },
        },
      };
    if (one === 'show_many' && two === undefined) return this.#many(shelf, query);
    const record = this.#readable(shelf, one);
    if (two === undefined)
      return { status: 200, body: { [shelf.kind.slice(0, -1)]: this.#shown(shelf.kind, record) } };
    if (two === 'comments' && shelf.kind === 'tickets') return this.#comments(record, query);
    throw noRoute();
  }

  #permitted(name: string | undefined, scopes: readonly string[]): Shelf {
    const kind = KINDS.find((known) => known === name);
    if (!kind) throw noRoute();
    if (!scopes.includes('read') && !scopes.includes(`${kind}:read`))
      throw forbidden(`You are missing the following required scopes: read, ${kind}:read`);
    return this.#shelves[kind];
  }

  #export(
    name: string | undefined,
    way: string | undefined,
    query: URLSearchParams,
    scopes: readonly string[],
  ): Reply {
    const shelf = this.#permitted(name, scopes);
    const isCursor = way === 'cursor';
    if ((way !== undefined && !isCursor) || (isCursor && shelf.kind === 'organizations')) throw noRoute();
    if (this.switches.role !== 'admin')
      throw forbidden('You do not have access to this page. Please contact the account owner for help.');
    const limit = isCursor && shelf.kind === 'users' ? 'usersCursor' : 'incremental';
    const taken = this.limits.take(limit);
    if (!taken.ok) return this.#tooMany(taken, limit);
    const exporting = {
      shelf,
      query,
      switches: this.switches,
      now: this.around.clock.now(),
      url: this.around.url(),
      render: (record: Stored) => this.#shown(shelf.kind, record),
    };
    const header = `total=${taken.limit}; remaining=${taken.remaining}; resets=${this.#secondsTo(taken)}`;
    return {
      ...(isCursor ? byCursor(exporting) : byTime(exporting)),
      headers: { [`Zendesk-RateLimit-incremental-exports${isCursor ? '-cursor' : ''}`]: header },
    };
  }

  #list(shelf: Shelf, query: URLSearchParams): Reply {
    const sort = query.get('sort') ?? 'id';
    const [, descending, field] = /^(-?)(id|updated_at)$/.exec(sort) ?? [];
    if (field === undefined || (field === 'updated_at' && shelf.kind !== 'tickets'))
      throw invalid(`sort is not valid: ${sort}`);
    const by: By = field === 'id' ? 'id' : 'updated';
    const listing = this.#listing(shelf.kind, query, shelf.kind, (record) => this.#shown(shelf.kind, record));
    return page(listing, by === 'id' ? shelf.byId : shelf.byUpdated, by, descending === '-');
  }

  #bin(shelf: Shelf, query: URLSearchParams, name: string): Reply {
    const listing = this.#listing(name, query, name, (record) =>
      binned(shelf.kind, record, this.around.url()),
    );
    return page(listing, byIdOf(shelf.binned()), 'id', false);
  }

  /** Every ticket has its description as its first comment. */
  #comments(record: Stored, query: URLSearchParams): Reply {
    const listing = this.#listing('comments', query, `tickets/${record.id}/comments`, ({ id, fields }) => ({
      id,
      type: 'Comment',
      body: fields.description ?? fields.subject ?? '',
      public: true,
    }));
    return page(listing, byIdOf([record]), 'id', false);
  }

  #listing(
    name: string,
    query: URLSearchParams,
    path: string,
    render: (record: Stored) => Row,
  ): Parameters<typeof page>[0] {
    const address = `${this.around.url()}/api/v2/${path}.json`;
    return { name, query, switches: this.switches, address, render };
  }

  /** Those that aren't there are left out. */
  #many(shelf: Shelf, query: URLSearchParams): Reply {
    const ids = (query.get('ids') ?? '').split(',').filter((id) => id !== '');
    if (ids.length === 0) throw invalid('ids is missing');
    if (ids.length > 100) throw invalid('ids: no more than 100');
    const found = ids.map((id) => shelf.get(Number(id))).filter((record) => readable(shelf.kind, record));
    return {
      status: 200,
      body: {
        [shelf.kind]: found.map((record) => this.#shown(shelf.kind, record)),
        next_page: null,
        previous_page: null,
        count: found.length,
      },
    };
  }

  #readable(shelf: Shelf, id: string): Stored {
    if (!/^\d+$/.test(id)) throw noRoute();
    const record = shelf.get(Number(id));
    if (!readable(shelf.kind, record)) throw notFound();
    return record;
  }

  #shown(kind: Kind, record: Stored): Row {
    return shown(kind, record, this.around.url());
  }

  #shelf(collection: string): Shelf {
    const kind = KINDS.find((known) => known === collection);
    if (!kind) throw new ControlError(`no collection ${collection}`);
    return this.#shelves[kind];
  }
}

const GATEWAY_TIMEOUT: Reply = {
  status: 504,
  body: '<html><head><title>504 Gateway Time-out</title></head><body></body></html>',
};

/** Deleted users can still be read, as inactive ones. */
function readable(kind: Kind, record: Stored | undefined): record is Stored {
  return record !== undefined && (record.deleted === undefined || (kind === 'users' && !record.scrubbed));
}

function byIdOf(records: readonly Stored[]): SortedList<Stored> {
  const list = new SortedList<Stored>((a, b) => a.id - b.id);
  list.addAll(records);
  return list;
}

function idsOf(body: unknown): number[] {
  return (body as { ids: (string | number)[] }).ids.map(Number);
}
