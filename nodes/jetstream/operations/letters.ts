import { headerOf, type StoredLetter } from '../../shared/dead-letters';
import { ownHeadersOf } from '../../shared/flow/stored-letter';
import { isoTime, type JetStreamProperties } from '../consume/message';

/** Whether the letter is of this durable. */
export function isLetterOf(letter: StoredLetter, stream: string, durable: string): boolean {
  return headerOf(letter, 'Jetforce-Stream') === stream && headerOf(letter, 'Jetforce-Consumer') === durable;
}

/** As the message was when it was delivered before, one delivery later. */
export function letterProperties(
  letter: StoredLetter,
  deliveries: number,
  token: string,
): JetStreamProperties {
  // The id of a dead letter ends with the time of the message, in ns.
  const [, ns = ''] = /^dead\.[^.]*\.[^.]*\.\d+\.(\d+)/.exec(headerOf(letter, 'Nats-Msg-Id')) ?? [];
  const headers = ownHeadersOf(letter).map(([name, values]) => [
    name,
    values.length === 1 ? values[0] : [...values],
  ]);
  return {
    stream: headerOf(letter, 'Jetforce-Stream'),
    consumer: headerOf(letter, 'Jetforce-Consumer'),
    subject: headerOf(letter, 'Jetforce-Subject'),
    sequence: Number(headerOf(letter, 'Jetforce-Sequence')),
    deliveries,
    pending: 0,
    timestamp: ns ? isoTime(ns.slice(0, -6)) : letter.at,
    headers: Object.fromEntries(headers) as JetStreamProperties['headers'],
    token,
  };
}
