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
    `The declaration of the API can't be used: line ${line}, ${path || 'the whole'}: ${message}`,
    false,
  );
}

export function checkDeclaration(text: string): Checked {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { problem: { line: syntaxErrorLine(text), path: '', message: 'it is no JSON' } };
  }
  validate ??= compile();
  const at = (pointer: string, message: string): Checked => ({
    problem: { line: lineOf(text, pointer), path: pointer.slice(1).replaceAll('/', '.'), message },
  });
  if (!validate(value)) {
    const { instancePath = '', message = 'is wrong', params } = deepest(validate.errors ?? []);
    const named = Object.values(params ?? {}).find((each) => typeof each === 'string');
    const allowed = (params as { allowedValues?: unknown[] } | undefined)?.allowedValues;
    const more = allowed ? allowed.join(', ') : named !== undefined && !message.includes(named) ? named : '';
    return at(instancePath, more === '' ? message : `${message} ("${more}")`);
  }
  const senseless = firstSenseless(value);
  return senseless ? at(...senseless) : { declaration: { ...value, name: 'custom' } };
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
      return [`${pointer}/list`, 'needs a path: "get", or "post" with a "body"'];
    if (of !== undefined && !names.includes(of)) {
      const close = nearest(of, names);
      return [`${pointer}/of`, `there is no collection "${of}"${close ? `; do you mean "${close}"?` : ''}`];
    }
    if ((changes?.hydrate || changes?.events) && !read)
      return [`${pointer}/changes`, 'only tells ids: "read" has to say how records are read by them'];
    if (changes?.events && !changes.list)
      return [`${pointer}/changes`, 'has events, so it needs a "list" of its own'];
  }
  return undefined;
}

/** Of several, as for each alternative, that which got farthest; a name mistyped before the one that it leaves out. */
function deepest(errors: NonNullable<ValidateFunction['errors']>): Partial<(typeof errors)[number]> {
  const depth = ({ instancePath = '', keyword }: Partial<(typeof errors)[number]>): number =>
    instancePath.split('/').length + (keyword === 'additionalProperties' ? 0.5 : 0);
  return errors.reduce<Partial<(typeof errors)[number]>>(
    (found, error) => (found.instancePath === undefined || depth(error) > depth(found) ? error : found),
    {},
  );
}
