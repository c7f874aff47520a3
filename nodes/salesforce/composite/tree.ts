import { endpointOf, referenceKeys } from './keys';
import type { Describes } from '../org/describes';
import {
  REQUEST_BYTES,
  TREE_LEVELS,
  TREE_RECORDS,
  TREE_TYPES,
  invalid,
  isRecord,
  tooLargeForARequest,
  unsendable,
} from './limits';
import { measure } from './measure';
import { newWrite, type WriteMessage, type Row, type Write } from './operations';
import { say } from '../../shared/say';

interface Tree {
  row: Row;
  records: number;
  types: Set<string>;
}

/**
 * The writes of a tree message: each a call of its own, all or nothing. The roots of a message go together
 * while they fit; with allOrNone they must fit. Fills in the type of the roots and missing reference ids.
 */
export function planTrees(message: WriteMessage, describes?: Pick<Describes, 'fields'>): Write[] {
  const { sobject, allOrNone } = message.request;
  const names = new Set<string>();
  const trees = message.records.map((record, index) => prepareTree(record, index, sobject, names));

  const batches: Tree[][] = [];
  for (const tree of trees) {
    const batch = batches.at(-1);
    if (batch && fits([...batch, tree])) batch.push(tree);
    else batches.push([tree]);
  }
  for (const batch of batches) {
    if (!fits(batch)) throw tooLarge(say`Tree ${batch[0]?.row.index}`, batch);
  }
  if (allOrNone && batches.length > 1) throw tooLarge(say`The message`, trees);

  const endpoint = endpointOf({ operation: 'tree', sobject });
  return batches.map((batch) => {
    const rows = batch.map((tree) => tree.row);
    const keys = rows.flatMap((row) =>
      referenceKeys(row.body as Record<string, unknown>, sobject, describes),
    );
    const { bytes, direct } = measured(rows);
    return newWrite({ message, endpoint, rows, keys, atomic: true, repeatable: false, bytes, direct });
  });
}

function measured(rows: readonly Row[]): { bytes: number; direct: boolean } {
  const measures = rows.map((row) => measure(row.body));
  const fault = measures.find((one) => one.fault !== undefined)?.fault;
  if (fault !== undefined) throw unsendable(fault);
  const bytes = measures.reduce((sum, one) => sum + one.bytes, 0);
  if (bytes > REQUEST_BYTES) throw tooLargeForARequest(bytes);
  return { bytes, direct: measures.some((one) => one.direct) };
}

function fits(trees: Tree[]): boolean {
  return countRecords(trees) <= TREE_RECORDS && countTypes(trees) <= TREE_TYPES;
}

function prepareTree(root: unknown, index: number, sobject: string, names: Set<string>): Tree {
  const types = new Set<string>();
  let records = 0;

  const visit = (
    record: unknown,
    type: string | undefined,
    level: number,
    path: string,
  ): Record<string, unknown> => {
    if (!isRecord(record))
      throw invalid(
        'INVALID_PAYLOAD',
        say`${path} is no record; a tree is made of objects whose children stand under the relationship as {"records": […]}`,
      );
    if (level > TREE_LEVELS)
      throw invalid(
        'TREE_TOO_DEEP',
        say`${path} stands on level ${level}, and Salesforce takes trees of ${TREE_LEVELS} levels; nothing was written`,
      );
    const given = isRecord(record.attributes) ? record.attributes : {};
    const own = typeof given.type === 'string' ? given.type : type;
    if (own === undefined)
      throw invalid(
        'INVALID_PAYLOAD',
        say`${path} needs attributes.type: the type of a child can't be told from the relationship`,
      );
    const referenceId = nameOf(given.referenceId, path, names, index, records);
    types.add(own.toLowerCase());
    records++;

    const copy: Record<string, unknown> = { ...record, attributes: { ...given, type: own, referenceId } };
    for (const [relationship, value] of Object.entries(record)) {
      if (!isRecord(value) || !Array.isArray(value.records)) continue;
      const children = value.records.map((child, i) =>
        visit(child, undefined, level + 1, `${path}.${relationship}[${i}]`),
      );
      copy[relationship] = { records: children };
    }
    return copy;
  };
  return { row: { index, body: visit(root, sobject, 1, say`Tree ${index}`) }, records, types };
}

/** Reference ids are unique in a request and start with a letter or digit. */
function nameOf(given: unknown, path: string, names: Set<string>, tree: number, record: number): string {
  const name = typeof given === 'string' && given !== '' ? given : `tree${tree}record${record}`;
  if (!/^[a-zA-Z0-9]/.test(name))
    throw invalid(
      'INVALID_REFERENCE_ID',
      say`The reference id "${name}" of ${path} must start with a letter or digit`,
    );
  if (names.has(name))
    throw invalid(
      'INVALID_REFERENCE_ID',
      say`The reference id "${name}" of ${path} stands at another record too; make it unique`,
    );
  names.add(name);
  return name;
}

function tooLarge(what: string, trees: Tree[]) {
  return invalid(
    'TREE_TOO_LARGE',
    say`${what} has ${countRecords(trees)} records of ${countTypes(trees)} types, and Salesforce takes ${TREE_RECORDS} of ${TREE_TYPES} types in one request of all or nothing; nothing was written`,
  );
}

function countRecords(trees: Tree[]): number {
  return trees.reduce((sum, tree) => sum + tree.records, 0);
}

function countTypes(trees: Tree[]): number {
  return new Set(trees.flatMap((tree) => [...tree.types])).size;
}
