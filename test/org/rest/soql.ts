/** SOQL: the part of the language that the org understands, as a tree. */
import { ApiError } from '../store/errors';

export type Operator = '=' | '!=' | '<' | '<=' | '>' | '>=' | 'like' | 'in' | 'not in';

export interface Literal {
  kind: 'string' | 'number' | 'boolean' | 'null' | 'date' | 'datetime' | 'day';
  value: string | number | boolean | null;
}

export type Condition =
  | { kind: 'and' | 'or'; parts: Condition[] }
  | { kind: 'not'; part: Condition }
  | { kind: 'compare'; field: string; operator: Operator; values: Literal[] };

export interface Order {
  field: string;
  descending: boolean;
  nullsLast: boolean;
}

export type Aggregate = 'count' | 'count_distinct' | 'min' | 'max' | 'sum' | 'avg';

/** A field, `FIELDS(ALL)`, an aggregate such as MAX(SystemModstamp), or a query of children, whose `field` they are. */
export interface Selected {
  field: string;
  aggregate?: Aggregate;
  alias?: string;
  children?: Soql;
}

export interface Soql {
  /** SELECT COUNT() asks for the number alone. */
  count: boolean;
  select: Selected[];
  from: string;
  where?: Condition;
  /** Fields that rows are grouped by; none where there is no GROUP BY. */
  groups: string[];
  order: Order[];
  limit?: number;
  offset: number;
}

/** Whether the answer has results of aggregates instead of records. */
export function isAggregated({ groups, select }: Soql): boolean {
  return groups.length > 0 || select.some(({ aggregate }) => aggregate);
}

export function malformedQuery(message: string): ApiError {
  return new ApiError(400, 'MALFORMED_QUERY', message);
}

interface Token {
  text: string;
  kind: 'word' | 'string' | 'number' | 'date' | 'datetime' | 'symbol';
}

const TOKEN =
  /\s*(?:(?<datetime>\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2}))|(?<date>\d{4}-\d{2}-\d{2})|(?<number>[+-]?\d+(?:\.\d+)?)|(?<string>'(?:[^'\\]|\\.)*')|(?<word>[A-Za-z_][A-Za-z0-9_.]*(?::\d+)?)|(?<symbol><=|>=|!=|<>|[=<>(),]))/gy;

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.trimEnd().length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    const found = Object.entries(match?.groups ?? {}).find(([, value]) => value !== undefined);
    if (!found) throw malformedQuery(`unexpected token: '${text.slice(at).trim().slice(0, 20)}'`);
    tokens.push({ kind: found[0] as Token['kind'], text: String(found[1]) });
  }
  return tokens;
}

const DAYS = /^(today|yesterday|tomorrow|last_n_days:\d+|next_n_days:\d+)$/i;

class Parser {
  #at = 0;

  constructor(private readonly tokens: readonly Token[]) {}

  #peek(): Token | undefined {
    return this.tokens[this.#at];
  }

  #next(): Token {
    const token = this.tokens[this.#at++];
    if (!token) throw malformedQuery('unexpected end of the query');
    return token;
  }

  #is(...words: string[]): boolean {
    return words.every((word, i) => this.tokens[this.#at + i]?.text.toLowerCase() === word);
  }

  #take(...words: string[]): boolean {
    if (!this.#is(...words)) return false;
    this.#at += words.length;
    return true;
  }

  #expect(word: string): void {
    if (!this.#take(word))
      throw malformedQuery(`unexpected token: '${this.#peek()?.text ?? '<EOF>'}', expecting ${word}`);
  }

  #word(): string {
    const token = this.#next();
    if (token.kind !== 'word') throw malformedQuery(`unexpected token: '${token.text}'`);
    return token.text;
  }

