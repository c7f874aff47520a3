import type { PositionKeeper } from '../../shared/positions';
import type { Connection } from '../server/connection';
import { Bucket } from './kv';

/** Positions in a bucket, with the connection held until they are closed. */
export function bucketPositions(
  connection: Connection,
  name: string,
): ReturnType<PositionKeeper['positions']> {
  const bucket = new Bucket(connection, name);
  const release = connection.use({});
  return {
    get: (key, signal) => bucket.get(key, signal),
    find: (key, signal) => bucket.find(key, signal),
    put: (key, value, revision, signal) => bucket.put(key, value, revision, signal),
    close: release,
  };
}
