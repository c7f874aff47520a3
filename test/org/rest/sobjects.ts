/** `/sobjects…`: describe, and records one at a time. */
import { describe, describeGlobal } from './describe';
import { create, fieldOf, isRecord, remove, update, upsert, type SaveResult, type Sent } from '../store/dml';
import { ApiError, fromRow, methodNotAllowed, notFound } from '../store/errors';
import { normalId } from '../store/ids';
import { isShared } from './sharing';
import { shown } from '../store/shown';
import { changes } from './replication';
import { rulesOf } from './rules';
import { type Field, type SObjectType } from '../store/schema';
import { type Call, type OrgState, type Reply } from '../state';

export function sobjects(org: OrgState, call: Call): Reply {
  const [, typeName, part, value] = call.path;
  if (typeName === undefined) return onlyGet(call, () => describeGlobal(org.schema, call.version));
  const type = org.schema.type(typeName);
  if (!type || call.path.length > 4) throw notFound();
  if (part === undefined) return all(org, call, type);
  if (part === 'describe') return onlyGet(call, () => describe(org.schema, type, call.version));
  if (part === 'updated' || part === 'deleted') return onlyGet(call, () => changes(org, call, type, part));
  if (value !== undefined && fieldOf(type, value)?.type === 'base64')
    return onlyGet(call, () => file(org, type, part, fieldOf(type, value) as Field));
  if (value !== undefined && part.toLowerCase() !== 'id') return byExternalId(org, call, type, part, value);
  return byId(org, call, type, value ?? part);
}

export function onlyGet(call: Call, reply: () => Reply): Reply {
  if (call.method !== 'GET' && call.method !== 'HEAD') throw methodNotAllowed(call.method, 'GET, HEAD');
  return reply();
}

function all(org: OrgState, call: Call, type: SObjectType): Reply {
  if (call.method === 'GET') {
    return {
      status: 200,
      body: {
        objectDescribe: { name: type.name, label: type.label, keyPrefix: type.keyPrefix },
        recentItems: [],
      },
    };
  }
  if (call.method !== 'POST') throw methodNotAllowed(call.method, 'GET, POST');
  return created(call, type, create(call.tx, type, record(call), rulesOf(org, call)));
}

function record(call: Call): Sent {
  if (!isRecord(call.body))
    throw new ApiError(
      400,
      'JSON_PARSER_ERROR',
      'The HTTP entity body is required, but this request has no entity body.',
    );
  return call.body;
}

function created(call: Call, type: SObjectType, result: SaveResult): Reply {
  if (!result.success) throw fromRow(result.errors);
  return {
    status: 201,
    body: result,
    headers: { Location: `/services/data/v${call.version}/sobjects/${type.name}/${result.id}` },
  };
}

function noContent(result: SaveResult): Reply {
  if (!result.success) throw fromRow(result.errors);
  return { status: 204 };
}

function byId(org: OrgState, call: Call, type: SObjectType, sent: string): Reply {
  const rules = rulesOf(org, call);
  switch (call.method) {
    case 'GET': {
      const id = normalId(sent);
      const number = id === undefined ? undefined : org.store.table(type).number(id);
      if (number === undefined) throw notFound();
      return { status: 200, body: read(org, call, type, number) };
    }
    case 'PATCH':
      if ('Id' in record(call) || 'id' in record(call)) {
        throw new ApiError(400, 'INVALID_FIELD', 'The Id field should not be specified in the sobject data.');
      }
      return noContent(update(call.tx, type, sent, record(call), rules));
    case 'DELETE': {
      const id = normalId(sent);
      if (id === undefined || !id.startsWith(type.keyPrefix)) throw notFound();
      return noContent(remove(call.tx, sent, rules));
    }
    default:
      throw methodNotAllowed(call.method, 'GET, PATCH, DELETE');
  }
}

function read(org: OrgState, call: Call, type: SObjectType, number: number): Record<string, unknown> {
  const row = org.store.table(type).row(number);
  if (!row || !isShared(org, type, String(row.Id))) throw notFound();
  if (row.IsDeleted === true) throw new ApiError(404, 'ENTITY_IS_DELETED', 'entity is deleted');
  const asked = call.query
    .get('fields')
    ?.split(',')
    .map((name) => {
      const field = fieldOf(type, name.trim());
      if (!field)
        throw new ApiError(
          400,
          'INVALID_FIELD',
          `No such column '${name.trim()}' on sobject of type ${type.name}`,
        );
      return field.name;
    });
  const fields = asked ? [...asked.filter((name) => name !== 'Id'), 'Id'] : [...type.fields.keys()];
  return shown(type, row, fields, call.version);
}

/** The content of a file field. */
function file(org: OrgState, type: SObjectType, sent: string, { name }: Field): Reply {
  const table = org.store.table(type);
  const number = table.number(normalId(sent) ?? '');
  const content = number === undefined ? null : table.value(number, name);
  if (typeof content !== 'string') throw notFound();
  const body = Buffer.from(content, 'base64');
  return { status: 200, body, headers: { 'Content-Type': 'application/octetstream' } };
}

function byExternalId(org: OrgState, call: Call, type: SObjectType, name: string, value: string): Reply {
  const external = fieldOf(type, name);
  if (!external?.idLookup)
    throw new ApiError(
      404,
      'NOT_FOUND',
      `Provided external ID field does not exist or is not accessible: ${name}`,
    );
  const table = org.store.table(type);
  const found = table.find(external, value);
  if (found.length > 1) {
    return {
      status: 300,
      body: found.map(
        (number) => `/services/data/v${call.version}/sobjects/${type.name}/${table.id(number)}`,
      ),
    };
  }
  const [number] = found;
  if (call.method === 'PATCH') return patched(org, call, type, external, value);
  if (number === undefined) throw notFound();
  if (call.method === 'GET') return { status: 200, body: read(org, call, type, number) };
  if (call.method === 'DELETE') return noContent(remove(call.tx, table.id(number), rulesOf(org, call)));
  throw methodNotAllowed(call.method, 'GET, PATCH, DELETE');
}

function patched(org: OrgState, call: Call, type: SObjectType, external: Field, value: string): Reply {
  const sent = record(call);
  if (fieldOf(type, external.name) && external.name in sent) {
    throw new ApiError(
      400,
      'INVALID_FIELD',
      `The ${external.name} field should not be specified in the sobject data.`,
    );
  }
  const result = upsert(call.tx, type, external, { ...sent, [external.name]: value }, rulesOf(org, call));
  if (!result.success) throw fromRow(result.errors);
  return result.created === true ? created(call, type, result) : { status: 200, body: result };
}
