import type { NodeAPI } from 'node-red';
import { FlowError, messageOf } from '../errors';
import {
  addStranger,
  Delivery,
  describeNode,
  joinedGivenUp,
  nodeClosed,
  type Command,
  type DeliveryOwner,
  type Failure,
  type Hold,
  type NodeState,
} from './delivery';
import { adaptEarlyNode, saysDone, type EarlyNode } from './early-nodes';
import {
  addFlowHooks,
  removeFlowHooks,
  unsentWords,
  type CompleteEvent,
  type FlowHooks,
  type ReceiveEvent,
  type RuntimeNode,
  type SendEvent,
} from './hooks';
import { labelled, names, tokenOf, writeToken, type Tracked } from './identity';
import { adaptSilentNode, type SilentNode } from './silent-nodes';
import { deadEnd, definitionOf, notWired, runningAt } from './unwired';
import { say } from '../say';

/**
 * Follows messages through the flow by the runtime's hooks and says when every path that a message took has
 * finished, and whether one of them had an error.
 *
 * A message is counted when it is sent to a node (`onSend`) or handed to one directly (`onReceive`: link
 * call, catch, complete), and counted off when that node says `done` (`onComplete`). At zero the delivery is
 * finished, one turn of the event loop later, because some nodes say `done` just before they send.
 *
 * A message belongs to the delivery whose token is on it. One without is recognised by its `_msgid`, by the token in
 * `msg.jetstream` or `msg.salesforce`, by the message that the sending node is being called with, or by what that
 * node holds. Where it belongs to several, or to one of several that can't be told apart, all of them wait for it and
 * fail with it.
 */
const STATE = Symbol('jetforce.node');

interface Watched extends NodeState {
  silent?: SilentNode;
  early?: EarlyNode;
  /** What it was about to send is no message: the runtime has just said so, without saying for which. */
  unsent?: unknown;
}

const SENDS_ITS_OWN = new Set(['trigger', 'tcp request']);

type WatchedNode = RuntimeNode & { [STATE]?: Watched };

/** A node is being called with a message. */
interface Call {
  event: ReceiveEvent;
  delivery: Delivery;
  /** It has sent a message of that delivery since. */
  own: boolean;
  /** Whose messages it has sent besides. */
  others?: Set<Delivery>;
}

class FlowTracker implements FlowHooks {
  private readonly byToken = new Map<string, Delivery>();
  /** Deliveries whose `_msgid` is not their token. */
  private readonly byMsgId = new Map<string, Delivery>();
  private users = 0;
  private groups = 0;
  /** What users were told of the wires of their nodes. */
  private readonly deadEnds = new WeakMap<RuntimeNode, string>();
  private RED: NodeAPI | undefined;
  private isUnsent: (error: unknown) => boolean = () => false;
  private drained: Delivery[] = [];
  /** The delivery is settled, by whoever owns it, before the flow has finished. */
  private readonly forget = (delivery: Delivery, failure?: Failure): void => {
    // An error costs its stack trace: nobody hears of it where nothing goes on as this one.
    const ended = failure ?? delivery.outcome();
    this.close(delivery, ended ?? (delivery.isJoined ? { error: joinedGivenUp() } : undefined));
  };
  /** What one node has sent since the event loop last turned to other code. */
  private sending: { node: RuntimeNode; deliveries: Set<Delivery> } | undefined;
  /** The messages that nodes are being called with at this moment: a Catch node is called within another's call. */
  private receiving: Call[] = [];
  /** The message whose `done(error)` is under way; the runtime calls node.error(error, msg) next. */
  private completing: object | undefined;

