import type { NodeAPI } from 'node-red';

/**
 * The part of a running node that flow completion looks at. Read in @node-red/runtime 4.1 and 5.0
 * (lib/nodes/Node.js, lib/flows/Flow.js); none of it is in the published types.
 */
export interface RuntimeNode {
  id: string;
  type: string;
  name?: string;
  /** How many input handlers take `done`; 0 is a node that never says when it has finished. */
  _expectedDoneCount?: number;
  send: (msg: unknown) => void;
  error(error: unknown, msg?: object): void;
  warn(warning: unknown): void;
  close(removed?: boolean): Promise<void>;
  /** Called by a deploy that leaves the node running; puts the runtime's own `send` in place. */
  updateWires(wires: string[][]): void;
}

export interface SendEvent {
  msg: object;
  source: { id: string; node: RuntimeNode };
  destination: { id: string; node?: RuntimeNode };
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
  preDeliver(event: SendEvent): void;
  onReceive(event: ReceiveEvent): void;
  postReceive(event: ReceiveEvent): void;
  onComplete(event: CompleteEvent): void;
}

const NAMES = ['preDeliver', 'onReceive', 'postReceive', 'onComplete'] as const;
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
