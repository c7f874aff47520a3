/** How the fields of an object look in the Avro schemas of its events: names, order, compound fields, types. */
import { recordId } from '../store/ids';
import { partsOf, type Field, type FieldType, type SObjectType } from '../store/schema';

/** One field of a schema as it goes over the wire. */
export interface AvroField {
  name: string;
  type: unknown;
  doc?: string;
  default?: null;
}

export interface PlainColumn {
  readonly name: string;
  readonly field: Field;
}

export interface CompoundColumn {
  readonly name: string;
  readonly record: 'PersonName' | 'Address' | 'Location';
  /** In the order of the record's fields; those that the object doesn't have are always null. */
  readonly parts: readonly { readonly name: string; readonly field: Field | undefined }[];
}

/** A change event's field: one of the object, or a compound made of several. */
export type Column = PlainColumn | CompoundColumn;

export function isCompound(column: Column): column is CompoundColumn {
  return 'record' in column;
}

const NAME_PARTS = ['Salutation', 'FirstName', 'LastName'];
const ADDRESS_PARTS = [
  'Street',
  'City',
  'State',
  'PostalCode',
  'Country',
  'StateCode',
  'CountryCode',
  'Latitude',
  'Longitude',
  'GeocodeAccuracy',
];
const NUMERIC_PARTS = new Set(['Latitude', 'Longitude']);
const ADDRESS_FIELD = new RegExp(`^(Billing|Shipping|Mailing|Other)(?:${ADDRESS_PARTS.join('|')})$`);
/** Change events have neither these nor the id, which is in their header. */
const LEFT_OUT = new Set(['Id', 'IsDeleted', 'SystemModstamp']);
const NO_EVENT_TYPE: ReadonlySet<FieldType> = new Set(['base64', 'anyType', 'address']);

/** The fields of the object's change event behind the header. */
export function columnsOf(type: SObjectType): Column[] {
  const columns = new Map<string, Column>();
  const person = type.fields.has('LastName');
  const partOfLocation = new Set(
    [...type.fields.values()]
      .filter((field) => field.type === 'location')
      .flatMap((field) => Object.values(partsOf(field)).map(({ name }) => name)),
  );
  for (const field of type.fields.values()) {
    const { name } = field;
    const prefix = ADDRESS_FIELD.exec(name)?.[1];
    if (LEFT_OUT.has(name) || NO_EVENT_TYPE.has(field.type) || partOfLocation.has(name)) continue;
    if (field.type === 'location') {
      columns.set(name, location(type, field));
      continue;
    }
    if (person && (name === 'Name' || NAME_PARTS.includes(name)))
      columns.set('Name', compound(type, 'Name', 'PersonName', NAME_PARTS, ''));
    else if (prefix !== undefined)
      columns.set(`${prefix}Address`, compound(type, `${prefix}Address`, 'Address', ADDRESS_PARTS, prefix));
    else columns.set(name, { name, field });
  }
  return [...columns.values()];
}

function location(type: SObjectType, field: Field): CompoundColumn {
  const { latitude, longitude } = partsOf(field);
  const part = (name: string, of = ''): CompoundColumn['parts'][number] => ({
    name,
    field: type.fields.get(of),
  });
  return {
    name: field.name,
    record: 'Location',
    parts: [part('Latitude', latitude?.name), part('Longitude', longitude?.name)],
  };
}

function compound(
  type: SObjectType,
  name: string,
  record: CompoundColumn['record'],
  parts: readonly string[],
  prefix: string,
): CompoundColumn {
  return {
    name,
    record,
    parts: parts.map((part) => ({ name: part, field: type.fields.get(prefix + part) })),
  };
}

const TYPES: Record<FieldType, [avro: string, doc: string]> = {
  id: ['string', 'Data:EntityId'],
  string: ['string', 'Data:Text'],
  textarea: ['string', 'Data:MultiLineText'],
  email: ['string', 'Data:Email'],
  phone: ['string', 'Data:Phone'],
  url: ['string', 'Data:Url'],
  picklist: ['string', 'Data:DynamicEnum'],
  multipicklist: ['string', 'Data:MultiEnum'],
  boolean: ['boolean', 'Data:Boolean'],
  int: ['int', 'Data:Integer'],
  double: ['double', 'Data:Double'],
  currency: ['double', 'Data:Currency'],
  percent: ['double', 'Data:Percent'],
  date: ['long', 'Data:DateOnly'],
  datetime: ['long', 'Data:DateTime'],
  reference: ['string', 'ForeignKey:EntityId'],
  time: ['long', 'Data:TimeOnly'],
  encryptedstring: ['string', 'Data:EncryptedText'],
  // Never on the wire by themselves.
  anyType: ['string', 'Data:Text'],
  base64: ['string', 'Data:Text'],
  address: ['string', 'Data:Text'],
  location: ['string', 'Data:Text'],
};

/** Long text: kept beside the record, and sent as a difference when it changes. */
export function isLongText(field: Field): boolean {
  return field.type === 'textarea' && field.length > 255;
}

/** A nullable field; custom ones carry the id of their definition. */
export function plainField(type: SObjectType, field: Field): AvroField {
  const [avro, doc] = TYPES[field.type];
  const kind = isLongText(field) ? 'Data:StringPlusClob' : doc;
  const named = field.name.endsWith('__c') ? `${kind}:${definitionId(type, field)}` : kind;
  return {
    name: field.name,
    type: ['null', avro],
    doc: field.name === 'CreatedDate' ? 'CreatedDate:DateTime' : named,
    default: null,
  };
}

function definitionId(type: SObjectType, field: Field): string {
  let number = 7;
  for (const char of `${type.name}.${field.name}`)
    number = (number * 31 + char.charCodeAt(0)) % 1_000_000_007;
  return recordId('00N', number).slice(0, 15);
}

/** `defined` holds the records that the schema has already: they are named, not repeated. */
export function compoundField(column: CompoundColumn, defined: Set<string>): AvroField {
  const branch = defined.has(column.record) ? column.record : compoundRecord(column.record, column.parts);
  defined.add(column.record);
  return { name: column.name, type: ['null', branch], doc: `Data:${column.record}`, default: null };
}

function compoundRecord(name: string, parts: readonly { name: string }[]): unknown {
  return {
    type: 'record',
    name,
    fields: parts.map((part) => ({
      name: part.name,
      type: ['null', NUMERIC_PARTS.has(part.name) ? 'double' : 'string'],
      default: null,
    })),
  };
}

/** An account's name is a person's in some orgs, so its schema allows both everywhere [R]. */
export const ACCOUNT_NAME: AvroField = {
  name: 'Name',
  type: [
    'null',
    'string',
    compoundRecord(
      'Switchable_PersonName',
      NAME_PARTS.map((name) => ({ name })),
    ),
  ],
  doc: 'Data:Switchable_PersonName',
  default: null,
};
