import { pause } from '../../shared/async/pause';
import { Semaphore } from '../../shared/async/semaphore';
import { FlowError } from '../../shared/errors';
import { readObject, type PositionStore } from '../../shared/positions';
import { say } from '../../shared/say';

/** What the user wants of a sync, kept so that it holds for every instance and across restarts. */
export interface Wanted {
  /** Collections that stand still. */
  stopped: string[];
  /**
   * When each collection was last told to be read anew: epoch ms, and later than the time before. Whoever has
   * followed a later one has followed this one, too: it comes from a backup, or was read before the other.
   */
  resync: Record<string, number>;
  /** The same for comparing each with the stream. */
  reconcile?: Record<string, number>;
}

export type ControlCommand = 'start' | 'stop' | 'resync' | 'reconcile';

const TRIES = 10;
const RETRY = 100;

/** Reads and changes what is wanted of a sync. */
export class Control {
  wanted: Wanted = { stopped: [], resync: {} };
  private revision = 0;
  /** One at a time: what was read before a change must not come after it. */
  private readonly semaphore = new Semaphore(1);

  constructor(
    private readonly store: PositionStore,
    private readonly key: string,
  ) {}

  /** Where the store has nothing, or nothing that can be read, what was wanted last still is. */
  load(signal: AbortSignal): Promise<Wanted> {
    return this.semaphore.take(() => this.read(signal));
  }

  /**
   * Another instance may change it at the same time: then this is tried on what that one has left. Throws
   * CONTROL_CONTESTED where that happens again and again, CLOSED when `signal` aborts, and what the store throws.
   */
  change(command: ControlCommand, collections: readonly string[], signal: AbortSignal): Promise<Wanted> {
    return this.semaphore.take(async () => {
      for (let attempt = 0; attempt < TRIES; attempt++) {
        if (signal.aborted) throw closed(command);
        const wanted = applied(await this.read(signal), command, collections);
        const revision = await this.store.put(this.key, JSON.stringify(wanted), this.revision, signal);
        if (revision !== undefined) {
          this.revision = revision;
          this.wanted = wanted;
          return wanted;
        }
        await pause(RETRY * (0.5 + Math.random()), signal);
      }
      throw contested(command);
    });
  }

  private async read(signal: AbortSignal): Promise<Wanted> {
    const entry = await this.store.get(this.key, signal);
    if (entry) this.wanted = readWanted(entry.value) ?? this.wanted;
    this.revision = entry?.revision ?? 0;
    return this.wanted;
  }
}

function readWanted(text: string): Wanted | undefined {
  const value = readObject(text);
  if (!value) return undefined;
  const stopped: unknown[] = Array.isArray(value.stopped) ? value.stopped : [];
  const times = (found: unknown): Record<string, number> =>
    Object.fromEntries(Object.entries(found ?? {}).filter(isTime));
  const { reconcile } = value;
  return {
    stopped: stopped.filter((collection) => typeof collection === 'string'),
    resync: times(value.resync),
    ...(reconcile !== undefined && { reconcile: times(reconcile) }),
  };
}

function isTime(entry: [string, unknown]): entry is [string, number] {
  return Number.isSafeInteger(entry[1]);
}

/** Something that is read anew is no longer stopped. */
function applied(wanted: Wanted, command: ControlCommand, collections: readonly string[]): Wanted {
  const others = wanted.stopped.filter((collection) => !collections.includes(collection));
  if (command === 'stop') return { ...wanted, stopped: [...others, ...collections] };
  if (command === 'start') return { ...wanted, stopped: others };
  if (command === 'reconcile') return { ...wanted, reconcile: timesNow(wanted.reconcile ?? {}, collections) };
  return { ...wanted, stopped: others, resync: timesNow(wanted.resync, collections) };
}

function timesNow(before: Record<string, number>, collections: readonly string[]): Record<string, number> {
  const times = { ...before };
  for (const collection of collections)
    times[collection] = Math.max(Date.now(), (times[collection] ?? 0) + 1);
  return times;
}

function closed(command: ControlCommand): FlowError {
  return new FlowError('CLOSED', say`The sync was closed before "${command}" was kept: send it again`);
}

function contested(command: ControlCommand): FlowError {
  return new FlowError(
    'CONTROL_CONTESTED',
    say`"${command}" could not be kept in ${TRIES} tries, because other instances command the sync at the same time: send it again`,
  );
}
