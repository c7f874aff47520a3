/** `@{referenceId.field}` in a composite subrequest: a value out of an earlier subrequest's answer. */
import { isRecord } from '../store/dml';

export class UnknownReference extends Error {
  constructor(path: string, reference: string) {
    super(`Invalid reference specified. No value for ${path} found in ${reference}`);
  }
}

const REFERENCE = /@\{([A-Za-z0-9_]+)((?:\.[A-Za-z0-9_]+|\[\d+\])+)\}/g;

/** The same value with every reference replaced; a text that is one reference takes the value's own type. */
export function resolve(
  value: unknown,
  answered: ReadonlyMap<string, unknown>,
  encode: (text: string) => string = (text) => text,
): unknown {
  if (typeof value === 'string') {
    if (!value.includes('@{')) return value;
    const [whole] = value.matchAll(REFERENCE);
    if (whole?.[0] === value) return look(value.slice(2, -1), whole[1] ?? '', whole[2] ?? '', answered);
    return value.replace(REFERENCE, (text, reference: string, path: string) =>
      encode(asText(look(text.slice(2, -1), reference, path, answered))),
    );
  }
  if (Array.isArray(value)) return value.map((item) => resolve(item, answered, encode));
  if (isRecord(value))
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [name, resolve(item, answered, encode)]),
    );
  return value;
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function look(
  text: string,
  reference: string,
  path: string,
  answered: ReadonlyMap<string, unknown>,
): unknown {
  let value = answered.get(reference);
  for (const [, name, index] of path.matchAll(/\.([A-Za-z0-9_]+)|\[(\d+)\]/g)) {
    if (name !== undefined && isRecord(value)) value = value[name];
    else if (index !== undefined && Array.isArray(value)) value = value[Number(index)] as unknown;
    else value = undefined;
  }
  if (value === undefined || value === null) throw new UnknownReference(text, reference);
  return value;
}
