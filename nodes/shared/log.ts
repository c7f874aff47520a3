import type { Node } from 'node-red';

export type Level = 'debug' | 'info' | 'warn' | 'error';
export type Log = (level: Level, text: string) => void;

/** The log of a node, for logic that knows nothing of nodes. `strike` takes out what must not be in it. */
export function logOf(
  node: Pick<Node, 'debug' | 'log' | 'warn' | 'error'>,
  strike = (text: string) => text,
): Log {
  return (level, text) => node[level === 'info' ? 'log' : level](strike(text));
}
