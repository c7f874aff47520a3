import type { Connection } from '../server/connection';
import { Consumer } from './consumer';
import type { ConsumerSettings } from './consumer-settings';
import { PartitionedConsumer } from './partitioned';
import type { ConsumerHandler, Reader } from './reader';

export function readerOf(
  connection: Connection,
  settings: ConsumerSettings,
  handler: ConsumerHandler,
): Reader {
  return settings.sharing === 'partitioned'
    ? new PartitionedConsumer(connection, settings, handler)
    : new Consumer(connection, settings, handler);
}
