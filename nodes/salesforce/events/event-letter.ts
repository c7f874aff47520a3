import type { DeadLetter } from '../../shared/dead-letters';
import { codeOf, messageOf } from '../../shared/errors';
import { describeNode, type Failure } from '../../shared/flow/delivery';
import { stringifyJson } from '../../shared/json';
import type { ReceivedEvent } from '../pubsub/subscription';

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
