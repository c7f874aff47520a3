import type { NodeStatus } from 'node-red';
import { codeOf, type FlowError } from '../../shared/errors';
import type { Holdup } from './durable-watch';
import { say } from '../../shared/say';

/** Nobody waits for that: it is paused until somebody says otherwise. */
const YEARS = 10 * 365 * 86_400_000;

/** A status of jetstream-in; `key` names its text under `status` in the node's locales. */
export interface Look {
  fill: NodeStatus['fill'];
  shape: NodeStatus['shape'];
  key: string;
  values?: Record<string, string | number>;
}

/** What there is to say of a consumer that can read. */
export interface Reading {
  inFlow: number;
  /** Messages that were given up since somebody has last looked. */
  givenUp: number;
  holdup: Holdup | undefined;
  retries: { count: number; first: number };
  /** Of a durable that is split. */
  partitions?: { owned: number; all: number } | undefined;
}

export function lookOf({ inFlow, givenUp, holdup, retries, partitions }: Reading): Look {
  if (inFlow > 0)
    return { fill: givenUp > 0 ? 'yellow' : 'green', shape: 'dot', key: 'inFlow', values: { count: inFlow } };
  const held = (key: string, values = {}): Look => ({ fill: 'yellow', shape: 'ring', key, values });
  switch (holdup?.kind) {
    case 'paused':
      if (!(holdup.until - Date.now() < YEARS)) return held('pausedByHand');
      return held('paused', { until: localTime(holdup.until) });
    case 'stalled':
      if (retries.count === 0) return held('stalled');
      return held('retrying', { count: retries.count, until: localTime(retries.first).slice(-5) });
    case 'unmatched':
      return held('unmatched');
    case undefined:
      if (givenUp > 0) return { fill: 'yellow', shape: 'dot', key: 'givenUp', values: { count: givenUp } };
      if (partitions) return { fill: 'green', shape: 'dot', key: 'partitions', values: partitions };
      return { fill: 'green', shape: 'dot', key: 'ready' };
  }
}

/** For the log: what holds the durable up. */
export function stalled(
  durable: string,
  { unacknowledged, behind }: Extract<Holdup, { kind: 'stalled' }>,
  { count, first }: Reading['retries'],
): string {
  const retrying =
    count > 0 ? say`; ${count} of them wait for a retry, the first until ${localTime(first)}` : '';
  return say`The durable "${durable}" delivers nothing: ${unacknowledged} messages are unacknowledged, as many as max ack pending allows${retrying}; ${behind} wait behind them. Raise max ack pending, or retry sooner`;
}

/** "2026-01-31 12:00", in the time of the machine. */
export function localTime(ms: number): string {
  return new Date(ms - new Date(ms).getTimezoneOffset() * 60_000)
    .toISOString()
    .slice(0, 16)
    .replace('T', ' ');
}

/** The short word for an error; the log has the sentence. */
export function statusKey(error: FlowError): string {
  const words: Record<string, string> = {
    CONNECTION_REFUSED: 'noAnswer',
    CONNECTION_CLOSED: 'disconnected',
    CONNECTION_ENDED: 'disconnected',
    TOO_MANY_CONNECTIONS: 'loginRefused',
    BAD_SERVER: 'misconfigured',
    DISCONNECTED: 'disconnected',
    TIMEOUT: 'noAnswer',
    HOST_UNKNOWN: 'hostUnknown',
    AUTHORIZATION: 'loginRefused',
    BAD_CREDENTIALS: 'badCredentials',
    NO_CREDENTIALS: 'noCredentials',
    TLS: 'tls',
    PERMISSION_DENIED: 'noRights',
    JETSTREAM_10059: 'noStream',
    JETSTREAM_UNAVAILABLE: 'noJetStream',
    DEAD_LETTER_FAILED: 'deadLetter',
    DEAD_LETTER_LOOP: 'misconfigured',
    NO_DEAD_LETTER_STREAM: 'noDeadLetters',
  };
  return words[codeOf(error)] ?? 'failed';
}
