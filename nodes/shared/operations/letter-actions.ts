import type { DeadLetters } from '../dead-letters';
import { codeOf } from '../errors';
import { whichLetters, type Replay } from '../flow/replay';
import type { GivenUp } from './given-up';
import type { Operated } from './registry';
import type { DeadLetterState } from './states';

export interface Letters {
  letters: DeadLetters;
  replay: Replay;
}

/** What is known of them just now. */
export async function deadLetterState({ letters, replay }: Letters): Promise<DeadLetterState> {
  const { subject } = letters;
  const known = { subject, replay: replay.state };
  try {
    return { ...known, ...(await letters.place()) };
  } catch {
    return { ...known, stored: null };
  }
}

/** `letters?from=`; `looked`, `replay` and `discard` with {sequences} or {all: true}. */
export function letterActions(
  node: { replay: Replay } | undefined,
  givenUp: GivenUp,
  changed: () => void,
): Pick<Required<Operated>, 'queries' | 'actions'> {
  const looked = (): void => {
    givenUp.looked();
    changed();
  };
  if (!node) return { queries: {}, actions: { looked } };
  const { replay } = node;
  return {
    queries: { letters: ({ from }) => replay.list(Math.max(1, Math.floor(Number(from)) || 1)) },
    actions: {
      looked,
      replay: async (params) => {
        const count = await replay.begin(whichLetters(params));
        looked();
        return { count };
      },
      discard: async (params) => {
        const count = await replay.discard(whichLetters(params));
        looked();
        return { count };
      },
    },
  };
}

/** For a state: an error in words. */
export function problemOf(error: { message: string }): { code: string; message: string } {
  return { code: codeOf(error), message: error.message };
}
