import { now } from '../async/clock';

const WINDOW = 10_000;

/** How fast a count grows, a second, over the last ten seconds in which it was looked at. */
export class Meter {
  private readonly samples: { at: number; count: number }[] = [];

  rate(count: number): number {
    const at = now();
    this.samples.push({ at, count });
    while (this.samples.length > 2 && (this.samples[0]?.at ?? at) < at - WINDOW) this.samples.shift();
    const first = this.samples[0] ?? { at, count };
    const ms = at - first.at;
    return ms < 100 ? 0 : Math.round(((count - first.count) * 10_000) / ms) / 10;
  }
}
