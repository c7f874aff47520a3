import { randomBytes } from 'node:crypto';
import { FlowError, messageOf } from '../../shared/errors';
import { readObject, type PositionStore } from '../../shared/positions';
import {
  asked,
  buried,
  claimed,
  emptyTable,
  instancesOf,
  isSameLayout,
  isVacant,
  joined,
  leaving,
  moved,
  partitionsOf,
  readTable,
  released,
  surplusOf,
  type Layout,
  type Table,
} from './partition-plan';

/** The store of a group. What others write to keys that begin with a prefix can be heard, where that is allowed. */
export interface GroupStore extends PositionStore {
  listen(prefix: string, heard: (key: string, value: string) => void): () => void;
  /** For good; never throws. */
  remove(key: string): Promise<void>;
}

export interface Clock {
  now(): number;
  pause(ms: number, signal: AbortSignal): Promise<void>;
}

export interface GroupHooks {
  /** What is owned, or may be worked on, may have changed. */
  changed(): void;
  /** From now on what is owned may become another's. */
  lapsed(): void;
  /** Makes what the next layout of the table needs; nobody reads meanwhile. Several instances may do it at once. */
  layOut(table: Table, isCurrent: () => Promise<boolean>): Promise<void>;
  /** The store, or what is laid out, fails; it is tried again. */
  failed(error: FlowError): void;
}

/**
 * Milliseconds. A dead instance is followed after this; one that can't write for eight tenths of it has no right to work
 * on anything until it has written again.
 */
export const LENGTH = 700;
const RELIED_ON = 0.8;
const BEATS = 3;
/** Where nothing can be heard the table is looked at so often. */
const DEAF = LENGTH / 4;
/** And where it can, in case that something was missed. */
const HEARING = 1_000;
const RETRY = 250;

/**
 * One of many instances that share the partitions of a durable. Each instance has a record of its own that it writes three
 * times a lease, whatever it owns; who owns what is one table, written when it changes. An instance whose record did not
 * change for a whole lease, by the clock of who watches, is buried: its record is taken first, by compare and set, so
 * that it can't renew, and only then its partitions are free. It comes back under another id. Whoever was merely slow and
 * could write again before that still owns what it had: nobody can have taken it.
 */
export class Group {
  /** For the whole process, whatever its ids. */
  private readonly process = randomBytes(6).toString('hex');
  private id = '';
  private beats = 0;
  private revision = 0;
  private validUntil = -Infinity;
  private readonly stopping = new AbortController();
  private wake: (() => void) | undefined;
  private woken = false;
  private readonly seen = new Map<string, { beats: number; at: number }>();
  private heardAt = -Infinity;
  private written = '';
  private readonly releasing = new Set<number>();
  private readonly claims = new Map<number, { serial: number; same: boolean }>();
  private serial = 0;
  private request: Layout | undefined;
  private worn: number | undefined;
  private isLeaving = false;
  private running: Promise<void> = Promise.resolve();
  /** As it was seen or written last. */
  table: Table;

  constructor(
    private readonly store: GroupStore,
    private readonly prefix: string,
    wanted: Layout,
    private readonly hooks: GroupHooks,
    private readonly clock: Clock,
  ) {
    this.table = emptyTable(wanted);
    this.request = wanted;
  }

  start(): void {
    this.running = this.run();
  }

  /** Milliseconds for which nobody else can have what is owned. */
  get left(): number {
    return Math.max(0, this.validUntil - this.clock.now());
  }

  get held(): boolean {
    return this.left > 0;
  }

  get owned(): number[] {
    return this.id === '' ? [] : partitionsOf(this.table, this.id);
  }

  /** Of what is owned: what is to be given up. */
  get surplus(): number[] {
    return this.id === '' ? [] : surplusOf(this.table, this.id);
  }

  /** Undefined for one that isn't owned, or is being released. `same`: nobody else had it since this process did. */
  claim(partition: number): { serial: number; same: boolean } | undefined {
    return this.releasing.has(partition) ? undefined : this.claims.get(partition);
  }

  /** It is free as soon as that is stored. Nothing of it may be under way any more. */
  release(partition: number): void {
    this.releasing.add(partition);
    this.lookSoon();
  }

  /** What this generation of the table has laid out can't be used any more: all give up what they own, and it is made anew. */
  renewLayout(generation: number): void {
    this.worn = generation;
    this.lookSoon();
  }

