/** The Avro schemas of platform and change events, made from the org's objects; their ids change with the fields. */
import { types, Type } from 'avsc';
import { createHash } from 'node:crypto';
import {
  ACCOUNT_NAME,
  columnsOf,
  compoundField,
  isCompound,
  plainField,
  type AvroField,
  type Column,
} from './avro-fields';
import { type Schema, type SObjectType } from '../store/schema';

export interface AvroSchema {
  /** 22 characters: a fingerprint of the content. */
  readonly id: string;
  readonly json: string;
  /** Name of the object it is about. */
  readonly sobject: string;
  readonly codec: Type;
  /** Of a change event: its fields behind the header, so that column 0 is field 1. */
  readonly columns: readonly Column[];
}

/** Longs beyond 2^53 are bigints, others numbers: commit numbers of real orgs don't fit a number [R]. */
const LONG = types.LongType.__with({
  fromBuffer: (bytes: Buffer): number | bigint => {
    const value = bytes.readBigInt64LE();
    const small = Number(value);
    return Number.isSafeInteger(small) ? small : value;
  },
  toBuffer: (value: number | bigint): Buffer => {
    const bytes = Buffer.allocUnsafe(8);
    bytes.writeBigInt64LE(BigInt(value));
    return bytes;
  },
  fromJSON: (value: number): number => value,
  toJSON: (value: number | bigint): number => Number(value),
  isValid: (value: unknown): boolean => typeof value === 'bigint' || Number.isSafeInteger(value),
  compare: (a: number | bigint, b: number | bigint): number => (a < b ? -1 : a > b ? 1 : 0),
});

const TEXTS = { type: 'array', items: 'string' };

const CHANGE_TYPES = [
  'CREATE',
  'UPDATE',
  'DELETE',
  'UNDELETE',
  'GAP_CREATE',
  'GAP_UPDATE',
  'GAP_DELETE',
  'GAP_UNDELETE',
  'GAP_OVERFLOW',
  'SNAPSHOT',
];

const HEADER: AvroField = {
  name: 'ChangeEventHeader',
  type: {
    type: 'record',
    name: 'ChangeEventHeader',
    fields: [
      { name: 'entityName', type: 'string' },
      { name: 'recordIds', type: TEXTS },
      { name: 'changeType', type: { type: 'enum', name: 'ChangeType', symbols: CHANGE_TYPES } },
      { name: 'changeOrigin', type: 'string' },
      { name: 'transactionKey', type: 'string' },
      { name: 'sequenceNumber', type: 'int' },
      { name: 'commitTimestamp', type: 'long' },
      { name: 'commitNumber', type: 'long' },
      { name: 'commitUser', type: 'string' },
      { name: 'nulledFields', type: TEXTS },
      { name: 'diffFields', type: TEXTS },
      { name: 'changedFields', type: TEXTS },
    ],
  },
  doc: 'Data:ComplexValueType',
};

export function isEventType(type: SObjectType): boolean {
  return type.name.endsWith('__e');
}

/** ContactChangeEvent, Order__ChangeEvent. */
export function changeEventName({ name }: SObjectType): string {
  return `${name.endsWith('__c') ? name.slice(0, -1) : name}ChangeEvent`;
}

function eventFields(type: SObjectType): AvroField[] {
  const custom = [...type.fields.values()].filter((field) => field.name.endsWith('__c'));
  return [
    { name: 'CreatedDate', type: 'long', doc: 'CreatedDate:DateTime' },
    { name: 'CreatedById', type: 'string', doc: 'CreatedBy:EntityId' },
    ...custom.map((field) => plainField(type, field)),
  ];
}

function changeFields(type: SObjectType, columns: readonly Column[]): AvroField[] {
  const defined = new Set<string>();
  const fields = columns.map((column) => {
    if (isCompound(column)) return compoundField(column, defined);
    return type.name === 'Account' && column.name === 'Name' ? ACCOUNT_NAME : plainField(type, column.field);
  });
  return [HEADER, ...fields];
}

export class AvroSchemas {
  /** Every schema there has ever been: events that were published under an old one stay readable. */
  readonly #byId = new Map<string, AvroSchema>();
  readonly #current = new Map<string, { fields: SObjectType['fields']; schema: AvroSchema }>();

  constructor(private readonly schema: Schema) {}

  byId(id: string): AvroSchema | undefined {
    return this.#byId.get(id);
  }

  /** The schema of a platform event, or of an object's change event, as its fields are now. */
  of(given: SObjectType): AvroSchema {
    const type = this.schema.type(given.name) ?? given;
    const known = this.#current.get(type.name);
    if (known?.fields === type.fields) return known.schema;
    const schema = this.#make(type);
    this.#current.set(type.name, { fields: type.fields, schema });
    return schema;
  }

  #make(type: SObjectType): AvroSchema {
    const event = isEventType(type);
    const columns = event ? [] : columnsOf(type);
    const content = {
      name: event ? type.name : changeEventName(type),
      namespace: 'com.sforce.eventbus',
      type: 'record' as const,
      fields: event ? eventFields(type) : changeFields(type, columns),
    };
    const id = createHash('md5').update(JSON.stringify(content)).digest('base64url');
    const known = this.#byId.get(id);
    if (known) return known;
    const codec = Type.forSchema(content as Parameters<typeof Type.forSchema>[0], {
      registry: { long: LONG },
    });
    const schema = {
      id,
      json: JSON.stringify({ ...content, uuid: id }),
      sobject: type.name,
      codec,
      columns,
    };
    this.#byId.set(id, schema);
    return schema;
  }
}
