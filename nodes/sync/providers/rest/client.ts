import { now } from '../../../shared/async/clock';
import { FlowError, codeOf } from '../../../shared/errors';
import { HttpClient, type HttpAnswer, type LostRequest } from '../../../shared/http/client';
import type { RefreshTokens } from '../../../shared/http/refresh-tokens';
import { parseJson } from '../../../shared/json';
import { Secrets } from '../../../shared/secrets';
import { inCall } from '../../../shared/tracing/current';
import { Authenticator, type Authorization } from './auth';
import type { Ask, Declaration, ErrorRule } from './declaration';
import { isWebPage, judge, saying, type Answer, type Verdict } from './judge';
import { Limiter, type Hold } from './limiter';
import { fill, type Values } from './template';
import { apiUrl, requestUrl } from './url';
import { called, say } from '../../../shared/say';

export interface ClientOptions {
  declaration: Declaration;
  /** `baseUrl user account token secret privateKey`. */
  values: Values;
  /** Percent of the API's limits. */
  budget: number;
  refreshTokens?: RefreshTokens;
  /** Bytes of an answer, as it came and unpacked. */
  largest?: number;
}

export interface Request {
  ask: Ask;
  values?: Values;
  /** Asked as it is, in the place of what `ask` says. */
  url?: string;
  etag?: string;
}

/** An answer that is one: `ok`, or what the collection has to decide. */
export interface Found extends Answer {
  verdict: 'ok' | 'empty' | 'gone' | 'restart';
  url: string;
  /** What was asked and which status came. */
  answered: string;
  /** Why, where the verdict isn't "ok". */
  because: string;
}

const TIMEOUT = 60_000;
/** An API that answers others but fails so often on one request is not away; the request is at fault. */
const LOSSES = 4;
const RETRY = 1_000;
const WAIT = { first: 60_000, longest: 15 * 60_000 };
const REDIRECTS = 5;

/**
 * Asks one API. A request waits while the API is out of reach or its limit or our share of it is spent, and is asked
 * again when that is over: reading twice harms nobody, and no page is ever skipped.
 */
export class RestClient {
  readonly limiter: Limiter;
  readonly secrets: Secrets;
  readonly values: Values;
  private readonly http: HttpClient;
  private readonly authenticator: Authenticator;
  private readonly listeners = new Set<() => void>();
  /** The Date of its last answer, and when that came by a clock that nobody sets. */
  private clock: { api: number; at: number } | undefined;

  /** Throws NO_CREDENTIALS or INVALID_SOURCE where it can't ask anything. */
  constructor(private readonly options: ClientOptions) {
    const { declaration, values, budget, refreshTokens, largest } = options;
    this.values = { ...values, baseUrl: apiUrl(declaration, values.baseUrl) };
    this.secrets = new Secrets(values.token, values.secret, values.privateKey);
    this.limiter = new Limiter(declaration.rates, budget, () => this.tell());
    this.http = new HttpClient({ address: say`the base URL`, other: declaration.label, lost, largest });
    this.authenticator = new Authenticator(declaration, this.values, this.http, this.secrets, refreshTokens);
  }

