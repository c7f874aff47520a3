import type { NodeAPI } from 'node-red';
import { FlowError } from '../errors';
import { describeNode, type Delivery } from './delivery';
import type { Definition, RuntimeNode, SendEvent } from './hooks';
import { tokenOf } from './identity';
import type { Watched } from './watched';
import { say } from '../say';

/** The node that the wire leads to, if it runs: while a deploy is under way the runtime may give something else. */
export function runningAt(source: RuntimeNode, id: string): RuntimeNode | undefined {
  const node = source._flow.getNode(id) as Partial<RuntimeNode> | null | undefined;
  return typeof node?.receive === 'function' ? (node as RuntimeNode) : undefined;
}

/** The node or tab as deployed. */
export function definitionOf(RED: NodeAPI | undefined, id: string): Definition | undefined {
  let found: object | undefined;
  RED?.nodes.eachNode((definition) => {
    if (definition.id === id) found = definition;
  });
  return found as Definition | undefined;
}

/** A message of the delivery is on a wire to no running node. */
export interface Unreached {
  delivery: Delivery;
  event: SendEvent;
}

/** Where a wire leads that leads to no running node. */
interface DeadEnd {
  text: string;
  /** By the will of whoever deployed it; else it is being stopped or started, or could not be made. */
  wanted: boolean;
}

/** Fails what is sent nowhere. Users are told of it once for each node: the message comes again and again. */
export class DeadEnds {
  private readonly told = new WeakMap<RuntimeNode, string>();

  constructor(private readonly definitionOf: (id: string) => Definition | undefined) {}

  /**
   * Of one call of send. A wire to a node that is disabled counts as none, as long as the message went on by another. A
   * node that is missing against anybody's will (a deploy is under way, it could not be made) leaves the message undone.
   */
  unreached(unreached: Unreached[], events: SendEvent[]): void {
    for (const delivery of new Set(unreached.map((one) => one.delivery))) {
      const own = unreached.filter((one) => one.delivery === delivery);
      const ends = own.map(({ event }) => this.endOf(event));
      const lost = new Set(own.map(({ event }) => event));
      const reached = events.some((event) => !lost.has(event) && tokenOf(event.msg) === delivery.token);
      // The node that began it looks itself whether it went anywhere.
      if (ends.every(({ wanted }) => wanted) && (reached || delivery.wentNowhere())) continue;
      const texts = new Set(ends.map(({ text }) => text));
      this.fail((own[0] as Unreached).event.source.node, delivery, texts);
    }
  }

  /** A link out that leads to no link in. */
  unlinked({ node, definition }: Watched, delivery: Delivery): void {
    if (node.wires.some((wires) => wires.length > 0) || definition().mode === 'return') return;
    this.fail(node, delivery, []);
  }

  private fail(source: RuntimeNode, delivery: Delivery, ends: Iterable<string>): void {
    const error = notWired(source, ends);
    const { message } = error;
    delivery.fail(error, source);
    if (this.told.get(source) === message) return;
    this.told.set(source, message);
    source.warn(
      say`${message}: the ${delivery.owner.noun} is not done, and comes again until the wire leads somewhere or is removed`,
    );
  }

  private endOf({ source, destination: { id } }: SendEvent): DeadEnd {
    const definition = source.node._flow.flow?.nodes?.[id] ?? this.definitionOf(id);
    if (!definition) return { text: say`node ${id}, which is not there`, wanted: true };
    const off = definition.d ?? this.definitionOf(definition.z ?? '')?.disabled ?? false;
    return {
      text: say`${describeNode(definition)}, which ${off ? say`is disabled` : say`does not run`}`,
      wanted: off,
    };
  }
}

function notWired(source: RuntimeNode, ends: Iterable<string>): FlowError {
  const where = [...ends].join(' and ');
  return new FlowError(
    'NOT_WIRED',
    say`${describeNode(source)} sent the message ${where ? say`to ${where}` : say`on, but leads nowhere`}`,
  );
}
