import type { Calls } from './calls';
import type { Deliveries } from './deliveries';
import { nodeClosed, type Delivery, type NodeState } from './delivery';
import { adaptEarlyNode } from './early-nodes';
import type { RuntimeNode } from './hooks';
import { adaptSilentNode } from './silent-nodes';
import { STATE, type Watched, type WatchedNode } from './watched';

/** Hears what a running node says of its messages beside `done`: its errors, its end, and what silent nodes show. */
export class NodeWatch {
  /** The message whose `done(error)` is under way; the runtime calls node.error(error, msg) next. */
  private completing: object | undefined;

  constructor(
    private readonly deliveries: Deliveries,
    private readonly calls: Calls,
    private readonly runtime: {
      definitionOf: (id: string) => object | undefined;
      /** Whether that is what it says of what can't be sent. */
      isUnsent: (error: unknown) => boolean;
    },
  ) {}

  /** Watches the node from the first time on. */
  state(node: WatchedNode): Watched {
    return (node[STATE] ??= this.watch(node));
  }

  /** done(error) has been called; the error of its message that follows is the same one. */
  completesWith(error: unknown, msg: object, node: RuntimeNode, delivery: Delivery): void {
    this.completing = msg;
    delivery.fail(error, node);
  }

  private watch(node: RuntimeNode): Watched {
    const id = (node as { _alias?: string })._alias ?? node.id;
    const definition = (): Record<string, unknown> => ({ ...this.runtime.definitionOf(id) });
    const state: Watched = { node, holding: 0, phase: 'running', warned: false, definition };
    state.early = adaptEarlyNode(node, definition);
    state.silent = adaptSilentNode(node, definition, (msg, error) => {
      const delivery = this.deliveries.followed(msg);
      if (!delivery) return;
      if (error !== undefined) delivery.fail(error, node);
      this.deliveries.complete(state, delivery);
    });
    this.watchErrors(state);
    this.watchClose(state);
    return state;
  }

  /** node.error(e, msg) is all that many nodes say, and all that the runtime says when a handler throws. */
  private watchErrors(state: Watched): void {
    const { node } = state;
    const original = node.error.bind(node);
    node.error = (...args: [unknown, object?]) => {
      const [error, msg] = args;
      if (typeof msg === 'object' && msg !== null) {
        if (this.completing !== msg) this.erred(state, error, msg);
        this.completing = undefined;
      } else if (this.runtime.isUnsent(error)) this.notSent(state, error);
      original(...args);
    };
  }

  /** What a node wanted to send is lost: it fails the message that it is called with, or finishes next, else all it holds. */
  private notSent(state: Watched, error: unknown): void {
    const call = this.calls.of(state.node);
    if (call) return call.delivery.fail(error, state.node);
    state.unsent = error;
    queueMicrotask(() => {
      if (state.unsent === undefined) return;
      state.unsent = undefined;
      for (const delivery of this.deliveries.inside(state)) delivery.fail(error, state.node);
    });
  }

  private erred(state: Watched, error: unknown, msg: object): void {
    const delivery = this.deliveries.followed(msg);
    if (delivery) delivery.fail(error, state.node);
    state.early?.failed(error);
    if (state.silent) state.silent.failed(msg);
    else if (delivery && endsWithError(state.node)) this.deliveries.complete(state, delivery);
  }

  private watchClose(state: NodeState): void {
    const { node } = state;
    const original = node.close.bind(node);
    node.close = async (...args: [boolean?]) => {
      state.phase = 'closing';
      const closing = original(...args);
      // From here on a `done` is the truth again: work that was under way is being finished.
      state.phase = 'running';
      await closing;
      state.phase = 'closed';
      for (const delivery of this.deliveries.inside(state)) {
        delivery.fail(nodeClosed(node), node);
        this.deliveries.leave(state, delivery);
      }
    };
  }
}

/** Nodes that have no `done`, or were called by the runtime and threw, or only report the time-out (link call) or that nobody answers. */
function endsWithError(node: RuntimeNode): boolean {
  if (node._expectedDoneCount === 0 || node.type === 'link call' || node.type === 'tcp request') return true;
  const caller = new Error().stack?.split('\n')[4] ?? '';
  return /[\\/]runtime[\\/]lib[\\/]nodes[\\/]Node\.js/.test(caller);
}
