import { types } from 'node:util';
import { bytesOf } from './bytes';
import { FlowError, messageOf } from './errors';
import { isInexact, stringifyJson } from './json';
import { say } from './say';

/** What a template can name. `event.data` is the payload, `event.subject` the subject the event came on. */
export interface TemplateScope {
  msg: Record<string, unknown>;
  event: { data: unknown; subject: unknown };
  /** The value of an environment variable (of the flow, the subflow or the process), or undefined. */
  env: (name: string) => unknown;
}

export type Template = (scope: TemplateScope) => unknown;

/** The scope of one message. A message that came from elsewhere has its topic for a subject. */
export function templateScope(msg: object, env: (name: string) => unknown): TemplateScope {
  const { payload, topic, jetstream } = msg as Record<string, unknown>;
  const subject = (jetstream as { subject?: unknown } | null | undefined)?.subject ?? topic;
  return { msg: msg as Record<string, unknown>, event: { data: payload, subject }, env };
}

const EXPRESSION = /\{\{\s*([^{}]*?)\s*\}\}/g;
/** Expressions of one template. */
const MOST_EXPRESSIONS = 1_000;

/**
 * Compiles `{{payload.x}}`, `{{event.data.x}}`, `{{event.subject}}`, `{{env.X}}`, `{{msg.x}}`; any other first
 * name is a property of the message. A template that is one expression and nothing else keeps the value's
 * type; in a longer text null is written as nothing, a date in ISO's way, and an object as JSON.
 * A path that leads nowhere throws TEMPLATE_MISSING_PATH when rendered, a path that is none, or more than 1,000
 * expressions, INVALID_TEMPLATE when compiled, a value that can't be read, or has no JSON in a longer text,
 * TEMPLATE_VALUE; all are permanent.
 */
export function compileTemplate(text: string): Template {
  const [only, more] = expressionsOf(text);
  if (only && !more && only[0].length === text.trim().length) return compilePath(only[1] ?? '', text);
  return compileText(text);
}

/**
 * Compiles a template that always gives a text, also where it is one expression and nothing else. In a longer text
 * each value goes through `escape`. With `identifies` the text tells things apart: a number that may stand for several
 * is TEMPLATE_VALUE.
 */
export function compileText(
  text: string,
  {
    escape = (value) => value,
    identifies = false,
  }: { escape?: ((value: string) => string) | undefined; identifies?: boolean } = {},
): (scope: TemplateScope) => string {
  const expressions = expressionsOf(text);
  const first = expressions[0];
  if (first === undefined) return () => text;
  const readers = expressions.map((match) => compilePath(match[1] ?? '', text));
  const textOf = (value: unknown): string => {
    try {
      if (identifies && isInexact(value))
        throw new TypeError(say`${String(value)} is no exact number any more; hand it over as a text`);
      return asText(value);
    } catch (error) {
      throw new FlowError(
        'TEMPLATE_VALUE',
        say`The template "${text}" can't write a value of this message as text: ${messageOf(error)}`,
        false,
      );
    }
  };
  const [only] = readers;
  if (only && first[0].length === text.trim().length) return (scope) => textOf(only(scope));

  const literals: string[] = [];
  let end = 0;
  for (const match of expressions) {
    literals.push(text.slice(end, match.index));
    end = match.index + match[0].length;
  }
  const tail = text.slice(end);
  return (scope) => readers.map((read, i) => literals[i] + escape(textOf(read(scope)))).join('') + tail;
}

function expressionsOf(text: string): RegExpExecArray[] {
  const found: RegExpExecArray[] = [];
  for (const match of text.matchAll(EXPRESSION)) {
    if (found.push(match) > MOST_EXPRESSIONS)
      throw new FlowError(
        'INVALID_TEMPLATE',
        say`The template "${text.slice(0, 50)}…" has more than ${MOST_EXPRESSIONS} expressions; write what is that long in a function or template node`,
        false,
      );
  }
  return found;
}

/** What a template says before its first expression: no message can change it. */
export function literalStart(text: string): string {
  return text.slice(0, text.search(EXPRESSION) < 0 ? undefined : text.search(EXPRESSION));
}

function compilePath(path: string, template: string): Template {
  const keys = splitPath(path);
  if (keys === undefined) {
    throw new FlowError(
      'INVALID_TEMPLATE',
      say`"{{${path}}}" in the template "${template}" is not a path; write for example {{payload.name}}, {{payload.items[0].id}} or {{payload["first name"]}}`,
      false,
    );
  }
  const [root = '', ...rest] = keys;
  const missing = () =>
    new FlowError(
      'TEMPLATE_MISSING_PATH',
      say`The template "${template}" asks for ${path}, which this message doesn't have; send it, or correct the template`,
      false,
    );

  if (root === 'env') {
    const name = rest.join('.');
    return (scope) => scope.env(name) ?? raise(missing());
  }
  const read = (scope: TemplateScope): unknown => {
    let value: unknown = root === 'msg' ? scope.msg : root === 'event' ? scope.event : own(scope.msg, root);
    for (const key of rest) value = own(value, key);
    return value;
  };
  return (scope) => {
    let value: unknown;
    try {
      value = read(scope);
    } catch (error) {
      throw new FlowError(
        'TEMPLATE_VALUE',
        say`The template "${template}" can't read ${path} of this message: ${messageOf(error)}`,
        false,
      );
    }
    if (value === undefined) throw missing();
    return value;
  };
}

function own(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined;
}

/** a.b[0]["c d"] → ["a", "b", "0", "c d"]; undefined for anything else. */
function splitPath(path: string): string[] | undefined {
  const keys: string[] = [];
  const step = /(?:^|(?!^)\.)([^.[\]"'\s()#]+)|\[(\d+)\]|\[(?:"([^"]*)"|'([^']*)')\]/gy;
  let end = 0;
  for (const match of path.matchAll(step)) {
    keys.push(match[1] ?? match[2] ?? match[3] ?? match[4] ?? '');
    end = match.index + match[0].length;
  }
  return keys.length > 0 && end === path.length ? keys : undefined;
}

function asText(value: unknown): string {
  if (value === null) return '';
  if (types.isDate(value)) return value.toISOString();
  const bytes = bytesOf(value);
  if (bytes) return bytes.toString('utf8');
  if (typeof value === 'string') return value;
  if (typeof value === 'bigint') return String(value);
  const json = stringifyJson(value);
  if (json === undefined) throw new TypeError(say`a ${typeof value} has no text`);
  return json;
}

function raise(error: Error): never {
  throw error;
}
