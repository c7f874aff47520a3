import { createHash, randomUUID } from 'node:crypto';

interface Origin {
  stream?: unknown;
  sequence?: unknown;
  timestamp?: unknown;
}

/**
 * The id of each event of a message, as a UUID. Receivers see it (in Apex as EventUuid) and know by it an event that
 * was published twice, because an answer was lost or Node-RED was killed. So events of a JetStream message get the
 * same ids each time it is delivered: made of where the message lies, the node and the event's own content, since
 * a flow may make several events of one message. Events from elsewhere get random ids.
 */
export function eventIds(msg: object, nodeId: string, records: readonly unknown[]): string[] {
  const { jetstream } = msg as { jetstream?: Origin };
  if (jetstream?.stream === undefined || jetstream.sequence === undefined)
    return records.map(() => randomUUID());
  const at = (value: unknown, i: number): unknown =>
    Array.isArray(value) && value.length === records.length ? (value[i] as unknown) : value;
  const same = new Map<string, number>();
  return records.map((record, i) => {
    const place = [nodeId, jetstream.stream, at(jetstream.sequence, i), at(jetstream.timestamp, i), record];
    const key = JSON.stringify(place);
    const copies = same.get(key) ?? 0;
    same.set(key, copies + 1);
    return uuidOf(copies === 0 ? key : `${key} ${copies}`);
  });
}

/** A UUID of version 8 (made by a rule of one's own, RFC 9562) from the digest of a text. */
function uuidOf(text: string): string {
  const bytes = createHash('sha256').update(text).digest();
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join(
    '-',
  );
}
