import type { RuntimeNode } from './flow-hooks';

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
  private readonly sequences = new Map<unknown, object[]>();
  private readonly gathers: boolean;
  private watched: RuntimeNode['send'] | undefined;

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
  }

  receiving(msg: object): void {
    this.watchSend();
    const parts = (msg as { parts?: Parts }).parts;
    if (!this.gathers || parts?.id === undefined || parts.index === undefined) {
      this.queue.push(msg);
      return;
    }
    const sequence = this.sequences.get(parts.id) ?? [];
    sequence.push(msg);
    this.sequences.set(parts.id, sequence);
    if (sequence.length !== parts.count) return;
    this.sequences.delete(parts.id);
    this.queue.push(...sequence);
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

  /** A deploy that changes the wires puts the runtime's own `send` back, so look again each time. */
  private watchSend(): void {
    const { node } = this;
    if (Object.is(node.send, this.watched)) return;
    const original = node.send.bind(node);
    node.send = this.watched = (msg) => {
      original(msg);
      this.next();
    };
  }
}
