import { parseTime } from '../time';
import { parseDuration, parseDurations } from '../duration';

/** A text of all forms (shared/editor/texts), or `wrong.…` of a node's own locales. */
export type FaultText = keyof typeof import('../editor/texts/en-US.json') | `wrong.${string}`;

/** What is wrong with a value. It never quotes the value: the editor shows these sentences as HTML. */
export interface Fault {
  text: FaultText;
  values?: Record<string, string | number>;
  /** The part of a setting that is meant. */
  part?: string;
}

/** What a text must look like. */
export interface Format {
  /** Says what it must be. */
  readonly fault: Fault;
  readonly check: (text: string) => Fault | undefined;
}

export function format(text: FaultText, matches: (text: string) => boolean): Format {
  const fault = { text };
  return { fault, check: (typed) => (matches(typed) ? undefined : fault) };
}

export const duration = format('duration', (text) => succeeds(() => parseDuration(text)));

export const durations = format('durations', (text) => succeeds(() => parseDurations(text)));

export const template = format(
  'template',
  (text) => !/\{\{|\}\}/.test(text.replace(/\{\{\s*[^{}]*[^{}\s]\s*\}\}/g, '')),
);

/** A subject to publish to; templates stand for one or more tokens. */
export const subject: Format = {
  fault: { text: 'subject' },
  check: (text) =>
    template.check(text) ??
    (isSubject(text.replace(/\{\{[^{}]*\}\}/g, 'x')) ? undefined : { text: 'subject' }),
};

/** A subject that is the same for each message. */
export const plainSubject = format('subject', isSubject);

/** One or several subject filters, separated by commas or blanks. */
export const filters = format('filter', (text) => listOf(text).every(isFilter));

/** The name of a stream, a durable or a domain. */
export const natsName = format('natsName', (text) => !/[\s.*>/\\]/.test(text));

export const bucketName = format('bucketName', (text) => /^[-\w]+$/.test(text));

/** What NATS takes as a header's name: visible ASCII without a colon. */
export const headerName = format('headerName', (text) => /^[!-9;-~]+$/.test(text));

/** A header's name, into which each message may fill its own values. */
export const headerNameTemplate: Format = {
  fault: headerName.fault,
  check: (text) => template.check(text) ?? headerName.check(text.replace(/\{\{[^{}]*\}\}/g, 'x')),
};

/** The name of a field in a payload, or of one within another: "Account.ExternalId__c". */
export const fieldName = format(
  'fieldReserved',
  (text) => !text.split('.').some((key) => ['__proto__', 'constructor', 'prototype'].includes(key)),
);

export const time = format('time', (text) => !Number.isNaN(parseTime(text)));

/** A login may stand in front of a host; how it is written is its own business. */
export const servers = format('servers', (text) =>
  text
    .split(',')
    .every((one) => /^\s*(\w+:\/\/)?(\S+@)?(\[[\da-f:.]+\]|[^\s:/@]+)(:\d{1,5})?\/?\s*$/i.test(one)),
);

export const url = format('url', (text) => /^https?:\/\/[^\s/]+/i.test(text));

export const endpoint = format(
  'endpoint',
  (text) =>
    /^[^\s:/]+:\d{1,5}$/.test(text) || /^http:\/\/(127\.0\.0\.1|localhost|\[::1\]):\d{1,5}\/?$/.test(text),
);

/** The API name of an sObject or field. */
export const apiName = format('apiName', (text) => /^\w+$/.test(text));

/** Field names separated by commas; those of a parent with dots. */
export const apiNames = format('apiName', (text) => listOf(text).every((name) => /^\w+(\.\w+)*$/.test(name)));

export const apiVersion = format('apiVersion', (text) => /^\d{2,3}\.0$/.test(text));

/** The topic of an event that can be published. */
export const eventTopic = format('eventTopic', (text) => /^\/event\/\w+(?<!__chn)$/.test(text));

/** Any topic that can be read: a platform event, change events, a channel of one's own. */
export const topic = format('topic', (text) => /^\/(event|data)\/\w+$/.test(text));

export const jsonObject = format('jsonObject', (text) => {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed);
  } catch {
    return false;
  }
});

/** "a, b c" → the list of its parts. */
export function listOf(typed: string): string[] {
  return typed.split(/[\s,]+/).filter((part) => part !== '');
}

function isSubject(text: string): boolean {
  return text.split('.').every((token) => token !== '' && !/[\s*>\u0000-\u001f\u007f]/.test(token));
}

function isFilter(text: string): boolean {
  const tokens = text.split('.');
  return tokens.every(
    (token, i) =>
      token === '*' ||
      (token === '>' && i === tokens.length - 1) ||
      (token !== '' && !/[\s*>\u0000-\u001f\u007f]/.test(token)),
  );
}

export function succeeds(parse: () => unknown): boolean {
  try {
    parse();
    return true;
  } catch {
    return false;
  }
}
