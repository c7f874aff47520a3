import { say } from '../../shared/say';
import type { Collection } from './call';
import { outcomeOfRows, type RowOutcome } from './fate';
import { isRecord } from './limits';
import type { RowError, RowResult } from './operations';
import type { CollectionAnswer } from './requests';
import { rowErrorsOf, textOf } from './row-result';

interface TreeResult {
  referenceId?: unknown;
  id?: unknown;
  errors?: unknown;
}

/** 201 gives an id for each reference id; 400 names the failing records only, and nothing was written. */
export function treeOutcome(collection: Collection, answer: CollectionAnswer): RowOutcome | undefined {
  if (collection.endpoint.operation !== 'tree' || !isRecord(answer.body)) return undefined;
  const { hasErrors } = answer.body;
  const entry = collection.entries[0];
  if (!entry || !Array.isArray(answer.body.results)) return undefined;
  const results = answer.body.results.filter(isRecord) as TreeResult[];
  const byReference = new Map(results.map((result) => [result.referenceId, result]));
  const written = hasErrors === false && answer.status === 201;
  const rows = entry.bodies.map((root): RowResult => {
    const names = referenceIdsOf(root);
    const own = names.map((name) => byReference.get(name));
    if (written) {
      const references = Object.fromEntries(names.map((name, i) => [name, textOf(own[i]?.id) ?? '']));
      return { id: textOf(own[0]?.id), success: true, errors: [], record: null, references };
    }
    const errors = own.flatMap((result) => rowErrorsOf(result?.errors));
    return { id: null, success: false, errors: errors.length > 0 ? errors : [halted()], record: null };
  });
  return outcomeOfRows(rows, collection.endpoint);
}

function halted(): RowError {
  const message = say`This tree was not written because another tree of the same request failed`;
  return { statusCode: 'PROCESSING_HALTED', message, fields: [] };
}

/** Reference ids of a tree, its root's first. */
function referenceIdsOf(node: unknown): string[] {
  if (!isRecord(node)) return [];
  const own = (node.attributes as { referenceId?: string } | undefined)?.referenceId;
  const children = Object.values(node).flatMap((value) =>
    isRecord(value) && Array.isArray(value.records) ? (value.records as unknown[]) : [],
  );
  return [...(own === undefined ? [] : [own]), ...children.flatMap(referenceIdsOf)];
}