  /** Claims nothing more; what is owned is to be released. */
  leave(): void {
    this.isLeaving = true;
    this.lookSoon();
  }

  /** Resolves when nothing here belongs to it any more, as far as that can be stored. */
  async stop(): Promise<void> {
    this.isLeaving = true;
    this.stopping.abort();
    // A store that is out of reach is not waited for.
    await Promise.race([this.running, this.clock.pause(LENGTH, new AbortController().signal)]);
    const { id, held } = this;
    this.id = '';
    this.validUntil = -Infinity;
    if (id === '' || !held) return;
    const signal = AbortSignal.timeout(LENGTH);
    try {
      for (let tries = 0; tries < 20; tries++)
        if (await this.change((table) => buried(table, id), signal)) break;
      await this.store.put(this.keyOf(id), GONE, this.revision, signal);
      await this.store.remove(this.keyOf(id));
    } catch {
      // It is buried by others.
    }
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    const deaf = this.store.listen(this.prefix, (key, value) => this.heard(key, value));
    try {
      while (!signal.aborted) {
        try {
          if (this.id === '') await this.enter(signal);
          if (!(await this.look(signal))) continue;
          await this.rest(signal);
        } catch (error) {
          if (signal.aborted) return;
          this.hooks.failed(
            error instanceof FlowError ? error : new FlowError('CONSUMER_FAILED', messageOf(error)),
          );
          await this.clock.pause(RETRY, signal);
        }
      }
    } finally {
      deaf();
    }
  }

  private async enter(signal: AbortSignal): Promise<void> {
    const id = randomBytes(6).toString('hex');
    const began = this.clock.now();
    this.beats = 0;
    const revision = await this.store.put(this.keyOf(id), JSON.stringify({ id, beats: 0 }), 0, signal);
    if (revision === undefined) return;
    this.revision = revision;
    this.validUntil = began + LENGTH * RELIED_ON;
    this.id = id;
    void this.beat(id, signal);
  }

