import { isError } from './errors';

const STRUCK = '***';
/** Below this length a secret is struck only where it stands as a value of its own: "no" is in every "not". */
const SHORT = 6;
/** A session's tokens change for ever; those of long ago are worth nothing. */
const KEPT = 64;
/** Signs of a secret that are looked for: no header carries longer ones, and looking for a megabyte takes seconds. */
const LONGEST = 16_384;
/** Of a secret with several lines, those that say something when they are quoted alone. */
const LONG_LINE = 16;
/** Objects within one value; nobody reads more of an error. */
const MOST_PARTS = 100_000;

/** The secrets of one connection, struck from whatever is said about it, also where the other side echoes them. */
export class Secrets {
  /** Each with the forms in which it may be quoted, the one that was added last at the end. */
  private readonly known = new Map<string, string[]>();
  private patterns: RegExp[] | undefined;

  constructor(...secrets: unknown[]) {
    this.add(...secrets);
  }

  /** What is no text, or empty, is no secret. */
  add(...secrets: unknown[]): this {
    for (const secret of secrets) {
      if (typeof secret !== 'string' || secret.trim() === '') continue;
      const known = secret.slice(0, LONGEST);
      this.known.delete(known);
      this.known.set(known, formsOf(known));
      this.patterns = undefined;
    }
    for (const oldest of this.known.keys()) {
      if (this.known.size <= KEPT) break;
      this.known.delete(oldest);
    }
    return this;
  }

  strike(text: string): string {
    this.patterns ??= patternsOf([...this.known.values()].flat());
    return this.patterns.reduce((left, pattern) => left.replace(pattern, STRUCK), text);
  }

  /** The same error, with the secrets struck from its message, stack, details and causes; other values as `inValue`. */
  inError<T>(thrown: T): T {
    return this.error(thrown, new Map());
  }

  /** A copy of texts, lists and plain objects with the secrets struck from them; the same value where there are none. */
  inValue<T>(value: T): T {
    return this.value(value, new Map());
  }

  private error<T>(thrown: T, seen: Map<unknown, unknown>): T {
    if (!isError(thrown)) return this.value(thrown, seen);
    if (seen.has(thrown)) return thrown;
    seen.set(thrown, thrown);
    for (const name of new Set(['message', 'stack', ...Object.getOwnPropertyNames(thrown)])) {
      try {
        const value = Reflect.get(thrown, name) as unknown;
        const struck = this.error(value, seen);
        if (struck !== value)
          Object.defineProperty(thrown, name, { value: struck, configurable: true, writable: true });
      } catch {
        // What can't be read can't be told either.
      }
    }
    return thrown;
  }

  private value<T>(value: T, seen: Map<unknown, unknown>): T {
    if (typeof value === 'string') return this.strike(value) as T;
    if (typeof value !== 'object' || value === null) return value;
    if (seen.has(value)) return seen.get(value) as T;
    if (!isPlain(value)) return value;
    seen.set(value, STRUCK);
    const copy = (seen.size > MOST_PARTS ? STRUCK : this.parts(value, seen)) as T;
    seen.set(value, copy);
    return copy;
  }

  private parts(value: object, seen: Map<unknown, unknown>): unknown {
    try {
      const before = Object.entries(value) as [string, unknown][];
      const after = before.map(([name, part]) => [this.strike(name), this.value(part, seen)] as const);
      if (after.every(([name, part], at) => name === before[at]?.[0] && part === before[at][1])) return value;
      return Array.isArray(value) ? after.map(([, part]) => part) : Object.fromEntries(after);
    } catch {
      // A getter that throws, or more levels than there is room for.
      return STRUCK;
    }
  }
}

/** As the other side, or an encoder on the way, may write it. */
function formsOf(secret: string): string[] {
  const lines = secret.split(/\r?\n|\\n/).map((line) => line.trim());
  const texts = [secret, secret.trim(), ...lines.filter((line) => line.length >= LONG_LINE)];
  const forms = texts.flatMap((text) => {
    const well = text.replace(/\p{Surrogate}/gu, '\ufffd');
    const encoded = [encodeURIComponent(well), new URLSearchParams({ s: text }).toString().slice(2)];
    return [
      text,
      ...encoded,
      ...encoded.map((one) => one.replace(/%../g, (hex) => hex.toLowerCase())),
      JSON.stringify(text).slice(1, -1),
      text.replace(/[&<>"']/g, (sign) => ENTITIES[sign] ?? sign),
      ...(text.length < SHORT ? [] : [base64(text), base64(text).replaceAll('+', '-').replaceAll('/', '_')]),
    ];
  });
  return [...new Set(forms)];
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64').replace(/=+$/, '');
}

function patternsOf(forms: string[]): RegExp[] {
  const alternatives = (some: string[]) =>
    some
      .sort((a, b) => b.length - a.length)
      .map((form) => form.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&'))
      .join('|');
  const long = forms.filter((form) => form.length >= SHORT);
  const short = forms.filter((form) => form.length < SHORT);
  return [
    ...(long.length > 0 ? [new RegExp(alternatives(long), 'g')] : []),
    ...(short.length > 0
      ? [new RegExp(`(?<=[=:"'>]\\s?)(?:${alternatives(short)})(?=$|[\\s"'\\\\&@<,;)}\\]])`, 'g')]
      : []),
  ];
}

function isPlain(value: object): boolean {
  try {
    if (Array.isArray(value)) return true;
    const prototype: unknown = Object.getPrototypeOf(value);
    return prototype === Object.prototype || prototype === null;
  } catch {
    // A proxy that refuses has nothing that could be read.
    return false;
  }
}
