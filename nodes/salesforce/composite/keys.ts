import { exactNumber, isInexact, stringifyJson } from '../../shared/json';
import type { DescribedField, Describes } from '../org/describes';
import type { Key, Endpoint } from './operations';

/** Who uses a name: those of one kind, except writers, may do so together. */
interface Users {
  reads: number;
  writes: number;
  shared: number;
}

/** Counts who reads and who writes each key. */
export class KeyTable {
  private readonly users = new Map<string, Users>();

  conflicts(keys: readonly Key[]): boolean {
    if (this.users.size === 0) return false;
    for (const { name, write, shared } of keys) {
      const users = this.users.get(name);
      if (users === undefined) continue;
      if (write ? users.reads + users.writes > 0 : shared ? users.reads > 0 : users.writes + users.shared > 0)
        return true;
    }
    return false;
  }

  add(keys: readonly Key[]): void {
    for (const key of keys) {
      let users = this.users.get(key.name);
      if (!users) this.users.set(key.name, (users = { reads: 0, writes: 0, shared: 0 }));
      users[kindOf(key)]++;
    }
  }

  remove(keys: readonly Key[]): void {
    for (const key of keys) {
      const users = this.users.get(key.name);
      if (!users) continue;
      users[kindOf(key)]--;
      if (users.reads + users.writes + users.shared === 0) this.users.delete(key.name);
    }
  }
}

function kindOf({ write, shared }: Key): keyof Users {
  return write ? 'writes' : shared ? 'shared' : 'reads';
}

/** The key of a record by id: the last three of 18 characters only repeat the case of the others. */
export function idKey(id: string, write: boolean): Key {
  return { name: `id ${id.slice(0, 15)}`, write };
}

/**
 * The key of a record by its external id. Whether case and the way a number is written make two records of it is the
 * field's: here they don't, so that records which may be one keep their order.
 */
export function externalIdKey(sobject: string, field: string, value: unknown, write: boolean): Key {
  return { name: `${sobject} ${field} `.toLowerCase() + careless(textOf(value)), write };
}

/** Of a record by its external id, the key for those who refer to it and don't know its object. */
function anyObjectKey(field: string, value: unknown): string {
  return externalIdKey('?', field, value, false).name;
}

/** What an upsert by external id writes: the record, also for those who don't know its object. */
export function upsertKeys(sobject: string, field: string, value: unknown): Key[] {
  return [
    externalIdKey(sobject, field, value, true),
    { name: anyObjectKey(field, value), write: false, shared: true },
  ];
}

/** More objects than that behind a relationship (of an activity, say) are any. */
const TARGETS = 4;

/** The field, its own or of a parent, that tells records apart by a number that is not exact any more. */
export function inexactKey(
  record: Readonly<Record<string, unknown>>,
  externalIdField: string | undefined,
): string | undefined {
  if (externalIdField !== undefined && isInexact(fieldOf(record, externalIdField))) return externalIdField;
  for (const relationship of Object.keys(record)) {
    const target = record[relationship];
    if (relationship === 'attributes' || typeof target !== 'object' || target === null) continue;
    const found = Object.entries(target).find(([, value]) => isInexact(value));
    if (found) return `${relationship}.${found[0]}`;
  }
  return undefined;
}

/**
 * Records that a record refers to by their external id, as in {Parent: {ExternalId__c: "A-1"}}: when that one is being
 * upserted just before, this one must wait for it. Which object is behind a relationship only describe tells; as long as
 * it isn't known, it may be any.
 */
export function referenceKeys(
  record: Readonly<Record<string, unknown>>,
  sobject: string,
  describes?: Pick<Describes, 'fields'>,
): Key[] {
  const keys: Key[] = [];
  for (const relationship of Object.keys(record)) {
    const target = record[relationship];
    if (relationship === 'attributes' || typeof target !== 'object' || target === null) continue;
    const { attributes, ...fields } = target as Record<string, unknown> & { attributes?: { type?: unknown } };
    for (const [field, value] of Object.entries(fields)) {
      if (!['string', 'number', 'bigint'].includes(typeof value)) continue;
      const type = attributes?.type;
      const targets = typeof type === 'string' ? [type] : targetsOf(relationship, describes?.fields(sobject));
      if (targets.length === 0 || targets.length > TARGETS)
        keys.push({ name: anyObjectKey(field, value), write: false });
      else for (const each of targets) keys.push(externalIdKey(each, field, value, false));
    }
  }
  return keys;
}

function targetsOf(
  relationship: string,
  fields: ReadonlyMap<string, DescribedField> | undefined,
): readonly string[] {
  if (!fields) return [];
  const name = relationship.toLowerCase();
  for (const field of fields.values())
    if (field.relationshipName?.toLowerCase() === name) return field.referenceTo;
  return [];
}

const NUMBERS = new Set(['int', 'long', 'double', 'currency', 'percent']);

/**
 * Whether two external ids in one field are one record to Salesforce; undefined where only describe could tell. Case
 * makes no difference only in a field that is unique and not case-sensitive; numbers are compared as such.
 */
export function isSameRecord(
  one: string,
  other: string,
  field: DescribedField | undefined,
): boolean | undefined {
  if (one === other) return true;
  if (!field) return undefined;
  if (NUMBERS.has(field.type)) return careless(one) === careless(other);
  if (field.unique && !field.caseSensitive) return one.trim().toLowerCase() === other.trim().toLowerCase();
  return one.trim() === other.trim();
}

/** A field by its name as Salesforce reads it: in any case. */
export function fieldOf(record: Readonly<Record<string, unknown>>, name: string): unknown {
  if (Object.hasOwn(record, name)) return record[name];
  const lower = name.toLowerCase();
  const key = Object.keys(record).find((candidate) => candidate.toLowerCase() === lower);
  return key === undefined ? undefined : record[key];
}

let latest: Endpoint | undefined;

/** The same object as for the record before, where it is the same endpoint: very many records may wait. */
export function endpointOf(endpoint: Omit<Endpoint, 'name'>): Endpoint {
  const { operation, sobject, externalIdField, fields } = endpoint;
  if (
    latest?.operation !== operation ||
    latest.sobject !== sobject ||
    latest.externalIdField !== externalIdField ||
    latest.fields !== fields
  ) {
    const name = JSON.stringify([operation, sobject, externalIdField, fields]).toLowerCase();
    latest = { ...endpoint, name };
  }
  return latest;
}

const PLAIN_NUMBER = /^[1-9]\d{0,14}$/;

/** The same for all that some field takes for one external id. */
function careless(text: string): string {
  const trimmed = text.trim();
  if (PLAIN_NUMBER.test(trimmed) || !/^[-+.]?\d/.test(trimmed)) return trimmed.toLowerCase();
  return String(exactNumber(trimmed)).toLowerCase();
}

/** An external id, whatever it is given as. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : (stringifyJson(value) ?? '');
}
