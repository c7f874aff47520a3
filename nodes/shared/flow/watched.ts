import type { NodeState } from './delivery';
import type { EarlyNode } from './early-nodes';
import type { RuntimeNode } from './hooks';
import type { SilentNode } from './silent-nodes';

export const STATE = Symbol('jetforce.node');

/** A node that messages of deliveries have come to. */
export interface Watched extends NodeState {
  silent?: SilentNode | undefined;
  early?: EarlyNode | undefined;
  /** What it was about to send is no message: the runtime has just said so, without saying for which. */
  unsent?: unknown;
  /** As deployed. */
  definition: () => Record<string, unknown>;
}

export type WatchedNode = RuntimeNode & { [STATE]?: Watched };

/** What is known of the node, if it is watched. */
export function stateOf(node: WatchedNode): Watched | undefined {
  return node[STATE];
}
