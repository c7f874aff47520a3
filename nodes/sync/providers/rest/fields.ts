import { now } from '../../../shared/async/clock';
import type { RestClient } from './client';
import type { CollectionDeclaration } from './declaration';
import { at } from './path';
import type { Values } from './template';

const FIELDS_EVERY = 60 * 60_000;
/** Characters; some servers take URLs of 8,000. */
const LONG = 6_000;

/** The names of all fields of a collection, for an API that gives none that weren't asked for. */
export class Fields {
  tooLong = false;
  private names: { at: number; names: Promise<string[]> } | undefined;

  constructor(
    private readonly client: RestClient,
    private readonly of: CollectionDeclaration,
    private readonly common: Values,
  ) {}

  /** With `fields`, where the collection has them declared. */
  async values(signal: AbortSignal): Promise<Values> {
    const { fields } = this.of;
    if (!fields) return this.common;
    if (!this.names || now() - this.names.at > FIELDS_EVERY) {
      const names = this.ask(signal);
      this.names = { at: now(), names };
      names.catch(() => (this.names = undefined));
    }
    const names = await this.names.names;
    this.tooLong = names.join('%2C').length > LONG;
    return { ...this.common, fields: names };
  }

  private async ask(signal: AbortSignal): Promise<string[]> {
    const { fields } = this.of;
    if (!fields) return [];
    const { body } = await this.client.ask({ ask: fields, values: this.common }, signal);
    const found = at(body, fields.names);
    return Array.isArray(found) ? found.map(String) : [];
  }
}
