import { FlowError, isFlowError } from '../errors';
import type { RuntimeNode } from './hooks';
import { say } from '../say';

/** Why a message failed, and at which node of the flow. */
export interface Failure {
  error: unknown;
  node?: { id: string; type: string; name?: string };
}

/** What `jetstream-ack` can ask for. `delay` in milliseconds. */
export type Command = { action: 'ack' | 'nak' | 'term' | 'progress'; delay?: number };

/**
 * For as long as it is held, what came under it is this process's to work on: another may have it from then on, and what
 * was not sent yet must not be. One for many deliveries. To be asked when something is sent: it tells by a clock.
 */
export interface Hold {
  readonly held: boolean;
}

/** Whoever put the message into the flow and settles it. Each is called by the tracker, never both for one end. */
export interface DeliveryOwner {
  /** What it is called in sentences. */
  readonly noun: string;
  /** Undefined where nobody else can come to have it. */
  readonly hold?: Hold | undefined;
  /**
   * A process that died had it too, and what that one sent of it last may be carried out until then, by now(): nothing newer
   * of its records may be written before. Undefined where that is over, or can't be.
   */
  readonly inheritedUntil?: number | undefined;
  /** Every path has finished: without `failure` none of them had an error. Called once. */
  finished(failure: Failure | undefined): void;
  /** The flow itself says what is to happen. */
  command(command: Command): void;
  /** All that there is of it in the flow is gathered by nodes, for requests to be full; or not any more. */
  gathering?(now: boolean): void;
}

/** What the tracker knows of one running node. */
export interface NodeState {
  node: RuntimeNode;
  /** Messages of deliveries inside the node. */
  holding: number;
  /** `closing` while its close handlers run, `closed` after: it finishes nothing any more. */
  phase: 'running' | 'closing' | 'closed';
  /** Its user was told that it keeps flow completion from working. */
  warned: boolean;
  /** It has sent a message on after it had said `done` for it: what it says is not believed any more. */
  doubted?: boolean;
  /** Tokens of messages that were settled before they left the node, or reached it: what it sends of those is nobody's. */
  strangers?: Set<string>;
  /** What the last message was put down to that could have come of several. */
  group?: Delivery;
  /** Of each delivery inside, those whose messages the node sent while it was called with it, and none of its own. */
  aside?: WeakMap<Delivery, Set<Delivery>>;
}

const NONE: readonly Delivery[] = [];
const NOWHERE: readonly Branch[] = [];

const MOST_STRANGERS = 1_000;

/** What the node still sends of that token belongs to nothing that is in flight. */
export function addStranger(state: NodeState, token: string): void {
  const strangers = (state.strangers ??= new Set());
  strangers.add(token);
  if (strangers.size <= MOST_STRANGERS) return;
  for (const oldest of strangers) {
    strangers.delete(oldest);
    return;
  }
}

/** How many messages of one delivery are on their way to a node, and inside it. */
interface Branch {
  state: NodeState;
  announced: number;
  open: number;
}

/** One message handed to the flow, until every path it took has finished. */
export class Delivery {
  /** Settled: nothing that still happens in the flow counts any more. */
  settled = false;
  failure: Failure | undefined;
  /** The node that was the last to send a message of it. */
  sentBy: RuntimeNode | undefined;
  /** Messages of this delivery anywhere in the flow. */
  count = 0;
  /** Deliveries that took over messages of this one (join), and those that this one took over from. */
  private into: Set<Delivery> | undefined;
  private joined: Set<Delivery> | undefined;
  private branches = NOWHERE;
  private readonly startedAt = performance.now();
  private pauses = 0;
  private pausedAt = 0;
  private pausedFor = 0;
  private gathers = 0;
  private gathered = false;

