import { randomUUID } from 'node:crypto';
import { now } from '../../shared/async/clock';
import { withTimeout } from '../../shared/async/timeout';
import { PositionWriter, readObject, type Position, type PositionStore } from '../../shared/positions';

/** How far a subscription has come. */
export interface ReplayPosition {
  /** A replay id means something in its own org and topic alone. */
  organizationId: string;
  topic: string;
  /** Base64. */
  replayId: string;
  /** When it was reached, epoch milliseconds. */
  at: number;
}

/** Where the position of a node is kept: under one key of a store, which is closed with the node. */
export interface KeptPosition {
  store: PositionStore;
  key: string;
  close(): Promise<void>;
}

export interface PositionHandler {
  /** It could not be stored. */
  failed(error: unknown): void;
  /** `taken` has changed. */
  taken(): void;
}

/** Stands in each position, so that a process knows its own. */
const WRITER = randomUUID();

/** Milliseconds from one look at what another process is doing with the position to the next. */
const LOOK = 60_000;
/** A subscription moves its position at least every 270 s, by keepalives, unless its flow holds events. */
const LEFT_ALONE = 10 * 60_000;
/** Milliseconds in which the last save must have ended, and then the store have been closed. */
const FLUSH = 2_000;
const TRIES = 3;
/** Milliseconds between two saves: the events of so long come again after a crash. */
const REST = 100;

/**
 * The position of one subscription, where it is kept. It has one writer: replay ids have no order that Salesforce
 * would vouch for, so of two processes that move one position neither can tell whose is behind. The one that finds a
 * position of another process in the place of its own leaves it there (an older position never replaces a newer
 * one), and writes again when nobody has moved it for ten minutes.
 */
export class StoredPosition {
  private revision = 0;
  /** Another process moves it: since when it has stood as it does, and when that was looked at, by now(). */
  private other: { since: number; lookedAt: number } | undefined;
  private readonly closing = new AbortController();
  private readonly writer: PositionWriter<ReplayPosition>;

  constructor(
    private readonly kept: KeptPosition,
    private readonly handler: PositionHandler,
    rest = REST,
  ) {
    this.writer = new PositionWriter(
      (position) => this.write(position),
      (error) => handler.failed(error),
      rest,
    );
  }

  /** Another process moves it, so this one doesn't. */
  get taken(): boolean {
    return this.other !== undefined;
  }

  /** What is stored, if it is of this org and topic. */
  async load(organizationId: string, topic: string): Promise<ReplayPosition | undefined> {
    const position = readPosition(await this.look());
    // Of 18 characters the last three only repeat the case of the others.
    const isOwn = position?.organizationId.slice(0, 15) === organizationId.slice(0, 15);
    return isOwn && position?.topic === topic ? position : undefined;
  }

  save(position: ReplayPosition): void {
    this.writer.save(position);
  }

  /** Neither a save nor a store that hangs may keep the node from closing. */
  async stop(): Promise<void> {
    await withTimeout(FLUSH, this.writer.flush());
    this.closing.abort();
    await withTimeout(FLUSH, this.kept.close()).catch(() => undefined);
  }

  private async look(): Promise<Position | undefined> {
    const { store, key } = this.kept;
    const entry = await store.get(key, this.closing.signal);
    this.revision = entry?.revision ?? 0;
    return entry;
  }

  private async write(position: ReplayPosition): Promise<void> {
    const { store, key } = this.kept;
    const value = JSON.stringify({ ...position, by: WRITER });
    for (let attempt = 0; attempt < TRIES; attempt++) {
      if (this.other && !(await this.isLeftAlone(this.other))) return;
      const revision = await store.put(key, value, this.revision, this.closing.signal);
      if (revision !== undefined) {
        this.revision = revision;
        return this.take(undefined);
      }
      const entry = await this.look();
      // Deleted, or written by this process, whose answer was lost.
      if (!entry || readObject(entry.value)?.by === WRITER) continue;
      return this.take({ since: now(), lookedAt: now() });
    }
  }

  private async isLeftAlone(other: { since: number; lookedAt: number }): Promise<boolean> {
    if (now() - other.lookedAt < LOOK) return false;
    const { revision } = this;
    await this.look();
    other.lookedAt = now();
    if (this.revision !== revision) other.since = now();
    return this.revision === 0 || now() - other.since >= LEFT_ALONE;
  }

  private take(other: { since: number; lookedAt: number } | undefined): void {
    const { taken } = this;
    this.other = other;
    if (this.taken !== taken) this.handler.taken();
  }
}

function readPosition(entry: Position | undefined): ReplayPosition | undefined {
  const value = readObject(entry?.value ?? '') as Partial<ReplayPosition> | undefined;
  const valid =
    typeof value?.replayId === 'string' &&
    value.replayId !== '' &&
    typeof value.organizationId === 'string' &&
    Number.isFinite(value.at);
  return valid ? (value as ReplayPosition) : undefined;
}
