import { FlowError } from '../../shared/errors';
import { natsName } from '../../shared/settings/formats';
import { say } from '../../shared/say';

/** The longest subject a server takes, in bytes. (facts: nats-server's max control line is 4,096) */
const LONGEST = 4_000;
/** Of what nearly all subjects are made: looking for each fault takes six times as long. */
const PLAIN = /^[\w:%/-]+(?:\.[\w:%/-]+)*$/;

/** Throws INVALID_SUBJECT for a subject that nothing may be published to. The client itself checks nothing. */
export function checkPublishSubject(subject: string): void {
  if (PLAIN.test(subject) && subject.length <= LONGEST) return;
  const fault = faultOf(subject) ?? (/(^|\.)[*>](\.|$)/.test(subject) ? say`holds a wildcard` : undefined);
  if (fault) throw invalid(subject, fault);
}

/** Throws INVALID_SUBJECT for a filter that no server would take; wildcards are fine. */
export function checkFilterSubject(subject: string): void {
  const fault = faultOf(subject) ?? (/(^|\.)>\./.test(subject) ? say`has ">" before its end` : undefined);
  if (fault) throw invalid(subject, fault);
}

/** The name of a stream. Throws INVALID_STREAM_NAME. */
export function checkStreamName(name: string): string {
  if (name !== '' && natsName.check(name) === undefined) return name;
  throw new FlowError(
    'INVALID_STREAM_NAME',
    say`"${name}" is not a stream name: it may hold no blanks, dots, slashes, * or >`,
    false,
  );
}

/** The name of a durable. Throws INVALID_DURABLE. */
export function checkDurableName(name: string): string {
  if (name !== '' && natsName.check(name) === undefined) return name;
  throw new FlowError(
    'INVALID_DURABLE',
    say`"${name}" is not a durable name: it is needed, and may hold no blanks, dots, slashes, * or >`,
    false,
  );
}

function faultOf(subject: string): string | undefined {
  if (subject === '') return say`is empty`;

  if (/[\s\u0000-\u001f\u007f]/.test(subject)) return say`holds a blank or a control character`;
  if (/\p{Cs}/u.test(subject)) return say`holds half of a character`;
  if (subject.startsWith('.') || subject.endsWith('.') || subject.includes('..'))
    return say`has an empty token`;
  if (new TextEncoder().encode(subject).length > LONGEST) return say`is longer than ${LONGEST} bytes`;
  return undefined;
}

function invalid(subject: string, fault: string): FlowError {
  const shown = subject.length > 120 ? `${subject.slice(0, 120)}…` : subject;
  return new FlowError(
    'INVALID_SUBJECT',
    say`The subject ${JSON.stringify(shown)} ${fault}: tokens are joined by dots, for example crm.contacts.upsert`,
    false,
  );
}

/** "a.>, b.*" or several lines → the list, each checked as a filter. */
export function parseSubjects(text: string | string[] | undefined): string[] {
  const list = (Array.isArray(text) ? text : (text ?? '').split(/[\s,]+/))
    .map((subject) => subject.trim())
    .filter((subject) => subject !== '');
  for (const subject of list) checkFilterSubject(subject);
  return list;
}

/** Whether every subject that `inner` matches is matched by `outer` too; both may hold wildcards. */
export function covers(outer: string, inner: string): boolean {
  const outerTokens = outer.split('.');
  const innerTokens = inner.split('.');
  for (const [index, token] of outerTokens.entries()) {
    const other = innerTokens[index];
    if (token === '>') return other !== undefined;
    if (other === undefined || other === '>') return false;
    if (token !== '*' && token !== other) return false;
  }
  return outerTokens.length === innerTokens.length;
}

/** Whether some subject is matched by both. */
export function overlap(a: string, b: string): boolean {
  const aTokens = a.split('.');
  const bTokens = b.split('.');
  for (let index = 0; ; index++) {
    const [left, right] = [aTokens[index], bTokens[index]];
    if (left === undefined || right === undefined) return left === right;
    if (left === '>' || right === '>') return true;
    if (left !== right && left !== '*' && right !== '*') return false;
  }
}
