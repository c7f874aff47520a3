import type { ValidateFunction } from 'ajv';
import { FlowError } from '../../../shared/errors';
import { nearest } from '../../../shared/nearest';
import type { Declaration } from './declaration';
import schema from './declaration.schema.json';
import { lineOf, syntaxErrorLine } from './json-lines';

/** What is wrong with a text, and where. */
export interface Problem {
  /** From 1. */
  line: number;
  /** "collections.gadgets.list", "" for the whole. */
  path: string;
  message: string;
  /** Its text in the form (`definitionProblem.…`), and what is named in that; without one the message is shown. */
  text?: string;
  values?: Record<string, string>;
}

type Said = Pick<Problem, 'message' | 'text' | 'values'>;
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
    `The declaration of the API can't be used: line ${line}, ${path || 'the whole'}: ${message}`,
    false,
  );
}

export function checkDeclaration(text: string): Checked {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return {
      problem: {
        line: syntaxErrorLine(text),
        path: '',
        message: 'it is no JSON',
        text: 'noJson',
        values: {},
      },
    };
  }
  validate ??= compile();
  const at = (pointer: string, said: Said): Checked => ({
    problem: { line: lineOf(text, pointer), path: pointer.slice(1).replaceAll('/', '.'), ...said },
  });
  if (!validate(value)) {
    const error = deepest(validate.errors ?? []);
    return at(error.instancePath ?? '', inWords(error));
  }
  const senseless = firstSenseless(value);
  return senseless ? at(...senseless) : { declaration: { ...value, name: 'custom' } };
}

type SchemaError = Partial<NonNullable<ValidateFunction['errors']>[number]>;

/** Keywords of the schema, and which of their parameters a text names. */
const NAMED: Record<string, string | undefined> = {
  additionalProperties: 'additionalProperty',
  required: 'missingProperty',
  discriminator: 'tag',
  enum: 'allowedValues',
  type: 'type',
  minimum: 'limit',
  minItems: 'limit',
  minProperties: 'limit',
  pattern: 'pattern',
};

function inWords({ keyword = '', message = 'is wrong', params = {} }: SchemaError): Said {
  const name = NAMED[keyword];
  if (name === undefined) return { message };
  const found = (params as Record<string, unknown>)[name];
  const named = Array.isArray(found) ? found.join(', ') : String(found);
  return {
    message: message.includes(named) ? message : `${message} ("${named}")`,
    text: keyword,
    values: { name: named },
  };
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
function firstSenseless({ collections }: Declaration): [pointer: string, said: Said] | undefined {
  const names = Object.keys(collections);
  for (const [name, { of, list, changes, read }] of Object.entries(collections)) {
    const pointer = `/collections/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    if ((list.get ?? list.post) === undefined)
      return [`${pointer}/list`, { message: 'needs a path: "get", or "post" with a "body"', text: 'noPath' }];
    if (of !== undefined && !names.includes(of)) {
      const close = nearest(of, names);
      const message = `there is no collection "${of}"${close ? `; do you mean "${close}"?` : ''}`;
      const text = close ? 'mistyped' : 'noCollection';
      return [`${pointer}/of`, { message, text, values: { name: of, close: close ?? '' } }];
    }
    if ((changes?.hydrate || changes?.events) && !read)
      return [
        `${pointer}/changes`,
        { message: 'only tells ids: "read" has to say how records are read by them', text: 'noRead' },
      ];
    if (changes?.events && !changes.list)
      return [
        `${pointer}/changes`,
        { message: 'has events, so it needs a "list" of its own', text: 'noEvents' },
      ];
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