  get unavailable(): (Hold & { since: number }) | undefined {
    return this.limiter.hold;
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** Epoch ms by the API's clock; by ours where it hasn't said. */
  now(): number {
    return this.clock ? this.clock.api + now() - this.clock.at : Date.now();
  }

  /** The API has said what time it is. */
  get knowsTime(): boolean {
    return this.clock !== undefined;
  }

  /** The lesser of both clocks: a time that has passed by either. */
  past(): number {
    return Math.min(Date.now(), this.now());
  }

  urlOf(ask: Ask, values: Values): string {
    return requestUrl(this.options.declaration, ask, { ...this.values, ...values });
  }

  isOwn(url: string): boolean {
    return isOwn(url, this.values.baseUrl as string);
  }

  close(): void {
    this.http.close();
  }

  /** Throws FlowError; CLOSED when `signal` aborts. */
  async ask(request: Request, signal: AbortSignal, rules: readonly ErrorRule[] = []): Promise<Found> {
    const { declaration } = this.options;
    const all = [...rules, ...(declaration.errors ?? [])];
    const { ask, values = {}, url: given } = request;
    const known = { ...this.values, ...values };
    let url = given ?? requestUrl(declaration, ask, known);
    for (let losses = 0, logins = 0, waits = 0; ;) {
      const outcome = await this.limiter.take(url, signal, () => this.once(url, request, known));
      if (signal.aborted || !outcome) throw closed(declaration);
      if ('lost' in outcome) {
        this.lost(outcome.lost, url, ++losses);
        continue;
      }
      const { answer, authorization } = outcome;
      const moved = redirect(answer, url, this.values.baseUrl as string);
      if (moved !== undefined) {
        if (++losses > REDIRECTS) throw this.error('fail', answer, url, undefined);
        url = moved;
        continue;
      }
      const verdict = judge(answer, all, this.now());
      if (verdict.do === 'gone' && ask.otherwise && given === undefined && url.includes(pathOf(ask))) {
        url = requestUrl(declaration, { ...ask, get: ask.otherwise, otherwise: undefined }, known);
        continue;
      }
      switch (verdict.do) {
        case 'ok':
        case 'empty':
        case 'gone':
        case 'restart':
          this.limiter.go();
          this.limiter.observe(answer.headers, this.now());
          return {
            ...{ ...answer, verdict: verdict.do, url, answered: this.answered(answer, url) },
            because: this.because(answer, url, verdict.advice),
          };
        case 'wait':
          this.wait(verdict, answer, waits++);
          continue;
        case 'retry':
          this.lost(this.error('retry', answer, url, verdict.advice), url, ++losses, verdict.wait);
          continue;
        case 'login':
          if (logins++ === 0 && this.authenticator.expired(authorization)) continue;
          throw this.error('login', answer, url, verdict.advice);
        case 'fail':
          throw this.error('fail', answer, url, verdict.advice);
      }
    }
  }

  private async once(
    url: string,
    { ask, etag }: Request,
    values: Values,
  ): Promise<{ answer: Answer; authorization: Authorization } | { lost: FlowError }> {
    const { declaration } = this.options;
    try {
      const authorization = await this.authenticator.authorization();
      const own = isOwn(url, this.values.baseUrl as string);
      const target = new URL(url);
      if (own)
        for (const [name, value] of Object.entries(authorization.query)) target.searchParams.set(name, value);
      const body = ask.post === undefined ? undefined : JSON.stringify(fill(ask.body ?? {}, values));
      const method = ask.post === undefined ? 'GET' : 'POST';
      const headers = {
        'user-agent': 'jetforce-node-red',
        ...(fill(declaration.headers ?? {}, values) as Record<string, string>),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(etag !== undefined && { 'if-none-match': etag }),
        // They belong to this API, and go nowhere else.
        ...(own && authorization.headers),
      };
      const answer = await inCall(declaration.label, method, this.secrets.strike(target.pathname), () =>
        this.http.send({ method, url: target.href, headers, body, timeout: TIMEOUT }),
      );
      this.observeClock(answer);
      return { answer: { ...answer, body: parsed(answer) }, authorization };
    } catch (error) {
      if (error instanceof FlowError && error.retryable && error.code !== 'CLOSED') return { lost: error };
      if (codeOf(error) === 'ERR_INVALID_CHAR') throw unsendable(declaration);
      throw error;
    }
  }

  /** `times`: so often this request was told to wait before. An API may say that it needn't, and refuse it all the same. */
  private wait(verdict: Verdict, answer: Answer, times: number): void {
    const backoff = Math.min(WAIT.longest, WAIT.first * 2 ** times);
    const least = times === 0 ? 0 : Math.min(WAIT.first, RETRY * 2 ** (times - 1));
    const message = say`${this.options.declaration.label} limits requests (${answer.status}): ${this.secrets.strike(saying(answer))}`;
    this.limiter.stop({ code: 'API_LIMIT', message }, Math.max(least, verdict.wait ?? backoff));
  }

  private lost(error: FlowError, url: string, losses: number, wait = RETRY * 2 ** (losses - 1)): void {
    if (losses === LOSSES)
      throw new FlowError(error.code, say`${shown(url)} failed ${LOSSES} times: ${error.message}`, true, {
        cause: error,
      });
    this.limiter.stop({ code: 'API_UNREACHABLE', message: error.message }, wait);
  }

  private error(how: 'fail' | 'login' | 'retry', answer: Answer, url: string, advice?: string): FlowError {
    const code = how === 'login' ? 'API_LOGIN' : how === 'retry' ? 'API_UNREACHABLE' : 'API_REFUSED';
    const retryable = how === 'retry' || (how === 'fail' && isWebPage(answer));
    return new FlowError(code, this.because(answer, url, advice), retryable, {
      details: { status: answer.status, ...(isWebPage(answer) && { webPage: true }) },
    });
  }

  private because(answer: Answer, url: string, advice: string | undefined): string {
    const text = `${this.answered(answer, url)}: ${saying(answer)}`;
    return this.secrets.strike(
      advice === undefined ? text : `${text.replace(/\.?$/, '')}. ${called(advice)}`,
    );
  }

  private answered({ status }: Answer, url: string): string {
    return this.secrets.strike(say`${this.options.declaration.label} answered ${shown(url)} with ${status}`);
  }

  private observeClock({ headers }: HttpAnswer): void {
    const api = Date.parse(String(headers.date));
    if (!Number.isNaN(api)) this.clock = { api, at: now() };
  }

  private tell(): void {
    for (const listener of this.listeners) listener();
  }
}

function lost({ code = 'API_UNREACHABLE', message, cause }: LostRequest): FlowError {
  return new FlowError(code, message, true, { cause });
}

function parsed({ text, status }: HttpAnswer): unknown {
  if (status === 304 || text === '') return undefined;
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

/** Where a moved thing is now; undefined where the answer doesn't say. */
function redirect({ status, headers }: Answer, url: string, baseUrl: string): string | undefined {
  if (![301, 302, 307, 308].includes(status) || typeof headers.location !== 'string') return undefined;
  const target = URL.canParse(headers.location, url) ? new URL(headers.location, url) : undefined;
  // What was asked for is asked for there, too.
  if (target?.search === '') target.search = new URL(url).search;
  // From https to http nothing goes.
  return target && (target.protocol === 'https:' || isOwn(target.href, baseUrl)) ? target.href : undefined;
}

function isOwn(url: string, baseUrl: string): boolean {
  return new URL(url).origin === new URL(baseUrl).origin;
}

function pathOf({ get, post }: Ask): string {
  return (get ?? post ?? '').split('{')[0] ?? '';
}

/** Without its parameters, which may be long, or secret. */
function shown(url: string): string {
  return decodeURI(new URL(url).pathname).slice(0, 200);
}

function unsendable({ label }: Declaration): FlowError {
  const why = say`What ${label} is asked with holds signs that no header can carry: enter the token anew, without blanks or line ends`;
  return new FlowError('API_LOGIN', why, false);
}

function closed({ label }: Declaration): FlowError {
  return new FlowError('CLOSED', say`The sync was stopped while it waited for ${label}`);
}
