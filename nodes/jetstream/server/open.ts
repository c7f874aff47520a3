import { inTime } from '../../shared/async/timeout';
import type { Secrets } from '../../shared/secrets';
import { readLogin } from './authenticator';
import { explainConnectFailure, keepSecrets } from './errors';
import { checkInbox } from './inbox';
import type { ConnectionOptions, NatsConnection } from './nats';
import { connectionOptions, serverList, type ServerSettings } from './server-settings';
import { say } from '../../shared/say';

/** For each server, with what the client itself allows for it. */
const LIMIT = 10_000;

/** An open connection whose inbox works. Throws FlowError in words, without the secrets. */
export async function openNats(
  settings: ServerSettings,
  secrets: Secrets,
  options: Partial<ConnectionOptions> = {},
): Promise<NatsConnection> {
  const nats = await import('./nats.js');
  try {
    const login = await readLogin(settings, nats, secrets);
    const limit = LIMIT * serverList(settings.servers).length;
    const nc = await limited(nats.connect({ ...connectionOptions(settings, login), ...options }), limit);
    keepSecrets(nc, secrets);
    try {
      await checkInbox(nc, settings);
    } catch (error) {
      await nc.close().catch(() => undefined);
      throw error;
    }
    return nc;
  } catch (error) {
    throw secrets.inError(explainConnectFailure(error, settings.servers));
  }
}

/** The client's own time-outs don't cover all of what a server may fail to say. */
function limited(connecting: Promise<NatsConnection>, limit: number): Promise<NatsConnection> {
  return inTime(limit, connecting, () => {
    connecting.then((nc) => nc.close()).catch(() => undefined);
    return Object.assign(new Error(say`no connection within ${limit / 1_000} s`), { code: 'TIMEOUT' });
  });
}
