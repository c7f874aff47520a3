import type { KeptPosition, ReplayPosition } from '../../../nodes/salesforce/events/replay-position';
import type { PositionStore } from '../../../nodes/shared/positions';

type Hook = () => void | Promise<void>;

/** A position in memory that outlives its reader, in a store that can be slow, fail, and answer late. */
export class Kept implements KeptPosition {
  readonly key = 'node';
  saved: string | undefined;
  private revision = 0;
  /** Calls of put, and of close. */
  saves = 0;
  closed = 0;
  gets = 0;
  onGet: Hook = () => undefined;
  onPut: Hook = () => undefined;
  /** It is written, and the answer is on its way. */
  onWritten: Hook = () => undefined;
  onClose: Hook = () => undefined;
  readonly store: PositionStore = {
    get: async () => {
      this.gets++;
      await this.onGet();
      return this.saved === undefined
        ? undefined
        : { value: this.saved, revision: Math.max(1, this.revision) };
    },
    put: async (_key, value, revision) => {
      this.saves++;
      await this.onPut();
      if (revision !== (this.saved === undefined ? 0 : Math.max(1, this.revision))) return undefined;
      this.write(value);
      const written = this.revision;
      await this.onWritten();
      return written;
    },
  };
  async close(): Promise<void> {
    this.closed++;
    await this.onClose();
  }
  /** As any writer does. */
  write(value: string | undefined): void {
    this.saved = value;
    this.revision = Math.max(1, this.revision) + 1;
  }
  /** As it was stored, without the word of who did so. */
  get position(): ReplayPosition | undefined {
    if (this.saved === undefined) return undefined;
    const { by: _by, ...position } = JSON.parse(this.saved) as ReplayPosition & { by?: string };
    return position;
  }
  get replayId(): string | undefined {
    return this.position?.replayId;
  }
}
