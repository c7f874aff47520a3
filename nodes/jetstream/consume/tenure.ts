import { now } from '../../shared/async/clock';
import type { Hold } from '../../shared/flow/delivery';
import type { Memory } from './memory';

/**
 * Milliseconds after a takeover in which a call of the process that died may still be carried out by the org: most take a
 * second or two, and it is dead for most of a second by then.
 */
const SETTLING = 5_000;

/** For how long what a consumer delivered is this process's to work on. Told apart by the memory that it was delivered under. */
export class Tenure {
  private memory: Memory | undefined;
  private suspended = false;
  private readonly holds = new WeakMap<Memory, Hold>();
  /** What a dead process had in its flow, and until when that may still have an effect, by now(). */
  private inherited = { upTo: 0, until: 0 };

  /** `mayWork`: whether nobody else can be at work just now, by the clock. Without it others always may be. */
  constructor(private readonly handler: { mayWork?: (() => boolean) | undefined }) {}

  begin(memory: Memory): void {
    this.memory = memory;
    this.suspended = false;
  }

  /** Others may be at work until the next one begins. */
  suspend(): void {
    this.suspended = true;
  }

  isOurs(memory: Memory): boolean {
    return memory === this.memory && !this.suspended && (this.handler.mayWork?.() ?? true);
  }

  /** Lost by whose turn is over, and by what came before another had it. Undefined where it can't be. */
  holdOf(memory: Memory): Hold | undefined {
    if (!this.handler.mayWork) return undefined;
    let hold = this.holds.get(memory);
    if (!hold) {
      const isOurs = (): boolean => this.isOurs(memory);
      hold = {
        get held() {
          return isOurs();
        },
      };
      this.holds.set(memory, hold);
    }
    return hold;
  }

  /** A process that died had the messages up to this sequence. */
  inherit(upTo: number): void {
    this.inherited = { upTo, until: now() + SETTLING };
  }

  inheritedUntil(sequence: number): number | undefined {
    const { upTo, until } = this.inherited;
    return sequence <= upTo && now() < until ? until : undefined;
  }
}
