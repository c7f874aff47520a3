import { now } from '../../shared/async/clock';
import { FlowError } from '../../shared/errors';
import type { Connection } from '../server/connection';
import type { NatsConnection } from '../server/nats';
import { streamInfo } from '../streams/stream';
import { consumerInfo, unmatchable, type ConsumerInfo } from './durable';
import type { Place } from './reader';

/** Why nothing arrives, though nothing fails. */
export type Holdup =
  /** An administrator holds the durable back, until a time (ms epoch). */
  | { kind: 'paused'; until: number }
  /** As many messages as may be are unacknowledged (max ack pending), and others wait behind them. */
  | { kind: 'stalled'; unacknowledged: number; behind: number }
  /** Under none of the durable's filters the stream can hold anything. */
  | { kind: 'unmatched'; filters: string[] };

const EVERY = 5_000;
/** Looks that are left out after one that was refused: the server logs each. */
const LEFT_OUT = 5;

/**
 * Looks, while `idle` says so, whether something holds one of the durables up of which the server itself says nothing to those
 * who wait. `tell` gets what it is, or undefined, at each look. Returns the way to stop.
 */
export function watchDurable(
  connection: Connection,
  places: () => Place[],
  idle: () => boolean,
  tell: (holdup: Holdup | undefined) => void,
  every = EVERY,
): () => void {
  let asking = false;
  /** Without the right to look, the status does without it; what else is wrong, the consumer says. */
  const deniedAt = { durable: -Infinity, stream: -Infinity };
  const allowed = async <T>(what: keyof typeof deniedAt, ask: () => Promise<T>): Promise<T | undefined> => {
    if (now() - deniedAt[what] <= LEFT_OUT * every) return undefined;
    try {
      return await ask();
    } catch (error) {
      if (error instanceof FlowError && error.code === 'PERMISSION_DENIED') deniedAt[what] = now();
      return undefined;
    }
  };
  const findOne = async (nc: NatsConnection, { stream, durable }: Place): Promise<Holdup | undefined> => {
    const { domain } = connection.settings;
    const info = await allowed('durable', () => consumerInfo(nc, domain, stream, durable));
    if (!info) return undefined;
    const holdup = ofDurable(info);
    const filters = filtersOf(info);
    if (holdup || filters.length === 0 || info.num_pending + info.num_ack_pending > 0) return holdup;
    const found = await allowed('stream', () => streamInfo(nc, domain, stream));
    const never = found ? unmatchable(found.config, filters) : [];
    return never.length === filters.length ? { kind: 'unmatched', filters } : undefined;
  };
  const find = async (nc: NatsConnection): Promise<Holdup | undefined> => {
    for (const place of places()) {
      const holdup = await findOne(nc, place);
      if (holdup) return holdup;
    }
    return undefined;
  };
  const look = async (): Promise<void> => {
    const nc = connection.open;
    if (!nc || asking || !idle()) return;
    asking = true;
    const holdup = await find(nc);
    asking = false;
    if (!stopped) tell(holdup);
  };
  let stopped = false;
  const timer = setInterval(() => void look(), every);
  return () => {
    stopped = true;
    clearInterval(timer);
  };
}

function ofDurable({ paused, config, num_ack_pending, num_pending }: ConsumerInfo): Holdup | undefined {
  if (paused) return { kind: 'paused', until: Date.parse(config.pause_until ?? '') };
  const most = config.max_ack_pending;
  if (most > 0 && num_ack_pending >= most && num_pending > 0)
    return { kind: 'stalled', unacknowledged: num_ack_pending, behind: num_pending };
  return undefined;
}

function filtersOf({ config }: ConsumerInfo): string[] {
  return config.filter_subjects ?? (config.filter_subject ? [config.filter_subject] : []);
}
