import { FlowError, codeOf, messageOf } from '../shared/errors';
import type { Failure } from '../shared/delivery';
import { describeNode } from '../shared/delivery';
import { explainPublish } from './publish-errors';
import type { DeliveryInfo } from './message';
import type { Msg, NatsConnection } from './nats';

const TIMEOUT = 5_000;
/** Header values are one line, and a server takes 64 KB of headers at most. */
const LONGEST_HEADER = 2_000;

/**
 * Publishes the original payload and headers to the dead letter subject, with what went wrong. Resolves after
 * the PubAck, so that only then the message is given up; throws FlowError when it can't be stored.
 */
export async function publishDeadLetter(
  nc: NatsConnection,
  domain: string | undefined,
  subject: string,
  msg: Msg,
  info: DeliveryInfo,
  failure: Failure,
): Promise<void> {
  const nats = await import('./nats.js');
  const headers = nats.headers();
  for (const [key, values] of msg.headers ?? []) {
    // The original's own id, expectations and orders were meant for its own stream.
    if (/^nats-(msg-id|expected-|ttl|rollup|batch-|schedule|incr|required-)/i.test(key)) continue;
    for (const value of values) headers.append(key, value);
  }
  const { error, node } = failure;
  headers.set(
    'Jetforce-Error',
    oneLine(node ? `${describeNode(node)}: ${messageOf(error)}` : messageOf(error)),
  );
  headers.set('Jetforce-Code', oneLine(codeOf(error)));
  headers.set('Jetforce-Stream', info.stream);
  headers.set('Jetforce-Consumer', info.consumer);
  headers.set('Jetforce-Subject', msg.subject);
  headers.set('Jetforce-Sequence', String(info.sequence));
  headers.set('Jetforce-Deliveries', String(info.deliveries));
  headers.set('Jetforce-Failed-At', new Date().toISOString());
  // The same message given up twice (a lost term, a crash in between) is stored once.
  const msgID = `dead.${info.stream}.${info.consumer}.${info.sequence}.${info.timestamp}`;
  try {
    await nc
      .jetstream(domain ? { domain } : {})
      .publish(subject, msg.data, { headers, msgID, timeout: TIMEOUT });
  } catch (thrown) {
    const reason = explainPublish(thrown, subject, msg.data.length, domain);
    throw new FlowError(
      'DEAD_LETTER_FAILED',
      `The dead letter could not be written, so the message stays: ${reason.message}`,
      true,
      { cause: thrown },
    );
  }
}

function oneLine(text: string): string {
  const line = text.replace(/[\u0000-\u001f\u007f]+/g, ' ').trim();
  return line.length > LONGEST_HEADER ? `${line.slice(0, LONGEST_HEADER)}…` : line;
}
