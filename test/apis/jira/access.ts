/** Who may come in: API tokens at the site, scoped ones and those of OAuth at the gateway. */
import { type Reply } from '../../support/simulated/exchange';
import { basic, bearerOf, type TokenDesk } from '../frame/oauth';
import { Refusal } from '../frame/simulation';
import { errorReply } from './errors';
import { type Switches } from './switches';

export const EMAIL = 'admin@example.test';
export const API_TOKEN = 'ATATT3simulatedApiToken';
/** Good at the gateway only, with the same e-mail address. */
export const SCOPED_TOKEN = 'ATSTT3simulatedScopedToken';

export interface Caller {
  /** Undefined: all that the user may do. */
  scopes?: readonly string[];
  /** Points are counted. */
  isApp: boolean;
}

export class Access {
  #failed = 0;

  constructor(
    private readonly switches: Switches,
    private readonly tokens: TokenDesk,
  ) {}

  caller(authorization: string | undefined, place: 'site' | 'gateway'): Caller {
    const bearer = bearerOf(authorization);
    if (bearer !== undefined) {
      const scopes = place === 'gateway' ? this.tokens.scopesOf(bearer) : undefined;
      if (!scopes) throw new Refusal(this.unauthorized(place));
      return { scopes: scopes.filter((scope) => this.switches.scopes.includes(scope)), isApp: true };
    }
    const { captchaAfter } = this.switches;
    if (captchaAfter > 0 && this.#failed >= captchaAfter)
      throw new Refusal(
        errorReply(
          401,
          'Login denied: a CAPTCHA has to be answered first.',
          {},
          {
            'X-Seraph-LoginReason': 'AUTHENTICATION_DENIED',
          },
        ),
      );
    if (authorization !== basic(EMAIL, place === 'site' ? API_TOKEN : SCOPED_TOKEN)) {
      this.#failed++;
      throw new Refusal(this.unauthorized(place));
    }
    this.#failed = 0;
    return { scopes: place === 'gateway' ? this.switches.scopes : undefined, isApp: false };
  }

  unauthorized(place: 'site' | 'gateway'): Reply {
    if (place === 'gateway') return { status: 401, body: { code: 401, message: 'Unauthorized' } };
    const headers = {
      'WWW-Authenticate': 'OAuth realm="http%3A%2F%2F127.0.0.1"',
      'X-Seraph-LoginReason': 'AUTHENTICATED_FAILED',
    };
    const words = 'Client must be authenticated to access this resource.';
    switch (this.switches.unauthorized) {
      case 'json':
        return errorReply(401, words, {}, headers);
      case 'html':
        return { status: 401, body: `<html><body><h1>${words}</h1></body></html>`, headers };
      case 'text':
        return {
          status: 401,
          body: words,
          headers: { ...headers, 'Content-Type': 'text/plain;charset=UTF-8' },
        };
    }
  }

  /** The gateway's answer to a token without a scope. */
  require(scope: string, { scopes }: Caller): void {
    if (scopes && !scopes.includes(scope))
      throw new Refusal({ status: 401, body: { code: 401, message: 'Unauthorized; scope does not match' } });
  }
}
