import type { EventField } from './avro-fields';

/**
 * The header of a change event, its bitmaps read as field names ("Email", and "Name.LastName" for a part of a
 * compound field).
 */
export interface ChangeHeader {
  entityName: string;
  recordIds: string[];
  /** CREATE, UPDATE, DELETE, UNDELETE, and those with GAP_ where the org can't say what has changed. */
  changeType: string;
  changedFields: string[];
  nulledFields: string[];
  /** Long texts of which only the difference is sent. */
  diffFields: string[];
  /** The event carries no data: read the records again. */
  gap: boolean;
  /** `recordIds` holds a prefix such as "001*": any record of the object may have changed. */
  wildcard: boolean;
  changeOrigin: string;
  transactionKey: string;
  sequenceNumber: number;
  /** Epoch milliseconds. */
  commitTimestamp: number;
  commitNumber: number;
  commitUser: string;
  [more: string]: unknown;
}

export type Change = Record<string, unknown> & { ChangeEventHeader: ChangeHeader };

/** True for the events of Change Data Capture, whatever channel they came on. */
export function isChange(event: Record<string, unknown>): boolean {
  return typeof event.ChangeEventHeader === 'object' && event.ChangeEventHeader !== null;
}

/**
 * A change event as decoded by its schema → the same with names for bitmaps, and with only those fields that it
 * says something about: on the wire a field that hasn't changed is null like one that was emptied, and whoever
 * writes such an event on would empty it. A field that was emptied stays, as null.
 */
export function readChange(event: Record<string, unknown>, fields: readonly EventField[]): Change {
  const header = event.ChangeEventHeader as Record<string, unknown>;
  const names = (property: string) => namesOf(fields, header[property]);
  const changedFields = names('changedFields');
  const nulledFields = names('nulledFields');
  const changeType = String(header.changeType);
  const recordIds = Array.isArray(header.recordIds) ? header.recordIds.map(String) : [];
  const said = new Set([...changedFields, ...nulledFields]);
  return {
    ChangeEventHeader: {
      ...header,
      recordIds,
      changedFields,
      nulledFields,
      diffFields: names('diffFields'),
      gap: changeType.startsWith('GAP_'),
      wildcard: recordIds.some((id) => id.includes('*')),
    } as unknown as ChangeHeader,
    ...withoutSilence(event, said, ''),
  };
}

/**
 * The fields that a list of bitmaps names: "0x…" counts the fields of the event, its lowest bit the first of them;
 * "4-0x…" counts the parts of field 4.
 */
export function namesOf(fields: readonly EventField[], bitmaps: unknown): string[] {
  if (!Array.isArray(bitmaps)) return [];
  return bitmaps.flatMap((bitmap) => {
    const [, parent, hex = ''] = /^(?:(\d+)-)?0x([0-9a-f]*)$/i.exec(String(bitmap)) ?? [];
    if (parent === undefined) return marked(fields, hex).map(({ name }) => name);
    const compound = fields[Number(parent)];
    return marked(compound?.fields ?? [], hex).map(({ name }) => `${compound?.name}.${name}`);
  });
}

function marked(fields: readonly EventField[], hex: string): EventField[] {
  const digits = [...hex].reverse();
  return fields.filter((_, i) => (parseInt(digits[i >> 2] ?? '0', 16) >> (i & 3)) & 1);
}

function withoutSilence(
  values: Record<string, unknown>,
  said: ReadonlySet<string>,
  prefix: string,
): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(values)) {
    const path = prefix + name;
    if (path === 'ChangeEventHeader') continue;
    if (value === null) {
      const parts = [...said].filter((field) => field.startsWith(`${path}.`));
      if (said.has(path)) kept[name] = null;
      else if (parts.length > 0)
        kept[name] = Object.fromEntries(parts.map((part) => [part.slice(path.length + 1), null]));
    } else if (isObject(value)) {
      kept[name] = withoutSilence(value, said, `${path}.`);
    } else {
      kept[name] = value;
    }
  }
  return kept;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !Buffer.isBuffer(value);
}
