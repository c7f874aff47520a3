/** JQL, as much of it as a sync needs: clauses joined by AND and OR, and an order. */
import { invalid } from './errors';
import { momentOf } from './zone';

export type Field = 'id' | 'project' | 'updated' | 'created' | 'status' | 'type' | 'labels';

export interface Clause {
  field: Field;
  operator: '=' | '!=' | '>' | '>=' | '<' | '<=' | 'in' | 'not in' | 'is' | 'is not';
  /** As written; of times epoch ms. */
  values: (string | number)[];
}

export type Expression = Clause | { all: Expression[] } | { any: Expression[] };

export interface Query {
  /** Undefined for one without a restriction. */
  where?: Expression;
  order: { field: Field; descending: boolean }[];
}

export interface Reader {
  timeZone: string;
  now: number;
  epochPrecision: 'ms' | 'minute';
}

const NAMES: Record<string, Field> = {
  id: 'id',
  key: 'id',
  issue: 'id',
  issuekey: 'id',
  project: 'project',
  updated: 'updated',
  updateddate: 'updated',
  created: 'created',
  createddate: 'created',
  status: 'status',
  type: 'type',
  issuetype: 'type',
  labels: 'labels',
};
const COMPARISONS = ['=', '!=', '>', '>=', '<', '<='];
const MINUTE = 60_000;

interface Token {
  text: string;
  quoted: boolean;
}

/** Throws a refusal, in Jira's words, for what it can't read. */
export function parseJql(text: string, reader: Reader): Query {
  return new Parser(tokensOf(text), reader).query();
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  const pattern = /\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|(>=|<=|!=|[=<>(),])|([^\s=<>!(),"']+))/y;
  const whole = text.trimEnd();
  while (pattern.lastIndex < whole.length) {
    const at = pattern.lastIndex;
    const [, double, single, symbol, word] = pattern.exec(whole) ?? [];
    const quoted = double ?? single;
    const token = quoted?.replace(/\\(.)/g, '$1') ?? symbol ?? word;
    if (token === undefined)
      throw invalid(`Error in the JQL Query: The character '${whole.slice(at).trim()[0]}' is unexpected.`);
    tokens.push({ text: token, quoted: quoted !== undefined });
  }
  return tokens;
}

class Parser {
  #at = 0;

  constructor(
    private readonly tokens: readonly Token[],
    private readonly reader: Reader,
  ) {}

  query(): Query {
    const where = this.tokens.length === 0 || this.#sees('order') ? undefined : this.#any();
    const order = this.#takes('order') ? this.#order() : [];
    const left = this.tokens[this.#at];
    if (left) throw invalid(`Error in the JQL Query: Expecting either 'OR' or 'AND' but got '${left.text}'.`);
    return { where, order };
  }

  #sees(word: string): boolean {
    const token = this.tokens[this.#at];
    return token?.quoted === false && token.text.toLowerCase() === word;
  }

  #takes(word: string): boolean {
    if (!this.#sees(word)) return false;
    this.#at++;
    return true;
  }

  #expect(word: string): void {
    if (!this.#takes(word)) throw this.#unexpected(`'${word}'`);
  }

  #unexpected(wanted: string): Error {
    const got = this.tokens[this.#at];
    return invalid(
      `Error in the JQL Query: Expecting ${wanted} but ${got ? `got '${got.text}'` : 'the query ended'}.`,
    );
  }

  #next(wanted: string): Token {
    const token = this.tokens[this.#at];
    if (!token || (!token.quoted && /^[=<>!(),]/.test(token.text))) throw this.#unexpected(wanted);
    this.#at++;
    return token;
  }

  #any(): Expression {
    const any = [this.#all()];
    while (this.#takes('or')) any.push(this.#all());
    return any.length === 1 ? (any[0] as Expression) : { any };
  }

  #all(): Expression {
    const all = [this.#one()];
    while (this.#takes('and')) all.push(this.#one());
    return all.length === 1 ? (all[0] as Expression) : { all };
  }

  #one(): Expression {
    if (!this.#takes('(')) return this.#clause();
    const inner = this.#any();
    this.#expect(')');
    return inner;
  }

  #field(): Field {
    const { text } = this.#next('a field name');
    const field = NAMES[text.toLowerCase()];
    if (!field) throw invalid(`Field '${text}' does not exist or you do not have permission to view it.`);
    return field;
  }

  #clause(): Clause {
    const field = this.#field();
    const operator = this.#operator();
    const isTime = field === 'updated' || field === 'created';
    const read = (token: Token): string | number => (isTime ? this.#time(field, token) : token.text);
    if (operator === 'is' || operator === 'is not') {
      if (!this.#takes('empty') && !this.#takes('null')) throw this.#unexpected("'EMPTY'");
      return { field, operator, values: [] };
    }
    if (operator !== 'in' && operator !== 'not in')
      return { field, operator, values: [read(this.#next('a value'))] };
    this.#expect('(');
    const values = [read(this.#next('a value'))];
    while (this.#takes(',')) values.push(read(this.#next('a value')));
    this.#expect(')');
    return { field, operator, values };
  }

  #operator(): Clause['operator'] {
    const found = COMPARISONS.find((symbol) => this.#takes(symbol));
    if (found) return found as Clause['operator'];
    if (this.#takes('in')) return 'in';
    if (this.#takes('is')) return this.#takes('not') ? 'is not' : 'is';
    if (this.#takes('not')) {
      this.#expect('in');
      return 'not in';
    }
    throw this.#unexpected('an operator');
  }

  /** A number is epoch ms, in no zone; `"yyyy-MM-dd HH:mm"` is what the caller's clocks show. */
  #time(field: Field, { text, quoted }: Token): number {
    const { timeZone, now, epochPrecision } = this.reader;
    if (!quoted && /^\d+$/.test(text))
      return epochPrecision === 'ms' ? Number(text) : Math.floor(Number(text) / MINUTE) * MINUTE;
    if (!quoted && text.toLowerCase() === 'now') {
      this.#expect('(');
      this.#expect(')');
      return now;
    }
    const [, sign, count, unit] = /^([+-]?)(\d+)([wdhm])$/.exec(text) ?? [];
    if (unit !== undefined) {
      const length = { w: 7 * 1_440, d: 1_440, h: 60, m: 1 }[unit] ?? 0;
      return now + (sign === '-' ? -1 : 1) * Number(count) * length * MINUTE;
    }
    const [, year, month, day, hour = '00', minute = '00'] =
      /^(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?: (\d{1,2}):(\d{2}))?$/.exec(text) ?? [];
    const shown = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute));
    if (Number.isNaN(shown) || Number(month) > 12 || Number(day) > 31 || Number(hour) > 23)
      throw invalid(
        `Date value '${text}' for field '${field}' is invalid. Valid formats include: 'yyyy/MM/dd HH:mm', 'yyyy-MM-dd HH:mm', 'yyyy/MM/dd', 'yyyy-MM-dd', or a period format e.g. '-5d', '4w 2d'.`,
      );
    return momentOf(shown, timeZone);
  }

  #order(): Query['order'] {
    this.#expect('by');
    const order: Query['order'] = [];
    do {
      const field = this.#field();
      const descending = this.#takes('desc');
      if (!descending) this.#takes('asc');
      order.push({ field, descending });
    } while (this.#takes(','));
    if (order.length > 7) throw invalid('The maximum number of fields in ORDER BY is 7.');
    return order;
  }
}
