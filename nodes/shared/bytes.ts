import { types } from 'node:util';

/**
 * The bytes of a buffer and of any view on one; undefined for everything else. What a function node makes comes
 * from a realm of its own, where `instanceof` says no.
 */
export function bytesOf(value: unknown): Buffer | undefined {
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (types.isAnyArrayBuffer(value)) return Buffer.from(value);
  return undefined;
}
