import { FlowError } from '../../../shared/errors';
import type { SourceRecord } from '../../engine/record';
import type { Found, RestClient } from './client';
import type { CollectionDeclaration } from './declaration';
import { refusePartial } from './partial';
import { at } from './path';
import { goneRecord, recordOf } from './records';
import { fill, type Values } from './template';

/**
 * The records with these ids as they are now, one for each. What the API doesn't give is gone; so is one in the place
 * of which it gives another, because it was merged into that.
 */
export async function readByIds(
  client: RestClient,
  of: CollectionDeclaration,
  ids: readonly string[],
  values: Values,
  signal: AbortSignal,
): Promise<SourceRecord[]> {
  const { read } = of;
  if (!read) return [];
  const batches: string[][] = [];
  for (let from = 0; from < ids.length; from += read.size) batches.push(ids.slice(from, from + read.size));
  const found = new Map<string, SourceRecord>();
  let wordless: Found | undefined;
  const one = async (batch: readonly string[]): Promise<void> => {
    const { rows, gone } = await readBatch(client, of, batch, values, signal);
    // Not in the API's own words: somebody on the way may have said so.
    if (gone && gone.body === undefined) wordless = gone;
    for (const row of rows) {
      const record = recordOf(of, row);
      found.set(record.id, record);
    }
  };
  // How many at the same time is up to the limiter.
  await Promise.all(batches.map(one));
  if (wordless) await mustBeThere(client, of, wordless, values, signal);
  return ids.map((id) => found.get(id) ?? goneRecord(id));
}

/** Throws API_REFUSED, to be tried again, where the collection isn't to be had either. */
async function mustBeThere(
  client: RestClient,
  of: CollectionDeclaration,
  { because }: Found,
  values: Values,
  signal: AbortSignal,
): Promise<void> {
  const request = { ask: of.list, values: { ...values, since: client.now(), size: 1 } };
  const { verdict } = await client.ask(request, signal);
  if (verdict !== 'ok' && verdict !== 'empty') throw new FlowError('API_REFUSED', because);
}

async function readBatch(
  client: RestClient,
  { read }: CollectionDeclaration,
  ids: readonly string[],
  values: Values,
  signal: AbortSignal,
): Promise<{ rows: unknown[]; gone?: Found }> {
  if (!read) return { rows: [] };
  const [id] = ids;
  const wrapped = read.as === undefined ? ids : ids.map((each) => fill(read.as, { id: each }));
  const answer = await client.ask(
    { ask: read, values: { ...values, id, ids: wrapped, size: read.size } },
    signal,
  );
  const single = read.size === 1;
  if (single && answer.verdict !== 'ok') return { rows: [], gone: answer };
  if (answer.verdict !== 'ok') throw new FlowError('API_REFUSED', answer.because, false);
  refusePartial(answer, read.partial);
  const rows = at(answer.body, read.records);
  return { rows: Array.isArray(rows) ? (rows as unknown[]) : [rows] };
}
