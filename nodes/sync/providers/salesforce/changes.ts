import { now } from '../../../shared/async/clock';
import { pause } from '../../../shared/async/pause';
import type { Changes } from '../../engine/provider';
import { Poll, type PollPosition } from './poll';
import type { OrgReader } from './reader';
import type { SObject } from './sobject';

/** How changes of one object are had. Positions are its own. */
export interface ChangeFeed<P extends object> {
  /** The position of this moment, by the org's clock. */
  start(): P;
  /** The same, but what was committed before isn't given. */
  startOnly(sobject: SObject, signal: AbortSignal): Promise<P>;
  /** Until changes are told as they happen, as far as that shows soon: what is read of the org after that sees those before. */
  listening(signal: AbortSignal): Promise<void>;
  ready(position: P, signal: AbortSignal): Promise<void>;
  changes(position: P, sobject: SObject, signal: AbortSignal): Promise<Changes>;
  /** Why changes come later than they should. */
  readonly problem: { code: string; message: string } | undefined;
  close(): Promise<void>;
}

/** Asks every `interval` milliseconds. */
export class PollFeed implements ChangeFeed<PollPosition> {
  readonly problem = undefined;
  private readonly poll: Poll;
  /** When the last pass ended, by now(). */
  private lastPass: number | undefined;

  constructor(
    reader: OrgReader,
    lookback: number,
    private readonly interval: number,
  ) {
    this.poll = new Poll(reader, lookback);
  }

  start(): PollPosition {
    return this.poll.start();
  }

  startOnly(sobject: SObject, signal: AbortSignal): Promise<PollPosition> {
    return this.poll.startOnly(sobject, signal);
  }

  listening(): Promise<void> {
    return Promise.resolve();
  }

  async ready(_position: PollPosition, signal: AbortSignal): Promise<void> {
    if (this.lastPass === undefined) return;
    const left = this.lastPass + this.interval - now();
    if (left > 0) await pause(left, signal);
  }

  async changes(position: PollPosition, sobject: SObject, signal: AbortSignal): Promise<Changes> {
    const changes = await this.poll.changes(position, sobject, signal);
    this.lastPass = changes.more ? undefined : now();
    return changes;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
