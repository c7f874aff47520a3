import type { PositionStore } from '../../shared/positions';
import type { Connection } from '../server/connection';
import { Bucket } from './kv';

/** A position under one key of a bucket. Whoever writes last is right: an older position only repeats work. */
export function bucketPositions(connection: Connection, bucket: string, key: string): PositionStore {
  const kv = new Bucket(connection, bucket);
  const stopping = new AbortController();
  const release = connection.use({});
  return {
    load: async () => (await kv.get(key, stopping.signal))?.value,
    save: (position) => kv.overwrite(key, position, stopping.signal),
    close: async () => {
      stopping.abort();
      await release();
    },
  };
}
