import { createHash } from 'node:crypto';
import type { SessionOptions } from './session';

interface Context {
  get(key: string): unknown;
  set(key: string, value: unknown): void;
}

interface Rotated {
  /** Digest of the token that was configured when this one was granted. */
  of: string;
  token: string;
}

const KEY = 'rotatedRefreshToken';
const rotated = new Map<string, string>();

/**
 * Remembers refresh tokens that the org replaced: for this process, and in the node's context for the next (where
 * the context is stored on disk). A token newly entered in the editor wins, as it is not the one that was replaced.
 */
export function refreshTokenStore(context?: Context): NonNullable<SessionOptions['refreshTokens']> {
  return {
    load: (configured) => {
      const stored = context?.get(KEY) as Rotated | undefined;
      const of = digest(configured);
      return rotated.get(of) ?? (stored?.of === of ? stored.token : undefined);
    },
    store: (configured, token) => {
      const of = digest(configured);
      rotated.set(of, token);
      context?.set(KEY, { of, token });
    },
  };
}

function digest(token: string): string {
  return createHash('sha256').update(token).digest('base64url');
}
