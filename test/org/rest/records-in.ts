/** Which records a call is about, before it is carried out: for its simulated time, locks, faults and the ledger. */
import { isRecord, type Sent } from '../store/dml';

/** How many records a call writes, or reads by id. Queries count what they answer, when they have. */
export function recordsIn(
  path: readonly string[],
  query: URLSearchParams,
  body: unknown,
  method: string,
): number {
  const [resource, kind, type, id] = path;
  if (resource === 'sobjects')
    return type === undefined
      ? method === 'POST'
        ? 1
        : 0
      : id === undefined && !/^[a-zA-Z0-9]{15,18}$/.test(type)
        ? 0
        : 1;
  if (resource !== 'composite') return 0;
  if (kind === 'sobjects') {
    if (isRecord(body))
      return Array.isArray(body.records)
        ? body.records.length
        : Array.isArray(body.ids)
          ? body.ids.length
          : 0;
    return query.get('ids')?.split(',').length ?? 0;
  }
  return recordsOf(query, body).length;
}

/** The records in a call's body, over all its parts; for ids, records that have only that. */
export function recordsOf(query: URLSearchParams, body: unknown): Sent[] {
  if (!isRecord(body)) return (query.get('ids')?.split(',') ?? []).map((Id) => ({ Id }));
  if (Array.isArray(body.records)) return body.records.filter(isRecord).flatMap(withChildren);
  if (Array.isArray(body.ids)) return body.ids.map((Id: unknown) => ({ Id }));
  const parts = [
    body.compositeRequest,
    ...(Array.isArray(body.graphs)
      ? body.graphs.map((graph: unknown) => isRecord(graph) && graph.compositeRequest)
      : []),
  ];
  const subrequests = parts
    .filter((part) => Array.isArray(part))
    .flat()
    .filter(isRecord);
  if (subrequests.length === 0)
    return body.compositeRequest === undefined && body.batchRequests === undefined ? [body] : [];
  return subrequests.flatMap((part) =>
    recordsOf(new URL(String(part.url), 'http://org').searchParams, part.body),
  );
}

/** A record of a tree with all that hang below it. */
function withChildren(record: Sent): Sent[] {
  const below = Object.values(record).flatMap((value) =>
    isRecord(value) && Array.isArray(value.records) ? value.records.filter(isRecord) : [],
  );
  return below.length === 0 ? [record] : [record, ...below.flatMap(withChildren)];
}
