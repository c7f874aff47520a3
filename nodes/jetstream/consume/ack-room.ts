import { codeOf, messageOf } from '../../shared/errors';
import type { Connection } from '../server/connection';
import { JetStreamError } from '../server/errors';
import { changeMaxAckPending, consumerInfo, type ConsumerInfo } from './durable';
import type { DurableSettings } from './durable-config';
import { say } from '../../shared/say';

/** The server keeps some 100 bytes for each message that is unacknowledged. */
const MOST = 100_000;
const BEAT = 1_000;
/** A durable that needed more room a moment ago may need it again. */
const IDLE = 60_000;

/**
 * Keeps room in a durable beside the messages that are not being worked on: those that wait for a retry, and those
 * that a node gathers. The server counts them in max ack pending, so that some failing ones would stop all others; while
 * there are some, the durable's max ack pending is so much higher than `maxAckPending` of the node (at most 100,000), and
 * goes back when they are gone. Not with 1: who asks for one at a time wants the strict order.
 */
export class AckRoom {
  private granted = Infinity;
  private asking = false;
  /** It can't be raised (any further) as the durable is now, or by this user. */
  private refused = false;
  private denied = false;
  private stopped = false;
  private neededAt = -Infinity;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly connection: Connection,
    private readonly settings: DurableSettings,
    /** Messages that are unacknowledged, and not being worked on. */
    private readonly needed: () => number,
    private readonly warn: (text: string) => void,
    /** So long after it was needed last it goes back. */
    private readonly idle = IDLE,
  ) {}

  /** The durable was looked at. */
  begin(info: ConsumerInfo): void {
    this.granted = info.config.max_ack_pending;
    this.refused = this.denied;
    if (this.isElastic() && this.granted > this.base) this.keepLooking();
  }

  /** There may be more of them than before. Cheap enough for each message. */
  look(): void {
    if (this.asking || this.refused || this.stopped || !this.isElastic()) return;
    const needed = this.needed();
    if (needed === 0 || this.granted - needed >= this.base / 2) return;
    this.neededAt = performance.now();
    void this.change(() => this.base + 2 * needed);
  }

  stop(): void {
    this.stopped = true;
    clearInterval(this.timer);
  }

  private get base(): number {
    return this.settings.maxAckPending;
  }

  private isElastic(): boolean {
    return this.base > 1 && this.granted > 0;
  }

  private keepLooking(): void {
    if (!this.stopped) this.timer ??= setInterval(() => this.beat(), BEAT);
  }

  private beat(): void {
    this.look();
    if (this.asking) return;
    const now = performance.now();
    const needed = this.needed();
    if (needed > 0) this.neededAt = now;
    if (needed >= this.base / 2 && !this.refused) {
      // Of what other instances keep there nothing is known but that it takes the room.
      void this.change(({ config, num_ack_pending, num_pending }) =>
        num_pending > 0 && num_ack_pending >= config.max_ack_pending ? config.max_ack_pending + needed : 0,
      );
    } else if (needed === 0 && now - this.neededAt > this.idle) {
      this.neededAt = now;
      void this.change(({ num_ack_pending }) => (num_ack_pending < this.base / 2 ? -1 : 0));
    }
  }

  /** `target`: the least that max ack pending is to be; -1: as little as the node asks for. */
  private async change(target: (info: ConsumerInfo) => number): Promise<void> {
    const nc = this.connection.open;
    if (!nc) return;
    this.asking = true;
    const { domain } = this.connection.settings;
    const { stream, durable } = this.settings;
    try {
      const info = await consumerInfo(nc, domain, stream, durable);
      if (!info || this.stopped) return;
      const now = info.config.max_ack_pending;
      const asked = target(info);
      const most = asked < 0 ? this.base : Math.min(MOST, Math.max(now, asked));
      if (most !== now) await changeMaxAckPending(nc, domain, this.settings, info.config, most);
      this.granted = most;
      if (most > this.base) this.keepLooking();
      else this.rest();
    } catch (error) {
      return this.failed(error);
    } finally {
      this.asking = false;
    }
    if (this.granted < MOST) this.look();
  }

  private rest(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  /** What fails for another reason is tried again with the next beat. */
  private failed(error: unknown): void {
    this.denied = codeOf(error) === 'PERMISSION_DENIED';
    if (!this.denied && !(error instanceof JetStreamError)) return this.keepLooking();
    this.refused = true;
    const { durable } = this.settings;
    this.warn(
      say`The max ack pending of the durable "${durable}" can't be raised while messages wait for their retry, so that they hold up others once there are ${this.granted}: ${messageOf(error)}`,
    );
  }
}
