import { PassingMap } from '../async/passing-map';
import { messageOf } from '../errors';
import { Delivery, joinedGivenUp, type DeliveryOwner, type Failure, type NodeState } from './delivery';
import { names, tokenOf, type Tracked } from './identity';
import { say } from '../say';

/** The deliveries that are not settled, by what they are known by. Each is closed when every path that it took has finished. */
export class Deliveries {
  private readonly byToken = new PassingMap<string, Delivery>();
  /** Deliveries whose `_msgid` is not their token. */
  private readonly byMsgId = new PassingMap<string, Delivery>();
  private groups = 0;
  private drained: Delivery[] = [];

  /** `log` is told of an owner that throws. */
  constructor(private readonly log: (text: string) => void) {}

  get none(): boolean {
    return this.byToken.size === 0;
  }

  open(token: string, msgid: string, owner: DeliveryOwner, follow: boolean): Delivery {
    const delivery = new Delivery(token, msgid, owner, follow, this.forget);
    this.byToken.set(token, delivery);
    if (follow && msgid !== token) this.byMsgId.set(msgid, delivery);
    return delivery;
  }

  /** It is settled, by whoever owns it, before the flow has finished. */
  readonly forget = (delivery: Delivery, failure?: Failure): void => {
    // An error costs its stack trace: nobody hears of it where nothing goes on as this one.
    const ended = failure ?? delivery.outcome();
    this.close(delivery, ended ?? (delivery.isJoined ? { error: joinedGivenUp() } : undefined));
  };

  /** The one with this token on it. */
  carried(token: string): Delivery | undefined {
    return this.byToken.get(token);
  }

  /** The one that is called so, by its token or its `_msgid`. */
  called(name: string): Delivery | undefined {
    return this.byToken.get(name) ?? this.byMsgId.get(name);
  }

  /** The one that `msg` belongs to by what stands in it. */
  named(msg: Tracked): Delivery | undefined {
    for (const name of names(msg)) {
      const delivery = this.called(name);
      if (delivery) return delivery;
    }
    return undefined;
  }

  /** The one that `msg` belongs to. */
  find(msg: object): Delivery | undefined {
    try {
      const token = tokenOf(msg);
      return token === undefined ? this.named(msg) : this.byToken.get(token);
    } catch {
      // A getter that throws, a proxy that is revoked: whatever a function node makes is nobody's.
      return undefined;
    }
  }

  /** The same, if it is being followed. */
  followed(msg: object): Delivery | undefined {
    const delivery = this.find(msg);
    return delivery?.followed ? delivery : undefined;
  }

  /** Those that the node has a message of. */
  inside(state: NodeState): Delivery[] {
    return [...this.byToken.values()].filter((delivery) => delivery.isIn(state));
  }

  /** What a message of all, or of some, of them belongs to: they go on as it. `sender`: the node that sends it. */
  ofSeveral(members: Delivery[], sender: NodeState | undefined, of: 'all' | 'some'): Delivery {
    const last = sender?.group;
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
    if (sender) sender.group = group;
    return group;
  }

  /** The node has finished a message of it. */
  complete(state: NodeState, delivery: Delivery): void {
    if (delivery.complete(state)) this.check(delivery);
  }

  /** The node is gone, and with it whatever it held of it. */
  leave(state: NodeState, delivery: Delivery): void {
    delivery.leave(state);
    this.check(delivery);
  }

  /** Ends it, one turn of the event loop later, where no message of it is in the flow any more. */
  check(delivery: Delivery): void {
    if (delivery.count > 0 || delivery.settled) return;
    if (this.drained.length === 0) setImmediate(() => this.finish());
    if (delivery.isJoined) this.drained.push(...delivery.together());
    else this.drained.push(delivery);
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
        this.log(say`A ${delivery.owner.noun} could not be settled: ${messageOf(error)}`);
      }
    }
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
}
