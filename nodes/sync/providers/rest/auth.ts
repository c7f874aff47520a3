import { now } from '../../../shared/async/clock';
import { FlowError } from '../../../shared/errors';
import type { HttpClient } from '../../../shared/http/client';
import type { RefreshTokens } from '../../../shared/http/refresh-tokens';
import type { Secrets } from '../../../shared/secrets';
import type { Auth, Declaration } from './declaration';
import { entryNames, Grants, labelsOf, grantUrl, type Granted, type Granting } from './grant';
import { fillText, type Values } from './template';
import { say } from '../../../shared/say';

/** What authorizes a request. */
export interface Authorization {
  headers: Record<string, string>;
  query: Record<string, string>;
}

/** Gives what each request needs, and gets a token where one has to be fetched: one at a time, kept until it ends. */
export class Authenticator {
  private readonly auth: Auth;
  private readonly grants: Grants;
  private granted: Promise<Granted> | undefined;
  /** When the token has to be replaced, by the clock of `now`. */
  private until = Infinity;
  /** What the token was last given as. */
  private given: string | undefined;

  constructor(
    declaration: Declaration,
    private readonly values: Values,
    http: HttpClient,
    private readonly secrets: Secrets,
    private readonly refreshTokens: RefreshTokens | undefined,
  ) {
    this.auth = chosen(declaration, values);
    this.grants = new Grants(declaration, values, http, secrets);
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
      case 'oauth':
      case 'jwt':
        this.given = `Bearer ${await this.token(auth)}`;
        return header(this.given);
    }
  }

  /** The API has refused what was given. False where there is nothing else to give. */
  expired(refused: Authorization): boolean {
    if (this.auth.kind !== 'oauth' && this.auth.kind !== 'jwt') return false;
    // Another request may have got a new one already.
    if (refused.headers.authorization === this.given) this.granted = undefined;
    return true;
  }

  private async token(auth: Granting): Promise<string> {
    if (now() >= this.until) this.granted = undefined;
    const granted = (this.granted ??= this.fetch(auth));
    try {
      return (await granted).token;
    } catch (error) {
      if (this.granted === granted) this.granted = undefined;
      throw error;
    }
  }

  private async fetch(auth: Granting): Promise<Granted> {
    this.until = Infinity;
    const granted = await this.ask(auth);
    this.until = granted.until;
    return granted;
  }

  private ask(auth: Granting): Promise<Granted> {
    const configured = auth.kind === 'oauth' && auth.refresh !== undefined ? this.values.token : undefined;
    if (typeof configured !== 'string' || !this.refreshTokens) return this.grants.get(auth);
    const owner = {
      loginUrl: grantUrl(auth, this.values),
      clientId: String(this.values.user),
      refreshToken: configured,
    };
    return this.refreshTokens.use(owner, (token) => this.grants.get(auth, token));
  }
}

/** The first way for which everything is there. Throws NO_CREDENTIALS. */
function chosen(declaration: Declaration, values: Values): Auth {
  const { auth, label } = declaration;
  const missing = auth.map((way) => entryNames(way).filter((name) => !values[name]));
  const found = auth[missing.findIndex((names) => names.length === 0)];
  if (found) return found;
  const needed = missing.reduce((least, names) => (names.length <= least.length ? names : least));
  throw new FlowError(
    'NO_CREDENTIALS',
    say`To log in to ${label}, enter its ${labelsOf(needed, declaration).join(say` and its `)}`,
    false,
  );
}
