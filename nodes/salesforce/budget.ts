/** The org's daily API calls as its last answer told them. */
export interface ApiUsage {
  used: number;
  max: number;
}

/**
 * Watches the org's daily API calls, which all its clients share, so that this pack never brings the org
 * beyond `share` percent of them. Learns from `Sforce-Limit-Info: api-usage=18/15000` of every answer.
 */
export class ApiBudget {
  usage: ApiUsage | undefined;

  constructor(readonly share: number) {}

  observe(limitInfo: string | string[] | undefined): void {
    const match = /(?<![\w-])api-usage=(\d+)\/(\d+)/.exec(String(limitInfo));
    if (match) this.usage = { used: Number(match[1]), max: Number(match[2]) };
  }

  /** True when `underWay` more calls and one on top would pass the share. Nothing known is nothing spent. */
  spent(underWay = 0): boolean {
    return (
      this.usage !== undefined &&
      this.usage.used + underWay >= Math.floor((this.usage.max * this.share) / 100)
    );
  }
}
