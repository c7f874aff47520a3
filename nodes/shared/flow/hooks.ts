import type { NodeAPI } from 'node-red';

/**
 * The part of a running node that flow completion looks at. Read in @node-red/runtime 4.1 and 5.0
 * (lib/nodes/Node.js, lib/flows/Flow.js); none of it is in the published types.
 */
export interface RuntimeNode {
  id: string;
  type: string;
  name?: string;
  /** For each output the ids of the nodes it is wired to. */
  wires: string[][];
  /** The flow or subflow that it runs in. */
  _flow: RuntimeFlow;
  /** How many input handlers take `done`; 0 is a node that never says when it has finished. */
  _expectedDoneCount?: number;
  send: (msg: unknown) => void;
  receive(msg: object): void;
  error(error: unknown, msg?: object): void;
  warn(warning: unknown): void;
  close(removed?: boolean): Promise<void>;
  /** Called by a deploy that leaves the node running; puts the runtime's own `send` in place. */
  updateWires(wires: string[][]): void;
}

export interface RuntimeFlow {
  /** The node that a wire to this id leads to; nothing where it is disabled, stopped or could not be made. */
  getNode(id: string): unknown;
  /** As deployed. */
  flow?: { nodes?: Record<string, Definition | undefined> };
}

/** A node, or a tab, as deployed. */
export interface Definition {
  id: string;
  type: string;
  name?: string;
  z?: string;
  /** A node that is disabled. */
  d?: boolean;
  /** A tab that is. */
  disabled?: boolean;
}

/** One of what a call of `send` puts on its wires. What a hook puts in the place of `msg` is what is sent. */
export interface SendEvent {
  msg: object;
  source: { id: string; node: RuntimeNode };
  destination: { id: string };
  /** The runtime will clone the message, as each but the first of a call. */
  cloneMessage: boolean;
}

export interface ReceiveEvent {
  msg: object;
  destination: { id: string; node: RuntimeNode };
}

export interface CompleteEvent {
  msg: object;
  error?: unknown;
  node: { id: string; node: RuntimeNode };
}

export interface FlowHooks {
  /** Events taken out of the list are not sent. */
  onSend(events: SendEvent[]): void;
  onReceive(event: ReceiveEvent): void;
  postReceive(event: ReceiveEvent): void;
  onComplete(event: CompleteEvent): void;
}

const NAMES = ['onSend', 'onReceive', 'postReceive', 'onComplete'] as const;
const LABEL = 'jetforce';

interface HookRegistry {
  add(name: string, hook: (event: never) => void): void;
  remove(name: string): void;
}

/** Node-RED calls each hook with its event, synchronously, for every message of every flow. */
export function addFlowHooks(RED: NodeAPI, hooks: FlowHooks): void {
  const registry = RED.hooks as unknown as HookRegistry;
  for (const name of NAMES) registry.add(`${name}.${LABEL}`, hooks[name].bind<(event: never) => void>(hooks));
}

export function removeFlowHooks(RED: NodeAPI): void {
  (RED.hooks as unknown as HookRegistry).remove(`*.${LABEL}`);
}

/**
 * Tells whether an error is what the runtime says, in whichever language, of a text or a number that was to be sent
 * instead of a message: it is not sent, and the node goes on (lib/nodes/Node.js, 10-function.js; 4.1 and 5.0).
 */
export function unsentWords(RED: NodeAPI): (error: unknown) => boolean {
  const type = '…';
  const words = [
    'runtime:nodes.flow.non-message-returned',
    'node-red:function.error.non-message-returned',
  ].map((key) => RED._(key, { type }).split(type));
  return (error) =>
    typeof error === 'string' &&
    words.some(([begin = '', end = '']) => error.startsWith(begin) && error.endsWith(end));
}