  /** Watches the runtime until the returned function is called. */
  use(RED: NodeAPI): () => void {
    if (this.users++ === 0) {
      this.RED = RED;
      this.isUnsent = unsentWords(RED);
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
    msg: object & { _msgid: string },
    owner: DeliveryOwner,
    follow: boolean,
    send: () => void,
  ): Delivery {
    const delivery = new Delivery(token, msg._msgid, owner, follow, this.forget);
    this.byToken.set(token, delivery);
    if (follow) {
      writeToken(msg, token);
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
    delivery.failure ??= failure;
    delivery.release();
    this.byToken.delete(delivery.token);
    if (delivery.msgid !== delivery.token) this.byMsgId.delete(delivery.msgid);
    const lost = delivery.onlyItsOwn();
    for (const other of delivery.part(failure)) this.check(other);
    for (const other of lost) this.close(other, undefined);
  }

  /** The unsettled delivery that `msg` belongs to, if it is being followed. */
  private followed(msg: object): Delivery | undefined {
    const delivery = this.find(msg);
    return delivery?.followed ? delivery : undefined;
  }

  /** The unsettled delivery that `msg` belongs to. */
  find(msg: object): Delivery | undefined {
    try {
      const token = tokenOf(msg);
      return token === undefined ? this.named(msg) : this.byToken.get(token);
    } catch {
      // A getter that throws, a proxy that is revoked: whatever a function node makes is nobody's.
      return undefined;
    }
  }

  /** Whose it is by what stands in it. */
  private named(msg: object): Delivery | undefined {
    for (const name of names(msg)) {
      const delivery = this.byToken.get(name) ?? this.byMsgId.get(name);
      if (delivery) return delivery;
    }
    return undefined;
  }

  onSend(events: SendEvent[]): void {
    let unreached: { delivery: Delivery; event: SendEvent }[] | undefined;
    for (let i = 0; i < events.length; i++) {
      const event = events[i] as SendEvent;
      const source = event.source.node;
      const delivery = this.owning(event.msg, source);
      if (!delivery) continue;
      const destination = runningAt(source, event.destination.id);
      if (!destination) (unreached ??= []).push({ delivery, event });
      else if (this.prepare(event, delivery)) {
        delivery.announce(this.state(destination));
        this.noteSending(source, delivery);
      } else events.splice(i--, 1);
    }
    if (unreached) this.unreached(unreached, events);
  }

  /** Makes it a message of the delivery's own, by the clone that the runtime would make; false if that can't be done. */
  private prepare(event: SendEvent, delivery: Delivery): boolean {
    const { msg, cloneMessage } = event;
    const known = tokenOf(msg) === delivery.token;
    if (known && !cloneMessage) return true;
    try {
      event.msg = cloneMessage ? this.clone(msg) : labelled(msg, delivery.token);
      if (!known) writeToken(event.msg, delivery.token);
      event.cloneMessage = false;
      return true;
    } catch (error) {
      const text = say`${describeNode(event.source.node)} sent a message that can't be cloned: ${messageOf(error)}`;
      delivery.fail(new FlowError('BAD_PAYLOAD', text, false), event.source.node);
      return false;
    }
  }

  private clone(msg: object): object {
    return (this.RED as NodeAPI).util.cloneMessage(msg as never);
  }

  /**
   * A wire to a node that is disabled counts as none, as long as the message went on by another. A node that is
   * missing against anybody's will (a deploy is under way, it could not be made) leaves the message undone.
   */
  private unreached(unreached: { delivery: Delivery; event: SendEvent }[], events: SendEvent[]): void {
    for (const delivery of new Set(unreached.map((one) => one.delivery))) {
      const own = unreached.filter((one) => one.delivery === delivery);
      const ends = own.map(({ event }) => deadEnd(this.RED, event.source.node, event.destination.id));
      const lost = new Set(own.map(({ event }) => event));
      const reached = events.some((event) => !lost.has(event) && tokenOf(event.msg) === delivery.token);
      // The node that began it looks itself whether it went anywhere.
      if (ends.every(({ wanted }) => wanted) && (reached || delivery.wentNowhere())) continue;
      const source = (own[0] as { event: SendEvent }).event.source.node;
      const error = notWired(source, new Set(ends.map(({ text }) => text)));
      delivery.fail(error, source);
      this.warnOfDeadEnd(source, delivery, error);
    }
  }

  onReceive(event: ReceiveEvent): void {
    const node: WatchedNode = event.destination.node;
    const msg = event.msg as Tracked;
    // A switch is counted from its first message on, tracked or not: its turns depend on all of them.
    if (node.type === 'switch') this.state(node);
    node[STATE]?.silent?.receiving(msg);
    const token = tokenOf(msg);
    if (token === undefined && this.byToken.size === 0) return;
    const delivery = this.followed(msg);
    if (!delivery) {
      if (token !== undefined) addStranger(this.state(node), token);
      return;
    }
    if (token === undefined) writeToken(msg, delivery.token);
    const state = this.state(node);
    delivery.receive(state);
    if (state.phase === 'closed') {
      delivery.fail(nodeClosed(node), node);
      this.complete(state, delivery);
    }
    this.warnOfSilence(state, delivery);
    if (node.type === 'link out') this.leadsNowhere(node, delivery);
    // Another pack's hook may stop the message here, and then there is no postReceive.
    if (this.receiving.length === 0) queueMicrotask(this.forgetReceiving);
    this.receiving.push({ event, delivery, own: false });
  }

  postReceive(event: ReceiveEvent): void {
    (event.destination.node as WatchedNode)[STATE]?.silent?.received(event.msg);
    const call = this.receiving.at(-1);
    if (call?.event !== event) return;
    this.receiving.pop();
    if (!call.others || call.own) return;
    const state = this.state(event.destination.node);
    (state.aside ??= new WeakMap()).set(call.delivery, call.others);
  }

  private readonly forgetReceiving = (): void => void (this.receiving = []);

  /** What the node is being called with at this moment. */
  private callOf(node: RuntimeNode): Call | undefined {
    const call = this.receiving.at(-1);
    return call?.event.destination.node === node ? call : undefined;
  }

  onComplete(event: CompleteEvent): void {
    if (this.byToken.size === 0) return;
    const { node } = event.node;
    const delivery = this.followed(event.msg);
    if (!delivery) {
      (node as WatchedNode)[STATE]?.early?.look();
      return;
    }
    const state = this.state(node);
    if (event.error) {
      this.completing = event.msg;
      delivery.fail(event.error, node);
    } else {
      // Nodes that hold messages back (delay, join, batch) say `done` for them when they are stopped.
      if (state.phase === 'closing') delivery.fail(nodeClosed(node), node);
      if (state.unsent !== undefined) delivery.fail(state.unsent, node);
      state.unsent = undefined;
      this.mergeInto(state, delivery);
      // What was kept is over where the node is closed; see watchClose.
      if (
        state.phase === 'running' &&
        (state.doubted || (state.early && this.isKept(state, state.early, delivery)))
      )
        return;
    }
    this.complete(state, delivery);
  }

  private isKept(state: Watched, early: EarlyNode, delivery: Delivery): boolean {
    return early.keeps(delivery.sentBy === state.node, (error) => this.keptOver(state, delivery, error));
  }

  private keptOver(state: Watched, delivery: Delivery, error: unknown): void {
    if (delivery.settled) return;
    if (error === undefined) this.mergeInto(state, delivery);
    else delivery.fail(error, state.node);
    this.complete(state, delivery);
  }

  /** The node does nothing more with the message, which fails: nobody else is told. */
  leave(msg: object, error: FlowError, node: RuntimeNode): void {
    const delivery = this.find(msg);
    if (!delivery) return;
    delivery.fail(error, node);
    if (delivery.followed) return this.complete(this.state(node), delivery);
    const { failure } = delivery;
    delivery.abandon(failure);
    delivery.owner.finished(failure);
  }

  private complete(state: NodeState, delivery: Delivery): void {
    if (delivery.complete(state)) this.check(delivery);
  }

  /** Whose a message is that is being sent. */
  private owning(msg: Tracked, source: RuntimeNode): Delivery | undefined {
    const token = tokenOf(msg);
    if (token === undefined && this.byToken.size === 0) return undefined;
    const carried = token === undefined ? undefined : this.byToken.get(token);
    const call = this.callOf(source);
    if (carried?.followed && (!call || call.delivery === carried) && msg._msgid === carried.msgid)
      return carried;
    const state = (source as WatchedNode)[STATE];
    if (carried?.followed) return this.alsoOf(msg, carried, state, call);
    const named = this.named(msg);
    if (named) return named.followed ? named : undefined;
    if (!state || (token !== undefined && state.strangers?.has(token))) return undefined;
    return this.guess(state, call, token !== undefined);
  }

  /**
   * A node that sends a message of another delivery, which it doesn't hold, uses what it has kept of that one for the
   * message that it is working on: a function gives what it sends the _msgid of that.
   */
  private alsoOf(
    msg: Tracked,
    carried: Delivery,
    state: Watched | undefined,
    call: Call | undefined,
  ): Delivery {
    const id = msg._msgid;
    const named =
      id === carried.msgid || typeof id !== 'string'
        ? undefined
        : (this.byToken.get(id) ?? this.byMsgId.get(id));
    const other = named?.followed ? named : state && !carried.isIn(state) ? call?.delivery : undefined;
    if (!other || other.goesOnAs(carried) || carried.goesOnAs(other)) return carried;
    return this.ofSeveral([carried, other], state, 'all');
  }

  /** A message made anew, or one kept of a message that is settled: it is of what the node is working on. */
  private guess(state: Watched, call: Call | undefined, kept: boolean): Delivery | undefined {
    // A node that never says `done` holds each message to its limit, whatever it sends for it.
    const endless = !state.silent && state.node._expectedDoneCount === 0;
    const alone = state.holding === (call?.delivery.isIn(state) ? 1 : 0);
    if (call && (endless || alone)) return call.delivery;
    if (!call && state.holding === 0) {
      if (kept) this.warnOfLateSend(state);
      return undefined;
    }
    const inside = this.inside(state);
    if (call && !inside.includes(call.delivery)) inside.push(call.delivery);
    if (inside.length < 2) return inside[0];
    return endless ? undefined : this.ofSeveral(inside, state, 'some');
  }

  private inside(state: NodeState): Delivery[] {
    return [...this.byToken.values()].filter((delivery) => delivery.isIn(state));
  }

  /** What a message of all, or of some, of them belongs to: they go on as it. */
  private ofSeveral(members: Delivery[], state: NodeState | undefined, of: 'all' | 'some'): Delivery {
    const last = state?.group;
    if (last && !last.settled && last.of === of && last.isOf(members)) return last;
    const owner: DeliveryOwner = {
      noun: (members[0] as Delivery).owner.noun,
      finished: () => undefined,
      command: () => undefined,
    };
    const token = `${(members[0] as Delivery).token}+${++this.groups}`;
    const group = new Delivery(token, token, owner, true, this.forget, of);
    this.byToken.set(token, group);
    for (const member of members) member.goOnAs(group);
    if (state) state.group = group;
    return group;
  }

  private noteSending(node: RuntimeNode, delivery: Delivery): void {
    delivery.sentBy = node;
    const state = (node as WatchedNode)[STATE];
    if (!state) return;
    const call = this.callOf(node);
    if (call) {
      if (call.delivery === delivery) call.own = true;
      else (call.others ??= new Set()).add(delivery);
    }
    if (state.aside) state.aside.delete(delivery);
    // Only a node that holds something besides the message it is being called with can put messages together.
    if (state.holding <= (call ? 1 : 0)) return;
    if (this.sending?.node === node) {
      this.sending.deliveries.add(delivery);
      return;
    }
    if (!this.sending) queueMicrotask(() => (this.sending = undefined));
    this.sending = { node, deliveries: new Set([delivery]) };
  }

  /**
   * A node that finishes a message right after sending one of another delivery and none of this one has put the
   * two together (join), under whichever name: this delivery then goes on as that one. So does one that it was called
   * with when it sent those of others, and that it has never sent on.
   */
  private mergeInto(state: Watched, delivery: Delivery): void {
    const { node } = state;
    const call = this.callOf(node);
    const aside = call?.delivery === delivery && !call.own ? call.others : state.aside?.get(delivery);
    state.aside?.delete(delivery);
    for (const other of aside ?? []) goOnAfter(delivery, other);
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
        this.RED?.log.error(say`A ${delivery.owner.noun} could not be settled: ${messageOf(error)}`);
      }
    }
  }

