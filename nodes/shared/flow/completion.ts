import type { NodeAPI } from 'node-red';
import {
  Delivery,
  describeNode,
  joinedGivenUp,
  nodeClosed,
  type Command,
  type DeliveryOwner,
  type Failure,
  type NodeState,
} from './delivery';
import { messageOf } from '../errors';
import {
  addFlowHooks,
  removeFlowHooks,
  type CompleteEvent,
  type FlowHooks,
  type ReceiveEvent,
  type RuntimeNode,
  type SendEvent,
} from './hooks';
import { adaptSilentNode, type SilentNode } from './silent-nodes';

/**
 * Follows messages through the flow by the runtime's hooks and says when every path that a message took has
 * finished, and whether one of them had an error.
 *
 * A message is counted when it is sent to a node (`preDeliver`) or handed to one directly (`onReceive`: link
 * call, catch, complete), and counted off when that node says `done` (`onComplete`). At zero the delivery is
 * finished, one turn of the event loop later, because some nodes say `done` just before they send.
 *
 * Which delivery a message belongs to is written on the message itself, as a symbol (it survives the clone at
 * a fan-out and never shows in JSON); a message without it is recognised by its `_msgid`, by the token in
 * `msg.jetstream` or `msg.salesforce`, or by the one delivery that the sending node holds.
 */
const TOKEN = Symbol('jetforce.delivery');
const STATE = Symbol('jetforce.node');

type Tracked = object & {
  [TOKEN]?: string;
  _msgid?: string;
  jetstream?: { token?: unknown };
  salesforce?: { token?: unknown };
};

/** Of messages that can't be written on: a function node may freeze what it makes. */
const unwritable = new WeakMap<object, string>();

function tokenOf(msg: Tracked): string | undefined {
  return msg[TOKEN] ?? unwritable.get(msg);
}

function writeToken(msg: Tracked, token: string): void {
  try {
    if (Reflect.set(msg, TOKEN, token)) return;
  } catch {
    // A proxy that refuses.
  }
  unwritable.set(msg, token);
}

type WatchedNode = RuntimeNode & { [STATE]?: NodeState & { silent?: SilentNode } };

class FlowTracker implements FlowHooks {
  private readonly byToken = new Map<string, Delivery>();
  /** Deliveries whose `_msgid` is not their token. */
  private readonly byMsgId = new Map<string, Delivery>();
  private users = 0;
  private RED: NodeAPI | undefined;
  private drained: Delivery[] = [];
  /** The delivery is settled, by whoever owns it, before the flow has finished. */
  private readonly forget = (delivery: Delivery, failure?: Failure): void =>
    this.close(delivery, failure ?? delivery.outcome() ?? { error: joinedGivenUp() });
  /** What one node has sent since the event loop last turned to other code. */
  private sending: { node: RuntimeNode; deliveries: Set<Delivery> } | undefined;
  /** The messages that nodes are being called with at this moment: a Catch node is called within another's call. */
  private receiving: { event: ReceiveEvent; delivery: Delivery }[] = [];
  /** The message whose `done(error)` is under way; the runtime calls node.error(error, msg) next. */
  private completing: object | undefined;

  /** Watches the runtime until the returned function is called. */
  use(RED: NodeAPI): () => void {
    if (this.users++ === 0) {
      this.RED = RED;
      addFlowHooks(RED, this);
    }
    let over = false;
    return () => {
      if (over) return;
      over = true;
      if (--this.users === 0) removeFlowHooks(RED);
    };
  }

  /**
   * Sends `msg` into the flow by `send` and follows it if `follow`, else only makes it known for commands and
   * pauses. `msg._msgid` must be unique. The owner hears `finished` when the last path has finished. What `send`
   * throws fails a message that is followed.
   */
  begin(
    token: string,
    msg: Tracked & { _msgid: string },
    owner: DeliveryOwner,
    follow: boolean,
    send: () => void,
  ): Delivery {
    const delivery = new Delivery(token, msg._msgid, owner, follow, this.forget);
    this.byToken.set(token, delivery);
    if (follow) {
      msg[TOKEN] = token;
      if (msg._msgid !== token) this.byMsgId.set(msg._msgid, delivery);
    }
    delivery.count++;
    try {
      send();
    } catch (error) {
      if (!follow) {
        this.forget(delivery);
        throw error;
      }
      delivery.fail(error);
    }
    delivery.count--;
    if (follow) this.check(delivery);
    return delivery;
  }

  private close(delivery: Delivery, failure: Failure | undefined): void {
    delivery.settled = true;
    delivery.release();
    this.byToken.delete(delivery.token);
    if (delivery.msgid !== delivery.token) this.byMsgId.delete(delivery.msgid);
    for (const joined of delivery.part(failure)) this.check(joined);
  }

  /** The unsettled delivery that `msg` belongs to, if it is being followed. */
  private followed(msg: object): Delivery | undefined {
    const delivery = this.find(msg);
    return delivery?.followed ? delivery : undefined;
  }

