/** Parameters as Stripe has them: `created[gte]=`, `types[]=`, `types[0]=`; one that a call doesn't know is refused. */
import { invalid } from './errors';

export interface Params {
  text(name: string): string | undefined;
  list(name: string): string[] | undefined;
  integer(name: string): number | undefined;
  boolean(name: string): boolean | undefined;
  /** `name=N`, or bounds by gt, gte, lt, lte; inclusive bounds of whole numbers. */
  range(name: string): { from: number; to: number };
}

export function paramsOf(query: URLSearchParams, allowed: readonly string[]): Params {
  const values = new Map<string, { key: string; value: string }[]>();
  for (const [full, value] of query) {
    const [, name = full, key = ''] = /^([^[]+)(?:\[(.*)\])?$/.exec(full) ?? [];
    if (!allowed.includes(name))
      throw invalid(`Received unknown parameter: ${name}`, name, 'parameter_unknown');
    values.set(name, [...(values.get(name) ?? []), { key, value }]);
  }
  const text = (name: string): string | undefined => {
    const [given] = values.get(name) ?? [];
    if (given === undefined) return undefined;
    if (given.key !== '') throw invalid(`Invalid string: ${given.key}`, name);
    if (given.value === '')
      throw invalid(`You passed an empty string for '${name}'.`, name, 'parameter_invalid_empty');
    return given.value;
  };
  return {
    text,
    list: (name) => values.get(name)?.map(({ value }) => value),
    integer: (name) => whole(name, text(name)),
    boolean: (name) => {
      const given = text(name);
      if (given !== undefined && given !== 'true' && given !== 'false')
        throw invalid(`Invalid boolean: ${given}`, name);
      return given === undefined ? undefined : given === 'true';
    },
    range: (name) => {
      const range = { from: -Infinity, to: Infinity };
      for (const { key, value } of values.get(name) ?? []) {
        const n = whole(name, value) ?? 0;
        if (key === '') range.from = range.to = n;
        else if (key === 'gt') range.from = Math.max(range.from, n + 1);
        else if (key === 'gte') range.from = Math.max(range.from, n);
        else if (key === 'lt') range.to = Math.min(range.to, n - 1);
        else if (key === 'lte') range.to = Math.min(range.to, n);
        else
          throw invalid(
            `Received unknown parameter: ${name}[${key}]`,
            `${name}[${key}]`,
            'parameter_unknown',
          );
      }
      return range;
    },
  };
}

function whole(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^-?\d+$/.test(text)) throw invalid(`Invalid integer: ${text}`, name, 'parameter_invalid_integer');
  return Number(text);
}
