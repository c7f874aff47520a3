import type { Call, Calls } from './calls';
import type { Deliveries } from './deliveries';
import type { Delivery } from './delivery';
import type { RuntimeNode } from './hooks';
import { tokenOf, type Tracked } from './identity';
import { stateOf, type Watched } from './watched';
import { warnOfLateSend } from './node-warnings';

/**
 * Tells whose a message is that a node sends: of the delivery whose token is on it. One without is recognised by its
 * `_msgid`, by the token in `msg.jetstream` or `msg.salesforce`, by the message that the node is being called with, or by
 * what it holds. Where it belongs to several, or to one of several that can't be told apart, all of them go on as it.
 */
export class Ownership {
  constructor(
    private readonly deliveries: Deliveries,
    private readonly calls: Calls,
  ) {}

  /** Undefined: nobody's, or of one that isn't followed. */
  of(msg: Tracked, source: RuntimeNode): Delivery | undefined {
    const token = tokenOf(msg);
    if (token === undefined && this.deliveries.none) return undefined;
    const carried = token === undefined ? undefined : this.deliveries.carried(token);
    const call = this.calls.of(source);
    if (carried?.followed && (!call || call.delivery === carried) && msg._msgid === carried.msgid)
      return carried;
    const state = stateOf(source);
    if (carried?.followed) return this.alsoOf(msg, carried, state, call);
    const named = this.deliveries.named(msg);
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
    const named = id === carried.msgid || typeof id !== 'string' ? undefined : this.deliveries.called(id);
    const other = named?.followed ? named : state && !carried.isIn(state) ? call?.delivery : undefined;
    if (!other || other.goesOnAs(carried) || carried.goesOnAs(other)) return carried;
    return this.deliveries.ofSeveral([carried, other], state, 'all');
  }

  /** A message made anew, or one kept of a message that is settled: it is of what the node is working on. */
  private guess(state: Watched, call: Call | undefined, kept: boolean): Delivery | undefined {
    // A node that never says `done` holds each message to its limit, whatever it sends for it.
    const endless = !state.silent && state.node._expectedDoneCount === 0;
    const alone = state.holding === (call?.delivery.isIn(state) ? 1 : 0);
    if (call && (endless || alone)) return call.delivery;
    if (!call && state.holding === 0) {
      if (kept) warnOfLateSend(state);
      return undefined;
    }
    const inside = this.deliveries.inside(state);
    if (call && !inside.includes(call.delivery)) inside.push(call.delivery);
    if (inside.length < 2) return inside[0];
    return endless ? undefined : this.deliveries.ofSeveral(inside, state, 'some');
  }
}
