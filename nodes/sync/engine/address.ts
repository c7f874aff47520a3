import type { Batches } from '../../jetstream/publish/batches';
import type { ServerSettings } from '../../jetstream/server/server-settings';

/** How another thread comes to write to the same stream. */
export interface StreamAddress {
  server: ServerSettings;
  stream: string;
  /** What it holds can be looked at. */
  readable: boolean;
  batches: Batches;
}
