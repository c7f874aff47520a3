/** A record's values as an event carries them. */
import { parseDateTime } from '../store/dates';
import { type Field } from '../store/schema';
import { type Value } from '../store/table';

export type AvroValue = string | number | boolean | null;

/** Dates as epoch milliseconds, everything else as it is. */
export function avroValue(field: Field, value: Value | undefined): AvroValue {
  if (value === null || value === undefined) return null;
  if (field.type === 'datetime') return parseDateTime(String(value)) ?? null;
  if (field.type === 'date') return Date.parse(`${String(value)}T00:00:00Z`);
  return value;
}
