import type { PositionStore } from '../shared/positions';

/** Where a sync keeps what it must not forget. */
export interface Store {
  get(key: string, signal: AbortSignal): Promise<{ value: string; revision: number } | undefined>;
  /** Writes if the key still has this revision (0: none yet); undefined where somebody else was first. */
  put(key: string, value: string, revision: number, signal: AbortSignal): Promise<number | undefined>;
}

/** Everything in one text, where nobody else writes: a node's own context. */
export class OwnStore implements Store {
  private values: Promise<Record<string, string>> | undefined;

  constructor(private readonly positions: PositionStore) {}

  async get(key: string): Promise<{ value: string; revision: number } | undefined> {
    const value = (await this.load())[key];
    return value === undefined ? undefined : { value, revision: 1 };
  }

  async put(key: string, value: string): Promise<number | undefined> {
    const values = await this.load();
    values[key] = value;
    await this.positions.save(JSON.stringify(values));
    return 1;
  }

  private load(): Promise<Record<string, string>> {
    this.values ??= this.positions
      .load()
      .then((text) => (text === undefined ? {} : (JSON.parse(text) as Record<string, string>)));
    this.values.catch(() => (this.values = undefined));
    return this.values;
  }
}
