import { pause } from '../../shared/async/pause';
import { childController } from '../../shared/async/signals';
import { Lease } from '../../shared/lease';
import { readObject, type PositionStore } from '../../shared/positions';
import type { Connection } from '../server/connection';
import { Bucket } from '../streams/kv';

/** The bucket that says which instance reads a durable of which only one may, one for the account. */
export const TURNS_BUCKET = 'jetforce-turns';
/**
 * Milliseconds. A dead holder is followed after this and a quarter more; one that can't write for eight tenths of it, the
 * process or the server standing still, has lost its turn.
 */
const LENGTH = 700;
const LOOK = 20;

/** Who has the turn at first: `same` as before, with nobody in between, or one that follows another. */
export type Taken = 'same' | 'new';

/** Whose turn it is to read a durable of which only one may. */
export interface ReadingTurn {
  readonly held: boolean;
  /** Milliseconds for which nobody else can have it. */
  readonly left: number;
  /** Of this durable in the bucket. */
  readonly key: string;
  readonly store: PositionStore;
  /**
   * Resolves when it is this one's turn; undefined when `signal` aborts. `lost` is called when it no longer is. Throws what
   * the bucket throws.
   */
  take(signal: AbortSignal, waiting: () => void, lost: () => void): Promise<Taken | undefined>;
  /** The next one gets it at once. Nothing of this one may be under way any more. */
  release(): Promise<void>;
}

/** Lets one of many instances at a time read a durable. */
export class Turn implements ReadingTurn {
  private readonly lease: Lease;
  /** Holding goes on while a stopped flow finishes. */
  private readonly ending = new AbortController();
  private keeping: Promise<void> | undefined;
  private wake: (() => void) | undefined;
  private lost: (() => void) | undefined;
  readonly key: string;
  readonly store: PositionStore;

  constructor(
    private readonly connection: Connection,
    { stream, durable }: { stream: string; durable: string },
  ) {
    this.key = turnKey(stream, durable);
    this.store = new Bucket(connection, TURNS_BUCKET);
    this.lease = new Lease(this.store, this.key, LENGTH, (ms, signal) => this.unlessWoken(ms, signal));
  }

  get held(): boolean {
    return this.lease.held;
  }

  get left(): number {
    return Math.max(0, this.lease.left);
  }

  async take(signal: AbortSignal, waiting: () => void, lost: () => void): Promise<Taken | undefined> {
    this.lost = lost;
    // A write that is under way, back from an outage, may still renew it.
    while (!this.held && this.keeping && !signal.aborted) await pause(LOOK, signal);
    if (signal.aborted) return undefined;
    if (this.held) return 'same';
    const unwatch = this.watch();
    try {
      if (!(await this.lease.acquire(signal, waiting))) return undefined;
    } finally {
      unwatch();
    }
    this.keeping = this.keep();
    return this.lease.continued ? 'same' : 'new';
  }

  async release(): Promise<void> {
    if (!this.keeping) return;
    if (this.connection.open) await this.lease.release(AbortSignal.timeout(500));
    this.ending.abort();
  }

  private async keep(): Promise<void> {
    await this.lease.keep(this.ending.signal, () => Promise.resolve());
    this.keeping = undefined;
    if (!this.ending.signal.aborted) this.lost?.();
  }

  /** Whoever gives the turn back writes that to the bucket, which can be heard, where that is allowed. */
  private watch(): () => void {
    const nc = this.connection.open;
    const heard = nc?.subscribe(`$KV.${TURNS_BUCKET}.${this.key}`, {
      callback: (error, msg) => {
        if (!error && readObject(msg.string())?.owner === '') this.wake?.();
      },
    });
    return () => {
      if (nc && !nc.isClosed()) heard?.unsubscribe();
    };
  }

  private async unlessWoken(ms: number, signal: AbortSignal): Promise<void> {
    const waiting = childController(signal);
    this.wake = () => waiting.abort();
    await pause(ms, waiting.signal);
    this.wake = undefined;
    waiting.abort();
  }
}

export function turnKey(stream: string, durable: string): string {
  return `${escaped(stream)}.${escaped(durable)}`;
}

/** A bucket takes fewer characters for a key than a server for a name. */
function escaped(name: string): string {
  return encodeURIComponent(name).replace(/[^-\w]/g, (char) => `=${char.charCodeAt(0).toString(16)}`);
}
