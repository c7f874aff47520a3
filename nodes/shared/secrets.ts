const STRUCK = '***';
/** Below this length a secret is struck only where it stands as a value of its own: "no" is in every "not". */
const SHORT = 6;
/** A session's tokens change for ever; those of long ago are worth nothing. */
const KEPT = 64;
/** Of a secret with several lines, those that say something when they are quoted alone. */
const LONG_LINE = 16;

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
      this.known.delete(secret);
      this.known.set(secret, formsOf(secret));
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
  inError<T>(thrown: T, depth = 0): T {
    if (!(thrown instanceof Error)) return this.inValue(thrown);
    if (depth > 8) return thrown;
    for (const name of new Set(['message', 'stack', ...Object.getOwnPropertyNames(thrown)])) {
      const value = Reflect.get(thrown, name) as unknown;
      const struck = value instanceof Error ? this.inError(value, depth + 1) : this.inValue(value);
      if (struck === value) continue;
      Object.defineProperty(thrown, name, { value: struck, configurable: true, writable: true });
    }
    return thrown;
  }

  /** A copy of texts, lists and plain objects with the secrets struck from them; the same value where there are none. */
  inValue<T>(value: T, depth = 0): T {
    if (typeof value === 'string') return this.strike(value) as T;
    if (typeof value !== 'object' || value === null || depth > 32) return value;
    if (!Array.isArray(value) && !isPlain(value)) return value;
    const entries = Object.entries(value).map(([name, part]: [string, unknown]) => {
      const struck = [this.strike(name), this.inValue(part, depth + 1)] as const;
      return { struck, changed: struck[0] !== name || struck[1] !== part };
    });
    if (!entries.some(({ changed }) => changed)) return value;
    const parts = entries.map(({ struck }) => struck);
    return (Array.isArray(value) ? parts.map(([, part]) => part) : Object.fromEntries(parts)) as T;
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
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
