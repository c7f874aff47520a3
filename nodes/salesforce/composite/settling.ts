import { KeyTable } from './keys';
import type { Key, Write } from './operations';

/**
 * Records that a process wrote that died: the last call it sent may be carried out after what is written here. Their
 * first write here says the same as that call, or what it went out from; each next one has to wait until it is over.
 */
export class Settling {
  private readonly table = new KeyTable();
  private kept: { keys: Key[]; until: number }[] = [];
  /** When the first of them is over. */
  private first = Infinity;

  /** They were sent. */
  add(writes: readonly Write[]): void {
    for (const { keys, message } of writes) {
      const until = message.request.inheritedUntil;
      if (until === undefined) continue;
      const own = keys.filter(({ write }) => write);
      this.table.add(own);
      this.kept.push({ keys: own, until });
      this.first = Math.min(this.first, until);
    }
  }

  /** One that only reads a record needs it to be there, which it is. */
  conflicts(keys: readonly Key[], now: number): boolean {
    this.forget(now);
    return this.kept.length > 0 && this.table.conflicts(keys.filter(({ write }) => write));
  }

  /** When the first of them is over. */
  next(now: number): number | undefined {
    this.forget(now);
    return this.kept.length === 0 ? undefined : this.first;
  }

  private forget(now: number): void {
    if (now < this.first) return;
    for (const { keys, until } of this.kept) if (until <= now) this.table.remove(keys);
    this.kept = this.kept.filter(({ until }) => until > now);
    this.first = this.kept.reduce((first, { until }) => Math.min(first, until), Infinity);
  }
}
