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

/** The settings with values in the place of such variables. */
export function fromEnvironment<T extends object>(config: T): T {
  const entries = Object.entries(config).map(([name, value]: [string, unknown]) => {
    const variable = withOtherwise(value);
    return [name, variable ? process.env[variable.name] || variable.otherwise : value];
  });
  return Object.fromEntries(entries) as T;
}
