/** The simulated APIs: real HTTP servers on loopback that keep real records, held to facts that each API is known by. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import {
  closeServer,
  listen,
  readRequest,
  send,
  serve,
  type Reply,
  type Service,
} from '../support/simulated/exchange';
import { Faults, type FaultAction } from '../support/simulated/faults';
import { Ledger, type LedgerEntry } from '../support/simulated/ledger';
import { CATALOG, type ApiName } from './catalog';
import { Clock } from './frame/clock';
import { act, control, known, setSwitches, type Controlled } from './frame/control';
import { type Limit } from './frame/limits';
import { type OAuthClient } from './frame/oauth';
import { type AppLogin } from './github/app';
import { Refusal, type Row, type Simulation } from './frame/simulation';

export interface ApiOptions {
  /** 0, the default, takes a free one. */
  port?: number;
  /** Simulated time of a call. Calls run side by side. */
  latencyMs?: number;
  /** What is there from the start, by collection: records, or how many computed ones. */
  seed?: Record<string, readonly Row[] | number>;
  switches?: object;
  limits?: Record<string, Partial<Limit>>;
}

export interface Api {
  /** `http://127.0.0.1:port`, in the place of `https://api.…`: paths begin as the API's own do. */
  readonly baseUrl: string;
  readonly token: string;
  /** Whose it is, where the API has Basic authentication. */
  readonly user: string | undefined;
  /** The header that says who one is. */
  readonly authorization: string;
  readonly oauth: OAuthClient | undefined;
  readonly app: AppLogin | undefined;
  collections(): string[];
  readonly clock: Clock;
  readonly faults: Faults;
  /** All records, with those that only the bin holds. */
  records(collection: string): Row[];
  /** Acts as a user of the API: creates, or updates by id, all at one moment: `at`, or now. */
  write(collection: string, rows: readonly Row[], at?: number): Row[];
  remove(collection: string, ids: readonly string[], options?: { purge?: boolean }): void;
  act(name: string, collection: string, body: unknown, at?: number): unknown;
  /** Calls that reached the API so far. */
  requests(): LedgerEntry[];
  clearRequests(): void;
  limits(set?: Record<string, Partial<Limit>>): Record<string, Limit>;
  /** Throws for a switch that the API hasn't. */
  switches(set?: object): object;
  close(): Promise<void>;
}

export async function startApi(name: ApiName, options: ApiOptions = {}): Promise<Api> {
  const clock = new Clock();
  let url = '';
  const simulation = CATALOG[name]({ clock, url: () => url });
  const on: Controlled = { simulation, clock, faults: new Faults(), ledger: new Ledger() };
  setSwitches(simulation, options.switches ?? {});
  simulation.limits.set(options.limits);
  for (const [collection, rows] of Object.entries(options.seed ?? {}))
    seed(simulation, collection, rows, clock);
  const handle = handler(on, options.latencyMs ?? 0);
  const server = createServer(
    { maxHeaderSize: 64 * 1024, keepAliveTimeout: 60_000 },
    (incoming, outgoing) => {
      void handle(incoming, outgoing);
    },
  );
  url = `http://127.0.0.1:${await listen(server, options.port ?? 0)}`;
  return {
    baseUrl: url,
    token: simulation.token,
    user: simulation.user,
    authorization: simulation.authorization ?? `Bearer ${simulation.token}`,
    oauth: simulation.oauth,
    get app() {
      return simulation.app;
    },
    ...controls(on),
    close: () => closeServer(server),
  };
}

function seed(simulation: Simulation, collection: string, rows: readonly Row[] | number, clock: Clock): void {
  if (typeof rows === 'number') simulation.generate(collection, rows);
  else simulation.write(collection, rows, clock.now());
}

function controls(
  on: Controlled,
): Omit<Api, 'baseUrl' | 'token' | 'user' | 'authorization' | 'oauth' | 'app' | 'close'> {
  const { simulation, clock, faults, ledger } = on;
  return {
    clock,
    faults,
    collections: () => simulation.collections(),
    records: (collection) => simulation.records(known(simulation, collection)),
    write: (collection, rows, at = clock.now()) => simulation.write(known(simulation, collection), rows, at),
    remove: (collection, ids, { purge = false } = {}) =>
      simulation.remove(known(simulation, collection), ids, clock.now(), { purge }),
    act: (name, collection, body, at = clock.now()) =>
      act(simulation, name, known(simulation, collection), body, at),
    requests: () => ledger.entries(),
    clearRequests: () => ledger.clear(),
    limits: (set) => simulation.limits.set(set),
    switches: (set = {}) => setSwitches(simulation, set),
  };
}

function handler(
  on: Controlled,
  latencyMs: number,
): (incoming: IncomingMessage, outgoing: ServerResponse) => Promise<void> {
  const { simulation, clock, faults, ledger } = on;
  const service: Service = {
    ledger,
    faults,
    now: () => clock.now(),
    refusal: (action, status) => faultReply(simulation, action, status),
    work: async (request, entry) => {
      if (latencyMs > 0) await wait(latencyMs);
      try {
        return simulation.answer(request, entry);
      } catch (thrown) {
        if (thrown instanceof Refusal) return thrown.reply;
        throw thrown;
      }
    },
  };
  return async (incoming, outgoing) => {
    try {
      const request = await readRequest(incoming);
      if (request.path[0] === '_api') send(outgoing, control(on, request));
      else await serve(service, request, outgoing);
    } catch (thrown) {
      // A client that went away while it was sending has nobody to answer to.
      if (outgoing.destroyed || outgoing.headersSent) return void outgoing.destroy();
      const message = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
      send(outgoing, { status: 500, body: { error: `the simulation failed: ${message}` } });
    }
  };
}

/** `body` and `headers` of a fault stand for the API's own; a gateway in front of it (502, 504) answers a page. */
function faultReply(simulation: Simulation, action: FaultAction, status: number): Reply {
  const own: Reply =
    action.body !== undefined
      ? { status, body: action.body }
      : (status === 502 || status === 504) && action.errorCode === undefined
        ? {
            status,
            body: `<html><head><title>${status}</title></head><body><h1>${status}</h1></body></html>`,
          }
        : simulation.refusal(action, status);
  return { ...own, headers: { ...own.headers, ...action.headers } };
}
