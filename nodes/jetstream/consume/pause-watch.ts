import { FlowError } from '../../shared/errors';
import type { Connection } from '../server/connection';
import { consumerInfo } from './durable';

const EVERY = 5_000;

/**
 * Looks, while `idle` says so, whether the server has been told to hold the durable back; the server itself says
 * nothing to those who wait. `tell` gets the time until which it is paused (ms epoch), or undefined. Returns the way
 * to stop.
 */
export function watchPause(
  connection: Connection,
  { stream, durable }: { stream: string; durable: string },
  idle: () => boolean,
  tell: (until: number | undefined) => void,
  every = EVERY,
): () => void {
  let asking = false;
  const look = async (): Promise<void> => {
    const nc = connection.open;
    if (!nc || asking || !idle()) return;
    asking = true;
    try {
      const info = await consumerInfo(nc, connection.settings.domain, stream, durable);
      tell(info?.paused ? Date.parse(info.config.pause_until ?? '') : undefined);
    } catch (error) {
      // Without the right to look, the status does without it; what else is wrong, the consumer says.
      if (error instanceof FlowError && error.code === 'PERMISSION_DENIED') clearInterval(timer);
    } finally {
      asking = false;
    }
  };
  const timer = setInterval(() => void look(), every);
  return () => clearInterval(timer);
}
