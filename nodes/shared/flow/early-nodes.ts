import type { RuntimeNode } from './hooks';

/**
 * Tells when a node that says `done` before it has sent everything has finished a message (10-function.js without
 * node.done, 89-trigger.js, tcp request in 31-tcpin.js; Node-RED 4.1 and 5.0).
 */
export interface EarlyNode {
  /** The node has said `done` for any message: what it kept may be over. */
  look(): void;
  /** The node has said `done` for a message, `sent` it before that. True: `finish` will be called later. */
  keeps(sent: boolean, finish: Finish): boolean;
  /** The node has said error(e, msg). */
  failed(error: unknown): void;
}

export type Finish = (error?: unknown) => void;

const NOTHING = (): void => undefined;

export function adaptEarlyNode(
  node: RuntimeNode,
  definition: () => Record<string, unknown>,
): EarlyNode | undefined {
  if (node.type === 'function') return functionTimers(node, definition);
  if (node.type === 'trigger') return triggerTopics(node, definition());
  if (node.type === 'tcp request') return tcpAnswers(node);
  return undefined;
}

/** A function that says itself when it is done is believed. */
export function saysDone(definition: Record<string, unknown>): boolean {
  return /node\.done\s*\(/.test(String(definition.func));
}

/**
 * The runtime says `done` for a function that doesn't do so itself as soon as it has returned. If it has sent nothing
 * by then and has set timers, one of them may send the message: it is over when those of that moment have run.
 */
function functionTimers(node: RuntimeNode, definition: () => Record<string, unknown>): EarlyNode | undefined {
  const { outstandingTimers } = node as { outstandingTimers?: (object & { _repeat?: unknown })[] };
  if (!Array.isArray(outstandingTimers) || saysDone(definition())) return undefined;
  const kept = new Set<{ timers: Set<object>; finish: Finish }>();
  const removed = <T extends object>(timers: T[]): T[] => {
    for (const one of kept) {
      for (const timer of timers) one.timers.delete(timer);
      if (one.timers.size > 0) continue;
      kept.delete(one);
      // The timer's own code runs next, and sends.
      queueMicrotask(() => one.finish());
    }
    return timers;
  };
  const splice = outstandingTimers.splice.bind(outstandingTimers);
  outstandingTimers.splice = (...args: [number, number]) => removed(splice(...args));
  return {
    look: NOTHING,
    failed: NOTHING,
    keeps(sent, finish) {
      if (sent || outstandingTimers.length === 0) return false;
      const timers = new Set(outstandingTimers.filter(({ _repeat }) => typeof _repeat !== 'number'));
      if (timers.size > 0) kept.add({ timers, finish });
      return timers.size > 0;
    },
  };
}

/**
 * A trigger that sends the original or the latest message in the end has not finished those that came while its topic
 * is waiting. What it sends as a value of its own is its own.
 */
function triggerTopics(node: RuntimeNode, definition: Record<string, unknown>): EarlyNode | undefined {
  const { op2type, duration } = definition;
  if ((op2type !== 'pay' && op2type !== 'payl') || Number(duration) < 0) return undefined;
  const topics = () => (node as { topics?: Record<string, { tout?: unknown } | undefined> }).topics ?? {};
  const kept = new Map<object, Set<Finish>>();
  const look = (): void => {
    const waiting = new Set<unknown>(Object.values(topics()));
    for (const [topic, finishes] of kept) {
      if (waiting.has(topic)) continue;
      kept.delete(topic);
      for (const finish of finishes) finish();
    }
  };
  // It deletes the topic just after it has sent.
  watchSends(node, () => queueMicrotask(look));
  return {
    look,
    failed: NOTHING,
    keeps(_sent, finish) {
      // Which topic is the message's is not asked: it waits for each that waits now.
      const waiting = Object.values(topics()).filter((topic) => topic?.tout) as object[];
      if (waiting.length === 0) return false;
      let left = waiting.length;
      for (const topic of waiting) {
        const finishes = kept.get(topic) ?? new Set();
        finishes.add(() => {
          if (--left === 0) finish();
        });
        kept.set(topic, finishes);
      }
      return true;
    },
  };
}

/**
 * A tcp request says `done` when it has written. It answers once for each, in their order, with the last message that
 * it got: all of them go on as that. With a connection that stays open what arrives is a stream of its own.
 */
function tcpAnswers(node: RuntimeNode): EarlyNode | undefined {
  const { out, splitc } = node as { out?: string; splitc?: number };
  if (out === 'sit' || (out === 'time' && Number(splitc) < 0)) return undefined;
  const kept: Finish[] = [];
  watchSends(node, () => queueMicrotask(() => kept.shift()?.()));
  return {
    look: NOTHING,
    keeps: (_sent, finish) => kept.push(finish) > 0,
    // Which of them it is can't be told.
    failed: (error) => kept.splice(0).forEach((finish) => finish(error)),
  };
}

/** Calls `sending` before each call of send. */
function watchSends(node: RuntimeNode, sending: () => void): void {
  const wrap = (): void => {
    const send = node.send.bind(node);
    node.send = (msg) => {
      sending();
      send(msg);
    };
  };
  // A deploy that changes the wires puts the runtime's own `send` back.
  const updateWires = node.updateWires.bind(node);
  node.updateWires = (wires) => {
    updateWires(wires);
    wrap();
  };
  wrap();
}
