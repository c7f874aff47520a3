/** What of a record an answer shows: compound fields out of their parts, files as links, secrets masked. */
import { partsOf, type Field, type SObjectType } from './schema';
import { type Value } from './table';

type Read = (field: string) => Value;

/** One field as JSON has it; `read` gives the record's stored values. */
export function shownValue(type: SObjectType, field: Field, read: Read, version: string): unknown {
  switch (field.type) {
    case 'address':
    case 'location':
      return compound(field, read);
    case 'base64':
      return read(field.name) === null
        ? null
        : `/services/data/v${version}/sobjects/${type.name}/${String(read('Id'))}/${field.name}`;
    default:
      return plainValue(field, read(field.name));
  }
}

/** A field that is one value, as every API shows it. */
export function plainValue(field: Field, value: Value): Value {
  return field.type === 'encryptedstring' && typeof value === 'string' ? masked(value) : value;
}

/** Who may not view encrypted data sees the last four characters. */
function masked(text: string): string {
  return '*'.repeat(Math.max(0, text.length - 4)) + text.slice(-4);
}

function compound(field: Field, read: Read): Record<string, Value> | null {
  const parts = Object.entries(partsOf(field)).map(([part, { name }]): [string, Value] => [part, read(name)]);
  return parts.every(([, value]) => value === null) ? null : Object.fromEntries(parts);
}

/** The row as REST shows it: `attributes` with its URL, then the asked fields. */
export function shown(
  type: SObjectType,
  row: Readonly<Record<string, Value>>,
  fields: readonly string[],
  version: string,
): Record<string, unknown> {
  const read: Read = (name) => row[name] ?? null;
  const record: Record<string, unknown> = {
    attributes: {
      type: type.name,
      url: `/services/data/v${version}/sobjects/${type.name}/${String(row.Id)}`,
    },
  };
  for (const name of fields) {
    const field = type.fields.get(name);
    record[name] = field ? shownValue(type, field, read, version) : null;
  }
  return record;
}
