import { headerOf, type DeadLetter, type StoredLetter } from '../../shared/dead-letters';
import { codeOf, FlowError, messageOf } from '../../shared/errors';
import { describeNode, type Failure } from '../../shared/flow/delivery';
import { parseJson, stringifyJson } from '../../shared/json';
import type { ReceivedEvent } from '../pubsub/subscription';
import { say } from '../../shared/say';

/** The event's fields as JSON, or what it is made of where it can't be read (Avro), with what went wrong. */
export function eventLetter(
  topic: string,
  { replayId, id, schemaId, payload, bytes }: ReceivedEvent,
  { error, node }: Failure,
  deliveries: number,
): DeadLetter {
  return {
    id: `dead.${topic}.${replayId}`,
    payload: payload === undefined ? (bytes ?? '') : (stringifyJson(payload) ?? ''),
    headers: [
      ['Jetforce-Replay-Id', replayId],
      ['Jetforce-Topic', topic],
      ['Jetforce-Code', codeOf(error)],
      ['Jetforce-Event-Id', id],
      ['Jetforce-Schema-Id', schemaId],
      ['Jetforce-Deliveries', String(deliveries)],
      ['Jetforce-Failed-At', new Date().toISOString()],
      ['Jetforce-Error', node ? `${describeNode(node)}: ${messageOf(error)}` : messageOf(error)],
    ],
  };
}

/** Whether the letter is of an event of this topic. */
export function isLetterOf(letter: StoredLetter, topic: string): boolean {
  return headerOf(letter, 'Jetforce-Topic') === topic;
}

/** The event as it was. Throws BAD_PAYLOAD for one that could not be read: nothing here can do that. */
export function eventOf(
  letter: StoredLetter,
): Pick<ReceivedEvent, 'replayId' | 'id' | 'schemaId'> & { payload: Record<string, unknown> } {
  try {
    return {
      replayId: headerOf(letter, 'Jetforce-Replay-Id'),
      id: headerOf(letter, 'Jetforce-Event-Id'),
      schemaId: headerOf(letter, 'Jetforce-Schema-Id'),
      payload: parseJson(Buffer.from(letter.payload).toString('utf8')) as Record<string, unknown>,
    };
  } catch {
    throw new FlowError(
      'BAD_PAYLOAD',
      say`The dead letter holds an event as it came from the org (Avro), because its schema could not be read`,
      false,
    );
  }
}
