import type { TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { BatchMessage, BatchOutcome } from '../../../nodes/jetstream/publish/batches';
import { WRONG_LAST_SEQUENCE } from '../../../nodes/jetstream/publish/batches';
import { FlowError } from '../../../nodes/shared/errors';
import type { Changes, Collection, Provider } from '../../../nodes/sync/engine/provider';
import type { SourceRecord } from '../../../nodes/sync/engine/record';
import type { RecordStream } from '../../../nodes/sync/engine/record-writer';
import type { PositionStore } from '../../../nodes/shared/positions';

/** A signal that never aborts. */
export const never = new AbortController().signal;

/** 2026-01-31T12:00:00Z */
export const NOON = 1_769_860_800_000;

/** Whatever can go on without time passing has gone on. */
export async function settle(turns = 8): Promise<void> {
  for (let i = 0; i < turns; i++) await turn();
}

export interface Clock {
  /** Milliseconds since the test began. */
  readonly now: number;
  /** Lets time pass, in a hundred steps, of 50 ms at least. */
  pass(ms: number, step?: number): Promise<void>;
  /** Lets time pass until `condition` holds, `most` ms of it; gives how long that took. */
  until(condition: () => boolean, most?: number): Promise<number>;
}

/** Time stands still but for this clock: setTimeout, Date and performance.now(). */
export function fakeClock(t: TestContext): Clock {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: NOON });
  t.mock.method(performance, 'now', () => Date.now() - NOON);
  const clock: Clock = {
    get now() {
      return Date.now() - NOON;
    },
    async pass(ms, step = Math.max(50, Math.ceil(ms / 100))) {
      await settle();
      for (let left = ms; left > 0; left -= step) {
        t.mock.timers.tick(Math.min(step, left));
        await settle();
      }
    },
    async until(condition, most = 60_000) {
      const began = clock.now;
      await settle();
      while (!condition()) {
        if (clock.now - began >= most)
          throw new Error(`not within ${most} ms of the clock: ${condition.toString()}`);
        await clock.pass(50);
      }
      return clock.now - began;
    },
  };
  return clock;
}

export interface MemoryStore extends PositionStore {
  values: Map<string, { value: string; revision: number }>;
  /** Runs before a call is served, and can delay or fail it. */
  before: (call: 'get' | 'put', key: string, value?: string) => Promise<unknown> | void;
  /** Runs before a call is answered. */
  after: (call: 'get' | 'put', key: string) => Promise<unknown> | void;
  json(key: string): Record<string, unknown>;
  set(key: string, value: unknown): void;
}

/** Compare-and-set in memory. */
export function memoryStore(): MemoryStore {
  const values = new Map<string, { value: string; revision: number }>();
  let revision = 0;
  return {
    values,
    before: () => undefined,
    after: () => undefined,
    async get(key) {
      await this.before('get', key);
      const entry = values.get(key);
      await this.after('get', key);
      return entry;
    },
    async put(key, value, expected) {
      await this.before('put', key, value);
      const fits = (values.get(key)?.revision ?? 0) === expected;
      if (fits) values.set(key, { value, revision: ++revision });
      const written = fits ? revision : undefined;
      await this.after('put', key);
      return written;
    },
    json: (key) => JSON.parse(values.get(key)?.value ?? 'null') as Record<string, unknown>,
    set: (key, value) =>
      void values.set(key, {
        value: typeof value === 'string' ? value : JSON.stringify(value),
        revision: ++revision,
      }),
  };
}

export interface MemoryStream extends RecordStream {
  last: NonNullable<RecordStream['last']>;
  subjects: Map<string, { seq: number; data: string }>;
  /** Every message that was stored, in that order. */
  stored: BatchMessage[];
  /** Each call of publish. */
  published: (readonly BatchMessage[])[];
  /** Each call of last. */
  looked: (readonly string[])[];
  /** Runs before messages are stored; what it gives for a message becomes of that. */
  before: (messages: readonly BatchMessage[]) => Promise<unknown> | void;
  outcome: (message: BatchMessage) => FlowError | undefined;
  /** The subjects, without what is the same of all. */
  ids(): string[];
}

