import { FlowError } from '../../../shared/errors';
import type { SourceRecord } from '../../engine/record';
import type { RestClient } from './client';
import type { AssociationsDeclaration, CollectionDeclaration } from './declaration';
import { refusePartial } from './partial';
import { at } from './path';
import { fill, type Values } from './template';
import { say } from '../../../shared/say';

interface Input {
  id: string;
  /** Where the next page of this one begins. */
  next?: string;
}

/**
 * The same records, each living one with `associations`: of every kind in `kinds` the records that belong to it, all
 * of them, in an order of their own so that the same ones make the same text. Throws FlowError.
 */
export async function withAssociations(
  client: RestClient,
  of: CollectionDeclaration,
  kinds: readonly string[],
  records: readonly SourceRecord[],
  signal: AbortSignal,
): Promise<SourceRecord[]> {
  const { associations } = of;
  const ids = records.flatMap(({ id, deleted }) => (deleted ? [] : [id]));
  if (!associations || kinds.length === 0 || ids.length === 0) return [...records];
  const read = async (kind: string) => [kind, await ofKind(client, associations, kind, ids, signal)] as const;
  const found = await Promise.all(kinds.map(read));
  return records.map((record) => {
    if (record.deleted) return record;
    const own = found.map(([kind, by]) => [kind, inOrder(by.get(record.id) ?? [])] as const);
    return { ...record, data: { ...record.data, associations: Object.fromEntries(own) } };
  });
}

async function ofKind(
  client: RestClient,
  associations: AssociationsDeclaration,
  kind: string,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<Map<string, unknown[]>> {
  const found = new Map<string, unknown[]>();
  const pages = async (batch: readonly string[]): Promise<void> => {
    const seen = new Set<string>();
    for (let inputs: Input[] = batch.map((id) => ({ id })); inputs.length > 0;) {
      const rows = await page(client, associations, kind, inputs, signal);
      inputs = [];
      for (const row of rows) {
        const id = String(at(row, associations.of));
        found.set(id, [...(found.get(id) ?? []), ...listAt(row, associations.items)]);
        const next = at(row, associations.next);
        if (typeof next !== 'string' && typeof next !== 'number') continue;
        const input = { id, next: String(next) };
        if (seen.has(JSON.stringify(input)))
          throw new FlowError(
            'API_PAGING',
            say`The ${kind} of ${id} can't be read on: a page has come twice`,
          );
        seen.add(JSON.stringify(input));
        inputs.push(input);
      }
    }
  };
  const { size } = associations;
  const batches = Array.from({ length: Math.ceil(ids.length / size) }, (_, i) =>
    ids.slice(i * size, (i + 1) * size),
  );
  // How many at the same time is up to the limiter.
  await Promise.all(batches.map(pages));
  return found;
}

async function page(
  client: RestClient,
  associations: AssociationsDeclaration,
  to: string,
  inputs: readonly Input[],
  signal: AbortSignal,
): Promise<unknown[]> {
  const values: Values = { to, ids: inputs.map((input) => fill(associations.as, { ...input })) };
  const answer = await client.ask({ ask: associations, values }, signal);
  if (answer.verdict !== 'ok') throw new FlowError('API_REFUSED', answer.because, false);
  refusePartial(answer, associations.partial);
  return listAt(answer.body, associations.records);
}

function listAt(value: unknown, path: string): unknown[] {
  const found = at(value, path);
  return Array.isArray(found) ? (found as unknown[]) : [];
}

/** They are a set: the API may give them in another order each time. */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) {
    const parts = value.map(inOrder).map((part) => ({ part, text: JSON.stringify(part) }));
    return parts.sort((a, b) => (a.text < b.text ? -1 : 1)).map(({ part }) => part);
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, inOrder(part)]));
}
