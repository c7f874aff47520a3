import { setImmediate as turn } from 'node:timers/promises';
import type { Node } from 'node-red';

/**
 * Keeps one text over restarts: how far a node has come. A save that was given up (a crash, a server out of reach)
 * leaves an earlier text, never a later or a torn one.
 */
export interface PositionStore {
  load(): Promise<string | undefined>;
  save(position: string): Promise<void>;
  close(): Promise<void>;
}

/** What a config node offers that can keep positions, to nodes of rooms that don't know it: jetstream-server. */
export interface PositionKeeper {
  positions(bucket: string, key: string): PositionStore;
}

/** Of nodes whose context does not outlive them. */
const remembered = new Map<string, string>();

/**
 * Positions in the node's context, in the store that is the default. Where settings.js configures no context storage
 * (`configured` false) Node-RED deletes a node's context with each deploy of it; then the process remembers.
 */
export function contextPositions(node: Node, key: string, configured: boolean): PositionStore {
  const context = node.context();
  const name = `${node.id} ${key}`;
  return {
    load: () =>
      new Promise((resolve, reject) => {
        context.get(key, (error: Error | null | undefined, value?: unknown) => {
          if (error) reject(error);
          else if (typeof value === 'string') resolve(value);
          else resolve(configured ? undefined : remembered.get(name));
        });
      }),
    save: (position) =>
      new Promise((resolve, reject) => {
        if (!configured) remembered.set(name, position);
        context.set(key, position, (error?: Error | null) => (error ? reject(error) : resolve()));
      }),
    close: () => Promise.resolve(),
  };
}

/**
 * Saves the latest of positions that come faster than a store takes them: one save at a time, always the newest.
 */
export class PositionWriter {
  private next: string | undefined;
  private saving: Promise<void> | undefined;

  constructor(
    private readonly store: PositionStore,
    private readonly failed: (error: unknown) => void,
  ) {}

  save(position: string): void {
    this.next = position;
    this.saving ??= this.run();
  }

  /** Resolves when the latest position is saved, or can't be. */
  async flush(): Promise<void> {
    await this.saving;
  }

  private async run(): Promise<void> {
    while (this.next !== undefined) {
      const position = this.next;
      this.next = undefined;
      try {
        await this.store.save(position);
      } catch (error) {
        this.failed(error);
        // A store that refuses at once, and a caller that tries again at once, leave room for others.
        await turn();
      }
    }
    this.saving = undefined;
  }
}
