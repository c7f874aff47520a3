/** Row locks: a write holds its records and their parents while the call lasts. */
import { isRecord, type Sent } from './dml';
import { normalId } from './ids';
import { type Schema } from './schema';

export class Locks {
  readonly #held = new Map<string, object>();

  /** Takes what these records need; answers those (and their ids) that met a lock of another call, and how to let go. */
  take(keys: readonly (readonly [Sent, readonly string[]])[]): {
    blocked: ReadonlySet<unknown>;
    release: () => void;
  } {
    const owner = {};
    const taken: string[] = [];
    const blocked = new Set<unknown>();
    for (const [record, needed] of keys) {
      if (needed.some((key) => this.#held.has(key) && this.#held.get(key) !== owner)) {
        blocked.add(record).add(normalId(record.Id ?? record.id));
        continue;
      }
      for (const key of needed) {
        this.#held.set(key, owner);
        taken.push(key);
      }
    }
    const release = (): void => {
      for (const key of taken) if (this.#held.get(key) === owner) this.#held.delete(key);
    };
    return { blocked, release };
  }
}

/** The record itself, by id or external id, and every parent it names. */
export function lockKeys(
  schema: Schema,
  record: Sent,
  typeName: string | undefined,
  externalName: string | undefined,
): string[] {
  const own =
    isRecord(record.attributes) && typeof record.attributes.type === 'string'
      ? record.attributes.type
      : typeName;
  const type = own === undefined ? undefined : schema.type(own);
  const keys: string[] = [];
  const id = normalId(record.Id ?? record.id);
  if (id !== undefined) keys.push(id);
  for (const [name, value] of Object.entries(record)) {
    if (type && name === externalName) keys.push(`${type.name}.${name}=${String(value).toLowerCase()}`);
    const parent = type?.fields.get(name)?.childRelationship != null ? normalId(value) : undefined;
    if (parent !== undefined) keys.push(parent);
  }
  return keys;
}
