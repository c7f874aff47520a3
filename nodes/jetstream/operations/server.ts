import { inTime } from '../../shared/async/timeout';
import { problemOf } from '../../shared/operations/letter-actions';
import type { Held, ServerState } from '../../shared/operations/states';
import type { Connection } from '../server/connection';

const PING = 2_000;

export async function serverState(id: string, name: string, connection: Connection): Promise<ServerState> {
  const { state, open, settings, secrets } = connection;
  const trip = open && (await inTime(PING, open.rtt(), () => new Error()).catch(() => undefined));
  return secrets.inValue({
    id,
    name: name || settings.servers,
    servers: settings.servers,
    phase: state.phase,
    connectedTo: open?.getServer() ?? null,
    version: open?.info?.version ?? null,
    roundTrip: trip ?? null,
    downSince: connection.downSince ?? null,
    ...(state.phase === 'disconnected' && { problem: problemOf(state.reason) }),
  });
}

/** What holds the nodes that use the server. */
export function heldByServer({ state, downSince }: Connection): Held | null {
  if (state.phase !== 'disconnected') return null;
  return { by: 'disconnected', since: downSince ?? null, ...problemOf(state.reason) };
}
