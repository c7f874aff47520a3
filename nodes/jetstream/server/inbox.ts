import { inTime } from '../../shared/async/timeout';
import { FlowError, codeOf } from '../../shared/errors';
import { overlap } from '../streams/subjects';
import { jsApi } from './api';
import { explainPermission, permissionDenied } from './errors';
import type { NatsConnection } from './nats';
import { say } from '../../shared/say';

const TIMEOUT = 5_000;

/**
 * Looks whether answers will arrive: every request and every PubAck needs the inbox. Throws FlowError
 * PERMISSION_DENIED naming the subject, INBOX_IN_STREAM, TIMEOUT.
 */
export async function checkInbox(
  nc: NatsConnection,
  settings: { inboxPrefix?: string; domain?: string },
): Promise<void> {
  const { createInbox } = await import('./nats.js');
  const prefix = settings.inboxPrefix || '_INBOX';
  let refused: FlowError | undefined;
  const subscription = nc.subscribe(`${createInbox(prefix)}.*`, {
    callback: (error) => {
      if (error && explainPermission(error)) refused = permissionDenied('subscription', `${prefix}.>`);
    },
  });
  try {
    await inTime(TIMEOUT, nc.flush(), noPong);
    if (refused) throw refused;
  } finally {
    subscription.unsubscribe();
  }
  if (settings.inboxPrefix) await checkStreams(nc, settings.domain, settings.inboxPrefix);
}

/** A user who may not ask is checked by what the nodes know. */
async function checkStreams(nc: NatsConnection, domain: string | undefined, prefix: string): Promise<void> {
  const ask = { subject: `${prefix}.>` };
  const found = await jsApi<{ streams?: string[] | null }>(nc, domain, 'STREAM.NAMES', ask).catch(
    (error: unknown) => {
      if (codeOf(error) === 'DISCONNECTED') throw error;
      return undefined;
    },
  );
  const [stream] = found?.streams ?? [];
  if (stream !== undefined) throw inboxInStream(prefix, say`the stream "${stream}"`);
}

/** Throws INBOX_IN_STREAM where one of a stream's subjects takes what is sent to the inbox. */
export function refuseInboxIn(prefix: string | undefined, subjects: readonly string[], stream: string): void {
  if (!prefix) return;
  const taken = subjects.find((subject) => overlap(subject, `${prefix}.>`));
  if (taken !== undefined) throw inboxInStream(prefix, say`the stream "${stream}" (${taken})`);
}

function inboxInStream(prefix: string, stream: string): FlowError {
  return new FlowError(
    'INBOX_IN_STREAM',
    say`The inbox prefix "${prefix}" is inside the subjects of ${stream}, which would store every answer as a message: choose a prefix outside in the jetstream-server node, for example _INBOX_app, and grant the user its subscription`,
    false,
  );
}

function noPong(): FlowError {
  return new FlowError('TIMEOUT', say`The server did not answer a ping within ${TIMEOUT / 1_000}s`);
}
