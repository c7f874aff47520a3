import { types } from 'node:util';
import { unsayable } from '../../shared/json';
import { say } from '../../shared/say';

/** A body as it will travel. */
export interface Measured {
  /** About as many bytes as its JSON has. */
  bytes: number;
  /** Holds a text that /composite would take for a reference: must travel outside of it. */
  direct: boolean;
  /** What JSON has no word for, or can't be written: where it stands and what it is. */
  fault: string | undefined;
}

/** `/composite` replaces @{name.field} anywhere in its subrequests, also in what people have typed. */
const REFERENCE = '@{';
const DEEPEST = 200;

/** Looks once at everything in the body. Never throws. */
export function measure(body: unknown): Measured {
  const measured: Measured = { bytes: 0, direct: false, fault: undefined };
  try {
    look(body, '', 0, measured);
  } catch (error) {
    measured.fault ??= say`holds a value that can't be read (${error instanceof Error ? error.name : 'Error'})`;
  }
  return measured;
}

function look(value: unknown, path: string, depth: number, found: Measured): void {
  switch (typeof value) {
    case 'string':
      found.bytes += Buffer.byteLength(value) + 3;
      found.direct ||= value.includes(REFERENCE);
      return;
    case 'number':
      found.bytes += 12;
      if (!Number.isFinite(value)) found.fault ??= say`${path} is ${value}`;
      return;
    case 'object':
      if (value !== null) return lookInside(value, path, depth, found);
      found.bytes += 5;
      return;
    default:
      found.bytes += 24;
  }
}

function lookInside(value: object, path: string, depth: number, found: Measured): void {
  if (types.isDate(value)) found.bytes += 25;
  const lost = unsayable(value);
  if (lost !== undefined && path !== '') found.fault ??= say`${path} is ${lost}`;
  if (ArrayBuffer.isView(value)) {
    found.bytes += 40 + 12 * value.byteLength;
    return;
  }
  if (depth === DEEPEST) {
    found.fault ??= say`${path.slice(0, 100)} nests deeper than ${DEEPEST} levels, or holds itself`;
    return;
  }
  found.bytes += 2;
  for (const name of Object.keys(value)) {
    if (found.fault !== undefined) return;
    found.bytes += name.length + 4;
    look((value as Record<string, unknown>)[name], path === '' ? name : `${path}.${name}`, depth + 1, found);
  }
}
