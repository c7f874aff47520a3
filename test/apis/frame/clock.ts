/** A simulated API's clock: the machine's, ahead by what tests have let pass. */
export class Clock {
  #ahead = 0;

  /** Epoch milliseconds. */
  now(): number {
    return Date.now() + this.#ahead;
  }

  /** Lets so many ms pass at once; negative: the clock is set back. */
  advance(ms: number): void {
    this.#ahead += ms;
  }
}

/** `2026-01-02T03:04:05.678Z` */
export const iso = (ms: number): string => new Date(ms).toISOString();

/** `2026-01-02T03:04:05Z` */
export const isoSeconds = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

export const seconds = (ms: number): number => Math.floor(ms / 1000);
