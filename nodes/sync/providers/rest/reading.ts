import { FlowError } from '../../../shared/errors';
import type { SourceRecord } from '../../engine/record';
import type { RestClient } from './client';
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
  const one = async (batch: readonly string[]): Promise<void> => {
    for (const row of await readBatch(client, of, batch, values, signal)) {
      const record = recordOf(of, row);
      found.set(record.id, record);
    }
  };
  // How many at the same time is up to the limiter.
  await Promise.all(batches.map(one));
  return ids.map((id) => found.get(id) ?? goneRecord(id));
}

async function readBatch(
  client: RestClient,
  { read }: CollectionDeclaration,
  ids: readonly string[],
  values: Values,
  signal: AbortSignal,
): Promise<unknown[]> {
  if (!read) return [];
  const [id] = ids;
  const wrapped = read.as === undefined ? ids : ids.map((each) => fill(read.as, { id: each }));
  const answer = await client.ask(
    { ask: read, values: { ...values, id, ids: wrapped, size: read.size } },
    signal,
  );
  const single = read.size === 1;
  if (single && answer.verdict !== 'ok') return [];
  if (answer.verdict !== 'ok') throw new FlowError('API_REFUSED', answer.because, false);
  refusePartial(answer, read.partial);
  const rows = at(answer.body, read.records);
  return Array.isArray(rows) ? (rows as unknown[]) : [rows];
}
