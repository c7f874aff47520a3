/** The bitmaps of a ChangeEventHeader: which fields of the schema, and which parts of its compound fields. */
import { isCompound, type Column } from '../pubsub/avro-fields';

/** Hexadecimal with whole bytes; bit 0, the last one, is field 0. */
export function bitmap(positions: readonly number[]): string {
  let bits = 0n;
  for (const position of positions) bits |= 1n << BigInt(position);
  const hex = bits.toString(16).toUpperCase();
  return `0x${hex.length % 2 === 0 ? hex : `0${hex}`}`;
}

/**
 * The list for a set of the object's fields: the bitmap of plain fields, then `position-bitmap` for each compound.
 * Field 0 of the schema is the header. `emptyFirst`: the first bitmap is there even where it has no field.
 */
export function bitmaps(
  columns: readonly Column[],
  fields: ReadonlySet<string>,
  emptyFirst: boolean,
): string[] {
  const plain: number[] = [];
  const nested: string[] = [];
  for (const [index, column] of columns.entries()) {
    const position = index + 1;
    if (!isCompound(column)) {
      if (fields.has(column.name)) plain.push(position);
      continue;
    }
    const parts: number[] = [];
    for (const [at, { field }] of column.parts.entries()) if (field && fields.has(field.name)) parts.push(at);
    if (parts.length > 0) nested.push(`${position}-${bitmap(parts)}`);
  }
  return plain.length > 0 || (nested.length > 0 && emptyFirst) ? [bitmap(plain), ...nested] : nested;
}

/** The names that a list of bitmaps stands for: `Phone`, `Name.LastName`. */
export function fieldNames(columns: readonly Column[], list: readonly string[]): string[] {
  return list.flatMap((text) => {
    const [first = '', nested] = text.split('-');
    if (nested === undefined) return set(first).map((position) => columns[position - 1]?.name ?? '');
    const column = columns[Number(first) - 1];
    if (!column || !isCompound(column)) return [];
    return set(nested).map((position) => `${column.name}.${column.parts[position]?.name ?? ''}`);
  });
}

function set(hex: string): number[] {
  const positions: number[] = [];
  for (let bits = BigInt(hex), position = 0; bits > 0n; bits >>= 1n, position++)
    if (bits & 1n) positions.push(position);
  return positions;
}
