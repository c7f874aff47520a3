import { inTime } from '../async/timeout';
import { codeOf, FlowError, messageOf } from '../errors';
import type { States } from './states';
import { say } from '../say';

export type Kind = keyof States;
export type Params = Record<string, unknown>;

/** What can be done to a node. Throws FlowError. */
export type Action = (params: Params, signal: AbortSignal) => unknown;

/** A node as operations see it. */
export interface Operated<K extends Kind = Kind> {
  id: string;
  name: string;
  kind: K;
  /** How it is; without secrets, whatever servers have echoed. */
  state(): States[K][number] | Promise<States[K][number]>;
  /** What only looks. */
  queries?: Readonly<Record<string, Action>>;
  /** What changes something. */
  actions?: Readonly<Record<string, Action>>;
}

/** A server that hangs must not take the view of the others along. */
const TIMEOUT = 4_000;

const nodes = new Map<string, Operated>();

/** Until the returned function is called. */
export function operate<K extends Kind>(node: Operated<K>): () => void {
  nodes.set(node.id, node);
  return () => {
    if (nodes.get(node.id) === (node as unknown as Operated)) nodes.delete(node.id);
  };
}

/** Of all nodes. One whose state can't be told within 4 s is in `unknown`, with the reason. */
export async function currentStates(): Promise<States & { unknown: UnknownState[] }> {
  const states: States & { unknown: UnknownState[] } = {
    ...{ servers: [], durables: [], topics: [], writers: [], orgs: [], syncs: [] },
    unknown: [],
  };
  await Promise.all(
    [...nodes.values()].map(async (node) => {
      try {
        const state = await inTime(TIMEOUT, Promise.resolve(node.state()), () => silent(node));
        (states[node.kind] as object[]).push(state);
      } catch (error) {
        const { id, name, kind } = node;
        states.unknown.push({ id, name, kind, problem: { code: codeOf(error), message: messageOf(error) } });
      }
    }),
  );
  const order = [...nodes.keys()];
  for (const list of Object.values(states) as { id: string }[][])
    list.sort((a, b) => order.indexOf(a.id) - order.indexOf(b.id));
  return states;
}

export interface UnknownState {
  id: string;
  name: string;
  kind: Kind;
  problem: { code: string; message: string };
}

/** Throws NO_SUCH_ACTION where there is no such node (any more), or it can't be asked for that. */
export function actionOf(id: string, what: 'queries' | 'actions', name: string): Action {
  const known = nodes.get(id)?.[what];
  const action = known && Object.hasOwn(known, name) ? known[name] : undefined;
  if (action) return action;
  throw new FlowError(
    'NO_SUCH_ACTION',
    say`The node ${id} is not deployed (any more), or does not know "${name}": look again`,
    false,
  );
}

function silent({ name }: Operated): FlowError {
  return new FlowError('TIMEOUT', say`The state of "${name}" could not be told within ${TIMEOUT / 1_000} s`);
}
