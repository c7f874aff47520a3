/** Where a sync keeps what it must not forget. */
export interface Store {
  get(key: string, signal: AbortSignal): Promise<{ value: string; revision: number } | undefined>;
  /** Writes if the key still has this revision (0: none yet); undefined where somebody else was first. */
  put(key: string, value: string, revision: number, signal: AbortSignal): Promise<number | undefined>;
}

/** The part of a Node-RED context that is used; it may be kept in memory or in files, as settings.js says. */
export interface Context {
  get(key: string, callback: (error: Error | null, value: unknown) => void): void;
  set(key: string, value: unknown, callback: (error?: Error | null) => void): void;
}

const CHECKPOINT = 'checkpoint';

/** In a node's own context under one key, where nobody else writes. */
export class ContextStore implements Store {
  private values: Promise<Record<string, string>> | undefined;

  constructor(private readonly context: Context) {}

  async get(key: string): Promise<{ value: string; revision: number } | undefined> {
    const value = (await this.load())[key];
    return value === undefined ? undefined : { value, revision: 1 };
  }

  async put(key: string, value: string): Promise<number | undefined> {
    const values = await this.load();
    values[key] = value;
    await new Promise<void>((resolve, reject) =>
      this.context.set(CHECKPOINT, { ...values }, (error) => (error ? reject(error) : resolve())),
    );
    return 1;
  }

  private load(): Promise<Record<string, string>> {
    this.values ??= new Promise((resolve, reject) =>
      this.context.get(CHECKPOINT, (error, found) =>
        error ? reject(error) : resolve({ ...(found as Record<string, string> | undefined) }),
      ),
    );
    return this.values;
  }
}
