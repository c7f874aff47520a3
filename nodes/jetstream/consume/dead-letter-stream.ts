import { FlowError } from '../../shared/errors';
import { readPubAck } from '../publish/pub-ack';
import { headerLine, rawHeaders } from '../publish/raw-headers';
import { jsApi } from '../server/api';
import type { NatsConnection } from '../server/nats';
import { provisionStream, type Provisioned } from '../streams/provision';
import { labelOf, say } from '../../shared/say';

const PROBE_TIMEOUT = 2_000;

/** The stream of the account that takes a subject. Throws FlowError where that may not be asked. */
export async function streamTaking(
  nc: NatsConnection,
  domain: string | undefined,
  subject: string,
): Promise<string | undefined> {
  const { streams } = await jsApi<{ streams: string[] | null }>(nc, domain, 'STREAM.NAMES', { subject });
  return streams?.[0];
}

/**
 * Makes the stream `name` where that is asked for, and sees to it that some stream takes dead letters: throws
 * NO_DEAD_LETTER_STREAM, and what provisioning throws. Where it can't be told, it is taken for granted.
 */
export async function ensureDeadLetterStream(
  nc: NatsConnection,
  domain: string | undefined,
  subject: string,
  name: string | undefined,
): Promise<Provisioned | undefined> {
  if (name) return provisionStream(nc, domain, { name, subjects: [subject] });
  const taken = await streamTaking(nc, domain, subject).catch(() => 'unknown');
  if (taken !== undefined || (await takesElsewhere(nc, subject))) return undefined;
  throw new FlowError(
    'NO_DEAD_LETTER_STREAM',
    say`No stream takes the dead letter subject "${subject}": name one in "${labelOf('jetstream-in', 'deadLetterStream')}", which makes it, or give the subject to a stream; until then messages that are given up stay unacknowledged`,
  );
}

/**
 * A stream of another account or domain may take it by an import. One that does refuses a message that says it is for
 * another stream, and stores nothing.
 */
async function takesElsewhere(nc: NatsConnection, subject: string): Promise<boolean> {
  const headers = rawHeaders(headerLine('Nats-Expected-Stream', `${subject}?`));
  try {
    const said = readPubAck(await nc.request(subject, undefined, { timeout: PROBE_TIMEOUT, headers }));
    return said !== undefined;
  } catch (error) {
    // Nobody there. Anything else says nothing.
    return (error as { code?: string }).code !== '503';
  }
}
