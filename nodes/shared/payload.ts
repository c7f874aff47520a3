import type { Node, NodeAPI, NodeMessage } from 'node-red';
import { FlowError, messageOf } from './errors';
import { DEEPEST, exactNumber, isTooDeep, parseJson } from './json';
import { fieldName } from './settings/formats';
import { compileTemplate, templateScope } from './template';
import { say } from './say';

export type FieldType =
  'str' | 'num' | 'bool' | 'json' | 'msg' | 'flow' | 'global' | 'env' | 'jsonata' | 'template';

export interface PayloadField {
  /** The field's API name; "Account.ExternalId__c" makes the nested object a relationship needs. */
  name: string;
  type: FieldType;
  value: string;
}

/** "event": msg.payload as it is. "map": a record (or one for each element of an array payload) from fields. */
export type PayloadConfig = { mode: 'event' } | { mode: 'map'; fields: PayloadField[] };

/** Gives the payload of a message: at once, or a promise where a field needs JSONata or an async context. */
export type PayloadOf = (msg: NodeMessage) => unknown;

type FieldValue = (msg: NodeMessage) => unknown;

/**
 * Throws BAD_PAYLOAD for what nests deeper than the runtime survives, or holds itself: the results carry the records,
 * and would be copied after all has been written.
 */
export function refuseTooDeep<T>(payload: T): T {
  if (!isTooDeep(payload)) return payload;
  throw new FlowError(
    'BAD_PAYLOAD',
    say`The payload nests arrays and objects deeper than ${DEEPEST} levels, or holds itself, which Node-RED does not survive; nothing was sent. Make it flat`,
    false,
  );
}

/**
 * Compiles the payload setting of a node. With a map every field must have a value: what leads nowhere is an
 * error, permanent (TEMPLATE_MISSING_PATH, FIELD_VALUE), because an omitted field is a record silently wrong.
 * Only JSONata may leave a field out on purpose, by giving nothing. Throws when a field can't be compiled.
 */
export function compilePayload(RED: NodeAPI, node: Node, config: PayloadConfig): PayloadOf {
  if (config.mode !== 'map') return (msg) => msg.payload;
  const fields = config.fields.map((field) => ({
    path: field.name.trim().split('.'),
    value: compileField(RED, node, field),
  }));
  const build = (values: unknown[]) => {
    const record = bareRecord();
    fields.forEach((field, i) => setField(record, field.path, values[i]));
    return record;
  };
  const atOnce = (msg: NodeMessage) => build(fields.map((field) => field.value(msg)));
  const inTime = async (msg: NodeMessage) =>
    build(await Promise.all(fields.map(({ value }) => Promise.resolve(msg).then(value))));

  if (config.fields.some((field) => ASYNCHRONOUS.has(field.type))) {
    return (msg) => (Array.isArray(msg.payload) ? Promise.all(elementsOf(msg).map(inTime)) : inTime(msg));
  }
  return (msg) => (Array.isArray(msg.payload) ? elementsOf(msg).map(atOnce) : atOnce(msg));
}

const ASYNCHRONOUS: ReadonlySet<FieldType> = new Set<FieldType>(['flow', 'global', 'jsonata']);

/** Messages as if each had carried one element alone: a batch's subjects and sequences come as arrays too. */
function elementsOf(msg: NodeMessage): NodeMessage[] {
  const { jetstream } = msg as { jetstream?: Record<string, unknown> };
  return (msg.payload as unknown[]).map((payload, i) => {
    if (jetstream === undefined) return { ...msg, payload };
    const own = Object.entries(jetstream).map(([key, value]) => [
      key,
      Array.isArray(value) ? (value[i] as unknown) : value,
    ]);
    return { ...msg, payload, jetstream: Object.fromEntries(own) as unknown };
  });
}

function compileField(RED: NodeAPI, node: Node, field: PayloadField): FieldValue {
  if (fieldName.check(field.name.trim()))
    throw new FlowError(
      'FIELD_VALUE',
      say`"${field.name}" is not the name of a field: __proto__, constructor and prototype are JavaScript's own; rename it in the field map`,
      false,
    );
  const { name, type, value } = field;
  const env = (variable: string): unknown => RED.util.getSetting(node, variable);
  const failure = (why: string) =>
    new FlowError(
      'FIELD_VALUE',
      say`The field ${name} can't be filled from ${type} "${value}": ${why}`,
      false,
    );
  const required = (found: unknown): unknown => {
    if (found === undefined) throw failure(say`there is no such value; provide it, or correct the field map`);
    return found;
  };

  switch (type) {
    case 'template': {
      const template = compileTemplate(value);
      return (msg) => template(templateScope(msg, env));
    }
    case 'env':
      return () => required(env(value.replace(/^\$\{(.*)\}$/, '$1')));
    case 'num': {
      if (value.trim() === '' || Number.isNaN(Number(value))) throw failure(say`that is not a number`);
      return () => exactNumber(value.trim());
    }
    case 'json': {
      try {
        parseJson(value);
      } catch (error) {
        throw failure(messageOf(error));
      }
      return () => parseJson(value);
    }
    case 'jsonata': {
      const expression = prepare(() => RED.util.prepareJSONataExpression(value, node), failure);
      return (msg) => settled(failure, (done) => RED.util.evaluateJSONataExpression(expression, msg, done));
    }
    case 'flow':
    case 'global':
      return (msg) =>
        settled(failure, (done) => RED.util.evaluateNodeProperty(value, type, node, msg, done)).then(
          required,
        );
    case 'msg':
      return (msg) => {
        // Node-RED throws where a part of the path in between is missing, and gives undefined at its end.
        const found = prepare(
          () => RED.util.evaluateNodeProperty(value, type, node, msg) as unknown,
          failure,
        );
        return required(found);
      };
    case 'str':
    case 'bool':
      return (msg) => RED.util.evaluateNodeProperty(value, type, node, msg) as unknown;
    default:
      throw failure(say`${String(type)} is not a type of value`);
  }
}

function prepare<T>(make: () => T, failure: (why: string) => FlowError): T {
  try {
    return make();
  } catch (error) {
    throw failure(messageOf(error));
  }
}

function settled(
  failure: (why: string) => FlowError,
  run: (done: (error: Error | null, result: unknown) => void) => void,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const failed = (error: unknown): void => reject(failure(messageOf(error)));
    try {
      run((error, result) => (error ? failed(error) : resolve(result)));
    } catch (error) {
      failed(error);
    }
  });
}

/** Without a prototype there is nothing to reach but what the fields make. */
function bareRecord(): Record<string, unknown> {
  return Object.create(null) as Record<string, unknown>;
}

function setField(record: Record<string, unknown>, path: string[], value: unknown): void {
  if (value === undefined) return;
  let target = record;
  for (const key of path.slice(0, -1)) {
    target[key] ??= bareRecord();
    target = target[key] as Record<string, unknown>;
  }
  target[path.at(-1) ?? ''] = value;
}
