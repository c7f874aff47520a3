import { onAbort } from '../../shared/async/signals';
import type { PositionStore } from '../../shared/positions';
import type { Group } from './partition-group';
import type { ReadingTurn, Taken } from './turn';

/** The turn to read a partition is its owner's, for as long as it owns it. */
export class PartitionTurn implements ReadingTurn {
  /** Which of the group's claims of it was taken. */
  private taken = 0;
  private lost: (() => void) | undefined;
  private wake: (() => void) | undefined;

  constructor(
    private readonly group: Pick<Group, 'claim' | 'held' | 'left' | 'release'>,
    readonly store: PositionStore,
    private readonly partition: number,
    readonly key: string,
  ) {}

  get held(): boolean {
    return this.left > 0;
  }

  get left(): number {
    return this.taken > 0 && this.group.claim(this.partition)?.serial === this.taken ? this.group.left : 0;
  }

  async take(signal: AbortSignal, waiting: () => void, lost: () => void): Promise<Taken | undefined> {
    this.lost = lost;
    while (!signal.aborted) {
      const claim = this.group.held ? this.group.claim(this.partition) : undefined;
      if (claim) {
        const isSame = claim.same || claim.serial === this.taken;
        this.taken = claim.serial;
        return isSame ? 'same' : 'new';
      }
      waiting();
      await this.woken(signal);
    }
    return undefined;
  }

  release(): Promise<void> {
    if (this.group.claim(this.partition)?.serial === this.taken) this.group.release(this.partition);
    return Promise.resolve();
  }

  /** What the group owns, or may work on, may have changed. */
  changed(): void {
    this.wake?.();
  }

  /** From now on it may be another's. */
  lapsed(): void {
    this.lost?.();
  }

  private woken(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const forget = onAbort(signal, resolve);
      this.wake = () => {
        forget();
        resolve();
      };
      if (signal.aborted) resolve();
    });
  }
}
