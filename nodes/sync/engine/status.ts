import type { NodeStatus } from 'node-red';
import type { ConnectionState } from '../../jetstream/server/connection';
import type { CollectionState } from '../../shared/operations/states';
import type { Phase, Progress, Trouble } from './progress';

type Text = (key: string, values?: Record<string, string | number>) => string;

/** The worst comes first. */
const ORDER: Phase[] = ['failed', 'waiting', 'backfill', 'stopped', 'live'];

/** The short word for an error, by its code or the reason of an org; the log has the sentence. */
const WORDS: Record<string, string> = {
  LEASED: 'standby',
  API_BUDGET_SPENT: 'budget',
  API_LIMIT: 'limit',
  API_LOGIN: 'login',
  API_UNREACHABLE: 'unreachable',
  MASS_LOSS: 'massLoss',
  STREAM_FULL: 'streamFull',
  STORAGE_LIMIT_EXCEEDED: 'full',
  NO_CREDENTIALS: 'noCredentials',
  PERMISSION_DENIED: 'noRights',
  NO_STREAM: 'noStream',
  NO_SUCH_OBJECT: 'noCollection',
  unreachable: 'unreachable',
  login: 'login',
  limit: 'limit',
  budget: 'budget',
};

export const wordOf = ({ code, reason = '' }: Trouble): string => WORDS[code] ?? WORDS[reason] ?? 'failed';

/** What a node shows of all its collections: the one that is worst off. */
export function syncStatus(
  progress: readonly Progress[],
  connection: ConnectionState,
  text: Text,
): NodeStatus {
  if (connection.phase === 'disconnected')
    return { fill: 'red', shape: 'ring', text: text('status.disconnected') };
  if (connection.phase !== 'connected' || progress.length === 0)
    return connection.phase === 'connected'
      ? { fill: 'green', shape: 'dot', text: text('status.ready') }
      : { fill: 'yellow', shape: 'ring', text: text('status.connecting') };
  const [worst] = [...progress].sort((a, b) => ORDER.indexOf(a.phase) - ORDER.indexOf(b.phase));
  const { phase, error } = worst as Progress;
  switch (phase) {
    case 'failed':
    case 'waiting': {
      const word = error ? wordOf(error) : 'starting';
      const standby = word === 'standby';
      return {
        fill: standby ? 'grey' : phase === 'failed' ? 'red' : 'yellow',
        shape: 'ring',
        text: text(`status.${word}`),
      };
    }
    case 'backfill':
      return { fill: 'blue', shape: 'dot', text: backfillText(progress, text) };
    case 'stopped':
      return { fill: 'grey', shape: 'dot', text: text('status.stopped') };
    case 'live': {
      const errors = progress.flatMap(({ error }) => error ?? []);
      if (errors.length === 0) return { fill: 'green', shape: 'dot', text: text('status.live') };
      const polled = errors.every(({ code }) => code === 'NO_EVENTS');
      return { fill: 'yellow', shape: 'dot', text: text(polled ? 'status.polling' : 'status.partly') };
    }
  }
}

function backfillText(progress: readonly Progress[], text: Text): string {
  const reading = progress.filter(({ phase }) => phase === 'backfill');
  const done = reading.reduce((sum, entry) => sum + entry.done, 0);
  const total = reading.reduce((sum, entry) => sum + (entry.total ?? NaN), 0);
  if (Number.isNaN(total)) return text('status.read', { count: done });
  return text('status.backfill', {
    percent: total === 0 ? 0 : Math.min(100, Math.floor((100 * done) / total)),
  });
}

export function collectionState({ sync_id: syncId, error, calls, ...progress }: Progress): CollectionState {
  return { syncId, ...progress, calls: calls ?? null, ...(error && { problem: error }) };
}
