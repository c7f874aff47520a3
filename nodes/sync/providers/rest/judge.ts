import { parseDuration } from '../../../shared/duration';
import type { ErrorRule } from './declaration';
import { retryAfter } from '../../../shared/http/retry-after';
import { resetAt, type Headers } from './limiter';
import { matches } from './path';
import { say } from '../../../shared/say';

export interface Answer {
  status: number;
  headers: Headers;
  /** Parsed JSON; undefined where it is none. */
  body: unknown;
  text: string;
}

export interface Verdict {
  do: ErrorRule['do'] | 'ok';
  /** Milliseconds, where the API or the declaration says how long. */
  wait?: number;
  advice?: string;
}

/** What answers so may not be the API at all. */
export function isWebPage({ body, text }: Pick<Answer, 'body' | 'text'>): boolean {
  return wordsIn(body) === undefined && /^\s*</.test(text);
}

const OK: Verdict = { do: 'ok' };

/** What an answer means: by the declaration's rules, else by its status. The body of a failure may be anything. */
export function judge(answer: Answer, rules: readonly ErrorRule[], apiNow: number): Verdict {
  const rule = rules.find((each) => fits(each, answer));
  const after = retryAfter(answer.headers, apiNow);
  if (!rule) {
    const verdict = byStatus(answer);
    return after === undefined || verdict === OK ? verdict : { ...verdict, wait: after };
  }
  const until = rule.until === undefined ? undefined : resetAt(answer.headers, rule.until, apiNow);
  const declared = rule.wait === undefined ? undefined : parseDuration(rule.wait);
  // A second more: the API's reset is in whole ones.
  const wait = after ?? (until === undefined ? declared : Math.max(1_000, until - apiNow + 1_000));
  return { do: rule.do, ...(wait !== undefined && { wait }), advice: rule.advice };
}

function fits({ status, text, where, headers }: ErrorRule, answer: Answer): boolean {
  if (status === undefined && answer.status < 400) return false;
  if (status !== undefined && ![status].flat().includes(answer.status)) return false;
  if (text !== undefined && !answer.text.toLowerCase().includes(text.toLowerCase())) return false;
  if (where && !matches(answer.body, where)) return false;
  return !headers || matches(answer.headers, headers);
}

function byStatus({ status, body }: Answer): Verdict {
  // An answer that is no JSON is not the API's: a proxy's, or a page that asks to log in.
  if ((status >= 200 && status < 300 && body !== undefined) || status === 204 || status === 304) return OK;
  if (status >= 200 && status < 300) return { do: 'retry' };
  if (status === 429) return { do: 'wait' };
  if (status === 401) return { do: 'login' };
  if (status === 404 || status === 410) return { do: 'gone' };
  const passes = status === 408 || status === 409 || status === 423 || status === 425 || status >= 500;
  return { do: passes ? 'retry' : 'fail' };
}

/** What the API says went wrong, in its words; of a page of HTML nothing. */
export function saying({ status, body, text }: Answer): string {
  const found = wordsIn(body);
  if (found !== undefined) return found.slice(0, 500);
  // A gateway in front of the API has pages of its own.
  if (isWebPage({ body, text }))
    return status < 500
      ? say`a web page in the place of JSON; check the base URL`
      : say`a web page in the place of JSON`;
  if (text.trim() === '') return say`nothing more`;
  return status < 300 ? 'no JSON' : text.trim().slice(0, 200);
}

function wordsIn(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null) return undefined;
  const found = body as Record<string, unknown>;
  if (typeof found.message === 'string') return found.message;
  if (typeof found.error_description === 'string')
    return `${String(found.error)}: ${found.error_description}`;
  if (typeof found.description === 'string') return `${String(found.error)}: ${found.description}`;
  if (typeof found.error === 'string') return found.error;
  if (Array.isArray(found.errorMessages) && found.errorMessages.length > 0)
    return found.errorMessages.join('; ');
  return wordsIn(found.error) ?? (typeof found.title === 'string' ? found.title : undefined);
}
