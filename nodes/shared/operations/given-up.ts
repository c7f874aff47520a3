import { randomUUID } from 'node:crypto';
import { coalesced } from '../async/coalesced';
import { pause } from '../async/pause';
import { withTimeout } from '../async/timeout';
import { codeOf } from '../errors';
import { readObject, type FindablePositions } from '../positions';

/** The bucket of what those who look after flows share, whichever instance they look at. */
export const OPERATIONS_BUCKET = 'jetforce-operations';

/** Of what a reader gave up: as stored last, as far as is known here, and what comes on top of it. */
interface Count {
  stored: number;
  unsaved: number;
}

/** By node and what it reads. A deploy must not hide what nobody has looked at, nor must a store that is out of reach. */
const counts = new Map<string, Count>();

/** Milliseconds in which more may be given up before it is stored. */
const GATHER = 250;
const AGAIN = 10_000;
/** For a store that is slow or away. */
const PATIENCE = 500;
/** Others write too: each time it is read again. */
const MOST_TRIES = 20;

/**
 * How many messages or events of a node were given up, over restarts and instances, until somebody has looked: has
 * said so, listed them, replayed or discarded some. Without a store, or where it may not be used, of this process alone.
 */
export class GivenUp {
  private readonly closing = new AbortController();
  private own: Count;
  private timer: NodeJS.Timeout | undefined;
  private denied = false;
  /** Resolves when what others have stored is known here, and the other way round; never rejects. */
  readonly refresh = coalesced(() => this.exchange());

  /** `reader`: the node and what it reads. `changed`: another count than before was found in the store. */
  constructor(
    private readonly reader: string,
    private readonly kept?: { store: FindablePositions; key: string },
    private readonly changed: () => void = () => undefined,
  ) {
    this.own = counts.get(reader) ?? { stored: 0, unsaved: 0 };
    void this.refresh();
  }

  get count(): number {
    return Math.max(0, this.own.stored + this.own.unsaved);
  }

  add(): void {
    this.own.unsaved++;
    this.later(GATHER);
  }

  /** What was counted up to now has been seen. */
  looked(): void {
    if (this.count === 0) return;
    // Not zero: what another instance gives up meanwhile nobody has seen.
    this.own.unsaved = -this.own.stored;
    this.later(0);
  }

  /** The node is gone, and nobody can look any more. */
  forget(): void {
    this.own = { stored: 0, unsaved: 0 };
    counts.delete(this.reader);
  }

  /** Resolves after refresh, or soon where the store can't tell. */
  refreshed(): Promise<void> {
    return withTimeout(PATIENCE, this.refresh());
  }

  /** What isn't stored yet is, if that can be done at once. */
  async close(): Promise<void> {
    clearTimeout(this.timer);
    if (this.own.unsaved !== 0) await this.refreshed();
    this.closing.abort();
  }

  private later(ms: number): void {
    const { own } = this;
    if (own.stored === 0 && own.unsaved === 0) counts.delete(this.reader);
    else counts.set(this.reader, own);
    if (!this.kept || this.denied || this.closing.signal.aborted) return;
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      void this.refresh();
    }, ms).unref();
  }

  private async exchange(): Promise<void> {
    if (!this.kept || this.denied || this.closing.signal.aborted) return;
    const before = this.count;
    try {
      await this.merge(this.kept);
    } catch (error) {
      this.denied = codeOf(error) === 'PERMISSION_DENIED';
      if (this.own.unsaved !== 0) this.later(AGAIN);
    }
    if (this.count !== before) this.changed();
  }

  private async merge({ store, key }: { store: FindablePositions; key: string }): Promise<void> {
    const { own } = this;
    const { signal } = this.closing;
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const { value = '', revision = 0 } = (await store.find(key, signal)) ?? {};
      const added = own.unsaved;
      const stored = countIn(value);
      const next = Math.max(0, stored + added);
      if (next !== stored) {
        const text = JSON.stringify({ count: next, by: randomUUID() });
        if ((await store.put(key, text, revision, signal)) === undefined) {
          await pause(Math.random() * 50, signal);
          continue;
        }
      }
      own.stored = next;
      own.unsaved -= added;
      if (this.count > 0) counts.set(this.reader, own);
      return;
    }
  }
}

/** A bucket takes fewer characters for a key than nodes and servers for a name. */
export function keyOf(...names: string[]): string {
  return names
    .map((name) =>
      encodeURIComponent(name).replace(/[^-\w]/g, (char) => `=${char.charCodeAt(0).toString(16)}`),
    )
    .join('.');
}

function countIn(value: string): number {
  const count = readObject(value)?.count;
  return Number.isSafeInteger(count) && Number(count) > 0 ? Number(count) : 0;
}
