import type { NatsConnection } from './nats';

/**
 * Resolves when the work is done, or when the connection is closed: there the client leaves a flush or a draining
 * without an end. Rejects as the work does.
 */
export async function unlessClosed(nc: NatsConnection, work: Promise<unknown>): Promise<void> {
  await Promise.race([work, nc.closed()]);
}
