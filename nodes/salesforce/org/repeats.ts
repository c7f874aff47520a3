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

/** The items were refused: all of them wait for the same pause. */
export function delay(items: readonly Item<unknown>[], { first, longest, spread }: Retry): void {
  const refusals = Math.max(...items.map((item) => item.refusals));
  const pause = Math.min(longest, first * 2 ** refusals) * (1 - spread + 2 * spread * Math.random());
  for (const item of items) {
    item.refusals++;
    item.notBefore = performance.now() + pause;
  }
}

const LOSSES_BEFORE_HALVING = 2;

/**
 * Finds the item that spoils the requests it is in: halves are sent apart from each other, until in the end only
 * that one fails. An item is lost as often as it takes to halve the largest request down to it, and no more.
 */
export class Halving {
  private readonly mostLosses: number;
  private groups = 0;

  /** `largest`: the most items of a request. */
  constructor(largest: number) {
    this.mostLosses = LOSSES_BEFORE_HALVING + Math.ceil(Math.log2(largest));
  }

  halve(items: readonly Item<unknown>[]): void {
    const half = Math.ceil(items.length / 2);
    for (const part of [items.slice(0, half), items.slice(half)]) {
      this.groups++;
      for (const item of part) item.group = this.groups;
    }
  }

  /**
   * The answer to the items was lost, which `counts` where the org may well be alive and choke on just this request.
   * Gives those that were lost too often, and those to be sent again: halved once any of them was lost twice.
   */
  lost<I extends Item<unknown>>(items: readonly I[], counts: boolean): { spoilers: I[]; again: I[] } {
    for (const item of items) if (counts || item.losses === 0) item.losses++;
    const spoilers = items.filter((item) => item.losses >= this.mostLosses);
    const again = items.filter((item) => item.losses < this.mostLosses);
    if (again.some((item) => item.losses >= LOSSES_BEFORE_HALVING)) this.halve(again);
    return { spoilers, again };
  }
}
