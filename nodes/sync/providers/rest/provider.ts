import { FlowError } from '../../../shared/errors';
import { nearest } from '../../../shared/nearest';
import type { Collection, Provider } from '../../engine/provider';
import { RestClient, type ClientOptions } from './client';
import { RestCollection } from './collection';
import type { CollectionDeclaration, Declaration, Scope } from './declaration';
import type { Partition } from './partitions';
import type { Values } from './template';

export interface RestSettings extends ClientOptions {
  /** Milliseconds between two rounds of polling, and how far each looks back. */
  pollInterval: number;
  lookback: number;
}

/** An API that was declared. */
export class RestProvider implements Provider {
  readonly name: string;
  private readonly client: RestClient;

  /** Throws API_LOGIN or INVALID_SOURCE where it can't ask anything. */
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
    const { declaration, pollInterval, lookback } = this.settings;
    const found = findCollection(declaration, collection);
    return Promise.resolve(
      new RestCollection({ client: this.client, declaration, pollInterval, lookback, ...found }),
    );
  }

  close(): Promise<void> {
    this.client.close();
    return Promise.resolve();
  }
}

export interface FoundCollection {
  of: CollectionDeclaration;
  values: Values;
  partition?: Partition;
}

/** The collection that a name in the flow means: "github:owner/repo:issues". Throws NO_SUCH_OBJECT. */
export function findCollection(declaration: Declaration, name: string): FoundCollection {
  const { scope, collections, name: provider, label } = declaration;
  const rest = name.startsWith(`${provider}:`) ? name.slice(provider.length + 1) : name;
  const end = scope ? rest.lastIndexOf(':') : -1;
  const wanted = rest.slice(end + 1);
  const of = Object.hasOwn(collections, wanted) ? collections[wanted] : undefined;
  if (!of) {
    const close = nearest(wanted, Object.keys(collections));
    const advice = close ? `do you mean "${close}"?` : `it has ${Object.keys(collections).join(', ')}`;
    throw unknown(`${label} has no collection "${wanted}"; ${advice}`);
  }
  if (!scope) return { of, values: {} };
  const parts = end < 0 ? [] : rest.slice(0, end).split('/');
  const example = exampleOf(scope, of);
  const least = scope.parts.filter((part) => !part.endsWith('?')).length;
  if (of.of === undefined && parts.length > least)
    throw unknown(
      `${label} has ${wanted} of "${example}" alone; write for example "${provider}:${parts.slice(0, least).join('/')}:${wanted}"`,
    );
  if (parts.length < least || parts.length > scope.parts.length || parts.includes(''))
    throw unknown(`"${name}" doesn't say of what; write for example "${provider}:${example}:${wanted}"`);
  const values = Object.fromEntries(parts.map((part, i) => [(scope.parts[i] ?? '').replace('?', ''), part]));
  if (!scope.partition || parts.length < scope.parts.length) return { of, values };
  const named = Object.entries(scope.partition).map(([each, template]): [string, string] => [
    each,
    template.replace(/\{(\w+)\}/g, (_whole, part: string) => String(values[part] ?? '')),
  ]);
  const all = { ...values, ...Object.fromEntries(named) };
  return { of, values: all, partition: { key: '', values: all } };
}

/** As people write the scope of a collection: what has no list for each part belongs to the whole. */
export function exampleOf({ example, parts }: Scope, of: CollectionDeclaration): string {
  const least = parts.filter((part) => !part.endsWith('?')).length;
  return of.of === undefined ? example.split('/').slice(0, least).join('/') : example;
}

function unknown(message: string): FlowError {
  return new FlowError('NO_SUCH_OBJECT', message, false);
}
