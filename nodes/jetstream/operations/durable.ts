import { codeOf, messageOf } from '../../shared/errors';
import { Meter } from '../../shared/operations/meter';
import { deadLetterState, type Letters } from '../../shared/operations/letter-actions';
import type { GivenUp } from '../../shared/operations/given-up';
import type { Action } from '../../shared/operations/registry';
import type { DurableState, Held, Problem } from '../../shared/operations/states';
import type { ConsumerState } from '../consume/reader';
import { consumerInfo, type ConsumerInfo } from '../consume/durable';
import type { Holdup } from '../consume/durable-watch';
import type { Place, Reader } from '../consume/reader';
import { jsApi } from '../server/api';
import type { Connection } from '../server/connection';
import { heldByServer } from './server';
import { serverAtLeast } from '../streams/stream';

/** A jetstream-in as it runs. */
export interface DurableNode {
  id: string;
  name: string;
  server: string;
  stream: string;
  durable: string;
  connection: Connection;
  consumer(): Reader | undefined;
  phase(): ConsumerState;
  /** When it last began to fail. */
  failingSince(): number | null;
  holdup(): Holdup | undefined;
  holdupSince(): number | null;
  givenUp: GivenUp;
  letters: Letters | undefined;
  /** What was paused here, or goes on. */
  changed(): void;
}

/** Tells the state each time it is called, with rates since it was made. */
export function durableStates(node: DurableNode): () => Promise<DurableState> {
  const { id, name, server, stream, durable, connection } = node;
  const meter = new Meter();
  return async () => {
    await node.givenUp.refreshed();
    const infos = await lookUp(node);
    const sum = (of: (info: ConsumerInfo) => number): number | null =>
      infos?.reduce((all, info) => all + of(info), 0) ?? null;
    const paused = infos?.find((info) => info.paused);
    const consumer = node.consumer();
    const phase = node.phase();
    const { count, first } = consumer?.retries() ?? { count: 0, first: Infinity };
    const acknowledged = consumer?.acknowledged ?? 0;
    return connection.secrets.inValue({
      ...{ id, name: name || durable, server, stream, durable, phase: phase.phase },
      inFlow: consumer?.inFlow ?? 0,
      pending: sum(({ num_pending }) => num_pending),
      inFlight: sum(({ num_ack_pending }) => num_ack_pending),
      redelivered: sum(({ num_redelivered }) => num_redelivered),
      waitingForRetry: count,
      nextRetry: count > 0 ? first : null,
      givenUp: node.givenUp.count,
      acknowledged,
      perSecond: meter.rate(acknowledged),
      paused: paused !== undefined || isPausedHere(id),
      held: heldBy(node, paused) ?? null,
      deadLetter: node.letters ? await deadLetterState(node.letters) : null,
    });
  };
}

/** All durables that stand for it at the server; undefined where one isn't known. */
async function lookUp(node: DurableNode): Promise<ConsumerInfo[] | undefined> {
  const { open, settings } = node.connection;
  if (!open) return undefined;
  const places = placesOf(node);
  const looks = places.map(({ stream, durable }) => consumerInfo(open, settings.domain, stream, durable));
  const infos = await Promise.all(looks).catch(() => []);
  const known = infos.flatMap((info) => info ?? []);
  return known.length > 0 && known.length === places.length ? known : undefined;
}

function placesOf(node: DurableNode): Place[] {
  const { stream, durable } = node;
  return node.consumer()?.places('all') ?? [{ stream, durable }];
}

/** The most that stands in the way. */
function heldBy(node: DurableNode, paused: ConsumerInfo | undefined): Held | undefined {
  const { connection } = node;
  const phase = node.phase();
  const holdup = node.holdup();
  const seen = node.holdupSince();
  const disconnected = heldByServer(connection);
  if (disconnected) return disconnected;
  if (paused || isPausedHere(node.id)) {
    const until = Date.parse(paused?.config.pause_until ?? '');
    const since = pausedHere.get(node.id) ?? pausedSince(until) ?? (holdup?.kind === 'paused' ? seen : null);
    return { by: 'paused', since, ...(Number.isFinite(until) && { until }) };
  }
  if (phase.phase === 'failing')
    return { by: 'failing', since: node.failingSince(), ...problemOf(phase.error) };
  const inFlow = node.consumer()?.heldInFlow();
  if (inFlow) return { by: 'flow', ...inFlow };
  // What was seen while the flow was idle need not be so any more.
  const idle = (node.consumer()?.inFlow ?? 0) === 0;
  if (idle && (holdup?.kind === 'stalled' || holdup?.kind === 'unmatched'))
    return { by: holdup.kind, since: seen };
  return undefined;
}

/** Of a pause that was asked for here, or by another of us: they end so long after they began. */
function pausedSince(until: number): number | undefined {
  return until - Date.now() > PAUSE / 2 ? until - PAUSE : undefined;
}

function problemOf(error: unknown): Problem {
  return { code: codeOf(error), message: messageOf(error) };
}

/**
 * Nodes that are held back here alone, also over deploys, and since when: the server can't, or this user may not ask
 * it to.
 */
const pausedHere = new Map<string, number>();

export function isPausedHere(id: string): boolean {
  return pausedHere.has(id);
}

export function resumeHere(id: string): void {
  pausedHere.delete(id);
}

/** The server wants a time at which a pause ends by itself. */
const PAUSE = 20 * 365 * 86_400_000;

/** `pause` and `resume`, which tell where: at the server, for all who share the durable, or only here. */
export function pauseActions(node: DurableNode): Record<'pause' | 'resume', Action> {
  const { id, connection } = node;
  const atServer = async (until?: Date): Promise<boolean> => {
    const { open, settings } = connection;
    if (!open || !serverAtLeast(open, 2, 11)) return false;
    const asked = until ? { pause_until: until.toISOString() } : {};
    try {
      for (const { stream, durable } of placesOf(node))
        await jsApi(open, settings.domain, `CONSUMER.PAUSE.${stream}.${durable}`, asked);
      return true;
    } catch {
      return false;
    }
  };
  return {
    pause: async () => {
      const done = await atServer(new Date(Date.now() + PAUSE));
      if (!done) pausedHere.set(id, Date.now());
      node.changed();
      return { where: done ? 'server' : 'here' };
    },
    resume: async () => {
      resumeHere(id);
      const done = await atServer();
      node.changed();
      return { where: done ? 'server' : 'here' };
    },
  };
}
