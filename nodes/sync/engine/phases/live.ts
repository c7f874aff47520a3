import { now } from '../../../shared/async/clock';
import { pause } from '../../../shared/async/pause';
import type { Checkpoint } from '../checkpoint';
import type { Changes, Collection } from '../provider';
import type { Run } from '../run';
import { say } from '../../../shared/say';

/** Milliseconds after a look at changes that found none, however soon there is said to be something. */
const IDLE = 100;

/** Changes as they come, until they have a gap or everything is to be compared. */
export async function live(
  run: Run,
  collection: Collection,
  from: Checkpoint,
  signal: AbortSignal,
): Promise<void> {
  const { standing } = run;
  standing.enter('live');
  const { semaphore, liveIds, log } = run.options;
  let checkpoint: Checkpoint = from.complete ? from : { ...from, complete: true, done: 0, total: undefined };
  const awake = run.awake(signal);
  while (checkpoint.phase === 'live' && !run.isOutdated(checkpoint) && !signal.aborted) {
    await collection.ready(checkpoint.changesFrom, awake);
    if (awake.aborted) return;
    const idle = await semaphore.take(async () => {
      const changes = await collection.changes(checkpoint.changesFrom, signal);
      const how = { events: true, remember: true };
      const { published } = await run.write(collection, changes.records, how, signal);
      standing.asOf = changes.asOf;
      checkpoint = { ...checkpoint, changesFrom: changes.position, done: checkpoint.done + published };
      if (changes.gap) checkpoint = afterGap(run, changes, checkpoint);
      else if (liveIds && isDue(run, collection, checkpoint))
        checkpoint = { ...checkpoint, phase: 'reconcile' };
      await run.save(checkpoint, signal);
      standing.worked();
      standing.looked(published, collection);
      return changes.records.length === 0 && !changes.more;
    });
    if (idle) await pause(IDLE, awake);
  }
  if (checkpoint.phase === 'reconcile') log(say`${run.options.collection} is reconciled with the stream`);
}

/** A comparison with the whole API. Who restarts often still comes to one that is a day apart. */
function isDue(run: Run, { compareEvery }: Collection, { reconciled = 0 }: Checkpoint): boolean {
  const { reconcile } = run.options;
  if (reconcile > 0) return now() - run.comparedAt > reconcile;
  return compareEvery !== undefined && Math.abs(Date.now() - reconciled) > compareEvery;
}

function afterGap(
  run: Run,
  { gap, lost = 'changes', position }: Changes,
  checkpoint: Checkpoint,
): Checkpoint {
  const { collection, error, log, liveIds } = run.options;
  switch (lost) {
    case 'deletions':
      error(
        say`Deletions of ${collection} are lost: ${gap}; ${liveIds ? say`the stream is compared with the API` : say`they can't be found, as the NATS user may not read the stream`}`,
      );
      return liveIds ? { ...checkpoint, phase: 'reconcile', reconcile: true } : checkpoint;
    case 'fields':
      log(say`${collection} is read again: ${gap}`);
      return { ...run.afresh(position, true, checkpoint), reconcile: false };
    case 'all':
      error(say`${collection} is read again: ${gap}`);
      return run.afresh(position, true, checkpoint);
    case 'changes':
      error(say`Changes of ${collection} are lost: ${gap}; everything is read again`);
      return run.afresh(position, true, checkpoint);
  }
}
