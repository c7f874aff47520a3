/** Rate limits: so many calls in a window of time, counted per name and key. */
import { type Clock } from './clock';

export interface Limit {
  max: number;
  windowMs: number;
  /** Windows begin at multiples of their length (a day: at midnight UTC), not with the first call. */
  aligned?: boolean;
}

export interface Taken {
  ok: boolean;
  limit: number;
  used: number;
  remaining: number;
  /** Epoch milliseconds at which the window ends. */
  resetAt: number;
}

export class Limits {
  readonly #limits: Record<string, Limit>;
  readonly #windows = new Map<string, { endsAt: number; used: number }>();

  constructor(
    limits: Readonly<Record<string, Limit>>,
    private readonly clock: Clock,
  ) {
    this.#limits = structuredClone(limits);
  }

  /** Counts a call against a limit. One that is refused isn't counted; `cost` 0 only looks. */
  take(name: string, key = '', cost = 1): Taken {
    const limit = this.#limits[name];
    if (!limit) throw new Error(`no limit ${name}`);
    const now = this.clock.now();
    const id = `${name} ${key}`;
    let window = this.#windows.get(id);
    if (!window || window.endsAt <= now) {
      window = { endsAt: now + limit.windowMs - (limit.aligned ? now % limit.windowMs : 0), used: 0 };
      this.#windows.set(id, window);
    }
    const ok = window.used + cost <= limit.max;
    if (ok) window.used += cost;
    return {
      ok,
      limit: limit.max,
      used: window.used,
      remaining: Math.max(0, limit.max - window.used),
      resetAt: window.endsAt,
    };
  }

  /** Sets what is given of each limit, whose counting starts anew; returns all. Throws for one that the API hasn't. */
  set(limits: Readonly<Record<string, Partial<Limit>>> = {}): Record<string, Limit> {
    for (const [name, change] of Object.entries(limits)) {
      const limit = this.#limits[name];
      if (!limit) throw new Error(`no limit ${name}; there are ${Object.keys(this.#limits).join(', ')}`);
      Object.assign(limit, change);
      for (const id of [...this.#windows.keys()]) if (id.startsWith(`${name} `)) this.#windows.delete(id);
    }
    return this.#limits;
  }
}
