/** What is sent, answered and repeated as one: the rows of a write, or an event. */
export interface Item<Message> {
  readonly message: Message;
  /** Times it was refused for a reason that passes, and times its answer was lost. */
  refusals: number;
  losses: number;
  /** It is not to be sent before this time (of performance.now, which no clock change moves). */
  notBefore: number;
  /** Only items of one group share a request: how the one that spoils requests is found. */
  group: number | undefined;
}

/** An item that was never sent. */
export const FRESH = { refusals: 0, losses: 0, notBefore: 0, group: undefined };

/**
 * Pauses of an item that is refused for a reason that passes, in milliseconds: each twice the one before, up to the
 * longest, give or take `spread` (0.5: by half), so that those who were refused together don't meet again.
 */
export interface Retry {
  first: number;
  longest: number;
  times: number;
  spread: number;
}

/** The items were refused: they wait for the same pause, which their refusals so far have made longer. */
export function delay<I extends Item<unknown>>(items: readonly I[], retry: Retry): void {
  const { first, longest, spread } = retry;
  for (const [i, item] of items.entries()) {
    if (i > 0) item.notBefore = (items[0] as I).notBefore;
    else {
      const pause = Math.min(longest, first * 2 ** item.refusals) * (1 - spread + 2 * spread * Math.random());
      item.notBefore = performance.now() + pause;
    }
    item.refusals++;
  }
}

/** A request that was lost twice is taken apart to find who spoils it. */
const LOSSES_BEFORE_SPLIT = 2;
