/** `/composite/tree/{SObject}`: parents with their children, all or nothing. */
import { create, isRecord, type RowRules, type Sent } from '../store/dml';
import { ApiError, methodNotAllowed, notFound, rowError, type RowError } from '../store/errors';
import { rulesOf } from './rules';
import { type SObjectType } from '../store/schema';
import { type Call, type OrgState, type Reply } from '../state';

const MAX_RECORDS = 200;
const MAX_TYPES = 5;
const MAX_LEVELS = 5;

interface Node {
  referenceId: string;
  type: SObjectType;
  record: Sent;
  parent?: { node: Node; field: string };
  id?: string;
}

interface Failure {
  referenceId: string;
  errors: RowError[];
}

export function tree(org: OrgState, call: Call): Reply {
  if (call.method !== 'POST') throw methodNotAllowed(call.method, 'POST');
  const root = org.schema.type(call.path[2] ?? '');
  if (!root || call.path.length !== 3) throw notFound();
  const records =
    isRecord(call.body) && Array.isArray(call.body.records) ? call.body.records.filter(isRecord) : [];
  if (records.length === 0) throw new ApiError(400, 'INVALID_INPUT', 'The records property is required.');
  const failures: Failure[] = [];
  const nodes = flatten(org, root, records, failures);
  failures.push(...badNodes(nodes));
  if (failures.length === 0) failures.push(...write(call, nodes, rulesOf(org, call)));
  if (failures.length > 0) {
    call.tx.rollback();
    return { status: 400, body: { hasErrors: true, results: failures } };
  }
  return {
    status: 201,
    body: { hasErrors: false, results: nodes.map(({ referenceId, id }) => ({ referenceId, id })) },
  };
}

function invalid(message: string): RowError[] {
  return [rowError('INVALID_INPUT', message)];
}

/** All records, level by level, each with the field that points to its parent. */
function flatten(org: OrgState, root: SObjectType, records: readonly Sent[], failures: Failure[]): Node[] {
  const nodes: Node[] = [];
  let level = records.map((record) => ({ record, type: root, parent: undefined as Node['parent'] }));
  for (let depth = 1; level.length > 0; depth++) {
    const next: typeof level = [];
    for (const { record, type, parent } of level) {
      const attributes = isRecord(record.attributes) ? record.attributes : {};
      const referenceId = typeof attributes.referenceId === 'string' ? attributes.referenceId : '';
      const own = typeof attributes.type === 'string' ? org.schema.type(attributes.type) : undefined;
      if (own !== type) {
        failures.push({
          referenceId,
          errors: invalid(
            `The type in the attributes is not ${type.name}, which its place in the tree asks for.`,
          ),
        });
        continue;
      }
      if (depth > MAX_LEVELS) {
        failures.push({ referenceId, errors: invalid(`Nesting is deeper than ${MAX_LEVELS} levels.`) });
        continue;
      }
      const node: Node = { referenceId, type, record: {}, parent };
      const fields: Record<string, unknown> = {};
      for (const [name, value] of Object.entries(record)) {
        if (name === 'attributes') continue;
        if (!isRecord(value) || !Array.isArray(value.records)) {
          fields[name] = value;
          continue;
        }
        const relationship = org.schema
          .children(type.name)
          .find(({ field }) => field.childRelationship === name);
        if (!relationship) {
          failures.push({
            referenceId,
            errors: [rowError('INVALID_FIELD', `No such column '${name}' on sobject of type ${type.name}`)],
          });
          continue;
        }
        const { child, field } = relationship;
        next.push(
          ...value.records
            .filter(isRecord)
            .map((below) => ({ record: below, type: child, parent: { node, field: field.name } })),
        );
      }
      node.record = fields;
      nodes.push(node);
    }
    level = next;
  }
  return nodes;
}

function badNodes(nodes: readonly Node[]): Failure[] {
  const [first] = nodes;
  if (first && nodes.length > MAX_RECORDS)
    return [
      {
        referenceId: first.referenceId,
        errors: invalid(`The request has more than ${MAX_RECORDS} records.`),
      },
    ];
  if (first && new Set(nodes.map(({ type }) => type.name)).size > MAX_TYPES) {
    return [
      {
        referenceId: first.referenceId,
        errors: invalid(`The request has more than ${MAX_TYPES} types of records.`),
      },
    ];
  }
  const count = new Map<string, number>();
  for (const { referenceId } of nodes) count.set(referenceId, (count.get(referenceId) ?? 0) + 1);
  return nodes.flatMap(({ referenceId }) => {
    if (!/^[A-Za-z0-9]/.test(referenceId))
      return [
        {
          referenceId,
          errors: invalid('Every record needs a referenceId that starts with a letter or a digit.'),
        },
      ];
    if ((count.get(referenceId) ?? 0) > 1)
      return [{ referenceId, errors: invalid(`Duplicate ReferenceId provided in the request.`) }];
    return [];
  });
}

function write(call: Call, nodes: readonly Node[], rules: RowRules): Failure[] {
  const failures: Failure[] = [];
  for (const node of nodes) {
    const parentId = node.parent?.node.id;
    if (node.parent && parentId === undefined) continue;
    const record = node.parent ? { ...node.record, [node.parent.field]: parentId } : node.record;
    const result = create(call.tx, node.type, record, rules);
    if (result.success) node.id = result.id;
    else failures.push({ referenceId: node.referenceId, errors: result.errors });
  }
  return failures;
}
