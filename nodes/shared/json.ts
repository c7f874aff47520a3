import { randomBytes } from 'node:crypto';
import { types } from 'node:util';
import { FlowError } from './errors';
import { say } from './say';

/** What becomes of a number in JSON that a double doesn't hold exactly: its text, or BIG_NUMBER is thrown. */
export type BigNumbers = 'text' | 'refuse';

/**
 * As JSON.parse, except that no number is changed: whole numbers beyond ±(2^53 - 1), written without an exponent, and
 * any other that would be written differently (1e400, more digits than a double has) are texts, as they stand in the
 * JSON. So an id is always a text from a certain size on, and not where its last digits happen to be zeros.
 * As there, the last of several equal keys counts, and `__proto__` is a key like any other.
 * Throws SyntaxError for what is no JSON; with 'refuse' BIG_NUMBER, not retryable.
 */
export function parseJson(json: string, bigNumbers: BigNumbers = 'text'): unknown {
  const value = JSON.parse(json) as unknown;
  if (!LONG.test(json) && !EXPONENT.test(json) && !ALONE.test(json)) return value;
  const quoted = quoteNumbers(json, bigNumbers);
  return quoted === undefined ? value : JSON.parse(quoted);
}

/** A number with fewer than 16 digits and an exponent of less than three is exact; these rule others out very quickly. */
const LONG = /[\s:,[-][\d.]{16}/;
const EXPONENT = /\d[eE][-+\d]\d\d/;
const ALONE = /^[\d.]{16}/;

/** Such numbers, where one can begin: long digits in quotes (ids, hashes) are common, and harmless. */
const SUSPICIOUS = /(?:^|[\s:,[])(-?(?:[\d.]{16,}|(?=[\d.]+[eE][-+]?\d{3})[\d.]+)(?:[eE][-+]?\d+)?)/g;
const SHOWN = 50;

/** Valid JSON with the numbers that aren't exact in quotes; undefined where there are none. */
function quoteNumbers(json: string, bigNumbers: BigNumbers): string | undefined {
  let quoted: string | undefined;
  let copied = 0;
  const isInString = stringsOf(json);
  SUSPICIOUS.lastIndex = 0;
  for (let match = SUSPICIOUS.exec(json); match; match = SUSPICIOUS.exec(json)) {
    const literal = match[1] ?? '';
    if (isExact(literal)) continue;
    const at = SUSPICIOUS.lastIndex - literal.length;
    if (isInString(at)) continue;
    if (bigNumbers === 'refuse') throw refused(literal);
    quoted = `${quoted ?? ''}${json.slice(copied, at)}"${literal}"`;
    copied = at + literal.length;
  }
  return quoted === undefined ? undefined : quoted + json.slice(copied);
}

/** Tells whether a place is in a string; asked from left to right, it looks at everything once. */
function stringsOf(json: string): (at: number) => boolean {
  let begin = 0;
  let end = 0;
  return (at) => {
    while (end <= at) {
      const quote = json.indexOf('"', end);
      begin = quote < 0 ? Infinity : quote;
      end = quote < 0 ? Infinity : stringEnd(json, quote);
    }
    return begin < at;
  };
}

/** Behind the closing quote of the string that begins here. */
function stringEnd(json: string, begin: number): number {
  for (let end = begin + 1; ; end++) {
    end = json.indexOf('"', end);
    let backslashes = 0;
    while (json[end - 1 - backslashes] === '\\') backslashes++;
    if (backslashes % 2 === 0) return end + 1;
  }
}

function refused(literal: string): FlowError {
  const shown = literal.length > SHOWN ? `${literal.slice(0, SHOWN)}…` : literal;
  return new FlowError(
    'BIG_NUMBER',
    say`The message holds the number ${shown}, which would not stay exact in Node-RED: let the sender write it as text, or choose to get such numbers as text`,
    false,
  );
}

function isExact(literal: string): boolean {
  if (String(Number(literal)) === literal && literal.includes('.')) return true;
  return /^-?\d+$/.test(literal) ? Number.isSafeInteger(Number(literal)) : staysTheSame(literal);
}

/** Whether a decimal number, as JSON writes it, is still the same when it has been a double. */
export function staysTheSame(text: string): boolean {
  const value = Number(text);
  return Number.isFinite(value) && sameDecimal(decimalOf(text), decimalOf(String(value)));
}

/**
 * A decimal number → the number where it is exact, else the same text for the same number however it is written:
 * 1234567890123456789 and 1.234567890123456789E18 may be the same value read in two ways.
 */
export function exactNumber(text: string): number | string {
  const decimal = decimalOf(text);
  const value = Number(text) + 0; // -0 is 0
  if (!decimal) return Number.isFinite(value) ? value : text;
  const whole = decimal.exponent >= 0;
  return staysTheSame(text) && (!whole || Number.isSafeInteger(value)) ? value : plain(decimal);
}

/** `digits` × 10^`exponent`, without zeros at either end of the digits; none at all for 0. */
interface Decimal {
  sign: string;
  digits: string;
  exponent: number;
}

function decimalOf(text: string): Decimal | undefined {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:e([-+]?\d+))?$/i.exec(text);
  if (!match) return undefined;
  const [, sign = '', whole = '', fraction = '', power = '0'] = match;
  const all = whole + fraction;
  let first = 0;
  while (all[first] === '0') first++;
  let end = all.length;
  while (end > first && all[end - 1] === '0') end--;
  const digits = all.slice(first, end);
  return { sign, digits, exponent: (digits && Number(power) - fraction.length + all.length - end) || 0 };
}

function sameDecimal(a: Decimal | undefined, b: Decimal | undefined): boolean {
  if (!a || !b || a.digits !== b.digits || a.exponent !== b.exponent) return false;
  return a.digits === '' || a.sign === b.sign;
}

/** Beyond this a plain number would be mostly zeros. */
const PLAIN = 40;

function plain({ sign, digits, exponent }: Decimal): string {
  if (Math.abs(exponent) > PLAIN) return `${sign}${digits}e${exponent}`;
  if (exponent >= 0) return sign + digits + '0'.repeat(exponent);
  const padded = digits.padStart(1 - exponent, '0');
  return `${sign}${padded.slice(0, exponent)}.${padded.slice(exponent)}`;
}

/**
 * Levels of arrays and objects in what comes in and goes out. The runtime and core nodes copy messages by recursion,
 * which ends the process some thousand levels down.
 */
export const DEEPEST = 200;

/** Whether JSON nests deeper than `DEEPEST` levels; `value` is what it was parsed to. */
export function jsonIsTooDeep(json: string, value: unknown): boolean {
  return !hasAtMost(json, DEEPEST) && exceeds(value, DEEPEST);
}

/** Whether a value that a flow made nests deeper than `DEEPEST` levels: one that holds itself does. */
export function isTooDeep(value: unknown): boolean {
  try {
    return exceeds(value, DEEPEST);
  } catch {
    // A getter that throws: whoever reads it next says so.
    return false;
  }
}

/** Most messages have fewer brackets than that in all, which is quickly seen. */
function hasAtMost(json: string, brackets: number): boolean {
  if (json.length <= 2 * brackets) return true;
  let count = 0;
  for (const bracket of ['{', '[']) {
    for (let at = json.indexOf(bracket); at >= 0; at = json.indexOf(bracket, at + 1))
      if (++count > brackets) return false;
  }
  return true;
}

function exceeds(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return false;
  if (levels === 0) return true;
  if (Array.isArray(value)) return value.some((inner) => exceeds(inner, levels - 1));
  for (const inner of Object.values(value)) if (exceeds(inner, levels - 1)) return true;
  return false;
}

/** A whole number beyond ±(2^53 - 1): others that differ may have become it, so it tells no two things apart. */
export function isInexact(value: unknown): boolean {
  return Number.isInteger(value) && !Number.isSafeInteger(value);
}

/**
 * What a value is that JSON writes as something else: NaN, Infinity and an invalid date as null, a Map, a Promise, an
 * error and whatever else shows nothing of what it holds as {}. Undefined for all others.
 */
export function unsayable(value: unknown): string | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : String(value);
  if (typeof value !== 'object' || value === null) return undefined;
  if (types.isDate(value)) return Number.isNaN(value.getTime()) ? say`an invalid date` : undefined;
  const kind = Object.prototype.toString.call(value).slice(8, -1);
  const speaks = PLAIN_KINDS.has(kind) || hasOwnJson(value) || ArrayBuffer.isView(value);
  return speaks || Object.keys(value).length > 0 ? undefined : say`of the kind ${kind}`;
}

