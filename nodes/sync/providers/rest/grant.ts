import { now } from '../../../shared/async/clock';
import { parseDuration } from '../../../shared/duration';
import { FlowError } from '../../../shared/errors';
import type { HttpAnswer, HttpClient } from '../../../shared/http/client';
import { parseJson } from '../../../shared/json';
import { signJwt } from '../../../shared/jwt';
import type { Secrets } from '../../../shared/secrets';
import type { Auth, Declaration } from './declaration';
import { isWebPage, judge, saying } from './judge';
import { at, timeAt } from './path';
import { fill, fillPath, fillText, namesIn, type Values } from './template';
import { called, labelOf, say } from '../../../shared/say';

/** A way to log in that gives a token for a while. */
export type Granting = Auth & { kind: 'oauth' | 'jwt' };

export interface Granted {
  token: string;
  /** In the place of the one that was used. */
  refreshToken?: string;
  /** When to get another one, by the clock of `now`; Infinity where the API doesn't say. */
  until: number;
}

const TIMEOUT = 30_000;
/** What a header can carry. */
const SENDABLE = /^[\x21-\x7e]+$/;
/** Before its end, or a tenth of its life where that is less. */
const AHEAD = 5 * 60_000;
/** Seconds before now at which a JWT begins: its reader's clock may be behind. */
const SKEW = 60;
/** Milliseconds from which on a refusal may be one of the other side's clock. */
const APART = 30_000;

/** Asks for tokens. */
export class Grants {
  /** Milliseconds by which the other side's clock is ahead of ours, as far as it has said. */
  private clock = 0;

  constructor(
    private readonly declaration: Declaration,
    private readonly values: Values,
    private readonly http: HttpClient,
    private readonly secrets: Secrets,
  ) {}

  /** Throws API_LOGIN, and what is retryable where it may be given later. */
  async get(auth: Granting, refresh?: string): Promise<Granted> {
    const { values } = this;
    const url = grantUrl(auth, values);
    this.secrets.add(refresh);
    let answer = await this.post(auth, url, refresh);
    const clock = Date.parse(String(answer.headers.date)) - Date.now();
    // A JWT of the future, or of long ago, is one of another clock.
    if (auth.kind === 'jwt' && answer.status === 401 && Math.abs(clock - this.clock) > APART) {
      this.clock = clock;
      answer = await this.post(auth, url, refresh);
    }
    const body = parsed(answer);
    const token = at(body, auth.token ?? 'access_token');
    const rotated = at(body, 'refresh_token');
    if (answer.status >= 300 || typeof token !== 'string' || !SENDABLE.test(token))
      throw this.refused(auth, url, answer, body, refresh);
    this.secrets.add(token, rotated);
    return {
      token,
      until: until(body, auth.expires ?? 'expires_in|after', Date.now() + (clock || 0)),
      ...(typeof rotated === 'string' && { refreshToken: rotated }),
    };
  }

  private post(auth: Granting, url: string, refresh: string | undefined): Promise<HttpAnswer> {
    const jwt = auth.kind === 'jwt' ? this.jwt(auth) : undefined;
    this.secrets.add(jwt);
    const filled = fill(auth.form ?? {}, {
      ...this.values,
      jwt,
      ...(refresh !== undefined && { token: refresh }),
    });
    const body = new URLSearchParams(filled as Record<string, string>).toString();
    const bearer = auth.form === undefined && jwt !== undefined;
    const headers = {
      'user-agent': 'jetforce-node-red',
      ...(fill(this.declaration.headers ?? {}, this.values) as Record<string, string>),
      ...(auth.form && { 'content-type': 'application/x-www-form-urlencoded' }),
      ...(bearer && { authorization: `Bearer ${jwt}` }),
    };
    return this.http.send({ method: 'POST', url, headers, ...(auth.form && { body }), timeout: TIMEOUT });
  }

  private jwt({ key, algorithm, claims, lives = '9m' }: Granting & { kind: 'jwt' }): string {
    const seconds = Math.floor((Date.now() + this.clock) / 1_000);
    // Begun a while ago for those whose clock is behind.
    const times = { iat: seconds - SKEW, exp: seconds + parseDuration(lives) / 1_000 };
    try {
      const said = fill(claims, this.values) as Record<string, string>;
      return signJwt({ ...times, ...said }, fillText(key, this.values) ?? '', algorithm);
    } catch (error) {
      const why = say`The private key for ${this.declaration.label} is no RSA key in PEM form (-----BEGIN … PRIVATE KEY-----): paste it whole, without a passphrase`;
      throw new FlowError('API_LOGIN', why, false, { cause: error });
    }
  }

  private refused(
    auth: Granting,
    url: string,
    answer: HttpAnswer,
    body: unknown,
    refresh?: string,
  ): FlowError {
    const seen = { ...answer, body };
    const verdict = judge(seen, this.declaration.errors ?? [], Date.now() + this.clock);
    const passes = verdict.do === 'wait' || verdict.do === 'retry' || isWebPage(seen);
    const { host } = new URL(url);
    const odd = answer.status < 300 && typeof at(body, auth.token ?? 'access_token') === 'string';
    const said = odd
      ? say`${host} gives an access token that no header can carry: it is empty, or has blanks or other signs`
      : say`${host} gives no access token (${answer.status}): ${saying(seen)}`;
    const again =
      refresh === undefined
        ? ''
        : say`, or authorize the app again: a refresh token ends, and may count but once`;
    const advice = say`. Check ${entriesOf(auth, this.declaration).join(', ')}${again}`;
    return new FlowError(
      passes ? 'API_UNREACHABLE' : 'API_LOGIN',
      this.secrets.strike(passes ? said : said.replace(/\.?$/, advice)),
      passes,
    );
  }
}

export function grantUrl(auth: Granting, values: Values): string {
  const path = fillPath(auth.url.replace('{baseUrl}', ''), values);
  return auth.url.startsWith('{baseUrl}') ? `${String(values.baseUrl)}${path}` : path;
}

/** What a way to log in needs of the form, as it is called there. */
export function entriesOf(auth: Auth, declaration: Declaration): string[] {
  return labelsOf(entryNames(auth), declaration);
}

/** What the form calls these entries. */
export function labelsOf(names: string[], { login = {} }: Declaration): string[] {
  return names.map((name) => {
    const label = Object.hasOwn(login, name) ? login[name as keyof typeof login]?.label : undefined;
    return label === undefined ? labelOf('api-source', name) : called(label);
  });
}

/** The same by their names. */
export function entryNames(auth: Auth): string[] {
  return [...new Set(namesIn(auth))].filter((name) => name !== 'baseUrl' && name !== 'jwt');
}

function until(body: unknown, pathAndFormat: string, apiNow: number): number {
  const [path = '', format] = pathAndFormat.split('|');
  const life =
    format === 'after' ? Number(at(body, path)) * 1_000 : (timeAt(body, pathAndFormat) ?? NaN) - apiNow;
  return life > 0 ? now() + life - Math.min(AHEAD, life / 10) : Infinity;
}

/** JSON, or the form that some answer by. */
function parsed({ text, headers }: HttpAnswer): unknown {
  if (/^application\/x-www-form-urlencoded/i.test(headers['content-type'] ?? ''))
    return Object.fromEntries(new URLSearchParams(text));
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}
