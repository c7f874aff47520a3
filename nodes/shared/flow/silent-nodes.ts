import type { RuntimeNode } from './hooks';

/**
 * Tells when a node that never calls `done` has finished a message. Three nodes of the core are like that
 * (10-switch.js, rbe.js, and a subflow's entrance in lib/flows/Subflow.js; Node-RED 4.1 and 5.0).
 */
export interface SilentNode {
  /** The node's input handler is about to run with `msg`. */
  receiving(msg: object): void;
  /** The node's input handler has returned. */
  received(msg: object): void;
  /** The node has said error(e, msg). */
  failed(msg: object): void;
}

/** Called once for each message the node has finished with. */
export type Finished = (msg: object, error?: unknown) => void;

/** `definition` is the node's configuration as deployed. */
export function adaptSilentNode(
  node: RuntimeNode,
  definition: () => Record<string, unknown>,
  finished: Finished,
): SilentNode | undefined {
  if (node._expectedDoneCount !== 0) return undefined;
  if (node.type === 'switch') return new SwitchNode(node, definition(), finished);
  // These pass the message on, if they do, before their handler returns.
  if (node.type === 'rbe' || node.type.startsWith('subflow')) {
    return { receiving: () => undefined, received: (msg) => finished(msg), failed: () => undefined };
  }
  return undefined;
}

interface Parts {
  id?: unknown;
  index?: unknown;
  count?: unknown;
}

/**
 * A switch takes its messages one at a time, in order, and each ends with one call of send (holding nothing
 * where no rule matched), or with error(e, msg), or with a warning where its property can't be read. With
 * "recreate message sequences" or a tail rule it gathers a sequence first and then sends once for each
 * message of it. So whose turn it is follows from counting.
 */
class SwitchNode implements SilentNode {
  private readonly queue: object[] = [];
  private readonly sequences = new Map<unknown, { msgs: object[]; count?: unknown }>();
  private readonly gathers: boolean;

  constructor(
    private readonly node: RuntimeNode,
    definition: Record<string, unknown>,
    private readonly finished: Finished,
  ) {
    const rules = Array.isArray(definition.rules) ? (definition.rules as { t?: unknown }[]) : [];
    this.gathers = definition.repair === true || rules.some((rule) => rule.t === 'tail');
    const warn = node.warn.bind(node);
    node.warn = (warning) => {
      warn(warning);
      this.next(warning);
    };

    const updateWires = node.updateWires.bind(node);
    node.updateWires = (wires) => {
      updateWires(wires);
      this.watchSend();
    };
    this.watchSend();
  }

  receiving(msg: object): void {
    const parts = (msg as { parts?: Parts }).parts;
    if (!this.gathers || parts?.id === undefined || parts.index === undefined) {
      this.queue.push(msg);
      return;
    }
    const sequence = this.sequences.get(parts.id) ?? { msgs: [] };
    sequence.msgs.push(msg);
    // Any message of a sequence may be the one that says how many there are.
    sequence.count = parts.count ?? sequence.count;
    this.sequences.set(parts.id, sequence);
    if (sequence.msgs.length !== sequence.count) return;
    this.sequences.delete(parts.id);
    this.queue.push(...sequence.msgs);
  }

  received(): void {
    // The message may still be waiting for its turn.
  }

  failed(msg: object): void {
    const index = this.queue.indexOf(msg);
    if (index >= 0) this.queue.splice(index, 1);
    this.finished(msg);
  }

  private next(error?: unknown): void {
    const msg = this.queue.shift();
    if (msg) this.finished(msg, error);
  }

  private watchSend(): void {
    const { node } = this;
    const send = node.send.bind(node);
    node.send = (msg) => {
      send(msg);
      this.next();
    };
  }
}
