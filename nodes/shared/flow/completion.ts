import type { NodeAPI } from 'node-red';
import { FlowError, messageOf } from '../errors';
import { Calls } from './calls';
import { Deliveries } from './deliveries';
import { addStranger, describeNode, nodeClosed, type Delivery, type DeliveryOwner } from './delivery';
import type { EarlyNode } from './early-nodes';
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
import { labelled, tokenOf, writeToken, type Tracked } from './identity';
import { warnOfSilence } from './node-warnings';
import { NodeWatch } from './node-watch';
import { Ownership } from './ownership';
import { DeadEnds, definitionOf, runningAt, type Unreached } from './unwired';
import { stateOf, type Watched } from './watched';
import { say } from '../say';

/**
 * Follows messages through the flow by the runtime's hooks and says when every path that a message took has
 * finished, and whether one of them had an error.
 *
 * A message is counted when it is sent to a node (`onSend`) or handed to one directly (`onReceive`: link
 * call, catch, complete), and counted off when that node says `done` (`onComplete`). At zero the delivery is
 * finished, one turn of the event loop later, because some nodes say `done` just before they send.
 */
class FlowTracker implements FlowHooks {
  private users = 0;
  private RED: NodeAPI | undefined;
  private isUnsent: (error: unknown) => boolean = () => false;
  private readonly definitionOf = (id: string) => definitionOf(this.RED, id);
  private readonly deliveries = new Deliveries((text) => this.RED?.log.error(text));
  private readonly calls = new Calls();
  private readonly ownership = new Ownership(this.deliveries, this.calls);
  private readonly nodes = new NodeWatch(this.deliveries, this.calls, {
    definitionOf: this.definitionOf,
    isUnsent: (error) => this.isUnsent(error),
  });
  private readonly deadEnds = new DeadEnds(this.definitionOf);

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
    const delivery = this.deliveries.open(token, msg._msgid, owner, follow);
    if (follow) writeToken(msg, token);
    delivery.count++;
    try {
      send();
    } catch (error) {
      if (!follow) {
        delivery.abandon();
        throw error;
      }
      delivery.fail(error);
    }
    delivery.count--;
    if (follow) this.deliveries.check(delivery);
    return delivery;
  }

  /** The unsettled delivery that `msg` belongs to. */
  find(msg: object): Delivery | undefined {
    return this.deliveries.find(msg);
  }

  onSend(events: SendEvent[]): void {
    let unreached: Unreached[] | undefined;
    for (let i = 0; i < events.length; i++) {
      const event = events[i] as SendEvent;
      const source = event.source.node;
      const delivery = this.ownership.of(event.msg, source);
      if (!delivery) continue;
      const destination = runningAt(source, event.destination.id);
      if (!destination) (unreached ??= []).push({ delivery, event });
      else if (this.prepare(event, delivery)) {
        delivery.announce(this.nodes.state(destination));
        this.calls.sends(source, delivery);
      } else events.splice(i--, 1);
    }
    if (unreached) this.deadEnds.unreached(unreached, events);
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

  onReceive(event: ReceiveEvent): void {
    const { node } = event.destination;
    const msg = event.msg as Tracked;
    // A switch is counted from its first message on, tracked or not: its turns depend on all of them.
    if (node.type === 'switch') this.nodes.state(node);
    stateOf(node)?.silent?.receiving(msg);
    const token = tokenOf(msg);
    if (token === undefined && this.deliveries.none) return;
    const delivery = this.deliveries.followed(msg);
    if (!delivery) {
      if (token !== undefined) addStranger(this.nodes.state(node), token);
      return;
    }
    if (token === undefined) writeToken(msg, delivery.token);
    const state = this.nodes.state(node);
    delivery.receive(state);
    if (state.phase === 'closed') {
      delivery.fail(nodeClosed(node), node);
      this.deliveries.complete(state, delivery);
    }
    warnOfSilence(state, delivery);
    if (node.type === 'link out') this.deadEnds.unlinked(state, delivery);
    this.calls.begin(event, delivery);
  }

  postReceive(event: ReceiveEvent): void {
    stateOf(event.destination.node)?.silent?.received(event.msg);
    this.calls.end(event);
  }

  onComplete(event: CompleteEvent): void {
    if (this.deliveries.none) return;
    const { node } = event.node;
    const delivery = this.deliveries.followed(event.msg);
    if (!delivery) {
      stateOf(node)?.early?.look();
      return;
    }
    const state = this.nodes.state(node);
    if (event.error) this.nodes.completesWith(event.error, event.msg, node, delivery);
    else {
      // Nodes that hold messages back (delay, join, batch) say `done` for them when they are stopped.
      if (state.phase === 'closing') delivery.fail(nodeClosed(node), node);
      if (state.unsent !== undefined) delivery.fail(state.unsent, node);
      state.unsent = undefined;
      this.calls.merge(state, delivery);
      // What was kept is over where the node is closed; see NodeWatch.
      if (
        state.phase === 'running' &&
        (state.doubted || (state.early && this.isKept(state, state.early, delivery)))
      )
        return;
    }
    this.deliveries.complete(state, delivery);
  }

  private isKept(state: Watched, early: EarlyNode, delivery: Delivery): boolean {
    return early.keeps(delivery.sentBy === state.node, (error) => this.keptOver(state, delivery, error));
  }

  private keptOver(state: Watched, delivery: Delivery, error: unknown): void {
    if (delivery.settled) return;
    if (error === undefined) this.calls.merge(state, delivery);
    else delivery.fail(error, state.node);
    this.deliveries.complete(state, delivery);
  }

  /** The node does nothing more with the message, which fails: nobody else is told. */
  leave(msg: object, error: FlowError, node: RuntimeNode): void {
    const delivery = this.find(msg);
    if (!delivery) return;
    delivery.fail(error, node);
    if (delivery.followed) return this.deliveries.complete(this.nodes.state(node), delivery);
    const { failure } = delivery;
    delivery.abandon(failure);
    delivery.owner.finished(failure);
  }
}

/** One for the process: messages carry its tokens wherever they go. */
export const flowTracker = new FlowTracker();