  constructor(
    readonly token: string,
    readonly msgid: string,
    readonly owner: DeliveryOwner,
    /** Whether its way through the flow is followed; else it is only known for commands and pauses. */
    readonly followed: boolean,
    private readonly forget: (delivery: Delivery, failure?: Failure) => void,
    /**
     * Of a message that belongs to several deliveries, all of which go on as it: whether it is of `all` of them, or of
     * `some`, which can't be told.
     */
    readonly of?: 'all' | 'some',
  ) {}

  /** A message is on its way to the node. */
  announce(state: NodeState): void {
    this.branch(state).announced++;
    this.count++;
  }

  /** The node takes a message: one announced before, or one handed to it directly (link call, catch, complete). */
  receive(state: NodeState): void {
    const branch = this.branch(state);
    if (branch.announced > 0) branch.announced--;
    else this.count++;
    branch.open++;
    state.holding++;
  }

  /** The node has finished a message; false if it held none. */
  complete(state: NodeState): boolean {
    const branch = this.heldIn(state);
    if (!branch) return false;
    branch.open--;
    state.holding--;
    this.count--;
    return true;
  }

  isIn(state: NodeState): boolean {
    return this.heldIn(state) !== undefined;
  }

  /** The node is gone, and with it whatever it held. */
  leave(state: NodeState): void {
    while (this.complete(state));
  }

  /** Nodes that still hold a message of it, or are about to, hold nothing of a delivery any more. */
  release(): void {
    if (this.count === 0) return;
    for (const branch of this.branches) {
      if (branch.open + branch.announced > 0) addStranger(branch.state, this.token);
      branch.state.holding -= branch.open;
      branch.open = 0;
    }
  }

  /**
   * A message of it was put together with one of `other` (join) and goes on as that one: it is finished when
   * `other` is, and fails with it. Two may each have gone on as the other.
   */
  goOnAs(other: Delivery): void {
    (this.into ??= new Set()).add(other);
    (other.joined ??= new Set()).add(this);
  }

  /** What it goes on as, and that stands for nothing without it. */
  onlyItsOwn(): readonly Delivery[] {
    if (!this.into) return NONE;
    return [...this.into].filter(({ of, joined }) => of !== undefined && joined?.size === 1);
  }

  goesOnAs(other: Delivery): boolean {
    return this === other || (this.into?.has(other) ?? false);
  }

  /** Others go on as it. */
  get isJoined(): boolean {
    return this.joined !== undefined && this.joined.size > 0;
  }

  /** Exactly these go on as it. */
  isOf(members: readonly Delivery[]): boolean {
    return this.joined?.size === members.length && members.every((member) => this.joined?.has(member));
  }

  /** What it stands for is a guess. */
  isGuess(): boolean {
    for (const delivery of this.together()) if (delivery.of === 'some') return true;
    return false;
  }

  /** It, and every delivery that goes on as it does. */
  together(): Iterable<Delivery> {
    return this.joined ? reachable(this, (delivery) => delivery.joined) : [this];
  }

  /** No message of it, or of what it goes on as, is in the flow any more. */
  isDrained(): boolean {
    for (const { count } of this.way()) if (count > 0) return false;
    return true;
  }

  /** What failed on its way, or on the way of what it goes on as. */
  outcome(): Failure | undefined {
    for (const { failure } of this.way()) if (failure) return failure;
    return undefined;
  }

  /** It is over: those that go on as it hear `failure` and go on by themselves. Gives them. */
  part(failure: Failure | undefined): Iterable<Delivery> {
    const { joined = new Set(), into } = this;
    this.joined = this.into = undefined;
    into?.forEach((other) => other.joined?.delete(this));
    for (const other of joined) {
      other.into?.delete(this);
      other.failure ??= failure;
    }
    return joined;
  }

  /** The first failure is the one that is told. */
  fail(error: unknown, node?: RuntimeNode): void {
    this.failure ??= node ? { error, node: { id: node.id, type: node.type, name: node.name } } : { error };
  }

