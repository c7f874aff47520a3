import type { Connection } from '../server/connection';
import { Consumer, type ConsumerHandler, type ConsumerSettings } from './consumer';
import { PartitionedConsumer } from './partitioned';
import type { Reader } from './reader';

export function readerOf(
  connection: Connection,
  settings: ConsumerSettings,
  handler: ConsumerHandler,
): Reader {
  return settings.sharing === 'partitioned'
    ? new PartitionedConsumer(connection, settings, handler)
    : new Consumer(connection, settings, handler);
}
