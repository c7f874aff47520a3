import type { Store } from './store';

/** What the user wants of a sync, kept so that it holds for every instance and across restarts. */
export interface Wanted {
  /** Collections that stand still. */
  stopped: string[];
  /** How many times each collection was told to be read anew. */
  resync: Record<string, number>;
}

export type ControlCommand = 'start' | 'stop' | 'resync';

/** Reads and changes what is wanted of a sync. */
export class Control {
  wanted: Wanted = { stopped: [], resync: {} };
  private revision = 0;

  constructor(
    private readonly store: Store,
    private readonly key: string,
  ) {}

  async load(signal: AbortSignal): Promise<Wanted> {
    const entry = await this.store.get(this.key, signal);
    if (entry) this.wanted = JSON.parse(entry.value) as Wanted;
    this.revision = entry?.revision ?? 0;
    return this.wanted;
  }

  /** Another instance may change it at the same time: then this is tried on what that one has left. */
  async change(
    command: ControlCommand,
    collections: readonly string[],
    signal: AbortSignal,
  ): Promise<Wanted> {
    for (;;) {
      const wanted = applied(await this.load(signal), command, collections);
      const revision = await this.store.put(this.key, JSON.stringify(wanted), this.revision, signal);
      if (revision === undefined) continue;
      this.revision = revision;
      this.wanted = wanted;
      return wanted;
    }
  }
}

/** Something that is read anew is no longer stopped. */
function applied(wanted: Wanted, command: ControlCommand, collections: readonly string[]): Wanted {
  const others = wanted.stopped.filter((collection) => !collections.includes(collection));
  if (command === 'stop') return { ...wanted, stopped: [...others, ...collections] };
  if (command === 'start') return { ...wanted, stopped: others };
  const resync = { ...wanted.resync };
  for (const collection of collections) resync[collection] = (resync[collection] ?? 0) + 1;
  return { stopped: others, resync };
}
