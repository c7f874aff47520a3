import { headerOf, type DeadLetter, type StoredLetter } from '../dead-letters';
import { codeOf, messageOf } from '../errors';
import { describeNode, type Failure } from './delivery';

/** Bytes of a payload that a list shows. */
const PREVIEW = 2_000;

/** A letter as it is listed. */
export interface ListedLetter {
  sequence: number;
  at: string;
  headers: Record<string, string>;
  /** The beginning of the payload as text. */
  payload: string;
}

/** How often it was delivered before it was given up. */
export function deliveriesOf(letter: StoredLetter): number {
  return countIn(letter, 'Jetforce-Deliveries');
}

/** The sender's own headers: what isn't of this pack or for the server. */
export function ownHeadersOf({ headers }: StoredLetter): [name: string, values: string[]][] {
  return [...headers].filter(([name]) => !/^(nats|jetforce)-/i.test(name));
}

function countIn(letter: StoredLetter, name: string): number {
  const count = Number(headerOf(letter, name));
  return Number.isSafeInteger(count) && count > 0 ? count : 0;
}

/** The letter with its history, one failure longer. Its id is the same however often that is tried. */
export function again(letter: StoredLetter, { error, node }: Failure): DeadLetter {
  const changed: [string, string][] = [
    ['Jetforce-Code', codeOf(error)],
    ['Jetforce-Deliveries', String(deliveriesOf(letter) + 1)],
    ['Jetforce-Replays', String(countIn(letter, 'Jetforce-Replays') + 1)],
    [
      'Jetforce-First-Failed-At',
      headerOf(letter, 'Jetforce-First-Failed-At') || headerOf(letter, 'Jetforce-Failed-At'),
    ],
    ['Jetforce-Failed-At', new Date().toISOString()],
    ['Jetforce-Error', node ? `${describeNode(node)}: ${messageOf(error)}` : messageOf(error)],
  ];
  const names = new Set(changed.map(([name]) => name));
  const kept = [...letter.headers]
    .filter(([name]) => /^jetforce-/i.test(name) && !names.has(name))
    .map(([name, values]): [string, string] => [name, values[0] ?? '']);
  const [first = ''] = headerOf(letter, 'Nats-Msg-Id').split('.again.');
  return {
    id: `${first}.again.${letter.sequence}`,
    payload: letter.payload,
    headers: [...kept, ...changed],
    others: ownHeadersOf(letter),
  };
}

export function listed(letter: StoredLetter): ListedLetter {
  const headers = [...letter.headers].map(([name, values]) => [name, values.join(', ')]);
  const { sequence, at, payload } = letter;
  const text = Buffer.from(payload.subarray(0, PREVIEW)).toString('utf8');
  return {
    ...{ sequence, at, headers: Object.fromEntries(headers) as Record<string, string> },
    payload: payload.length > PREVIEW ? `${text}…` : text,
  };
}