  private state(node: RuntimeNode): Watched {
    return ((node as WatchedNode)[STATE] ??= this.watch(node));
  }

  private watch(node: RuntimeNode): Watched {
    const state: Watched = {
      node,
      holding: 0,
      phase: 'running',
      warned: false,
    };
    state.early = adaptEarlyNode(node, () => this.definition(node));
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
  private watchErrors(state: Watched): void {
    const { node } = state;
    const original = node.error.bind(node);
    node.error = (...args: [unknown, object?]) => {
      const [error, msg] = args;
      if (typeof msg === 'object' && msg !== null) {
        if (this.completing !== msg) this.erred(state, error, msg);
        this.completing = undefined;
      } else if (this.isUnsent(error)) this.notSent(state, error);
      original(...args);
    };
  }

  /** What a node wanted to send is lost: it fails the message that it is called with, or finishes next, else all it holds. */
  private notSent(state: Watched, error: unknown): void {
    const call = this.callOf(state.node);
    if (call) return call.delivery.fail(error, state.node);
    state.unsent = error;
    queueMicrotask(() => {
      if (state.unsent === undefined) return;
      state.unsent = undefined;
      for (const delivery of this.inside(state)) delivery.fail(error, state.node);
    });
  }

  private erred(state: Watched, error: unknown, msg: object): void {
    const delivery = this.followed(msg);
    if (delivery) delivery.fail(error, state.node);
    state.early?.failed(error);
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
    return { ...definitionOf(this.RED, id) };
  }

  private leadsNowhere(node: RuntimeNode, delivery: Delivery): void {
    if (node.wires.some((wires) => wires.length > 0) || this.definition(node).mode === 'return') return;
    const error = notWired(node, []);
    delivery.fail(error, node);
    this.warnOfDeadEnd(node, delivery, error);
  }

  /** Once for each node: the message comes again and again. */
  private warnOfDeadEnd(node: RuntimeNode, { owner }: Delivery, { message }: FlowError): void {
    if (this.deadEnds.get(node) === message) return;
    this.deadEnds.set(node, message);
    node.warn(
      say`${message}: the ${owner.noun} is not done, and comes again until the wire leads somewhere or is removed`,
    );
  }

  private warnOfSilence(state: Watched, { owner }: Delivery): void {
    if (state.warned || state.silent || state.node._expectedDoneCount !== 0) return;
    state.warned = true;
    state.node.warn(
      say`${describeNode(state.node)} never says when it has finished a message, so the ${owner.noun} that passes it is only settled by a jetstream-ack node, or fails at its processing limit`,
    );
  }

  private warnOfLateSend(state: Watched): void {
    const { node } = state;
    // A silent node has never said that it was done; what these send later is their own.
    if (state.warned || state.silent || SENDS_ITS_OWN.has(node.type)) return;
    state.warned = true;
    state.doubted = node.type !== 'function' || !saysDone(this.definition(node));
    const more = state.doubted
      ? say`. It is not believed any more: what passes it is only settled by a jetstream-ack node, or fails at its processing limit`
      : '';
    node.warn(
      say`${describeNode(node)} sent a message on after it had said that it was done with it, so the message behind it was settled before the flow had finished; in a function node call node.done() when the last message is sent${more}`,
    );
  }
}

/** It is finished when the other is, or was, and fails as that does, or did. */
function goOnAfter(delivery: Delivery, other: Delivery): void {
  if (!other.settled) delivery.goOnAs(other);
  else delivery.failure ??= other.failure;
}

/** Nodes that have no `done`, or were called by the runtime and threw, or only report the time-out (link call) or that nobody answers. */
function endsWithError(node: RuntimeNode): boolean {
  if (node._expectedDoneCount === 0 || node.type === 'link call' || node.type === 'tcp request') return true;
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
  const delivery = flowTracker.find(msg);
  if (!delivery?.isJoined) return delivery?.pause() ?? nothing;
  const resumes = Array.from(delivery.together(), (each) => each.pause());
  return () => resumes.forEach((resume) => resume());
}

/**
 * A node gathers the message with others, so that its requests are full: until the returned function is called it takes
 * no place among those that are worked on. Does nothing for a message that no consumer holds.
 */
export function gatherMessage(msg: object): () => void {
  return flowTracker.find(msg)?.gather() ?? nothing;
}

/** Under which all that the message was put together of may be worked on; undefined where that is for good. */
export function holdOf(msg: object): Hold | undefined {
  const holds = new Set<Hold>();
  for (const { owner } of flowTracker.find(msg)?.together() ?? []) if (owner.hold) holds.add(owner.hold);
  const [first] = holds;
  if (holds.size < 2) return first;
  return {
    get held() {
      return [...holds].every(({ held }) => held);
    },
  };
}

/** Until when, by now(), what a process that died sent of it last may be carried out; undefined: that is over. */
export function inheritedUntil(msg: object): number | undefined {
  let latest: number | undefined;
  for (const { owner } of flowTracker.find(msg)?.together() ?? []) {
    const until = owner.inheritedUntil;
    if (until !== undefined) latest = Math.max(latest ?? until, until);
  }
  return latest;
}

function nothing(): void {
  // Nobody waits.
}

/** What `jetstream-ack` does, to every message that was put together as `msg`: false if no unsettled delivery stands behind `msg`. */
export function commandDelivery(msg: object, command: Command): boolean {
  const delivery = flowTracker.find(msg);
  // Which of several it belongs to can't be told: none is settled on a guess, though each may be refused or extended.
  if (!delivery || ((command.action === 'ack' || command.action === 'term') && delivery.isGuess()))
    return false;
  // All of them first: the first that is settled parts from the others.
  for (const { owner } of [...delivery.together()]) owner.command(command);
  return true;
}