  private async beat(id: string, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.id === id) {
      await this.clock.pause(LENGTH / BEATS, signal);
      if (signal.aborted) return;
      const before = this.held;
      const lapse = new AbortController();
      void this.clock.pause(this.left, lapse.signal).then(() => {
        if (!lapse.signal.aborted && before && !this.held) this.hooks.lapsed();
      });
      const alive = await this.renew(id, signal).catch(() => true);
      lapse.abort();
      if (!alive && this.id === id) {
        this.id = '';
        this.validUntil = -Infinity;
        this.claims.clear();
        this.hooks.lapsed();
        this.lookSoon();
        return;
      }
      if (!before && this.held) this.hooks.changed();
    }
  }

  /** False when others have buried it. */
  private async renew(id: string, signal: AbortSignal): Promise<boolean> {
    for (;;) {
      const began = this.clock.now();
      const value = JSON.stringify({ id, beats: ++this.beats });
      const revision = await this.store.put(this.keyOf(id), value, this.revision, signal);
      if (revision !== undefined) {
        this.revision = revision;
        this.validUntil = began + LENGTH * RELIED_ON;
        return true;
      }
      // A write of its own whose answer was lost?
      const entry = await this.store.get(this.keyOf(id), signal);
      if (beatsOf(entry?.value) === undefined) return false;
      this.revision = entry?.revision ?? 0;
    }
  }

  /** False where somebody else has changed the table at the same time. */
  private async look(signal: AbortSignal): Promise<boolean> {
    this.woken = false;
    const dead = await this.findDead(signal);
    const { id } = this;
    let given: number[] = [];
    const done = await this.change((table) => {
      let next = dead.reduce(buried, table);
      if (!this.held || this.id !== id || id === '') return next;
      next = this.isLeaving ? leaving(next, id) : joined(next, id);
      given = [...this.releasing];
      next = released(next, id, given);
      if (this.isLeaving) return next;
      const coming = next.next ?? next.layout;
      if (this.request && !isSameLayout(coming, this.request)) next = asked(next, this.request);
      else if (next.generation === this.worn) next = asked(next, coming);
      return claimed(next, id, this.process);
    }, signal);
    if (!done) return false;
    // One that is owned all the same was claimed again with that.
    for (const one of given) this.releasing.delete(one);
    for (const one of dead) void this.store.remove(this.keyOf(one));
    this.hooks.changed();
    const { table } = this;
    if (!table.next || !isVacant(table) || !this.held || this.isLeaving) return true;
    const isCurrent = async (): Promise<boolean> => {
      const entry = await this.store.get(this.tableKey, signal);
      return readTable(entry?.value ?? '')?.generation === table.generation;
    };
    await this.hooks.layOut(table, isCurrent);
    await this.change((now) => (now.generation === table.generation && now.next ? moved(now) : now), signal);
    return false;
  }

  /** False where somebody else was first: nothing is changed then. */
  private async change(by: (table: Table) => Table, signal: AbortSignal): Promise<boolean> {
    const entry = await this.store.get(this.tableKey, signal);
    const before = readTable(entry?.value ?? '') ?? emptyTable(this.request ?? this.table.layout);
    const after = by(before);
    const text = JSON.stringify(after);
    if (text !== entry?.value) {
      this.written = text;
      if ((await this.store.put(this.tableKey, text, entry?.revision ?? 0, signal)) === undefined)
        return false;
    }
    this.took(before, after);
    return true;
  }

  private took(before: Table, after: Table): void {
    this.table = after;
    const owned = new Set(this.owned);
    for (const one of this.claims.keys()) if (!owned.has(one)) this.claims.delete(one);
    for (const one of owned) {
      if (this.claims.has(one) && !this.releasing.has(one) && before.owners[one] === this.id) continue;
      const same = before.owners[one] !== this.id && before.last[one] === this.process;
      this.claims.set(one, { serial: ++this.serial, same });
    }
    // Asked for once: later another may ask for another.
    if (this.request && isSameLayout(after.next ?? after.layout, this.request)) this.request = undefined;
    const alive = new Set(instancesOf(after));
    for (const id of this.seen.keys()) if (!alive.has(id)) this.seen.delete(id);
  }

  /** Those whose record has not changed for a lease, and can't any more. */
  private async findDead(signal: AbortSignal): Promise<string[]> {
    const dead: string[] = [];
    for (const id of instancesOf(this.table)) {
      if (id === this.id) continue;
      const seen = this.seen.get(id);
      if (seen && this.clock.now() - seen.at < LENGTH) continue;
      const entry = await this.store.get(this.keyOf(id), signal);
      const beats = beatsOf(entry?.value);
      if (beats === undefined) dead.push(id);
      else if (beats !== seen?.beats) this.seen.set(id, { beats, at: this.clock.now() });
      else if ((await this.store.put(this.keyOf(id), GONE, entry?.revision ?? 0, signal)) !== undefined)
        dead.push(id);
    }
    return dead;
  }

  private heard(key: string, value: string): void {
    this.heardAt = this.clock.now();
    if (key === this.tableKey) {
      if (value !== this.written) this.lookSoon();
      return;
    }
    const beats = beatsOf(value);
    const id = key.slice(this.keyOf('').length);
    if (beats !== undefined && id !== this.id) this.seen.set(id, { beats, at: this.heardAt });
  }

  private lookSoon(): void {
    this.woken = true;
    this.wake?.();
  }

  private async rest(signal: AbortSignal): Promise<void> {
    if (this.woken) return;
    const now = this.clock.now();
    const usual = now - this.heardAt < LENGTH ? HEARING : DEAF;
    const silences = instancesOf(this.table).flatMap((id) => {
      const seen = this.seen.get(id);
      return id !== this.id && seen ? seen.at + LENGTH - now : [];
    });
    const resting = new AbortController();
    const stop = (): void => resting.abort();
    this.wake = stop;
    signal.addEventListener('abort', stop, { once: true });
    await this.clock.pause(Math.max(5, Math.min(usual, ...silences)), resting.signal);
    signal.removeEventListener('abort', stop);
    this.wake = undefined;
    stop();
  }

  private get tableKey(): string {
    return `${this.prefix}.partitions`;
  }

  private keyOf(id: string): string {
    return `${this.prefix}.instance.${id}`;
  }
}

const GONE = JSON.stringify({ gone: true });

/** Undefined for the record of one that is gone, and for what is none. */
function beatsOf(value: string | undefined): number | undefined {
  const beats = readObject(value ?? '')?.beats;
  return typeof beats === 'number' ? beats : undefined;
}
