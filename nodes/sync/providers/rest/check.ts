import type { ValidateFunction } from 'ajv';
import { FlowError } from '../../../shared/errors';
import type { Declaration } from './declaration';
import schema from './declaration.schema.json';
import { lineOf, syntaxErrorLine } from './json-lines';

let validate: ValidateFunction<Declaration> | undefined;

/**
 * The declaration that a text holds. Throws INVALID_DECLARATION in words with the line and the path of what is wrong.
 * It is known as "custom", whatever it calls itself.
 */
export function readDeclaration(text: string): Declaration {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(`${syntaxErrorLine(text, error)}it is no JSON`);
  }
  validate ??= compile();
  if (!validate(value)) {
    const { instancePath = '', message = 'is wrong', params } = deepest(validate.errors ?? []);
    const named = Object.values(params ?? {}).find((each) => typeof each === 'string');
    const place = instancePath === '' ? 'the whole' : instancePath.slice(1).replaceAll('/', '.');
    const what = named !== undefined && !message.includes(named) ? `${message} ("${named}")` : message;
    throw invalid(`line ${lineOf(text, instancePath)}, ${place}: ${what}`);
  }
  return { ...value, name: 'custom' };
}

/** Loaded only where somebody declares an API. */
function compile(): ValidateFunction<Declaration> {
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const { Ajv } = require('ajv') as typeof import('ajv');
  return new Ajv({ allErrors: true, allowUnionTypes: true, discriminator: true }).compile<Declaration>(
    schema,
  );
}

/** Of several, as for each alternative, that which got farthest. */
function deepest(errors: NonNullable<ValidateFunction['errors']>): Partial<(typeof errors)[number]> {
  const depth = ({ instancePath }: { instancePath: string }): number => instancePath.split('/').length;
  return errors.reduce<Partial<(typeof errors)[number]>>(
    (found, error) =>
      found.instancePath === undefined || depth(error) > depth({ instancePath: found.instancePath })
        ? error
        : found,
    {},
  );
}

function invalid(what: string): FlowError {
  return new FlowError('INVALID_DECLARATION', `The declaration of the API can't be used: ${what}`, false);
}
