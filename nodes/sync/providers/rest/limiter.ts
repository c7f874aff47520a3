import { now } from '../../../shared/async/clock';
import { pause } from '../../../shared/async/pause';
import { Waker } from '../../../shared/async/waker';
import { parseDuration } from '../../../shared/duration';
import type { Rates } from './declaration';
import { readTime } from './path';
import { say } from '../../../shared/say';

export type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** Why requests wait. */
export interface Hold {
  code: 'API_LIMIT' | 'API_BUDGET_SPENT' | 'API_UNREACHABLE';
  message: string;
}

const CONCURRENCY = 8;
/** Where the API doesn't say when its quota begins anew, one request asks so often. */
const PROBE = 15 * 60_000;
/** What an API asks to wait at most. */
const LONGEST = 25 * 60 * 60_000;

interface Window {
  calls: number;
  per: number;
  path: string;
  /** When the calls of the last window went out. */
  sent: number[];
}

/**
 * Lets requests out as the API permits: so many at a time, so many in a window, none while it has said to wait, and
 * none once the share of its quota that this pack may use is spent.
 */
export class Limiter {
  /** `since`, epoch ms: no request has got through from then on. */
  hold: (Hold & { since: number; until: number }) | undefined;
  private underWay = 0;
  private readonly windows: Window[];
  private readonly freed = new Set<Waker>();

  constructor(
    private readonly rates: Rates = {},
    /** Percent of what the API permits. */
    private readonly share = 100,
    private readonly changed: () => void = () => undefined,
  ) {
    this.windows = (rates.windows ?? []).map(({ calls, per, path = '' }) => ({
      calls: Math.max(1, Math.floor((calls * share) / 100)),
      per: parseDuration(per),
      path,
      sent: [],
    }));
  }

  /** Runs a request when it may go out; not at all when `signal` aborts before: then undefined. */
  async take<T>(path: string, signal: AbortSignal, work: () => Promise<T>): Promise<T | undefined> {
    for (let wait = this.waitFor(path); wait > 0 && !signal.aborted; wait = this.waitFor(path))
      await this.waitUntilFree(wait, signal);
    if (signal.aborted) return undefined;
    this.underWay++;
    for (const window of this.windows) if (path.includes(window.path)) window.sent.push(now());
    try {
      return await work();
    } finally {
      this.underWay--;
      for (const waker of this.freed) waker.wake();
    }
  }

  /** Nothing goes out for so many milliseconds. */
  stop(hold: Hold, ms: number): void {
    const until = now() + Math.min(LONGEST, Math.max(0, ms));
    if (this.hold && this.hold.until > until) return;
    this.hold = { ...hold, since: this.hold?.since ?? Date.now(), until };
    this.changed();
  }

  /** An answer came. */
  go(): void {
    if (!this.hold || this.hold.until > now()) return;
    this.hold = undefined;
    this.changed();
  }

  /** What the headers of an answer say of the quota; `apiNow` is the API's time, epoch ms. */
  observe(headers: Headers, apiNow: number): void {
    const { quota } = this.rates;
    if (!quota) return;
    const limit = number(headers[quota.limit]);
    const remaining = number(headers[quota.remaining]);
    if (limit === undefined || remaining === undefined || limit <= 0) return;
    if (limit - remaining < Math.floor((limit * this.share) / 100)) return;
    const reset = quota.reset === undefined ? undefined : resetAt(headers, quota.reset, apiNow);
    const wait = reset === undefined ? PROBE : Math.max(1_000, reset - apiNow);
    const message =
      remaining === 0
        ? say`All ${limit} requests that the API permits are spent`
        : say`${limit - remaining} of the API's ${limit} requests are spent, and this sync may bring it to ${this.share} %: raise the API budget, or ask less often`;
    this.stop({ code: remaining === 0 ? 'API_LIMIT' : 'API_BUDGET_SPENT', message }, wait);
  }

  private waitFor(path: string): number {
    const time = now();
    if (this.hold && this.hold.until > time) return this.hold.until - time;
    if (this.underWay >= (this.rates.concurrency ?? CONCURRENCY)) return Infinity;
    // After a wait one request finds out whether it is over.
    if (this.hold && this.underWay > 0) return Infinity;
    return Math.max(0, ...this.windows.map((window) => windowWait(window, path, time)));
  }

  private async waitUntilFree(ms: number, signal: AbortSignal): Promise<void> {
    if (ms !== Infinity) return pause(Math.min(ms, 1_000), signal);
    const waker = new Waker();
    this.freed.add(waker);
    await waker.wait(Infinity, signal);
    this.freed.delete(waker);
  }
}

function windowWait({ calls, per, path, sent }: Window, asked: string, time: number): number {
  if (!asked.includes(path)) return 0;
  while (sent[0] !== undefined && sent[0] <= time - per) sent.shift();
  const oldest = sent[sent.length - calls];
  return oldest === undefined ? 0 : oldest + per - time;
}

/** Epoch ms that a header names: "name|seconds", "|ms", "|iso", or "|after": seconds from now. */
export function resetAt(headers: Headers, headerAndFormat: string, apiNow: number): number | undefined {
  const [name = '', format] = headerAndFormat.split('|');
  const found = headers[name];
  if (found === undefined) return undefined;
  if (format !== 'after') return readTime(String(found), format);
  const seconds = number(found);
  return seconds === undefined ? undefined : apiNow + seconds * 1_000;
}

function number(header: string | string[] | undefined): number | undefined {
  const value = header === undefined || header === '' ? NaN : Number(header);
  return Number.isFinite(value) ? value : undefined;
}
