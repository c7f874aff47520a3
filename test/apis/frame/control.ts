/** `/_api`: what tests do to a simulated API and ask it, beside its own calls. */
import { type Reply, type Request } from '../../support/simulated/exchange';
import { type Fault, type Faults } from '../../support/simulated/faults';
import { type Ledger } from '../../support/simulated/ledger';
import { type Clock } from './clock';
import { type Limit } from './limits';
import { ControlError, type Row, type Simulation } from './simulation';

export interface Controlled {
  readonly simulation: Simulation;
  readonly clock: Clock;
  readonly faults: Faults;
  readonly ledger: Ledger;
}

interface Asked extends Controlled {
  /** The parts of the path behind the route's name. */
  path: readonly string[];
  query: URLSearchParams;
  body: unknown;
}

const ROUTES: Record<string, (asked: Asked) => unknown> = {
  'GET records': (asked) => asked.simulation.records(collectionOf(asked)),
  'POST records': postRecords,
  'DELETE records': (asked) => {
    const ids = asked.query.get('ids');
    if (!ids) throw new ControlError('say which records: ?ids=a,b');
    const purge = asked.query.get('purge') === 'true';
    asked.simulation.remove(collectionOf(asked), ids.split(','), atOf(asked), { purge });
  },
  'GET requests': ({ ledger }) => ledger.entries(),
  'DELETE requests': ({ ledger }) => ledger.clear(),
  'GET faults': ({ faults }) => faults.list(),
  'POST faults': ({ faults, body }) => {
    faults.add(...(listOf(body) as Fault[]));
    return faults.list();
  },
  'DELETE faults': ({ faults }) => faults.clear(),
  'GET limits': ({ simulation }) => simulation.limits.set(),
  'POST limits': ({ simulation, body }) => simulation.limits.set(body as Record<string, Partial<Limit>>),
  'GET clock': ({ clock }) => ({ now: clock.now() }),
  'POST clock': ({ clock, body }) => {
    const { advance } = body as { advance?: unknown };
    if (typeof advance !== 'number') throw new ControlError('{"advance": ms}');
    clock.advance(advance);
    return { now: clock.now() };
  },
  'GET switches': ({ simulation }) => simulation.switches,
  'POST switches': ({ simulation, body }) => setSwitches(simulation, body as object),
};

export function control(on: Controlled, request: Request): Reply {
  const [, name = '', ...path] = request.path;
  try {
    const route = ROUTES[`${request.method} ${name}`];
    if (!route) return { status: 404, body: { error: `there is ${Object.keys(ROUTES).join(', ')}` } };
    const body: unknown = request.text === '' ? {} : JSON.parse(request.text);
    return { status: 200, body: route({ ...on, path, query: request.query, body }) ?? {} };
  } catch (thrown) {
    return { status: 400, body: { error: thrown instanceof Error ? thrown.message : String(thrown) } };
  }
}

export function setSwitches(simulation: Simulation, changes: object): object {
  for (const name of Object.keys(changes)) {
    if (!(name in simulation.switches))
      throw new ControlError(`no switch ${name}; there are ${Object.keys(simulation.switches).join(', ')}`);
  }
  return Object.assign(simulation.switches, changes);
}

/** An action of a simulation, or what it has instead. */
export function act(
  simulation: Simulation,
  name: string,
  collection: string,
  body: unknown,
  at: number,
): unknown {
  const action = simulation.actions[name];
  if (!action)
    throw new ControlError(`no action ${name}; there are ${Object.keys(simulation.actions).join(', ')}`);
  return action(collection, body, at);
}

/** `?at=` (epoch ms or ISO) says when it happened, where that isn't now. */
function postRecords(asked: Asked): unknown {
  const { collection, action } = namedIn(asked);
  return action === undefined
    ? asked.simulation.write(collection, listOf(asked.body) as Row[], atOf(asked))
    : act(asked.simulation, action, collection, asked.body, atOf(asked));
}

function atOf({ query, clock }: Asked): number {
  const at = query.get('at');
  return at === null ? clock.now() : /^\d+$/.test(at) ? Number(at) : Date.parse(at);
}

/** What a path names: a collection, whose name may have slashes in it, and maybe what to do. */
function namedIn({ path, simulation }: Asked): { collection: string; action?: string } {
  const whole = path.join('/');
  if (path.length < 2 || simulation.collections().includes(whole))
    return { collection: known(simulation, whole) };
  return { collection: known(simulation, path.slice(0, -1).join('/')), action: path.at(-1) };
}

function collectionOf(asked: Asked): string {
  const { collection, action } = namedIn(asked);
  if (action !== undefined) throw new ControlError('an action is posted');
  return collection;
}

/** The name of a collection that there is. Throws for any other. */
export function known(simulation: Simulation, collection: string): string {
  const collections = simulation.collections();
  if (!collections.includes(collection))
    throw new ControlError(`no collection "${collection}"; there are ${collections.join(', ')}`);
  return collection;
}

function listOf(body: unknown): unknown[] {
  return Array.isArray(body) ? (body as unknown[]) : [body];
}
