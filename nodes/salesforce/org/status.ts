import type { NodeStatus } from 'node-red';
import type { StatusReporter } from '../../shared/status';
import type { Unavailable } from './availability';

/** What is watched: the org's REST API by its session, or its Pub/Sub API. */
interface OrgApi {
  availability: { readonly current: Unavailable | undefined };
  readonly accessToken: string | undefined;
  onChange(listener: () => void): () => void;
}

/** Outages with a word of their own, by code. */
const WORDS: Record<string, string> = {
  NO_CREDENTIALS: 'noCredentials',
  STORAGE_LIMIT_EXCEEDED: 'full',
};

/** The clock of an outage in the status moves this often. */
const CLOCK_MS = 5_000;

/**
 * Shows what the org does on a node that uses it: connecting, ready, or why and for how long it is held; `busy`
 * says more where the org is well. `show` is to be called when what `busy` says has changed.
 */
export function orgStatus(
  status: StatusReporter,
  api: OrgApi,
  text: (key: string, values?: Record<string, string>) => string,
  busy: () => NodeStatus | undefined = () => undefined,
): { show: () => void; stop: () => void } {
  let clock: NodeJS.Timeout | undefined;
  const look = (): NodeStatus => {
    const { current } = api.availability;
    if (current) {
      const time = coarse(Date.now() - current.since);
      return {
        fill: current.reason === 'login' ? 'red' : 'yellow',
        shape: 'ring',
        text: text(`status.${WORDS[current.code] ?? current.reason}`, { time }),
      };
    }
    if (api.accessToken === undefined)
      return { fill: 'yellow', shape: 'ring', text: text('status.connecting') };
    return busy() ?? { fill: 'green', shape: 'dot', text: text('status.ready') };
  };
  /** Called for every message and event: the words are looked up only when they are shown. */
  const show = () => {
    clearTimeout(clock);
    clock = api.availability.current && setTimeout(show, CLOCK_MS);
    status.show(look);
  };
  const stopListening = api.onChange(show);
  return {
    show,
    stop: () => {
      clearTimeout(clock);
      stopListening();
      status.stop();
    },
  };
}

/** In the largest unit alone: a status has room for no more. */
function coarse(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 60) return `${seconds}s`;
  return seconds < 3_600 ? `${Math.floor(seconds / 60)}m` : `${Math.floor(seconds / 3_600)}h`;
}
