import assert from 'node:assert/strict';
import type { NatsConnection } from 'nats';
import type { Org } from '../org/org';
import type { Message } from './table';

/** A repeatable source of chance. */
export function chance(seed: number): { next: () => number; below: (n: number) => number } {
  let state = seed >>> 0 || 1;
  const next = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  return { next, below: (n) => Math.floor(next() * n) };
}

export interface Mutator {
  /** How often each thing was done. */
  done: Record<string, number>;
  /** Resolves when nothing is under way any more. */
  stop(): Promise<void>;
}

/**
 * Changes contacts at random until it is stopped: creates, updates (several of one record within a second),
 * deletes, undeletes, deletes for good, and transactions that commit late. A record that a late transaction holds
 * is locked for the others, as in an org.
 */
export function mutate(org: Org, seed: number): Mutator {
  const { next, below } = chance(seed);
  const done: Record<string, number> = {};
  const locked = new Set<string>();
  const late = new Set<Promise<unknown>>();
  let serial = 0;
  let running = true;
  const free = (deleted: boolean): string[] =>
    org
      .records('Contact', { deleted: true })
      .filter((row) => (row.IsDeleted === true) === deleted && !locked.has(String(row.Id)))
      .map(({ Id }) => String(Id));
  const some = (ids: string[], most: number): string[] => {
    const picked = new Set<string>();
    for (let i = below(most) + 1; i > 0 && ids.length > 0; i--) picked.add(ids[below(ids.length)] as string);
    return [...picked];
  };
  const fresh = () => ({ LastName: `Made ${serial++}`, Email: `m${serial}@example.com` });
  const change = (Id: string) => ({ Id, LastName: `Changed ${serial++}`, Score__c: below(1_000) / 4 });
  const commitLate = (records: Record<string, unknown>[]): void => {
    const ids = records.flatMap(({ Id }) => (typeof Id === 'string' ? [Id] : []));
    for (const id of ids) locked.add(id);
    const work = org.writeLate('Contact', 500 + below(5_000), ...records).finally(() => {
      for (const id of ids) locked.delete(id);
      late.delete(work);
    });
    late.add(work);
  };
  const actions: [string, number, () => void][] = [
    ['create', 20, () => void org.write('Contact', ...Array.from({ length: below(5) + 1 }, fresh))],
    ['update', 40, () => void some(free(false), 8).forEach((id) => org.write('Contact', change(id)))],
    ['delete', 12, () => org.remove('Contact', some(free(false), 3))],
    ['undelete', 8, () => org.undelete('Contact', some(free(true), 2))],
    ['hard', 6, () => org.remove('Contact', some(free(false), 2), { hard: true })],
    ['purge', 4, () => org.remove('Contact', some(free(true), 2), { hard: true })],
    ['late create', 5, () => commitLate([fresh(), fresh()])],
    ['late update', 5, () => commitLate(some(free(false), 3).map(change))],
  ];
  const total = actions.reduce((sum, [, weight]) => sum + weight, 0);
  const step = (): void => {
    let at = next() * total;
    const chosen = actions.find(([, weight]) => (at -= weight) < 0);
    if (!chosen) return;
    const [name, , act] = chosen;
    act();
    done[name] = (done[name] ?? 0) + 1;
  };
  const ended = (async () => {
    while (running) {
      step();
      await new Promise((resolve) => setTimeout(resolve, below(60)));
    }
    await Promise.all(late);
  })();
  return {
    done,
    stop: () => {
      running = false;
      return ended;
    },
  };
}

/** Every version of each contact that was ever committed, in order. */
function versions(org: Org): Map<string, { deleted: boolean; data: Record<string, unknown> }[]> {
  const found = new Map<string, { deleted: boolean; data: Record<string, unknown> }[]>();
  for (const { changes } of org.store.commits)
    for (const { entity, recordId, after } of changes) {
      if (entity !== 'Contact') continue;
      const list = found.get(recordId) ?? [];
      found.set(recordId, list);
      list.push({ deleted: after?.IsDeleted === true, data: { ...after } });
    }
  return found;
}

/** Reads a stream that keeps every message, and checks that no subject went back to an older version. */
export async function assertNoWayBack(org: Org, nc: NatsConnection, stream: string): Promise<number> {
  const history = versions(org);
  const reached = new Map<string, number>();
  const consumer = await nc.jetstream().consumers.get(stream);
  const { num_pending } = await consumer.info();
  let read = 0;
  for await (const msg of await consumer.fetch({ max_messages: num_pending, expires: 30_000 })) {
    const message = msg.json<Message>();
    const id = String(message.data.upstream_id);
    const list = history.get(id) ?? [];
    const from = reached.get(id) ?? 0;
    const at = list.findIndex((version, i) => i >= from && matches(message, version));
    assert.notEqual(
      at,
      -1,
      `${id} went back: message ${msg.seq} is none of its versions from ${from} on\n${JSON.stringify(message)}\n${JSON.stringify(list.slice(Math.max(0, from - 2)))}`,
    );
    reached.set(id, at);
    read++;
    if (msg.info.pending === 0) break;
  }
  return read;
}

function matches(message: Message, version: { deleted: boolean; data: Record<string, unknown> }): boolean {
  if (message.deleted !== version.deleted) return false;
  // Of what is gone for good nothing is left to compare.
  if (message.deleted && Object.keys(message.data).length === 1) return true;
  return Object.entries(version.data).every(([field, value]) => message.data[field] === value);
}