const PLAIN_KINDS = new Set(['Object', 'Array', 'Boolean', 'Number', 'String']);

/** What an object is that would be written as a record without fields: a date, bytes, what nobody awaited. */
export function fieldless(value: object): string | undefined {
  if (types.isDate(value)) return say`a date`;
  return ArrayBuffer.isView(value) ? say`bytes` : unsayable(value);
}

/** The first such value in one that isn't too deep, and where it stands: "payload.score is NaN". */
export function unsayableIn(value: unknown, path: string): string | undefined {
  try {
    const lost = firstUnsayable(value);
    return lost && say`${path + lost.at} is ${lost.what}`;
  } catch {
    // A getter that throws: whoever reads it next says so.
    return undefined;
  }
}

/** Where it stands is put together for the one that is found only: most have none. */
function firstUnsayable(value: unknown): { at: string; what: string } | undefined {
  const what = unsayable(value);
  if (what !== undefined) return { at: '', what };
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || hasOwnJson(value))
    return undefined;
  for (const name of Object.keys(value)) {
    const within = firstUnsayable((value as Record<string, unknown>)[name]);
    if (within) return { at: `.${name}${within.at}`, what: within.what };
  }
  return undefined;
}

function hasOwnJson(value: object): boolean {
  return typeof (value as { toJSON?: unknown }).toJSON === 'function';
}

/**
 * As JSON.stringify, except that a BigInt is written as the number that it is. Undefined for what JSON has no word
 * for; throws as JSON.stringify does (circular, a getter that throws, nested too deep).
 */
export function stringifyJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    const marked = JSON.stringify(value, (_key, inner: unknown) =>
      typeof inner === 'bigint' ? `${MARK}${inner}` : inner,
    ) as string | undefined;
    return marked?.replace(MARKED, '$1');
  }
}

/** Nobody else can know it, so that no text of a payload is taken for a number. */
const MARK = randomBytes(16).toString('hex');
const MARKED = new RegExp(`"${MARK}(-?\\d+)"`, 'g');
