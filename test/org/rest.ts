/** Which resource answers a REST call under /services/data/vXX.X. */
import { collections } from './collections';
import { describe, describeGlobal, resources } from './describe';
import { methodNotAllowed, notFound } from './errors';
import { isRecord } from './dml';
import { type Call, type OrgState, type Reply } from './state';

export function answer(org: OrgState, call: Call): Reply {
  const [resource, second] = call.path;
  switch (resource) {
    case undefined:
      return onlyGet(call, () => resources(call.version));
    case 'limits':
      return onlyGet(call, () => ({ status: 200, body: org.limits }));
    case 'sobjects':
      return sobjects(org, call);
    case 'composite':
      if (second === 'sobjects') return collections(org, call);
      throw notFound();
    default:
      throw notFound();
  }
}

function onlyGet(call: Call, reply: () => Reply): Reply {
  if (call.method !== 'GET' && call.method !== 'HEAD') throw methodNotAllowed(call.method, 'GET, HEAD');
  return reply();
}

function sobjects(org: OrgState, call: Call): Reply {
  const [, typeName, part] = call.path;
  if (typeName === undefined) return onlyGet(call, () => describeGlobal(org.schema, call.version));
  const type = org.schema.type(typeName);
  if (!type) throw notFound();
  if (part === 'describe') return onlyGet(call, () => describe(org.schema, type, call.version));
  throw notFound();
}

/** How many records a call writes or asks for: what its simulated time depends on. */
export function recordsIn(path: readonly string[], query: URLSearchParams, body: unknown): number {
  if (path[0] !== 'composite' || path[1] !== 'sobjects') return 0;
  if (isRecord(body)) {
    if (Array.isArray(body.records)) return body.records.length;
    if (Array.isArray(body.ids)) return body.ids.length;
  }
  const ids = query.get('ids');
  return ids === null ? 0 : ids.split(',').length;
}
