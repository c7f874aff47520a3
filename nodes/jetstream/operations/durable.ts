import { Meter } from '../../shared/operations/meter';
import { deadLetterState, type Letters } from '../../shared/operations/letter-actions';
import type { GivenUp } from '../../shared/operations/given-up';
import type { Action } from '../../shared/operations/registry';
import { Since } from '../../shared/operations/since';
import type { DurableState, Held } from '../../shared/operations/states';
import type { Consumer, ConsumerState } from '../consume/consumer';
import { consumerInfo, type ConsumerInfo } from '../consume/durable';
import type { Holdup } from '../consume/durable-watch';
import { jsApi } from '../server/api';
import type { Connection } from '../server/connection';
import { serverAtLeast } from '../streams/stream';

/** A jetstream-in as it runs. */
export interface DurableNode {
  id: string;
  name: string;
  server: string;
  stream: string;
  durable: string;
  connection: Connection;
  consumer(): Consumer | undefined;
  phase(): ConsumerState;
  holdup(): Holdup | undefined;
  givenUp: GivenUp;
  letters: Letters | undefined;
  /** What was paused here, or goes on. */
  changed(): void;
}

/** Tells the state each time it is called, with rates and times since it was made. */
export function durableStates(node: DurableNode): () => Promise<DurableState> {
  const { id, name, server, stream, durable, connection } = node;
  const meter = new Meter();
  const since = new Since();
  return async () => {
    await node.givenUp.refreshed();
    const info = await lookUp(node);
    const consumer = node.consumer();
    const phase = node.phase();
    const held = heldBy(node, info);
    const at = since.seen(held && `${held.by} ${held.message}`);
    const { count, first } = consumer?.retries() ?? { count: 0, first: Infinity };
    const acknowledged = consumer?.acknowledged ?? 0;
    return connection.secrets.inValue({
      ...{ id, name: name || durable, server, stream, durable, phase: phase.phase },
      inFlow: consumer?.inFlow ?? 0,
      pending: info?.num_pending ?? null,
      inFlight: info?.num_ack_pending ?? null,
      redelivered: info?.num_redelivered ?? null,
      waitingForRetry: count,
      nextRetry: count > 0 ? first : null,
      givenUp: node.givenUp.count,
      acknowledged,
      perSecond: meter.rate(acknowledged),
      paused: info?.paused === true || isPausedHere(id),
      held: held ? { ...held, since: held.since ?? at } : null,
      deadLetter: node.letters ? await deadLetterState(node.letters) : null,
    });
  };
}

async function lookUp({ connection, stream, durable }: DurableNode): Promise<ConsumerInfo | undefined> {
  const { open, settings } = connection;
  if (!open) return undefined;
  return consumerInfo(open, settings.domain, stream, durable).catch(() => undefined);
}

/** The most that stands in the way. */
function heldBy(node: DurableNode, info: ConsumerInfo | undefined): Held | undefined {
  const { connection } = node;
  const phase = node.phase();
  const holdup = node.holdup();
  if (connection.state.phase === 'disconnected')
    return { by: 'disconnected', since: null, message: connection.state.reason.message };
  if (info?.paused || isPausedHere(node.id)) {
    const until = Date.parse(info?.config.pause_until ?? '');
    return { by: 'paused', since: null, ...(Number.isFinite(until) && { until }) };
  }
  if (phase.phase === 'failing') return { by: 'failing', since: null, message: phase.error.message };
  const inFlow = node.consumer()?.heldInFlow();
  if (inFlow) return { by: 'flow', ...inFlow };
  if (holdup?.kind === 'stalled' || holdup?.kind === 'unmatched') return { by: holdup.kind, since: null };
  return undefined;
}

/** Nodes that are held back here alone, also over deploys: the server can't, or this user may not ask it to. */
const pausedHere = new Set<string>();

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
  const { id, connection, stream, durable } = node;
  const atServer = async (until?: Date): Promise<boolean> => {
    const { open, settings } = connection;
    if (!open || !serverAtLeast(open, 2, 11)) return false;
    const asked = until ? { pause_until: until.toISOString() } : {};
    try {
      await jsApi(open, settings.domain, `CONSUMER.PAUSE.${stream}.${durable}`, asked);
      return true;
    } catch {
      return false;
    }
  };
  return {
    pause: async () => {
      const done = await atServer(new Date(Date.now() + PAUSE));
      if (!done) pausedHere.add(id);
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
