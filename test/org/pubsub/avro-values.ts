/** A record's values as an event carries them. */
import { parseDateTime } from '../store/dates';
import { plainValue } from '../store/shown';
import { type Field } from '../store/schema';
import { type Value } from '../store/table';

export type AvroValue = string | number | boolean | null;

/** Dates as epoch milliseconds, times as those since midnight, everything else as it is shown. */
export function avroValue(field: Field, value: Value | undefined): AvroValue {
  if (value === null || value === undefined) return null;
  if (field.type === 'datetime') return parseDateTime(String(value)) ?? null;
  if (field.type === 'date') return Date.parse(`${String(value)}T00:00:00Z`);
  if (field.type === 'time') return Date.parse(`1970-01-01T${String(value)}`);
  return plainValue(field, value);
}