  /** The unsettled delivery that `msg` belongs to. */
  find(msg: object): Delivery | undefined {
    const tracked = msg as Tracked;
    try {
      const token = tokenOf(tracked) ?? tracked.jetstream?.token ?? tracked.salesforce?.token;
      if (typeof token === 'string') return this.byToken.get(token);
      const id = tracked._msgid ?? '';
      return this.byToken.get(id) ?? this.byMsgId.get(id);
    } catch {
      // A getter that throws, a proxy that is revoked: whatever a function node makes is nobody's.
      return undefined;
    }
  }

  preDeliver(event: SendEvent): void {
    const { msg, source, destination } = event as { msg: Tracked } & SendEvent;
    if (!destination.node || this.byToken.size === 0) return;
    const delivery = this.owning(msg, source.node);
    if (!delivery) return;
    delivery.announce(this.state(destination.node));
    this.noteSending(source.node, delivery);
  }

  onReceive(event: ReceiveEvent): void {
    const node: WatchedNode = event.destination.node;
    const msg = event.msg as Tracked;
    // A switch is counted from its first message on, tracked or not: its turns depend on all of them.
    if (node.type === 'switch') this.state(node);
    node[STATE]?.silent?.receiving(msg);
    if (this.byToken.size === 0) return;
    const delivery = this.followed(msg);
    if (!delivery) return;
    if (tokenOf(msg) === undefined) writeToken(msg, delivery.token);
    const state = this.state(node);
    delivery.receive(state);
    if (state.phase === 'closed') {
      delivery.fail(nodeClosed(node), node);
      this.complete(state, delivery);
    }
    this.warnOfSilence(state, delivery);
    // Another pack's hook may stop the message here, and then there is no postReceive.
    if (this.receiving.length === 0) queueMicrotask(this.forgetReceiving);
    this.receiving.push({ event, delivery });
  }

  postReceive(event: ReceiveEvent): void {
    (event.destination.node as WatchedNode)[STATE]?.silent?.received(event.msg);
    if (this.receiving.at(-1)?.event === event) this.receiving.pop();
  }

  private readonly forgetReceiving = (): void => void (this.receiving = []);

  /** The delivery that the node is being called with at this moment. */
  private receivedBy(node: RuntimeNode): Delivery | undefined {
    const called = this.receiving.at(-1);
    return called?.event.destination.node === node ? called.delivery : undefined;
  }

  onComplete(event: CompleteEvent): void {
    if (this.byToken.size === 0) return;
    const delivery = this.followed(event.msg);
    if (!delivery) return;
    const { node } = event.node;
    const state = this.state(node);
    if (event.error) {
      this.completing = event.msg;
      delivery.fail(event.error, node);
    } else {
      // Nodes that hold messages back (delay, join, batch) say `done` for them when they are stopped.
      if (state.phase === 'closing') delivery.fail(nodeClosed(node), node);
      this.mergeInto(node, delivery);
    }
    this.complete(state, delivery);
  }

  private complete(state: NodeState, delivery: Delivery): void {
    if (delivery.complete(state)) this.check(delivery);
  }

  /** Finds the delivery of a message that is being sent, and writes it on the message. */
  private owning(msg: Tracked, source: RuntimeNode): Delivery | undefined {
    const known = this.followed(msg);
    if (known) {
      if (tokenOf(msg) === undefined) writeToken(msg, known.token);
      return known;
    }
    const state = (source as WatchedNode)[STATE];
    if (!state) return undefined;
    if (tokenOf(msg) !== undefined) {
      this.warnOfLateSend(state);
      return undefined;
    }
    // A message made anew: it belongs to what the node is working on, as far as that is clear.
    const delivery = this.receivedBy(source) ?? this.onlyOneIn(state);
    if (delivery) writeToken(msg, delivery.token);
    return delivery;
  }

  private onlyOneIn(state: NodeState): Delivery | undefined {
    if (state.holding === 0) return undefined;
    let found: Delivery | undefined;
    for (const delivery of this.byToken.values()) {
      if (!delivery.isIn(state)) continue;
      if (found) return undefined;
      found = delivery;
    }
    return found;
  }

  private noteSending(node: RuntimeNode, delivery: Delivery): void {
    // Only a node that holds something besides the message it is being called with can put messages together.
    const state = (node as WatchedNode)[STATE];
    if (!state || state.holding <= (this.receivedBy(node) ? 1 : 0)) return;
    if (this.sending?.node === node) {
      this.sending.deliveries.add(delivery);
      return;
    }
    if (!this.sending) queueMicrotask(() => (this.sending = undefined));
    this.sending = { node, deliveries: new Set([delivery]) };
  }

  /**
   * A node that finishes a message right after sending one of another delivery and none of this one has put the
   * two together (join), under whichever name: this delivery then goes on as that one.
   */
  private mergeInto(node: RuntimeNode, delivery: Delivery): void {
    if (this.sending?.node !== node || this.sending.deliveries.has(delivery)) return;
    const into = [...this.sending.deliveries].at(-1);
    if (into && !into.settled) delivery.goOnAs(into);
  }

