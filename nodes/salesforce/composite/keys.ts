import { stringifyJson } from '../../shared/json';
import type { Key, Endpoint } from './operations';

/** Counts who reads and who writes each key. */
export class KeyTable {
  private readonly users = new Map<string, { reads: number; writes: number }>();

  conflicts(keys: readonly Key[]): boolean {
    if (this.users.size === 0) return false;
    return keys.some((key) => {
      const users = this.users.get(key.name);
      return users !== undefined && (key.write || users.writes > 0);
    });
  }

  add(keys: readonly Key[]): void {
    for (const key of keys) {
      const users = this.users.get(key.name) ?? { reads: 0, writes: 0 };
      users[key.write ? 'writes' : 'reads']++;
      this.users.set(key.name, users);
    }
  }

  remove(keys: readonly Key[]): void {
    for (const key of keys) {
      const users = this.users.get(key.name);
      if (!users) continue;
      users[key.write ? 'writes' : 'reads']--;
      if (users.reads + users.writes === 0) this.users.delete(key.name);
    }
  }
}

/** The key of a record by id: the last three of 18 characters only repeat the case of the others. */
export function idKey(id: string, write: boolean): Key {
  return { name: `id ${id.slice(0, 15)}`, write };
}

/** External ids are compared as Salesforce does unless told otherwise: without case and outer blanks. */
export function externalIdKey(sobject: string, field: string, value: unknown, write: boolean): Key {
  return { name: `${sobject} ${field} ${text(value).trim()}`.toLowerCase(), write };
}

/**
 * Records that a record refers to by their external id, as in {Account: {ExternalId__c: "A-1"}}: when the
 * account is being upserted just before, the contact must wait for it.
 */
export function referenceKeys(record: Readonly<Record<string, unknown>>): Key[] {
  const keys: Key[] = [];
  for (const [relationship, target] of Object.entries(record)) {
    if (relationship === 'attributes' || typeof target !== 'object' || target === null) continue;
    const { attributes, ...fields } = target as Record<string, unknown> & { attributes?: { type?: string } };
    const sobject = attributes?.type ?? relationship.replace(/__r$/i, '__c');
    for (const [field, value] of Object.entries(fields)) {
      if (['string', 'number', 'bigint'].includes(typeof value)) {
        keys.push(externalIdKey(sobject, field, value, false));
      }
    }
  }
  return keys;
}

/** A field by its name as Salesforce reads it: in any case. */
export function fieldOf(record: Readonly<Record<string, unknown>>, name: string): unknown {
  if (Object.hasOwn(record, name)) return record[name];
  const lower = name.toLowerCase();
  const key = Object.keys(record).find((candidate) => candidate.toLowerCase() === lower);
  return key === undefined ? undefined : record[key];
}

export function endpointOf(endpoint: Omit<Endpoint, 'name'>): Endpoint {
  const { operation, sobject, externalIdField, fields } = endpoint;
  return { ...endpoint, name: JSON.stringify([operation, sobject, externalIdField, fields]).toLowerCase() };
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : (stringifyJson(value) ?? '');
}
