import type { HttpClient } from '../../../shared/http/client';
import { FlowError } from '../../../shared/errors';
import type { RefreshTokens } from '../../../shared/http/refresh-tokens';
import type { Secrets } from '../../../shared/secrets';
import { parseJson } from '../../../shared/json';
import type { Auth, Declaration } from './declaration';
import { saying } from './judge';
import { fill, fillPath, fillText, namesIn, type Values } from './template';

const TIMEOUT = 30_000;

/** What authorizes a request. */
export interface Authorization {
  headers: Record<string, string>;
  query: Record<string, string>;
}

/** Gives what each request needs, and gets a token where one has to be fetched: one at a time, kept until it ends. */
export class Authenticator {
  private readonly auth: Auth;
  private token: Promise<string> | undefined;
  /** What the token was last given as. */
  private given: string | undefined;

  constructor(
    declaration: Declaration,
    private readonly values: Values,
    private readonly http: HttpClient,
    private readonly secrets: Secrets,
    private readonly refreshTokens: RefreshTokens | undefined,
  ) {
    this.auth = chosen(declaration, values);
  }

  /** Throws API_LOGIN. */
  async authorization(): Promise<Authorization> {
    const { auth, values } = this;
    const text = (template: string): string => fillText(template, values) ?? '';
    const header = (value: string): Authorization => ({ headers: { authorization: value }, query: {} });
    switch (auth.kind) {
      case 'none':
        return { headers: {}, query: {} };
      case 'bearer':
        return header(`Bearer ${text(auth.token)}`);
      case 'basic': {
        const login = Buffer.from(`${text(auth.user)}:${text(auth.password)}`).toString('base64');
        this.secrets.add(login);
        return header(`Basic ${login}`);
      }
      case 'header':
        return { headers: { [auth.name.toLowerCase()]: text(auth.value) }, query: {} };
      case 'query':
        return { headers: {}, query: { [auth.name]: text(auth.value) } };
      case 'oauth': {
        this.token ??= this.fetch(auth);
        this.token.catch(() => (this.token = undefined));
        this.given = `Bearer ${await this.token}`;
        return header(this.given);
      }
    }
  }

  /** The API has refused what was given. False where there is nothing else to give. */
  expired(refused: Authorization): boolean {
    if (this.auth.kind !== 'oauth') return false;
    // Another request may have got a new one already.
    if (refused.headers.authorization === this.given) this.token = undefined;
    return true;
  }

  private async fetch(auth: Auth & { kind: 'oauth' }): Promise<string> {
    const url = fillPath(auth.url.replace('{baseUrl}', ''), this.values);
    const address = auth.url.startsWith('{baseUrl}') ? `${String(this.values.baseUrl)}${url}` : url;
    const configured = auth.refresh === undefined ? undefined : this.values.token;
    if (typeof configured !== 'string' || !this.refreshTokens) return (await this.post(auth, address)).token;
    const owner = { loginUrl: address, clientId: String(this.values.user), refreshToken: configured };
    const granted = await this.refreshTokens.use(owner, (token) => this.post(auth, address, token));
    return granted.token;
  }

  private async post(
    auth: Auth & { kind: 'oauth' },
    url: string,
    refresh?: string,
  ): Promise<{ token: string; refreshToken?: string }> {
    this.secrets.add(refresh);
    const form = fill(auth.form, { ...this.values, ...(refresh !== undefined && { token: refresh }) });
    const body = new URLSearchParams(form as Record<string, string>).toString();
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const { status, text } = await this.http.send({ method: 'POST', url, headers, body, timeout: TIMEOUT });
    const answer = parsed(text) as { access_token?: unknown; refresh_token?: unknown } | undefined;
    if (status < 300 && typeof answer?.access_token === 'string') {
      const rotated = typeof answer.refresh_token === 'string' ? answer.refresh_token : undefined;
      this.secrets.add(answer.access_token, rotated);
      return { token: answer.access_token, ...(rotated !== undefined && { refreshToken: rotated }) };
    }
    const said = this.secrets.strike(saying({ status, headers: {}, body: answer, text }));
    const busy = status === 429 || status >= 500;
    throw new FlowError(
      busy ? 'API_UNREACHABLE' : 'API_LOGIN',
      `${new URL(url).host} gives no access token (${status}): ${said}`,
      busy,
    );
  }
}

/** The first way for which everything is there. Throws API_LOGIN. */
function chosen({ auth, label }: Declaration, values: Values): Auth {
  const missing = auth.map((way) => namesIn(way).filter((name) => name !== 'baseUrl' && !values[name]));
  const found = auth[missing.findIndex((names) => names.length === 0)];
  if (found) return found;
  const needed = missing.reduce((least, names) => (names.length <= least.length ? names : least));
  throw new FlowError('API_LOGIN', `To log in to ${label}, enter its ${needed.join(' and its ')}`, false);
}

function parsed(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}
