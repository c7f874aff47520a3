import type { ValidateFunction } from 'ajv';
import { FlowError } from '../../../shared/errors';
import { nearest } from '../../../shared/nearest';
import type { Declaration } from './declaration';
import schema from './declaration.schema.json';
import { lineOf, syntaxErrorLine } from './json-lines';
import { say } from '../../../shared/say';

/** What is wrong with a text, and where. */
export interface Problem {
  /** From 1. */
  line: number;
  /** "collections.gadgets.list", "" for the whole. */
  path: string;
  message: string;
}

type Checked = { declaration: Declaration } | { problem: Problem };

let validate: ValidateFunction<Declaration> | undefined;

/**
 * The declaration that a text holds. Throws INVALID_DECLARATION in words with the line and the path of what is wrong.
 * It is known as "custom", whatever it calls itself.
 */
export function readDeclaration(text: string): Declaration {
  const checked = checkDeclaration(text);
  if ('declaration' in checked) return checked.declaration;
  const { line, path, message } = checked.problem;
  throw new FlowError(
    'INVALID_DECLARATION',
    say`The declaration of the API can't be used: line ${line}, ${path || say`the whole`}: ${message}`,
    false,
  );
}

export function checkDeclaration(text: string): Checked {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return {
      problem: { line: syntaxErrorLine(text), path: '', message: say`it is no JSON` },
    };
  }
  validate ??= compile();
  const at = (pointer: string, message: string): Checked => ({
    problem: { line: lineOf(text, pointer), path: pointer.slice(1).replaceAll('/', '.'), message },
  });
  if (!validate(value)) {
    const error = deepest(validate.errors ?? []);
    return at(error.instancePath ?? '', inWords(error));
  }
  const senseless = firstSenseless(value);
  return senseless ? at(...senseless) : { declaration: { ...value, name: 'custom' } };
}

type SchemaError = Partial<NonNullable<ValidateFunction['errors']>[number]>;

/** By the keyword of the schema, with what its parameters name. */
const SENTENCES: Record<string, { names: string; say: (name: string) => string } | undefined> = {
  additionalProperties: { names: 'additionalProperty', say: (name) => say`“${name}” isn't known here` },
  required: { names: 'missingProperty', say: (name) => say`“${name}” is missing` },
  discriminator: { names: 'tag', say: (name) => say`“${name}” is missing, or isn't known` },
  enum: { names: 'allowedValues', say: (name) => say`has to be one of: ${name}` },
  type: { names: 'type', say: (name) => say`has to be of the type ${name}` },
  minimum: { names: 'limit', say: (name) => say`has to be ${name} at least` },
  minItems: { names: 'limit', say: () => say`needs an entry at least` },
  minProperties: { names: 'limit', say: () => say`needs an entry at least` },
  pattern: { names: 'pattern', say: () => say`has to be a duration, such as 30s, 5m or 1h` },
};

function inWords({ keyword = '', message = say`is wrong`, params = {} }: SchemaError): string {
  const sentence = SENTENCES[keyword];
  if (!sentence) return message;
  const found = (params as Record<string, unknown>)[sentence.names];
  return sentence.say(Array.isArray(found) ? found.join(', ') : String(found));
}

/** Loaded only where somebody declares an API. */
function compile(): ValidateFunction<Declaration> {
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const { Ajv } = require('ajv') as typeof import('ajv');
  return new Ajv({ allErrors: true, allowUnionTypes: true, discriminator: true }).compile<Declaration>(
    schema,
  );
}

/** What no schema can tell: what has to be there for something else to work. */
function firstSenseless({ collections }: Declaration): [pointer: string, message: string] | undefined {
  const names = Object.keys(collections);
  for (const [name, { of, list, changes, read }] of Object.entries(collections)) {
    const pointer = `/collections/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    if ((list.get ?? list.post) === undefined)
      return [`${pointer}/list`, say`needs a path: “get”, or “post” with a “body”`];
    if (of !== undefined && !names.includes(of)) {
      const close = nearest(of, names);
      const message = close
        ? say`there is no collection “${of}”; do you mean “${close}”?`
        : say`there is no collection “${of}”`;
      return [`${pointer}/of`, message];
    }
    if ((changes?.hydrate || changes?.events) && !read)
      return [`${pointer}/changes`, say`only tells ids: “read” has to say how records are read by them`];
    if (changes?.events && !changes.list)
      return [`${pointer}/changes`, say`has events, so it needs a “list” of its own`];
  }
  return undefined;
}

/** Of several, as for each alternative, that which got farthest; a name mistyped before the one that it leaves out. */
function deepest(errors: readonly SchemaError[]): SchemaError {
  const depth = ({ instancePath = '', keyword }: SchemaError): number =>
    instancePath.split('/').length + (keyword === 'additionalProperties' ? 0.5 : 0);
  return errors.reduce<SchemaError>(
    (found, error) => (found.instancePath === undefined || depth(error) > depth(found) ? error : found),
    {},
  );
}
