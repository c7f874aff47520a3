import { parseDuration, parseDurations } from '../duration';
import { parseTime } from '../time';
import { listOf } from './form';
import { text } from './text';

/** True, or what is wrong. Never quotes the value: the editor shows these sentences as HTML. */
export type Verdict = true | string;
type Check = (value: string) => Verdict;

/**
 * A property's `validate` from a check. Nothing typed is fine here (`required` is the property's own business),
 * and so is an environment variable. The second parameter is what makes the editor show the sentence.
 */
export function validator(check: Check) {
  return function (this: EditorNode, value: unknown, opt?: { label?: string }): Verdict {
    const typed = asText(value).trim();
    if (typed === '' || /^\$\{\w+\}$/.test(typed)) return true;
    const verdict = check(typed);
    return verdict === true || !opt?.label ? verdict : `${opt.label}: ${verdict}`;
  };
}

/** As `validator`, for a property that must be filled in while `when` holds of the form or the saved node. */
export function requiredWhen(when: (node: EditorNode) => boolean, check: Check = () => true) {
  const validate = validator(check);
  return function (this: EditorNode, value: unknown, opt?: { label?: string }): Verdict {
    if (!when(this)) return true;
    if (asText(value).trim() !== '') return validate.call(this, value, opt);
    return opt?.label ? `${opt.label}: ${text('required')}` : text('required');
  };
}

/** As `requiredWhen`, for a property that refers to a config node. */
export function configWhen(when: (node: EditorNode) => boolean) {
  return function (this: EditorNode, id: unknown, opt?: { label?: string }): Verdict {
    if (!when(this)) return true;
    const config = RED.nodes.node(asText(id));
    if (config && config['valid'] !== false) return true;
    const sentence = config ? text('configWrong') : text('required');
    return opt?.label ? `${opt.label}: ${sentence}` : sentence;
  };
}

/** The value of a property: what its form shows while it is open, else what is saved. */
export function currentValue(node: EditorNode, property: string): unknown {
  const open = RED.editor.getEditStack().some((edited) => edited.id === node.id);
  const input = open ? $(`#node-input-${property}, #node-config-input-${property}`) : $();
  if (input.length === 0) return node[property] ?? node.credentials?.[property];
  return input.attr('type') === 'checkbox' ? input.prop('checked') : input.val();
}

export const duration: Check = (value) => succeeds(() => parseDuration(value)) || text('duration');

export const durations: Check = (value) => succeeds(() => parseDurations(value)) || text('durations');

/** Bytes, as a number or with a unit: 2147483648, 512KiB, 2 GB. */
export const size: Check = (value) => /^(-1|\d+(\.\d+)?\s*([kmgt](i?b)?|b)?)$/i.test(value) || text('size');

export function whole(min: number, max?: number): Check {
  return (value) => {
    const inside =
      /^-?\d+$/.test(value) && Number(value) >= min && (max === undefined || Number(value) <= max);
    return inside || (max === undefined ? text('whole', { min }) : text('wholeUpTo', { min, max }));
  };
}

/** A subject to publish to; templates stand for one or more tokens. */
export const subject: Check = (value) => {
  const verdict = template(value);
  if (verdict !== true) return verdict;
  return isSubject(value.replace(/\{\{[^{}]*\}\}/g, 'x')) || text('subject');
};

/** One or several subject filters, separated by commas or blanks. */
export const filters: Check = (value) => listOf(value).every(isFilter) || text('filter');

/** The name of a stream, a durable or a domain. */
export const natsName: Check = (value) => !/[\s.*>/\\]/.test(value) || text('natsName');

export const bucketName: Check = (value) => /^[-\w]+$/.test(value) || text('bucketName');

export const template: Check = (value) =>
  !/\{\{|\}\}/.test(value.replace(/\{\{\s*[^{}]*[^{}\s]\s*\}\}/g, '')) || text('template');

export const time: Check = (value) => !Number.isNaN(parseTime(value)) || text('time');

export const servers: Check = (value) =>
  value.split(',').every((one) => /^\s*(\w+:\/\/)?(\[[\da-f:.]+\]|[^\s:/@]+)(:\d{1,5})?\/?\s*$/i.test(one)) ||
  text('servers');

export const url: Check = (value) => /^https?:\/\/[^\s/]+/i.test(value) || text('url');

export const endpoint: Check = (value) =>
  /^[^\s:/]+:\d{1,5}$/.test(value) ||
  /^http:\/\/(127\.0\.0\.1|localhost|\[::1\]):\d{1,5}\/?$/.test(value) ||
  text('endpoint');

/** The API name of an sObject or field. */
export const apiName: Check = (value) => /^\w+$/.test(value) || text('apiName');

/** Field names separated by commas; those of a parent with dots. */
export const apiNames: Check = (value) =>
  listOf(value).every((name) => /^\w+(\.\w+)*$/.test(name)) || text('apiName');

export const apiVersion: Check = (value) => /^\d{2,3}\.0$/.test(value) || text('apiVersion');

/** The topic of an event that can be published. */
export const eventTopic: Check = (value) => /^\/event\/\w+(?<!__chn)$/.test(value) || text('eventTopic');

/** Any topic that can be read: a platform event, change events, a channel of one's own. */
export const topic: Check = (value) => /^\/(event|data)\/\w+$/.test(value) || text('topic');

export const jsonObject: Check = (value) => {
  try {
    const parsed: unknown = JSON.parse(value);
    return (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) || text('jsonObject');
  } catch {
    return text('jsonObject');
  }
};

function isSubject(value: string): boolean {
  return value.split('.').every((token) => token !== '' && !/[\s*>]/.test(token));
}

function isFilter(value: string): boolean {
  const tokens = value.split('.');
  return tokens.every(
    (token, i) =>
      token === '*' || (token === '>' && i === tokens.length - 1) || (token !== '' && !/[\s*>]/.test(token)),
  );
}

function succeeds(parse: () => unknown): boolean {
  try {
    parse();
    return true;
  } catch {
    return false;
  }
}

function asText(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}
