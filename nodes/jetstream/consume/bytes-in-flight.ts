import { PassingMap } from '../../shared/async/passing-map';
import { estimateSize, guessSize } from './payload-size';
import type { PayloadFormat } from './message';

/** Beside what its parsed payload takes, nothing is known of a message that waits. */
interface Held {
  bytes: number;
  opened: boolean;
}

/**
 * What the messages of a consumer take in memory, against a limit (-1: none): those in the flow by an estimate of
 * their parsed payload, those that wait in front of it by their size in the stream, and by how much payloads grew
 * lately. The limit holds between messages: one that is larger than all of it passes alone.
 */
export class BytesInFlight<M extends { msg: { data: Uint8Array } }> {
  private readonly held = new PassingMap<M, Held>();
  private opened = 0;
  private closed = 0;
  /** Bytes in memory for one in the stream: the most of late. */
  private growth: number;

  constructor(
    private readonly most: number,
    private readonly format: PayloadFormat,
    /** Between how many the limit is divided. */
    private readonly sharers: () => number = () => 1,
  ) {
    this.growth = guessSize(1_000, format) / 1_000;
  }

  private get limit(): number {
    return this.most < 0 ? Infinity : this.most / Math.max(1, this.sharers());
  }

  /** A message has arrived, and isn't parsed yet. */
  arrived(message: M): void {
    this.count(message, message.msg.data.length, false);
  }

  /** Whether it may be parsed and go into the flow beside what is there. */
  admits({ msg }: M): boolean {
    return this.opened + msg.data.length * this.growth <= this.limit;
  }

  /** It goes into the flow. */
  entered(message: M): void {
    const { data } = message.msg;
    const bytes = estimateSize(data, this.format);
    // A small one tells nothing.
    if (data.length > 1_000) this.growth = Math.max(bytes / data.length, 2, this.growth * 0.98);
    this.count(message, bytes, true);
  }

  /** The flow is done with it, and it is kept as it came. */
  parked(message: M): void {
    if (this.held.get(message)) this.count(message, message.msg.data.length, true);
  }

  released(message: M): void {
    const held = this.held.get(message);
    if (!held) return;
    this.held.delete(message);
    this.add(held, -held.bytes);
  }

  /** Bytes of messages that may still be asked for. Infinity: any number. */
  room(): number {
    return this.limit === Infinity
      ? Infinity
      : Math.max(0, (this.limit - this.opened) / this.growth - this.closed);
  }

  private count(message: M, bytes: number, opened: boolean): void {
    const held = this.held.get(message);
    if (held) {
      this.add(held, -held.bytes);
      held.bytes = bytes;
      held.opened = opened;
      this.add(held, bytes);
    } else {
      const fresh = { bytes, opened };
      this.held.set(message, fresh);
      this.add(fresh, bytes);
    }
  }

  private add({ opened }: Held, bytes: number): void {
    if (opened) this.opened += bytes;
    else this.closed += bytes;
  }
}
