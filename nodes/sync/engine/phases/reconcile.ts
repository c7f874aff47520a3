import { now } from '../../../shared/async/clock';
import { codeOf, isRetryable, messageOf } from '../../../shared/errors';
import type { Checkpoint } from '../checkpoint';
import { LEASE_LOST } from '../checkpoint-store';
import type { Collection } from '../provider';
import { compare, refuseMassLoss, type Comparison } from '../reconcile';
import type { SourceRecord } from '../record';
import type { Run, RunOptions } from '../run';
import { say } from '../../../shared/say';

/** What the stream shows as living is compared with the API; what is gone is published as deleted. */
export async function reconcile(
  run: Run,
  collection: Collection,
  checkpoint: Checkpoint,
  signal: AbortSignal,
): Promise<void> {
  const { semaphore, start } = run.options;
  const write = async (records: SourceRecord[]): Promise<void> => {
    await run.write(collection, records, { events: true, remember: false }, signal);
    run.standing.report();
  };
  let found: Comparison;
  try {
    found = await compare({
      collection,
      liveIds: liveIdsOf(run.options, signal),
      write,
      turn: (work) => semaphore.take(work),
      complete: start === 'beginning',
      signal,
    });
  } catch (error) {
    if (!comesAgain(run.options, collection) || isRetryable(error) || codeOf(error) === LEASE_LOST)
      throw error;
    return postpone(run, collection, checkpoint, messageOf(error), signal);
  }
  if (signal.aborted) return;
  if (found.doubt !== undefined) return postpone(run, collection, checkpoint, found.doubt, signal);
  const { heldAt } = checkpoint;
  const confirmed = heldAt !== undefined && checkpoint.resync > heldAt;
  if (!confirmed) await holdMassLoss(run, found, checkpoint, signal);
  if (found.lost.length > 0) await semaphore.take(() => write(found.lost));
  if (signal.aborted) return;
  const done: Checkpoint = { ...checkpoint, phase: 'live', reconcile: false, complete: true };
  await run.save({ ...done, heldAt: undefined, ...compared(run, collection) }, signal);
  run.standing.worked();
}

/** The next comparison is due counted from now, also after a restart where it is the collection that asks for it. */
function compared(run: Run, { compareEvery }: Collection): Pick<Checkpoint, 'reconciled'> {
  run.comparedAt = now();
  return compareEvery === undefined ? {} : { reconciled: Date.now() };
}

/** There is a next comparison, however this one ends. */
function comesAgain({ reconcile }: RunOptions, { compareEvery }: Collection): boolean {
  return reconcile > 0 || compareEvery !== undefined;
}

/** What can't be compared (a part of it is refused) stops no changes; what was lost is still to be found. */
async function postpone(
  run: Run,
  collection: Collection,
  checkpoint: Checkpoint,
  why: string,
  signal: AbortSignal,
): Promise<void> {
  if (signal.aborted) return;
  run.options.error(say`Deleted records of ${run.options.collection} can't be found: ${why}`);
  await run.save({ ...checkpoint, phase: 'live', ...compared(run, collection) }, signal);
}

/** Which command comes after it, and so confirms it, has to be known then. */
async function holdMassLoss(
  run: Run,
  found: Comparison,
  checkpoint: Checkpoint,
  signal: AbortSignal,
): Promise<void> {
  try {
    refuseMassLoss(run.options.collection, found, checkpoint.reconcile);
  } catch (error) {
    if (checkpoint.heldAt === undefined) await run.save({ ...checkpoint, heldAt: checkpoint.resync }, signal);
    throw error;
  }
}

/** What the stream shows as living, as far as the NATS user may read it. */
async function* liveIdsOf(
  { liveIds, collection, error: tell }: RunOptions,
  signal: AbortSignal,
): AsyncGenerator<string[], void, undefined> {
  try {
    yield* liveIds?.(signal) ?? [];
  } catch (error) {
    if (codeOf(error) !== 'PERMISSION_DENIED') throw error;
    tell(say`Deleted records of ${collection} can't be found: ${messageOf(error)}`);
  }
}
