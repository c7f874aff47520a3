/** Records that nobody stores: computed from their index, so that a million of them weigh nothing. */
import { dateTimeText } from './dates';
import { type SObjectType } from './schema';
import { type Generator, type Value } from './table';

const DAY = 24 * 60 * 60_000;
/** So many neighbours share a SystemModstamp, as after a bulk load: ties that a cursor has to live with. */
const SAME_STAMP = 50;

/** `count` records that were loaded during the two days before `now`. Their texts are made of the field's name and the index. */
export function generator(type: SObjectType, count: number, user: string, now: number): Generator {
  const first = now - 2 * DAY;
  const step = DAY / Math.max(1, Math.ceil(count / SAME_STAMP));
  const stamp = (index: number): string => dateTimeText(first + Math.floor(index / SAME_STAMP) * step);
  const text = (field: string, index: number): string => `${field.replace(/__c$/, '')} ${index}`;
  const value = (index: number, name: string): Value => {
    switch (name) {
      case 'IsDeleted':
        return false;
      case 'CreatedDate':
      case 'LastModifiedDate':
      case 'SystemModstamp':
        return stamp(index);
      case 'CreatedById':
      case 'LastModifiedById':
      case 'OwnerId':
        return user;
      case 'FirstName':
        return null;
      case 'LastName':
      case 'Name':
        return `${type.name} ${index}`;
    }
    const field = type.fields.get(name);
    switch (field?.type) {
      case 'string':
        return field.externalId ? `G-${index}` : text(name, index).slice(0, field.length);
      case 'email':
        return `${index}@generated.example`;
      case 'boolean':
        return index % 2 === 0;
      case 'int':
      case 'double':
      case 'currency':
      case 'percent':
        return index % 1000;
      case 'date':
        return stamp(index).slice(0, 10);
      case 'datetime':
        return stamp(index);
      case 'picklist':
        return field.picklist[index % Math.max(1, field.picklist.length)] ?? null;
      default:
        return null;
    }
  };
  const find = (name: string, wanted: string): number | undefined => {
    const index = type.fields.get(name)?.externalId ? Number(/^G-(\d+)$/i.exec(wanted)?.[1] ?? NaN) : NaN;
    return index < count ? index : undefined;
  };
  return { count, value, find };
}
