/** The event bus: every event once, in order, under a position whose number means nothing but its order. */
import { EventEmitter } from 'node:events';
import { type ConsumerEvent, type EventHeader } from './messages';
import { type PubSubSwitches } from './switches';

export interface NewEvent {
  id: string;
  schemaId: string;
  payload: Buffer;
  headers?: EventHeader[];
}

/** An event, or a position that a subscriber was told while there was none. */
export interface LogEntry {
  readonly position: number;
  readonly replayId: Buffer;
  /** Epoch milliseconds. */
  readonly at: number;
  /** The topic that the event was published to, e.g. /data/ContactChangeEvent; channels are made of such topics. */
  readonly topic: string | undefined;
  readonly event: ConsumerEvent | undefined;
}

const FIRST_POSITION = 18_098_167;

/** Emits `published` soon after events came, once for all that came together. */
export class EventLog extends EventEmitter<{ published: [] }> {
  #entries: LogEntry[] = [];
  /** Entries before this index are gone. */
  #first = 0;
  #position = FIRST_POSITION;
  #announcing = false;

  constructor(
    private readonly switches: PubSubSwitches,
    private readonly now: () => number,
  ) {
    super();
    this.setMaxListeners(0);
  }

  publish(topic: string, events: readonly NewEvent[]): LogEntry[] {
    const at = this.now();
    const entries = events.map(({ id, schemaId, payload, headers = [] }): LogEntry => {
      const position = this.#next();
      const replayId = this.replayIdOf(position);
      return {
        position,
        replayId,
        at,
        topic,
        event: { event: { id, schemaId, payload, headers }, replayId },
      };
    });
    for (const entry of entries) this.#entries.push(entry);
    if (!this.#announcing && entries.length > 0) {
      this.#announcing = true;
      setImmediate(() => {
        this.#announcing = false;
        this.emit('published');
      });
    }
    return entries;
  }

  /** A stream is shared by many orgs, so numbers are left out that this one never sees. */
  #next(): number {
    this.#position += 1 + (Math.imul(this.#position, 0x9e3779b1) >>> 29);
    return this.#position;
  }

  /** A position as clients see it. */
  replayIdOf(position: number): Buffer {
    const bytes = Buffer.alloc(this.switches.replayIdBytes);
    bytes.writeBigUInt64BE(BigInt(position));
    return bytes;
  }

  /** A new position behind everything there is, for subscribers that get nothing else. */
  tip(): LogEntry {
    const position = this.#next();
    const entry = {
      position,
      replayId: this.replayIdOf(position),
      at: this.now(),
      topic: undefined,
      event: undefined,
    };
    this.#entries.push(entry);
    return entry;
  }

  /** The position right before the oldest event that is kept. */
  beginning(): number {
    this.#expire();
    return (this.#entries[this.#first]?.position ?? this.#position + 1) - 1;
  }

  /** The position of a replay id that was given out and is kept; undefined where it is neither. */
  find(replayId: Buffer): number | undefined {
    if (replayId.length !== 8 && replayId.length !== this.switches.replayIdBytes) return undefined;
    const position = Number(replayId.readBigUInt64BE());
    this.#expire();
    const entry = this.#entries[this.#indexAfter(position - 1)];
    return entry?.position === position ? position : undefined;
  }

  /** Events behind a position, at most so many and, after the first, so many bytes. */
  after(position: number, wanted: (topic: string) => boolean, count: number, bytes: number): LogEntry[] {
    const found: LogEntry[] = [];
    let size = 0;
    for (let i = this.#indexAfter(position); i < this.#entries.length && found.length < count; i++) {
      const entry = this.#entries[i] as LogEntry;
      if (entry.event === undefined || entry.topic === undefined || !wanted(entry.topic)) continue;
      size += entry.event.event.payload.length;
      if (size > bytes && found.length > 0) break;
      found.push(entry);
    }
    return found;
  }

  /** Events of these topics that are kept. */
  list(wanted: (topic: string) => boolean): LogEntry[] {
    return this.after(this.beginning(), wanted, Infinity, Infinity);
  }

  /** Forgets all but the newest entries, as time does. */
  forget(keep = 0): void {
    this.#first = Math.max(this.#first, this.#entries.length - keep);
    this.#compact();
  }

  #indexAfter(position: number): number {
    let low = this.#first;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#entries[middle] as LogEntry).position <= position) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #expire(): void {
    const oldest = this.now() - this.switches.retentionMs;
    while (this.#first < this.#entries.length && (this.#entries[this.#first] as LogEntry).at < oldest)
      this.#first++;
    this.#compact();
  }

  #compact(): void {
    if (this.#first < 10_000 || this.#first < this.#entries.length / 2) return;
    this.#entries = this.#entries.slice(this.#first);
    this.#first = 0;
  }
}
