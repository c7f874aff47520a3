import { FlowError } from '../../../shared/errors';
import { nearest } from '../../../shared/nearest';
import type { CollectionDeclaration, Declaration } from './declaration';
import type { Partition } from './partitions';
import type { Values } from './template';
import { say } from '../../../shared/say';

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
    const advice = close ? say`do you mean "${close}"?` : say`it has ${Object.keys(collections).join(', ')}`;
    throw unknown(say`${label} has no collection "${wanted}"; ${advice}`);
  }
  if (!scope) return { of, values: {} };
  const parts = end < 0 ? [] : rest.slice(0, end).split('/');
  const least = scope.parts.filter((part) => !part.endsWith('?')).length;
  const example = nameOf(declaration, wanted);
  if (of.of === undefined && parts.length > least)
    throw unknown(
      say`${label} has ${wanted} of "${parts.slice(0, least).join('/')}" as a whole only; write for example "${nameOf(declaration, wanted, parts.join('/'))}"`,
    );
  if (parts.length < least || parts.length > scope.parts.length || parts.includes(''))
    throw unknown(say`"${name}" doesn't say of what; write for example "${example}"`);
  const values = Object.fromEntries(parts.map((part, i) => [(scope.parts[i] ?? '').replace('?', ''), part]));
  if (!scope.partition || parts.length < scope.parts.length) return { of, values };
  const named = Object.entries(scope.partition).map(([each, template]): [string, string] => [
    each,
    template.replace(/\{(\w+)\}/g, (_whole, part: string) => String(values[part] ?? '')),
  ]);
  const all = { ...values, ...Object.fromEntries(named) };
  return { of, values: all, partition: { key: '', values: all } };
}

/** How a collection is called in a flow: of what is in none of a scope's parts only what is needed is said. */
export function nameOf({ name, scope, collections }: Declaration, id: string, of?: string): string {
  if (!scope) return `${name}:${id}`;
  const needed = scope.parts.filter((part) => !part.endsWith('?')).length;
  const parts = (of ?? scope.example).split('/');
  const said = collections[id]?.of === undefined ? parts.slice(0, needed) : parts;
  return `${name}:${said.join('/')}:${id}`;
}

/** Whether it has a collection of this name, with all that the name needs. */
export function hasCollection(declaration: Declaration, name: string): boolean {
  try {
    findCollection(declaration, name);
    return true;
  } catch {
    return false;
  }
}

function unknown(message: string): FlowError {
  return new FlowError('NO_SUCH_OBJECT', message, false);
}
