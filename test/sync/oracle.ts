import type { Org } from '../org/org';

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
  /** When each record was deleted for good, epoch ms. */
  purged: ReadonlyMap<string, number>;
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
  const purged = new Map<string, number>();
  const purge = (ids: string[]): void => {
    org.remove('Contact', ids, { hard: true });
    for (const id of ids) purged.set(id, Date.now());
  };
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
    ['hard', 6, () => purge(some(free(false), 2))],
    ['purge', 4, () => purge(some(free(true), 2))],
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
    purged,
    stop: () => {
      running = false;
      return ended;
    },
  };
}
