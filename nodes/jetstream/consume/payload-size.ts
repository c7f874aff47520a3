import type { PayloadFormat } from './message';

/**
 * What a message takes beside its payload: its properties, and those of what came. What the flow knows of each that waits
 * in it, 4.5 kB whatever its size, is not its payload's: how many there are is limited by itself.
 */
const MESSAGE = 384;
/** What was not looked at yet is taken for what is many short values. */
const FACTOR: Record<PayloadFormat, number> = { auto: 8, json: 8, string: 2, buffer: 2 };

const [BRACE, BRACKET, COMMA, QUOTE] = [0x7b, 0x5b, 0x2c, 0x22];

/** Bytes in memory of a payload that is in the stream's own form, by its size alone. */
export function guessSize(bytes: number, format: PayloadFormat): number {
  return MESSAGE + bytes * FACTOR[format];
}

/**
 * Bytes that a message takes in memory with its payload as the flow gets it, as far as a glance tells: `[{},{},…]`
 * takes twenty times its JSON, a long text hardly more than twice. Measured in V8 (Node.js 22), with both what the
 * stream holds and what it was parsed to; never less than half of the truth.
 */
export function estimateSize(data: Uint8Array, format: PayloadFormat): number {
  if (format === 'string' || format === 'buffer') return guessSize(data.length, format);
  let containers = 0;
  let values = 0;
  let quotes = 0;
  for (const byte of data) {
    if (byte === COMMA) values++;
    else if (byte === QUOTE) quotes++;
    else if (byte === BRACE || byte === BRACKET) containers++;
  }
  return MESSAGE + 2 * data.length + 48 * containers + 8 * values + 6 * quotes;
}
