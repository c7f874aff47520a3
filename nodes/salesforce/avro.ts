import { Type, types } from 'avsc';

/** The one file that imports avsc. Load it (`await import`) only when an event is to be read or written. */
export interface Codec {
  /** `values` has every field of the schema, each as the schema wants it. */
  encode(values: Record<string, unknown>): Buffer;
  /** Plain objects; a long beyond what a number holds exactly is its text. Throws where the bytes don't fit. */
  decode(payload: Buffer): Record<string, unknown>;
}

/** The coder of an event's Avro schema. Unions are plain values: `"x"`, not `{string: "x"}`. */
export function compileCodec(schemaJson: string): Codec {
  const type = Type.forSchema(JSON.parse(schemaJson) as Parameters<typeof Type.forSchema>[0], {
    registry: { long: exactLong },
    omitRecordMethods: true,
  });
  return {
    encode: (values) => type.toBuffer(values),
    decode: (payload) => plain(type.fromBuffer(payload)) as Record<string, unknown>,
  };
}

/** avsc refuses longs beyond 2^53, and with them the whole event. */
const exactLong = types.LongType.__with({
  fromBuffer: (buffer: Buffer) => {
    const exact = buffer.readBigInt64LE();
    const number = Number(exact);
    return Number.isSafeInteger(number) ? number : exact.toString();
  },
  toBuffer: (value: number | string) => {
    const buffer = Buffer.allocUnsafe(8);
    buffer.writeBigInt64LE(BigInt(value));
    return buffer;
  },
  fromJSON: Number,
  toJSON: Number,
  isValid: (value: unknown) =>
    Number.isSafeInteger(value) || (typeof value === 'string' && /^-?\d+$/.test(value)),
  compare: (a: number | string, b: number | string) => Number(a) - Number(b),
});

/** avsc gives instances of classes it makes; messages of a flow hold plain objects. */
function plain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value;
  if (Array.isArray(value)) return value.map(plain);
  const object: Record<string, unknown> = {};
  for (const key of Object.keys(value)) object[key] = plain((value as Record<string, unknown>)[key]);
  return object;
}
