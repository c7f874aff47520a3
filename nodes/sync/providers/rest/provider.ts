import type { Collection, Provider } from '../../engine/provider';
import { RestClient, type ClientOptions } from './client';
import { RestCollection } from './collection';
import { findCollection } from './find';

export { findCollection } from './find';

export interface RestSettings extends ClientOptions {
  /** Milliseconds between two rounds of polling, and how far each looks back. */
  pollInterval: number;
  lookback: number;
  /** The kinds of associations that are asked for. */
  associations?: readonly string[];
}

/** An API that was declared. */
export class RestProvider implements Provider {
  readonly name: string;
  private readonly client: RestClient;

  /** Throws NO_CREDENTIALS or INVALID_SOURCE where it can't ask anything. */
  constructor(private readonly settings: RestSettings) {
    this.name = settings.declaration.name;
    this.client = new RestClient(settings);
  }

  get unavailable(): Provider['unavailable'] {
    return this.client.unavailable;
  }

  onChange(listener: () => void): () => void {
    return this.client.onChange(listener);
  }

  open(collection: string): Promise<Collection> {
    const { declaration, pollInterval, lookback, associations = [] } = this.settings;
    const found = findCollection(declaration, collection);
    return Promise.resolve(
      new RestCollection({
        client: this.client,
        declaration,
        pollInterval,
        lookback,
        associations,
        ...found,
      }),
    );
  }

  close(): Promise<void> {
    this.client.close();
    return Promise.resolve();
  }
}
