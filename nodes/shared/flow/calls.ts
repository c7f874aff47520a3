import type { Delivery } from './delivery';
import type { ReceiveEvent, RuntimeNode } from './hooks';
import { stateOf, type Watched } from './watched';

/** queueMicrotask() costs four times as much, for each message in each node. */
const AT_ONCE = Promise.resolve();

/** A node is being called with a message. */
export interface Call {
  event: ReceiveEvent;
  delivery: Delivery;
  /** It has sent a message of that delivery since. */
  own: boolean;
  /** Whose messages it has sent besides. */
  others?: Set<Delivery>;
}

/**
 * What nodes are being called with at this moment, and what they send meanwhile: by that it is seen where a node puts
 * messages of several deliveries together.
 */
export class Calls {
  /** A Catch node is called within another's call. */
  private under: Call[] = [];
  /** What one node has sent since the event loop last turned to other code. */
  private sending: { node: RuntimeNode; deliveries: Set<Delivery> } | undefined;

  begin(event: ReceiveEvent, delivery: Delivery): void {
    // Another pack's hook may stop the message here, and then there is no end.
    if (this.under.length === 0) void AT_ONCE.then(this.forget);
    this.under.push({ event, delivery, own: false });
  }

  end(event: ReceiveEvent): void {
    const call = this.under.at(-1);
    if (call?.event !== event) return;
    this.under.pop();
    if (!call.others || call.own) return;
    const state = stateOf(event.destination.node);
    if (state) (state.aside ??= new WeakMap()).set(call.delivery, call.others);
  }

  private readonly forget = (): void => void (this.under = []);

  /** What the node is being called with at this moment. */
  of(node: RuntimeNode): Call | undefined {
    const call = this.under.at(-1);
    return call?.event.destination.node === node ? call : undefined;
  }

  /** The node sends a message of the delivery. */
  sends(node: RuntimeNode, delivery: Delivery): void {
    delivery.sentBy = node;
    const state = stateOf(node);
    if (!state) return;
    const call = this.of(node);
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
  merge(state: Watched, delivery: Delivery): void {
    const { node } = state;
    const call = this.of(node);
    const aside = call?.delivery === delivery && !call.own ? call.others : state.aside?.get(delivery);
    state.aside?.delete(delivery);
    for (const other of aside ?? []) goOnAfter(delivery, other);
    if (this.sending?.node !== node || this.sending.deliveries.has(delivery)) return;
    const into = [...this.sending.deliveries].at(-1);
    if (into && !into.settled) delivery.goOnAs(into);
  }
}

/** It is finished when the other is, or was, and fails as that does, or did. */
function goOnAfter(delivery: Delivery, other: Delivery): void {
  if (!other.settled) delivery.goOnAs(other);
  else delivery.failure ??= other.failure;
}
