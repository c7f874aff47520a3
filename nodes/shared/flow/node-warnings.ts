import { describeNode, type Delivery } from './delivery';
import { saysDone } from './early-nodes';
import type { Watched } from './watched';
import { say } from '../say';

const SENDS_ITS_OWN = new Set(['trigger', 'tcp request']);

/** The message is in a node of whose end nothing is ever heard. Said once for each node. */
export function warnOfSilence(state: Watched, { owner }: Delivery): void {
  if (state.warned || state.silent || state.node._expectedDoneCount !== 0) return;
  state.warned = true;
  state.node.warn(
    say`${describeNode(state.node)} never says when it has finished a message, so the ${owner.noun} that passes it is only settled by a jetstream-ack node, or fails at its processing limit`,
  );
}

/** The node sends a message of one that is settled already. Said once; from then on its `done` is not believed. */
export function warnOfLateSend(state: Watched): void {
  const { node } = state;
  // A silent node has never said that it was done; what these send later is their own.
  if (state.warned || state.silent || SENDS_ITS_OWN.has(node.type)) return;
  state.warned = true;
  state.doubted = node.type !== 'function' || !saysDone(state.definition());
  const more = state.doubted
    ? say`. It is not believed any more: what passes it is only settled by a jetstream-ack node, or fails at its processing limit`
    : '';
  node.warn(
    say`${describeNode(node)} sent a message on after it had said that it was done with it, so the message behind it was settled before the flow had finished; in a function node call node.done() when the last message is sent${more}`,
  );
}
