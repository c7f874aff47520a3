import { Type, types } from 'avsc';
import { say } from '../../shared/say';

/** The one file that imports avsc. Load it (`await import`) only when an event is to be read or written. */
export interface Codec {
  /** `values` has every field of the schema, each as the schema wants it. */
  encode(values: Record<string, unknown>): Buffer;
  /** Plain objects; a long beyond what a number holds exactly is its text. Throws where the bytes don't fit. */
  decode(payload: Buffer): Record<string, unknown>;
}

/** The coder of an event's Avro schema. Unions are plain values: `"x"`, not `{string: "x"}`. */
export function compileCodec(schemaJson: string): Codec {
  const schema = JSON.parse(schemaJson) as Parameters<typeof Type.forSchema>[0];
  const type = Type.forSchema(schema, {
    registry: { long: exactLong },
    omitRecordMethods: true,
    typeHook: ours,
  });
  withoutClasses(type);
  return {
    encode: (values) => {
      // toBuffer takes a fresh, zeroed piece of memory for each event, which costs more than all the rest.
      const end = type.encode(values, scratch, 0);
      return end < 0 ? type.toBuffer(values) : Buffer.from(scratch.subarray(0, end));
    },
    decode: (payload) => type.fromBuffer(payload) as Record<string, unknown>,
  };
}

/** What avsc reads with. */
interface Tap {
  buf: Buffer;
  pos: number;
  readLong(): number;
  readString(): string;
}

interface Reader {
  _read(tap: Tap): unknown;
}

/**
 * avsc reads as many items as an array or a map says it has, also behind the end of the bytes, and only then looks
 * where it is: an event of some bytes fills the memory. Here a count is held against the bytes that are left, as each
 * item takes one at least.
 */
class LimitedArray extends types.ArrayType implements Reader {
  _read(tap: Tap): unknown[] {
    const items = this.itemsType as unknown as Reader;
    const list: unknown[] = [];
    for (let left = countOf(tap); left > 0; left = countOf(tap))
      while (left-- > 0) list.push(items._read(tap));
    return list;
  }
}

class LimitedMap extends types.MapType implements Reader {
  _read(tap: Tap): Record<string, unknown> {
    const values = this.valuesType as unknown as Reader;
    const entries: [string, unknown][] = [];
    for (let left = countOf(tap); left > 0; left = countOf(tap))
      while (left-- > 0) entries.push([tap.readString(), values._read(tap)]);
    return Object.fromEntries(entries);
  }
}

type Hook = NonNullable<NonNullable<Parameters<typeof Type.forSchema>[1]>['typeHook']>;

const ours: Hook = (schema, options) => {
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) return undefined;
  const { type, fields } = schema as { type?: unknown; fields?: { name?: unknown }[] };
  if (type === 'long') return exactLong;
  if (type === 'array') return new LimitedArray(schema, options);
  if (type === 'map') return new LimitedMap(schema, options);
  // The object that an event becomes would get another prototype.
  if (Array.isArray(fields) && fields.some((field) => field?.name === '__proto__'))
    throw new Error(say`a field is called __proto__`);
  return undefined;
};

/** Of the next block; a negative one has its size in bytes behind it. */
function countOf(tap: Tap): number {
  const count = tap.readLong();
  if (count < 0) tap.readLong();
  const left = tap.buf.length - tap.pos;
  if (!(Math.abs(count) <= left))
    throw new Error(say`${Math.abs(count)} items are said to be in ${left} bytes`);
  return Math.abs(count);
}

const scratch = Buffer.allocUnsafeSlow(64 * 1024);

/** avsc by itself refuses an event with a long beyond 2^53, and writes another number than it was given beyond 2^52. */
const anyLong = types.LongType.__with({
  fromBuffer: (buffer: Buffer) => {
    const exact = buffer.readBigInt64LE();
    const number = Number(exact);
    return Number.isSafeInteger(number) ? number : exact.toString();
  },
  toBuffer: (value: number) => {
    // Read at once, and quicker than a BigInt.
    const high = Math.floor(value / 2 ** 32);
    eightBytes.writeUInt32LE(value - high * 2 ** 32, 0);
    eightBytes.writeInt32LE(high, 4);
    return eightBytes;
  },
  fromJSON: Number,
  toJSON: Number,
  isValid: (value: unknown) => Number.isSafeInteger(value),
  compare: (a: number, b: number) => a - b,
});

const eightBytes = Buffer.allocUnsafeSlow(8);

/** The same, quicker where a long is one that avsc reads exactly by itself. */
const exactLong = Object.create(anyLong, {
  _read: {
    value(tap: Tap): unknown {
      const { pos } = tap;
      const value = tap.readLong();
      if (Math.abs(value) < 2 ** 52) return value;
      tap.pos = pos;
      return (anyLong as unknown as Reader)._read(tap);
    },
  },
}) as types.LongType;

/** What avsc makes objects with. */
interface Maker {
  prototype: object;
}

/**
 * avsc gives instances of classes that it makes, one for each record; messages of a flow hold plain objects. Where the
 * prototype of the class is theirs, its instances are plain objects, and nobody has to copy them.
 */
function withoutClasses(type: Type, seen = new Set<Type>()): void {
  if (seen.has(type)) return;
  seen.add(type);
  if (type instanceof types.RecordType) {
    (type.recordConstructor as Maker).prototype = Object.prototype;
    for (const field of type.fields) withoutClasses(field.type, seen);
  } else if (type instanceof types.ArrayType) {
    withoutClasses(type.itemsType, seen);
  } else if (type instanceof types.MapType) {
    withoutClasses(type.valuesType as Type, seen);
  } else if (type instanceof types.UnwrappedUnionType) {
    for (const branch of type.types) withoutClasses(branch, seen);
  } else if (type instanceof types.WrappedUnionType) {
    // Of types that a value doesn't tell apart: it is read as {"int": 1}.
    for (const branch of type.types as (Type & { _branchConstructor: Maker | null })[]) {
      if (branch._branchConstructor) branch._branchConstructor.prototype = Object.prototype;
      withoutClasses(branch, seen);
    }
  }
}
