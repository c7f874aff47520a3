import { FlowError } from '../../shared/errors';
import type { Settings } from '../../shared/settings/settings';
import type { Connection } from '../server/connection';
import type { jetstreamIn } from '../jetstream-in.settings';
import { Claims, claimStream, systemOf, type Claim } from '../streams/claims';
import { durableConflicts, type DurableDemand } from './durable-conflicts';
import { labelOf, say } from '../../shared/say';

const durableClaims = new Claims<DurableDemand>(durableConflicts);

/**
 * Of a jetstream-in: its durable, and its stream where it provisions it. `node`: as errors call it.
 * DURABLE_CONFLICT, STREAM_CONFLICT.
 */
export function claimConsumer(
  connection: Connection,
  node: string,
  settings: Settings<typeof jetstreamIn>,
): Claim {
  const { stream, durable, streamConfig, narrow = false } = settings;
  const key = `${systemOf(connection.settings)} ${stream} ${durable}`;
  const forDurable = durableClaims.claim(key, node, settings);
  const forStream = streamConfig && claimStream(connection, node, stream, { settings: streamConfig, narrow });
  return {
    check() {
      const [rival] = forDurable.rivals();
      if (rival)
        throw new FlowError(
          'DURABLE_CONFLICT',
          say`${node} and ${rival.node} both read the durable "${durable}" of the stream "${stream}" with different settings (${rival.settings.map((name) => labelOf('jetstream-in', name)).join(', ')}), so that each would take the messages of the other: make them equal, or choose another durable name`,
          false,
        );
      forStream?.check();
    },
    release() {
      forDurable.release();
      forStream?.release();
    },
  };
}
