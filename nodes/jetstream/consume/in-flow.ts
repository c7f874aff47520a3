import { say } from '../../shared/say';
import type { MessageBatch } from './settlement';

/**
 * From so many on, a full request of sfdc-composite, what a node gathers is beyond `prefetch`: who asks for fewer wants
 * no more than that in the flow.
 */
const GATHERED_FROM = 1_000;

export interface InFlowSettings {
  prefetch: number;
  maxAckPending: number;
}

/** What of a consumer is in the flow. A batch is there from `entered` until `left`, and gathered by nodes in between. */
export class InFlow {
  private readonly batches = new Set<MessageBatch>();
  /** Those that take no place of `prefetch`. */
  private readonly apart = new Set<MessageBatch>();
  /** Messages. */
  count = 0;
  /** Those of them that nodes gather for their requests: they take no place of `prefetch`. */
  gathered = 0;

  constructor(
    private readonly settings: InFlowSettings,
    /** The share of the consumer's own in `prefetch`. */
    private readonly prefetch: () => number,
  ) {}

  entered(batch: MessageBatch): void {
    this.count += batch.items.length;
    this.batches.add(batch);
  }

  left(batch: MessageBatch): void {
    this.count -= batch.items.length;
    this.batches.delete(batch);
  }

  gatheringChanged(batch: MessageBatch): void {
    if (!batch.isGathered) {
      if (this.apart.delete(batch)) this.gathered -= batch.items.length;
    } else if (this.mayGather()) {
      this.apart.add(batch);
      this.gathered += batch.items.length;
    }
  }

  /** Nothing is in the flow but what is held by an outage, or gathered; that counts as something for what is `apart`. */
  isQuiet(apart: boolean): boolean {
    for (const { progress, isGathered } of this.batches)
      if (progress?.held !== true && (apart || !isGathered)) return false;
    return true;
  }

  /** Messages that nodes hold until something is back: since when (epoch ms), and which nodes. */
  held(): { since: number; message: string } | undefined {
    const held = [...this.batches].flatMap(({ progress }) => (progress?.held ? progress : []));
    if (held.length === 0) return undefined;
    const since = Math.min(...held.map(({ heldSince = Date.now() }) => heldSince));
    const nodes = held.slice(0, 20).flatMap((progress) => progress.unfinishedNodes());
    return { since, message: say`Messages: ${held.length}, in ${[...new Set(nodes)].join(', ')}` };
  }

  private mayGather(): boolean {
    const { prefetch, maxAckPending } = this.settings;
    return prefetch >= GATHERED_FROM && (maxAckPending < 0 || maxAckPending >= this.prefetch());
  }
}
