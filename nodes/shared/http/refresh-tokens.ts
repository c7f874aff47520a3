import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../errors';
import { say } from '../say';

/** Which token: it was configured for this client of this org, and is sent nowhere else. */
export interface TokenOwner {
  loginUrl: string;
  clientId: string;
  /** As configured: one newly entered in the editor is another one, with nothing kept for it. */
  refreshToken: string;
}

/** Keeps refresh tokens that an API has put in the place of those configured. */
export interface RefreshTokens {
  /**
   * Logs in with the newest token, one at a time for each owner (a token used twice is revoked), and keeps the one that
   * comes back before anybody goes on.
   */
  use<T extends { refreshToken?: string }>(
    owner: TokenOwner,
    login: (token: string) => Promise<T>,
  ): Promise<T>;
}

/** Where versions before kept one, open to everybody who may look into the editor. */
export interface TokenContext {
  get(key: string): unknown;
  set(key: string, value: unknown): void;
}

const KEY = 'rotatedRefreshToken';

/** By owner, for all sessions of this process. */
const newest = new Map<string, string>();
const queues = new Map<string, Promise<unknown>>();

/**
 * Keeps them in `folder`, in a file that nobody else may read (0600), and without a folder as long as the process
 * lives. `warn` is told where that fails, or where there is no folder.
 */
export function refreshTokens(
  folder: string | undefined,
  warn: (text: string) => void,
  context?: TokenContext,
): RefreshTokens {
  const load = async (key: string): Promise<string | undefined> => {
    const known = newest.get(key);
    if (known !== undefined || folder === undefined) return known;
    return readFile(join(folder, key), 'utf8').catch(() => undefined);
  };
  const keep = async (key: string, token: string): Promise<void> => {
    newest.set(key, token);
    try {
      if (folder === undefined) throw new Error(say`Node-RED has no user directory`);
      await write(folder, key, token);
    } catch (error) {
      warn(
        say`The refresh token was replaced, and the new one can't be kept for the next start (${messageOf(error)}): authorize the app again then`,
      );
    }
  };
  return {
    async use(owner, login) {
      const key = keyOf(owner);
      const before = queues.get(key);
      const turn = (async () => {
        await before?.catch(() => undefined);
        const former = takeFrom(context, owner.refreshToken);
        if (former !== undefined) await keep(key, former);
        const token = (await load(key)) ?? owner.refreshToken;
        const granted = await login(token);
        if (granted.refreshToken && granted.refreshToken !== token) await keep(key, granted.refreshToken);
        return granted;
      })();
      queues.set(key, turn);
      return turn.finally(() => {
        if (queues.get(key) === turn) queues.delete(key);
      });
    },
  };
}

function keyOf({ loginUrl, clientId, refreshToken }: TokenOwner): string {
  return createHash('sha256')
    .update(JSON.stringify([loginUrl, clientId, refreshToken]))
    .digest('hex');
}

function takeFrom(context: TokenContext | undefined, configured: string): string | undefined {
  const kept = context?.get(KEY) as { of?: string; token?: string } | undefined;
  if (kept === undefined) return undefined;
  context?.set(KEY, undefined);
  const of = createHash('sha256').update(configured).digest('base64url');
  return kept.of === of ? kept.token : undefined;
}

/** Whole or not at all, whatever happens meanwhile. */
async function write(folder: string, name: string, text: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const draft = join(folder, `${name}.${randomUUID()}`);
  try {
    const file = await open(draft, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, join(folder, name));
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}
