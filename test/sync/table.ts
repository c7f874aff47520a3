import type { NatsConnection } from 'nats';
import type { Org } from '../org/org';

/** A message of a record, as a reader of the stream finds it. */
export interface Message {
  collection_id: string;
  sync_id: string;
  provider: string;
  data: Record<string, unknown>;
  upstream_created_at: string | null;
  upstream_updated_at: string | null;
  deleted: boolean;
}

/** What a reader of the stream from its beginning would have. */
export async function readTable(
  nc: NatsConnection,
  collection = 'salesforce:contact',
  stream = 'SEQUIN-RECORDS',
): Promise<Map<string, Message>> {
  const found = new Map<string, Message>();
  const consumer = await nc.jetstream().consumers.get(stream, {
    filterSubjects: [`sequin-records.default.*.*.${collection}.*`],
  });
  const { num_pending } = await consumer.info();
  if (num_pending === 0) return found;
  for await (const msg of await consumer.fetch({ max_messages: num_pending, expires: 5_000 })) {
    const message = msg.json<Message>();
    found.set(String(message.data.upstream_id), message);
    if (msg.info.pending === 0) break;
  }
  return found;
}

const UNREAD = new Set<string>(['address', 'location', 'base64', 'complexvalue']);

/** What the stream says wrongly of an object's records; empty where it is right. */
export function differences(org: Org, table: Map<string, Message>, sobject: string): string {
  const problems: string[] = [];
  // Files aren't read, and compound fields are read as their parts.
  const declared = [...(org.schema.type(sobject)?.fields.values() ?? [])];
  const fields = new Set(declared.filter(({ type }) => !UNREAD.has(type)).map(({ name }) => name));
  const live = new Map(org.records(sobject).map((row) => [String(row.Id), row]));
  for (const [id, row] of live) {
    const message = table.get(id);
    if (!message) problems.push(`${id} is missing`);
    else if (message.deleted) problems.push(`${id} is said to be deleted`);
    else
      for (const [field, value] of Object.entries(row).filter(([name]) => fields.has(name)))
        if (message.data[field] !== value)
          problems.push(`${id}.${field} is ${String(message.data[field])} instead of ${String(value)}`);
  }
  for (const [id, message] of table)
    if (!live.has(id) && !message.deleted) problems.push(`${id} is gone, but not said to be deleted`);
  for (const row of org.records(sobject, { deleted: true })) {
    const message = table.get(String(row.Id));
    if (row.IsDeleted !== true || !message?.deleted) continue;
    const lost = Object.keys(row).filter((name) => fields.has(name) && message.data[name] !== row[name]);
    if (lost.length > 0) problems.push(`${String(row.Id)} is deleted without its last ${lost.join(', ')}`);
  }
  return problems.slice(0, 20).join('\n');
}