  /** The nodes that have not finished yet, for a warning or a failure. */
  unfinishedNodes(): string[] {
    const nodes = [...this.way()]
      .flatMap(({ branches }) => branches)
      .filter((branch) => branch.announced + branch.open > 0)
      .map((branch) => describeNode(branch.state.node));
    return [...new Set(nodes)];
  }

  /** It is followed, and no node was sent a message of it. */
  wentNowhere(): boolean {
    return this.followed && this.branches.length === 0 && !this.failure;
  }

  /** It is settled without the flow having finished: nothing that still happens to it counts. */
  abandon(failure?: Failure): void {
    this.forget(this, failure);
  }

  /** Milliseconds in the flow, without the time it was paused. */
  processingTime(now = performance.now()): number {
    return now - this.startedAt - this.pausedFor - (this.pauses > 0 ? now - this.pausedAt : 0);
  }

  get held(): boolean {
    return this.pauses > 0;
  }

  get heldSince(): number | undefined {
    return this.held ? Date.now() - (performance.now() - this.pausedAt) : undefined;
  }

  /** Stops the processing clock until the returned function is called; pauses may overlap. */
  pause(): () => void {
    if (this.pauses++ === 0) this.pausedAt = performance.now();
    let over = false;
    return () => {
      if (over) return;
      over = true;
      if (--this.pauses === 0) this.pausedFor += performance.now() - this.pausedAt;
    };
  }

  /**
   * A node gathers the message with others until the returned function is called. Where other messages of it are
   * elsewhere in the flow at that moment, it counts as being worked on.
   */
  gather(): () => void {
    this.gathers++;
    this.tellGathering();
    let over = false;
    return () => {
      if (over) return;
      over = true;
      this.gathers--;
      this.tellGathering();
    };
  }

  private tellGathering(): void {
    const now = this.gathers > 0 && this.gathers === this.count;
    if (now === this.gathered || this.settled) return;
    this.gathered = now;
    this.owner.gathering?.(now);
  }

  private way(): Iterable<Delivery> {
    return this.into ? reachable(this, (delivery) => delivery.into) : [this];
  }

  private heldIn(state: NodeState): Branch | undefined {
    for (const branch of this.branches) if (branch.state === state && branch.open > 0) return branch;
    return undefined;
  }

  private branch(state: NodeState): Branch {
    for (const branch of this.branches) if (branch.state === state) return branch;
    const branch = { state, announced: 0, open: 0 };
    // There may be very many deliveries, each with few: push() would leave room for sixteen more.
    this.branches = this.branches.concat(branch);
    return branch;
  }
}

function reachable(
  from: Delivery,
  next: (delivery: Delivery) => Iterable<Delivery> | undefined,
): Set<Delivery> {
  const found = new Set([from]);
  for (const delivery of found) for (const other of next(delivery) ?? []) found.add(other);
  return found;
}

export function describeNode(node: { id: string; type: string; name?: string }): string {
  return node.name ? `${node.type} "${node.name}"` : `${node.type} ${node.id}`;
}

/** The node was stopped (by a deploy) while the message was in it. */
export function nodeClosed(node: RuntimeNode): FlowError {
  return new FlowError(
    'NODE_CLOSED',
    say`${describeNode(node)} was stopped by a deploy while it held the message; it is delivered again`,
  );
}

/** Whoever reads the message has lost its turn before it was sent. */
export function turnLost(): FlowError {
  return new FlowError(
    'TURN_LOST',
    say`The message was not sent any more, as another instance may read by now: it is delivered again, to whose turn it is`,
  );
}

export function isTurnLost(error: unknown): boolean {
  return isFlowError(error) && error.code === 'TURN_LOST';
}

/** The message that it was put together with was settled while the flow still had it. */
export function joinedGivenUp(): FlowError {
  return new FlowError(
    'NODE_CLOSED',
    say`The message that it was put together with was given up before the flow had finished; it is delivered again`,
  );
}
