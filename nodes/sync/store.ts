import type { PositionStore } from '../shared/positions';

/** Where a sync keeps what it must not forget. */
export interface Store {
  get(key: string, signal: AbortSignal): Promise<{ value: string; revision: number } | undefined>;
  /** Writes if the key still has this revision (0: none yet); undefined where somebody else was first. */
  put(key: string, value: string, revision: number, signal: AbortSignal): Promise<number | undefined>;
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

/** Everything in one text, where nobody else writes: a node's own context. */
export class OwnStore implements Store {
  private values: Promise<Record<string, unknown>> | undefined;

  constructor(private readonly positions: PositionStore) {}

  async get(key: string): Promise<{ value: string; revision: number } | undefined> {
    const value = (await this.load())[key];
    return typeof value === 'string' ? { value, revision: 1 } : undefined;
  }

  async put(key: string, value: string): Promise<number | undefined> {
    const values = await this.load();
    values[key] = value;
    await this.positions.save(JSON.stringify(values));
    return 1;
  }

  private load(): Promise<Record<string, unknown>> {
    this.values ??= this.positions
      .load()
      .then((text) => (text === undefined ? {} : (readObject(text) ?? {})));
    this.values.catch(() => (this.values = undefined));
    return this.values;
  }
}