/** A stream with one message a subject, expected sequences and deduplication. */
export function memoryStream(): MemoryStream {
  const subjects = new Map<string, { seq: number; data: string }>();
  const seen = new Map<string, number>();
  let seq = 0;
  const stream: MemoryStream = {
    created: '2026-01-01T00:00:00Z',
    subjects,
    stored: [],
    published: [],
    looked: [],
    before: () => undefined,
    outcome: () => undefined,
    async publish(messages) {
      stream.published.push(messages);
      await stream.before(messages);
      return messages.map(store);
    },
    last(asked) {
      stream.looked.push(asked);
      return Promise.resolve(asked.map((subject) => subjects.get(subject)));
    },
    ids: () => stream.stored.map(({ subject }) => subject.split('.').slice(5).join('.')),
  };
  const store = (message: BatchMessage): BatchOutcome => {
    const failed = stream.outcome(message);
    if (failed) return failed;
    const { subject, data, msgId, expected } = message;
    const before = msgId === undefined ? undefined : seen.get(msgId);
    if (before !== undefined) return { stream: 'S', seq: before, duplicate: true };
    if (expected !== undefined && (subjects.get(subject)?.seq ?? 0) !== expected)
      return new FlowError(WRONG_LAST_SEQUENCE, `"${subject}" has a newer message`);
    seq++;
    if (msgId !== undefined) seen.set(msgId, seq);
    subjects.set(subject, { seq, data });
    stream.stored.push(message);
    return { stream: 'S', seq, duplicate: false };
  };
  return stream;
}

export interface MemoryCollection extends Collection {
  records: SourceRecord[];
  problem: { code: string; message: string } | undefined;
  /** The names of all calls. */
  calls: string[];
  /** Runs before a call is answered. */
  before: (call: string) => Promise<unknown> | void;
  /** What changes() is to give next. */
  change(changes: Partial<Changes>): void;
}

interface At {
  at: number;
}

/** Records in pages of two; changes as they are handed in. */
export function memoryCollection(...records: SourceRecord[]): MemoryCollection {
  const queue: Partial<Changes>[] = [];
  let waiting = (): void => undefined;
  const called = async (call: string): Promise<void> => {
    collection.calls.push(call);
    await collection.before(call);
  };
  const collection: MemoryCollection = {
    records,
    problem: undefined,
    calls: [],
    before: () => undefined,
    async count() {
      await called('count');
      return collection.records.length;
    },
    async now() {
      await called('now');
      return { at: 0 };
    },
    async page(from) {
      await called('page');
      const at = (from as At | undefined)?.at ?? 0;
      const found = collection.records.slice(at, at + 2);
      return { records: found, next: at + 2 < collection.records.length ? { at: at + 2 } : undefined };
    },
    async ready(_from, signal) {
      await called('ready');
      if (queue.length > 0) return;
      await new Promise<void>((resolve) => {
        waiting = resolve;
        if (signal.aborted) resolve();
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    },
    async changes(from) {
      await called('changes');
      const { at } = from as At;
      const changes = queue.shift();
      return { records: [], position: { at: at + 1 }, more: false, asOf: Date.now(), ...changes };
    },
    async read(ids) {
      await called('read');
      return ids.map(
        (id) =>
          collection.records.find((record) => record.id === id) ?? {
            id,
            data: {},
            deleted: true,
            gone: true,
          },
      );
    },
    async close() {
      await called('close');
    },
    change(changes) {
      queue.push(changes);
      waiting();
    },
  };
  return collection;
}

export interface MemoryProvider extends Provider {
  unavailable: { code: string; message: string } | undefined;
  /** Tells whoever listens that something has changed. */
  changed: () => void;
  listeners: number;
  opened: string[];
  closed: number;
}

export function memoryProvider(
  collections: Record<string, Collection>,
  before: (call: string) => Promise<unknown> | void = () => undefined,
): MemoryProvider {
  const listeners = new Set<() => void>();
  return {
    name: 'test',
    unavailable: undefined,
    opened: [],
    closed: 0,
    get listeners() {
      return listeners.size;
    },
    changed: () => listeners.forEach((listener) => listener()),
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async open(collection) {
      this.opened.push(collection);
      await before('open');
      const found = collections[collection];
      if (!found) throw new FlowError('NO_SUCH_OBJECT', `There is no ${collection}`, false);
      return found;
    },
    async close() {
      this.closed++;
      await before('closeProvider');
    },
  };
}

export const record = (id: string, second = 1, more: Partial<SourceRecord> = {}): SourceRecord => ({
  id,
  data: { value: `${id} ${second}` },
  createdAt: '2026-01-31T12:00:00Z',
  updatedAt: `2026-01-31T12:00:${String(second).padStart(2, '0')}Z`,
  ...more,
});

export const records = (...ids: string[]): SourceRecord[] => ids.map((id) => record(id));

/** A promise, and the way to keep it. */
export function latch(): { open: () => void; opened: Promise<void> } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open: () => open(), opened };
}

export const at = (position: unknown): number => (position as At).at;
