import type { NodeAPI } from 'node-red';
import { FlowError } from '../errors';
import { describeNode } from './delivery';
import type { Definition, RuntimeNode } from './hooks';
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

/** Where a wire leads that leads to no running node. */
export interface DeadEnd {
  text: string;
  /** By the will of whoever deployed it; else it is being stopped or started, or could not be made. */
  wanted: boolean;
}

export function deadEnd(RED: NodeAPI | undefined, source: RuntimeNode, id: string): DeadEnd {
  const definition = source._flow.flow?.nodes?.[id] ?? definitionOf(RED, id);
  if (!definition) return { text: say`node ${id}, which is not there`, wanted: true };
  const off = definition.d ?? definitionOf(RED, definition.z ?? '')?.disabled ?? false;
  return {
    text: say`${describeNode(definition)}, which ${off ? say`is disabled` : say`does not run`}`,
    wanted: off,
  };
}

export function notWired(source: RuntimeNode, ends: Iterable<string>): FlowError {
  const where = [...ends].join(' and ');
  return new FlowError(
    'NOT_WIRED',
    say`${describeNode(source)} sent the message ${where ? say`to ${where}` : say`on, but leads nowhere`}`,
  );
}
