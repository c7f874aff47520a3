import { setImmediate as turn } from 'node:timers/promises';
import type { Node } from 'node-red';
import { Waker } from './async/waker';

export interface Position {
  value: string;
  revision: number;
}

/**
 * Keeps over restarts how far something has come, one text for each key. A write that was given up (a crash, a server
 * out of reach) leaves an earlier text, never a torn one. Both calls throw what the store throws, and CLOSED when
 * `signal` aborts.
 */
export interface PositionStore {
  /** Undefined where nothing is kept. */
  get(key: string, signal: AbortSignal): Promise<Position | undefined>;
  /** Writes if the key still has this revision (0: none yet); undefined where somebody else was first. */
  put(key: string, value: string, revision: number, signal: AbortSignal): Promise<number | undefined>;
}

export interface FindablePositions extends PositionStore {
  /** As get, where nothing is to be made for it. */
  find: PositionStore['get'];
}

/** What a config node offers that can keep positions, to nodes of rooms that don't know it: jetstream-server. */
export interface PositionKeeper {
  positions(bucket: string): FindablePositions & { close(): Promise<void> };
}

/** Of nodes whose context does not outlive them. */
const remembered = new Map<string, string>();

/** A node's own context has one writer, so nothing in it is ever another revision. */
const OWN = 1;

/**
 * Positions in the node's context, in the store that is the default; keys are names of its variables. Where
 * settings.js configures no context storage (`configured` false) Node-RED deletes a node's context with each deploy of
 * it; then the process remembers.
 */
export function contextPositions(node: Node, configured: boolean): FindablePositions {
  const context = node.context();
  const get = (key: string): Promise<Position | undefined> =>
    new Promise((resolve, reject) => {
      context.get(key, (error: Error | null | undefined, stored?: unknown) => {
        if (error) return reject(error);
        const kept = configured ? undefined : remembered.get(`${node.id} ${key}`);
        const value = typeof stored === 'string' ? stored : kept;
        resolve(value === undefined ? undefined : { value, revision: OWN });
      });
    });
  return {
    get,
    find: get,
    put: (key, value) =>
      new Promise((resolve, reject) => {
        if (!configured) remembered.set(`${node.id} ${key}`, value);
        context.set(key, value, (error?: Error | null) => (error ? reject(error) : resolve(OWN)));
      }),
  };
}

/**
 * Positions of any keys, together in one text under one key of a store that nobody else writes: a context takes the
 * dots of a key for a path.
 */
export function positionsInOne(store: PositionStore, name: string): PositionStore {
  let loading: Promise<Record<string, unknown>> | undefined;
  const load = (signal: AbortSignal): Promise<Record<string, unknown>> => {
    loading ??= store.get(name, signal).then((kept) => readObject(kept?.value ?? '') ?? {});
    loading.catch(() => (loading = undefined));
    return loading;
  };
  return {
    get: async (key, signal) => {
      const value = (await load(signal))[key];
      return typeof value === 'string' ? { value, revision: OWN } : undefined;
    },
    put: async (key, value, _revision, signal) => {
      const values = await load(signal);
      values[key] = value;
      return store.put(name, JSON.stringify(values), OWN, signal);
    },
  };
}

/** The object that a text says as JSON; undefined for any other text, whoever wrote it. */
export function readObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Saves the latest of positions that come faster than a store takes them: one save at a time, always the newest, and
 * after each a rest of `rest` ms. The first after a rest is saved at once.
 */
export class PositionWriter<T> {
  private next: { position: T } | undefined;
  private saving: Promise<void> | undefined;
  private readonly resting = new Waker();
  private flushing = 0;

  constructor(
    private readonly write: (position: T) => Promise<void>,
    private readonly failed: (error: unknown) => void,
    private readonly rest = 0,
  ) {}

  save(position: T): void {
    this.next = { position };
    this.saving ??= this.run();
  }

  /** Resolves when the latest position is saved, or can't be. No rest is taken meanwhile. */
  async flush(): Promise<void> {
    this.flushing++;
    this.resting.wake();
    await this.saving;
    this.flushing--;
  }

  private async run(): Promise<void> {
    while (this.next) {
      const { position } = this.next;
      this.next = undefined;
      try {
        await this.write(position);
      } catch (error) {
        this.failed(error);
        // A store that refuses at once, and a caller that tries again at once, leave room for others.
        await turn();
      }
      if (this.rest > 0 && this.flushing === 0) await this.resting.wait(this.rest);
    }
    this.saving = undefined;
  }
}
