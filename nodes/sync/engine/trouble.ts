import { formatDuration } from '../../shared/duration';
import type { Log } from '../../shared/log';
import { say } from '../../shared/say';
import type { Progress } from './progress';
import { wordOf } from './status';

/** The log of a node, and what tells the troubles of its collections there. */
export interface TroubleTeller {
  log: Log;
  tell: (progress: Progress) => void;
}

/** What one line told, for all collections of a sync that have it. */
interface Told {
  syncId: string;
  code: string;
  message: string;
  /** Epoch ms. */
  since: number;
  /** What the line named; undefined where the log has it as an error, or nothing is held up. */
  held: string | undefined;
}

/**
 * Tells why collections fail, in a line of its own for each other reason, once for all collections of a sync that have
 * it, and when the last of them goes on: the node's status only says that the log has it. A standby is no trouble. What
 * the log has as an error isn't told again, and what the connection's own node tells is for the log alone.
 */
export function troubleTeller(log: Log): TroubleTeller {
  const told = new Map<string, Told>();
  let lastError = '';

  const over = (of: Told): void => {
    if (of.held === undefined || [...told.values()].includes(of)) return;
    log('info', say`${of.held} goes on after ${formatDuration(Math.max(0, Date.now() - of.since))}`);
  };
  return {
    log(level, text) {
      if (level === 'error') lastError = text;
      log(level, text);
    },
    tell({ sync_id: syncId, collection, phase, error }) {
      // Beginning, it doesn't know yet whether it goes on.
      if (phase === 'waiting' && !error) return;
      const key = `${syncId} ${collection}`;
      const before = told.get(key);
      told.delete(key);
      if (phase === 'stopped' || error?.code === 'LEASED') return;
      if (!error) return before && over(before);
      const { code, message } = error;
      const known =
        before?.code === code
          ? before
          : [...told.values()].find(
              (other) => other.syncId === syncId && other.code === code && other.message === message,
            );
      const isError = lastError.includes(message);
      const since = before?.since ?? error.since ?? Date.now();
      const held = isError || phase === 'live' ? undefined : collection;
      told.set(key, known ?? { syncId, code, message, since, held });
      if (known || isError) return;
      const until = phase === 'waiting' ? WAITED_FOR[wordOf(error)]?.(collection) : undefined;
      log(error.told ? 'info' : 'warn', `${message} (${until ?? collection})`);
    },
  };
}

/** What ends the wait, by the word that the status has for it. */
const WAITED_FOR: Record<string, (collection: string) => string> = {
  unreachable: (collection) => say`${collection} waits until it answers again`,
  login: (collection) => say`${collection} waits until the login works`,
  limit: (collection) => say`${collection} waits until it may ask again`,
  budget: (collection) => say`${collection} waits until it may ask again`,
};
