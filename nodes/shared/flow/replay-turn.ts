import { childController } from '../async/signals';
import { codeOf, FlowError, messageOf } from '../errors';
import { Lease } from '../lease';
import type { Log } from '../log';
import type { PositionStore } from '../positions';
import { say } from '../say';

/** Milliseconds. Who dies while it replays is followed after so long. */
const LENGTH = 5_000;
/** So long somebody is waited for who may be dead. */
const PATIENCE = 7_000;

/**
 * Lets one of many instances at a time bring back, or discard, the dead letters of one node. Where the store may not be
 * used instances aren't kept apart, which is said once. One that can't write for four fifths of five seconds loses its turn;
 * what it has in the flow then may be brought back by another, too.
 */
export class ReplayTurn {
  private readonly lease: Lease;
  private keeping: AbortController | undefined;
  private taking: Promise<void> | undefined;
  private denied = false;

  constructor(
    store: PositionStore,
    key: string,
    private readonly log: Log,
  ) {
    this.lease = new Lease(store, key, LENGTH);
  }

  /** Resolves when it is this one's turn, or `signal` aborts. Throws REPLAYED_ELSEWHERE, and what the store throws. */
  take(signal: AbortSignal): Promise<void> {
    if (this.denied || this.lease.held) return Promise.resolve();
    return (this.taking ??= this.acquire(signal).finally(() => (this.taking = undefined)));
  }

  /** The next one may at once. Never rejects. */
  async release(): Promise<void> {
    this.keeping?.abort();
    this.keeping = undefined;
    await this.lease.release(AbortSignal.timeout(500));
  }

  private async acquire(signal: AbortSignal): Promise<void> {
    const waiting = childController(signal);
    const late = setTimeout(() => waiting.abort(), PATIENCE);
    let taken: boolean;
    try {
      taken = await this.lease.acquire(waiting.signal, () => undefined);
    } catch (error) {
      if (codeOf(error) !== 'PERMISSION_DENIED') throw error;
      this.denied = true;
      this.log(
        'warn',
        say`Instances that replay the same dead letters aren't kept apart: ${messageOf(error)}`,
      );
      return;
    } finally {
      clearTimeout(late);
      waiting.abort();
    }
    if (signal.aborted) return;
    if (!taken)
      throw new FlowError(
        'REPLAYED_ELSEWHERE',
        say`Another Node-RED is replaying or discarding dead letters of this node: look again when it has finished`,
      );
    this.keeping?.abort();
    this.keeping = new AbortController();
    void this.lease.keep(this.keeping.signal, () => Promise.resolve());
  }
}
