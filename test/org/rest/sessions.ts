/** Who is logged in: access tokens, their users and how long they live. */
import { randomBytes } from 'node:crypto';

export interface Session {
  readonly token: string;
  /** Id of the user. */
  readonly userId: string;
  readonly clientId: string;
  expiresAt: number;
}

/** An org's session timeout counts from the last use, two hours by default. */
export class Sessions {
  lifetimeMs = 2 * 60 * 60_000;
  readonly #sessions = new Map<string, Session>();

  constructor(
    private readonly orgId: () => string,
    private readonly now: () => number,
  ) {}

  create(userId: string, clientId: string): Session {
    const token = `${this.orgId().slice(0, 15)}!${randomBytes(72).toString('base64url').replaceAll('-', '.')}`;
    const session = { token, userId, clientId, expiresAt: this.now() + this.lifetimeMs };
    this.#sessions.set(token, session);
    return session;
  }

  /** The session of this token if it is still good; using it keeps it alive. */
  use(token: string | undefined): Session | undefined {
    const session = token === undefined ? undefined : this.#sessions.get(token);
    if (!session || session.expiresAt <= this.now()) return undefined;
    session.expiresAt = this.now() + this.lifetimeMs;
    return session;
  }

  /** Ends one session. */
  end(token: string): void {
    this.#sessions.delete(token);
  }

  /** Ends every session, or one user's. */
  expire(userId?: string): number {
    let ended = 0;
    for (const session of this.#sessions.values()) {
      if (session.expiresAt === 0 || (userId !== undefined && session.userId !== userId)) continue;
      session.expiresAt = 0;
      ended++;
    }
    return ended;
  }
}
