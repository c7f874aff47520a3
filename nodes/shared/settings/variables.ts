/** An environment variable as the value of a setting, and what counts where it is not set, or empty. */
export interface Variable {
  name: string;
  otherwise: string;
}

/**
 * "${NAME:-value}", which a shell reads the same way; undefined for anything else. "${NAME}" alone is Node-RED's own:
 * it puts the variable in its place before a node sees it. The other form it leaves to us.
 */
export function withOtherwise(value: unknown): Variable | undefined {
  const [, name, otherwise] = (typeof value === 'string' && FORM.exec(value.trim())) || [];
  return name === undefined || otherwise === undefined ? undefined : { name, otherwise };
}

const FORM = /^\$\{(\w+):-(.*)\}$/;

/** The variable that a value is as a whole. */
export function variableOf(value: unknown): string | undefined {
  return typeof value === 'string' ? /^\$\{(\w+)\}$/.exec(value.trim())?.[1] : undefined;
}

/** The settings with values in the place of variables that say what counts otherwise, wherever they stand. */
export function fromEnvironment(value: unknown): unknown {
  const variable = withOtherwise(value);
  if (variable) return process.env[variable.name] || variable.otherwise;
  if (Array.isArray(value)) return value.map(fromEnvironment);
  if (!isObject(value) || namesVariable(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, fromEnvironment(inner)]));
}

/** The first variable that stands anywhere in a setting in the place of a value. */
export function variableIn(value: unknown): string | undefined {
  if (!isObject(value)) return variableOf(value);
  if (namesVariable(value)) return undefined;
  for (const inner of Object.values(value)) {
    const found = variableIn(inner);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** A row of a field map that is filled from a variable for each message says so itself. */
function namesVariable(value: object): boolean {
  return 'type' in value && value.type === 'env';
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
