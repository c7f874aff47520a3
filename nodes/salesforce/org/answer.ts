import { judge, type Judgement } from '../../shared/http/judge';
import { retryAfter } from '../../shared/http/retry-after';
import { API_OFF, FULL, METERED, VERSION_OFF, holds } from './error-codes';
import { OrgOutage } from './outage';
import { say } from '../../shared/say';

/** An answer of the org, whatever its status; `body` is parsed JSON, or the text where it is none, or its parts. */
export interface OrgAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: unknown;
}

export interface RestError {
  errorCode: string;
  message: string;
  fields: string[];
}

/** Whose answer it is. The org's own refusals are `[{message, errorCode}]`, or the rows of a tree. */
export function judgeAnswer({ status, headers, body }: OrgAnswer): Judgement {
  const judgement = judge({ status, contentType: String(headers['content-type'] ?? ''), body }, isOwn);
  const expired = judgement === 'refused' && firstOf(body).errorCode === 'INVALID_SESSION_ID';
  return expired ? 'session' : judgement;
}

/**
 * The outage that a whole answer tells of, if it does: of the org, or of what stands before it. `write`: an answer after
 * which nobody knows whether the request was carried out is none, except 503, as the org may choke on just that request.
 */
export function outageOf(answer: OrgAnswer, write = true): OrgOutage | undefined {
  const { errorCode, message } = restError(answer);
  const said = `(${answer.status} ${errorCode}: ${message})`;
  const wait = retryAfter(answer.headers, Date.parse(String(answer.headers.date)) || Date.now());
  const outage = (reason: OrgOutage['reason'], sentence: string, sent = false) =>
    new OrgOutage(reason, errorCode, sentence, sent, { wait });
  switch (judgeAnswer(answer)) {
    case 'done':
    case 'large':
      return undefined;
    case 'refused':
      return refusalOutage(errorCode, said);
    case 'session':
      return outage(
        'login',
        say`The org does not take its own session ${said}; check that the user may use the API`,
      );
    case 'moved':
      return moved(answer);
    case 'busy':
      return outage('unreachable', say`The org, or what stands before it, asks for fewer requests ${said}`);
    case 'away':
      return outage(
        'unreachable',
        say`Something before the org refuses the request ${said}; look at the network, proxies and firewalls on the way, and https://status.salesforce.com`,
      );
    case 'unknown':
      if (write && answer.status !== 503) return undefined;
      return outage(
        'unreachable',
        say`The org is not available ${said}; see https://status.salesforce.com`,
        write,
      );
  }
}

/** The org is at another address than the last login said, or something in between redirects. */
export function moved(answer: OrgAnswer): OrgOutage {
  const location = String(answer.headers.location ?? '');
  const where = URL.canParse(location) ? say` to ${new URL(location).host}` : '';
  return new OrgOutage(
    'unreachable',
    `HTTP_${answer.status}`,
    say`The address of the org redirects${where} (${answer.status}), but a new login names no other one; if the org has moved, check the login URL, else look for a portal or a proxy on the way`,
    false,
  );
}

/**
 * The outage that the org tells of by a code of its own, for a call or for a row; undefined for any other code. Nothing
 * was carried out. `said` quotes it.
 */
export function refusalOutage(code: string, said: string): OrgOutage | undefined {
  if (!holds(code)) return undefined;
  const outage = (reason: OrgOutage['reason'], sentence: string) =>
    new OrgOutage(reason, code, sentence, false);
  if (METERED.has(code))
    return outage(
      'limit',
      /concurrent/i.test(said)
        ? say`The org has too many long requests under way ${said}; find out what takes so long (triggers, flows), or let fewer requests go at once`
        : say`The org's API request limit is spent ${said}; it may last until older calls fall out of the last 24 hours`,
    );
  if (FULL.has(code))
    return outage(
      'limit',
      say`The org's data storage is full ${said}; delete records, or buy storage: see Setup → Storage Usage`,
    );
  if (API_OFF.has(code))
    return outage('login', say`The org does not allow API calls to this user ${said}; enable the API`);
  if (VERSION_OFF.has(code)) return noSuchVersion(code, said);
  return outage(
    'unreachable',
    say`The org does no such work just now ${said}; see https://status.salesforce.com`,
  );
}

/** The org itself says that there is no such thing. */
export function isNotFound(answer: OrgAnswer): boolean {
  return (
    answer.status === 404 && judgeAnswer(answer) === 'refused' && restError(answer).errorCode === 'NOT_FOUND'
  );
}

export function noSuchVersion(code: string, said: string): OrgOutage {
  const sentence = say`The org does not have the API version that is set ${said}; set another one in the org's configuration`;
  return new OrgOutage('login', code, sentence, false);
}

/** First entry of a REST error body `[{message, errorCode}]`, or what stands in its place. */
export function restError(answer: Pick<OrgAnswer, 'status' | 'body'>): RestError {
  const { errorCode, message, fields } = firstOf(answer.body);
  if (typeof errorCode === 'string' && errorCode !== '')
    return {
      errorCode,
      message: typeof message === 'string' ? message : '',
      fields: namesOf(fields),
    };
  return {
    errorCode: `HTTP_${answer.status}`,
    message: typeof answer.body === 'string' ? answer.body.slice(0, 200) : '',
    fields: [],
  };
}

/** The names of fields in an error: a list of texts, or one text; anything else names none. */
export function namesOf(fields: unknown): string[] {
  const list: unknown[] = Array.isArray(fields) ? fields : [fields];
  return list.filter((name): name is string => typeof name === 'string' && name !== '');
}

/** What GET /limits says of the day's API calls; undefined where it doesn't. */
export function dailyCalls(body: unknown): { used: number; max: number } | undefined {
  const { DailyApiRequests: daily } = { ...(body as { DailyApiRequests?: unknown } | undefined) };
  const { Max: max, Remaining: left } = { ...(daily as { Max?: unknown; Remaining?: unknown } | undefined) };
  return typeof max === 'number' && typeof left === 'number' ? { used: max - left, max } : undefined;
}

function firstOf(body: unknown): Record<string, unknown> {
  const first: unknown = Array.isArray(body) ? body[0] : body;
  return typeof first === 'object' && first !== null ? (first as Record<string, unknown>) : {};
}

function isOwn(body: unknown): boolean {
  const first = firstOf(body);
  return typeof first.errorCode === 'string' || Array.isArray(first.results);
}
