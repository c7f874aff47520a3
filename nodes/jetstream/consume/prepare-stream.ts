import type { Log } from '../../shared/log';
import type { NatsConnection } from '../server/nats';
import { provisionStream } from '../streams/provision';
import type { ConsumerSettings } from './consumer-settings';
import { checkDeadLetter } from './dead-letter-loop';

/** What is done is said, `warn` what the user should know. Throws what provisioning throws, DEAD_LETTER_LOOP. */
export async function prepareStream(
  nc: NatsConnection,
  domain: string | undefined,
  settings: ConsumerSettings,
  log: Log,
  warn: (warning: string) => void,
): Promise<void> {
  if (settings.provision) {
    const done = await provisionStream(nc, domain, settings.provision, settings.narrow);
    for (const change of done.changes) log('info', change);
    for (const warning of done.warnings) warn(warning);
  }
  await checkDeadLetter(nc, domain, settings);
}
