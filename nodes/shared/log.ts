import type { Node } from 'node-red';
import { now } from './async/clock';
import { oneLine } from './errors';
import { RecentMap } from './recent-map';
import { say } from './say';

export type Level = 'debug' | 'info' | 'warn' | 'error';
export type Log = (level: Level, text: string) => void;

/** Lines of one cause within `SPAN` ms. */
const MOST = 20;
const SPAN = 10_000;
/** Causes that are told apart within it; whatever else comes is one more. */
const CAUSES = 50;

/**
 * The log of a node, for logic that knows nothing of nodes. `strike` takes out what must not be in it. Each text is one
 * line of bounded length. Of what has one cause (the same words, with other numbers) twenty lines in ten seconds are
 * said, and then how many more there were; an error always is, as it may be all that is left of a message.
 */
export function logOf(
  node: Pick<Node, 'debug' | 'log' | 'warn' | 'error'>,
  strike = (text: string) => text,
): Log {
  const put: Log = (level, line) => node[level === 'info' ? 'log' : level](line);
  const causes = new Map<string, { level: Level; line: string; count: number }>();
  let since = now();
  let timer: NodeJS.Timeout | undefined;
  const begin = (): void => {
    clearTimeout(timer);
    timer = undefined;
    since = now();
    const over = [...causes.values()].filter(({ count }) => count > MOST);
    causes.clear();
    for (const { level, line, count } of over) put(level, say`${count - MOST} more like this: ${line}`);
  };
  return (level, text) => {
    const line = oneLine(strike(text));
    if (level === 'error') return put(level, line);
    if (now() - since >= SPAN) begin();
    const words = line.replace(/\d+/g, '0');
    const name = causes.has(words) || causes.size < CAUSES ? words : '';
    const cause = causes.get(name) ?? { level, line, count: 0 };
    causes.set(name, cause);
    if (++cause.count <= MOST) return put(level, line);
    timer ??= setTimeout(begin, SPAN).unref();
  };
}

/** Warnings of late that are remembered. */
const REMEMBERED = 500;

/** Says each warning once, as far as it is remembered: what it is about is looked at again and again. */
export function warnOnce(log: Log): (warning: string) => void {
  const said = new RecentMap<string, true>(REMEMBERED);
  return (warning) => {
    if (said.get(warning)) return;
    said.set(warning, true);
    log('warn', warning);
  };
}