  private check(delivery: Delivery): void {
    if (delivery.count > 0 || delivery.settled) return;
    if (this.drained.length === 0) setImmediate(() => this.finish());
    this.drained.push(...delivery.together());
  }

  private finish(): void {
    const drained = this.drained;
    this.drained = [];
    for (const delivery of drained) {
      if (delivery.settled || !delivery.isDrained()) continue;
      const failure = delivery.outcome();
      this.close(delivery, failure);
      try {
        delivery.owner.finished(failure);
      } catch (error) {
        // One that can't be settled comes again by itself; the others still are.
        this.RED?.log.error(`A ${delivery.owner.noun} could not be settled: ${messageOf(error)}`);
      }
    }
  }

  private state(node: RuntimeNode): NodeState & { silent?: SilentNode } {
    return ((node as WatchedNode)[STATE] ??= this.watch(node));
  }

  private watch(node: RuntimeNode): NodeState & { silent?: SilentNode } {
    const state: NodeState & { silent?: SilentNode } = {
      node,
      holding: 0,
      phase: 'running',
      warned: false,
    };
    state.silent = adaptSilentNode(
      node,
      () => this.definition(node),
      (msg, error) => {
        const delivery = this.followed(msg);
        if (!delivery) return;
        if (error !== undefined) delivery.fail(error, node);
        this.complete(state, delivery);
      },
    );
    this.watchErrors(state);
    this.watchClose(state);
    return state;
  }

  /** node.error(e, msg) is all that many nodes say, and all that the runtime says when a handler throws. */
  private watchErrors(state: NodeState & { silent?: SilentNode }): void {
    const { node } = state;
    const original = node.error.bind(node);
    node.error = (...args: [unknown, object?]) => {
      const [error, msg] = args;
      if (typeof msg === 'object' && msg !== null) {
        if (this.completing !== msg) this.erred(state, error, msg);
        this.completing = undefined;
      }
      original(...args);
    };
  }

  private erred(state: NodeState & { silent?: SilentNode }, error: unknown, msg: object): void {
    const delivery = this.followed(msg);
    if (delivery) delivery.fail(error, state.node);
    if (state.silent) state.silent.failed(msg);
    else if (delivery && endsWithError(state.node)) this.complete(state, delivery);
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
      for (const delivery of this.byToken.values()) {
        if (!delivery.isIn(state)) continue;
        delivery.fail(nodeClosed(node), node);
        delivery.leave(state);
        this.check(delivery);
      }
    };
  }

  private definition(node: RuntimeNode): Record<string, unknown> {
    const id = (node as { _alias?: string })._alias ?? node.id;
    let found: object | undefined;
    this.RED?.nodes.eachNode((definition) => {
      if (definition.id === id) found = definition;
    });
    return { ...found };
  }

  private warnOfSilence(state: NodeState & { silent?: SilentNode }, { owner }: Delivery): void {
    if (state.warned || state.silent || state.node._expectedDoneCount !== 0) return;
    state.warned = true;
    state.node.warn(
      `${describeNode(state.node)} never says when it has finished a message, so the ${owner.noun} that passes it is only settled by a jetstream-ack node, or fails at its processing limit`,
    );
  }

  private warnOfLateSend(state: NodeState & { silent?: SilentNode }): void {
    // A silent node has never said that it was done, and a trigger's later message is one of its own.
    if (state.warned || state.silent || state.node.type === 'trigger') return;
    state.warned = true;
    state.node.warn(
      `${describeNode(state.node)} sent a message on after it had said that it was done with it, so the message behind it was settled before the flow had finished; in a function node call node.done() when the last message is sent`,
    );
  }
}

/** Nodes that have no `done`, or were called by the runtime and threw, or (link call) only report the time-out. */
function endsWithError(node: RuntimeNode): boolean {
  if (node._expectedDoneCount === 0 || node.type === 'link call') return true;
  const caller = new Error().stack?.split('\n')[4] ?? '';
  return /[\\/]runtime[\\/]lib[\\/]nodes[\\/]Node\.js/.test(caller);
}

/** One for the process: messages carry its tokens wherever they go. */
export const flowTracker = new FlowTracker();

/**
 * A message that waits for something outside the flow (an org out of reach, a spent API budget) is not hung:
 * stops the clock that `processingLimit` bounds, until the returned function is called. Does nothing for a
 * message that no consumer holds.
 */
export function pauseProcessing(msg: object): () => void {
  const resumes = [...(flowTracker.find(msg)?.together() ?? [])].map((delivery) => delivery.pause());
  return () => resumes.forEach((resume) => resume());
}

/** What `jetstream-ack` does, to every message that was put together as `msg`: false if no unsettled delivery stands behind `msg`. */
export function commandDelivery(msg: object, command: Command): boolean {
  const delivery = flowTracker.find(msg);
  if (!delivery) return false;
  // All of them first: the first that is settled parts from the others.
  for (const { owner } of [...delivery.together()]) owner.command(command);
  return true;
}