  #integer(): number {
    const token = this.#next();
    if (token.kind !== 'number' || !/^\d+$/.test(token.text))
      throw malformedQuery(`unexpected token: '${token.text}'`);
    return Number(token.text);
  }

  query(): Soql {
    const soql = this.#query();
    const rest = this.#peek();
    if (rest) throw malformedQuery(`unexpected token: '${rest.text}'`);
    return soql;
  }

  #query(): Soql {
    this.#expect('select');
    const soql: Soql = { count: false, select: [], from: '', groups: [], order: [], offset: 0 };
    if (this.#take('count', '(', ')')) soql.count = true;
    else soql.select = this.#selected();
    this.#expect('from');
    soql.from = this.#word();
    if (
      this.#peek()?.kind === 'word' &&
      !/^(where|order|limit|offset|all|group|with|using|for|having)$/i.test(this.#peek()?.text ?? '')
    )
      this.#next();
    if (this.#take('where')) soql.where = this.#condition();
    if (this.#take('group', 'by')) soql.groups = this.#list(() => this.#word());
    for (const unknown of ['having', 'with', 'using', 'for']) {
      if (this.#is(unknown)) throw malformedQuery(`the simulated org doesn't know ${unknown.toUpperCase()}`);
    }
    if (this.#take('order', 'by')) soql.order = this.#list(() => this.#order());
    if (this.#take('limit')) soql.limit = this.#integer();
    if (this.#take('offset')) soql.offset = this.#integer();
    return soql;
  }

  #list<T>(item: () => T): T[] {
    const items = [item()];
    while (this.#take(',')) items.push(item());
    return items;
  }

  #selected(): Selected[] {
    return this.#list(() => {
      if (this.#take('(')) {
        const children = this.#query();
        this.#expect(')');
        return { field: children.from, children };
      }
      const word = this.#word();
      if (!this.#take('(')) {
        const alias = this.#peek()?.kind === 'word' && !this.#is('from') ? this.#word() : undefined;
        return { field: word, alias };
      }
      const field = this.#is(')') ? 'Id' : this.#word();
      this.#expect(')');
      const name = word.toLowerCase();
      if (name === 'fields') return { field: `FIELDS(${field.toUpperCase()})` };
      if (!isAggregate(name)) throw malformedQuery(`the simulated org doesn't know ${word}()`);
      const alias = this.#peek()?.kind === 'word' && !this.#is('from') ? this.#word() : undefined;
      return { field, aggregate: name, alias };
    });
  }

  #order(): Order {
    const field = this.#orderBy();
    const descending = this.#take('desc') || (this.#take('asc'), false);
    const nullsLast = this.#take('nulls', 'last') || (this.#take('nulls', 'first'), false);
    return { field, descending, nullsLast };
  }

  /** A field or alias, or an aggregate as it was selected. */
  #orderBy(): string {
    const word = this.#word();
    if (!this.#take('(')) return word;
    const field = this.#is(')') ? 'Id' : this.#word();
    this.#expect(')');
    return `${word.toLowerCase()}(${field.toLowerCase()})`;
  }

  /** AND and OR at one level need parentheses, as in SOQL. */
  #condition(): Condition {
    const parts = [this.#unary()];
    const word = this.#is('and') ? 'and' : this.#is('or') ? 'or' : undefined;
    if (word === undefined) return parts[0] as Condition;
    while (this.#take(word)) parts.push(this.#unary());
    if (this.#is('and') || this.#is('or')) throw malformedQuery(`unexpected token: '${this.#next().text}'`);
    return { kind: word, parts };
  }

  #unary(): Condition {
    if (this.#take('not')) return { kind: 'not', part: this.#unary() };
    if (this.#take('(')) {
      const condition = this.#condition();
      this.#expect(')');
      return condition;
    }
    return this.#comparison();
  }

  #comparison(): Condition {
    const field = this.#word();
    if (this.#take('not', 'in'))
      return { kind: 'compare', field, operator: 'not in', values: this.#literals() };
    if (this.#take('in')) return { kind: 'compare', field, operator: 'in', values: this.#literals() };
    const token = this.#next();
    const operator = token.text === '<>' ? '!=' : token.text.toLowerCase();
    if (!['=', '!=', '<', '<=', '>', '>=', 'like'].includes(operator))
      throw malformedQuery(`unexpected token: '${token.text}'`);
    return { kind: 'compare', field, operator: operator as Operator, values: [this.#literal()] };
  }

  #literals(): Literal[] {
    this.#expect('(');
    const literals = this.#list(() => this.#literal());
    this.#expect(')');
    return literals;
  }

  #literal(): Literal {
    const { kind, text } = this.#next();
    if (kind === 'string') return { kind, value: unescape(text.slice(1, -1)) };
    if (kind === 'number') return { kind, value: Number(text) };
    if (kind === 'date' || kind === 'datetime') return { kind, value: text };
    if (/^(true|false)$/i.test(text)) return { kind: 'boolean', value: text.toLowerCase() === 'true' };
    if (/^null$/i.test(text)) return { kind: 'null', value: null };
    if (DAYS.test(text)) return { kind: 'day', value: text.toLowerCase() };
    throw malformedQuery(`unexpected token: '${text}'`);
  }
}

const AGGREGATES: ReadonlySet<string> = new Set(['count', 'count_distinct', 'min', 'max', 'sum', 'avg']);

function isAggregate(name: string): name is Aggregate {
  return AGGREGATES.has(name);
}

function unescape(text: string): string {
  const named: Record<string, string> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' };
  return text.replace(/\\(.)/g, (_, letter: string) => named[letter] ?? letter);
}

const MAX_LENGTH = 100_000;

export function parseSoql(text: string): Soql {
  if (text.length > MAX_LENGTH) throw new ApiError(400, 'QUERY_TOO_COMPLICATED', 'Query is too long');
  return new Parser(tokenize(text)).query();
}
