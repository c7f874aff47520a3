import { pause } from '../../../shared/async/pause';
import type { HistoryHost } from '../../history/thread';
import type { Checkpoint } from '../checkpoint';
import type { Collection, Page, Position } from '../provider';
import type { Run } from '../run';
import { say } from '../../../shared/say';

/** Page by page, the next one read while this one is being published, unless others wait for their turn. */
export async function backfill(
  run: Run,
  collection: Collection,
  from: Checkpoint,
  signal: AbortSignal,
): Promise<void> {
  const { standing } = run;
  standing.enter('backfill');
  const { semaphore } = run.options;
  let checkpoint: Checkpoint = from;
  if (checkpoint.total === undefined) checkpoint = { ...checkpoint, total: await collection.count(signal) };
  const events = run.options.events && checkpoint.complete;
  const history = run.options.history?.(hostOf(run, collection), events);
  const page = (at?: Position): Promise<Page> => collection.page(at, signal, history);
  let ahead: Promise<Page> | undefined;
  try {
    while (checkpoint.phase === 'backfill' && !run.isOutdated(checkpoint) && !signal.aborted) {
      const wait = await semaphore.take(async () => {
        const { records, next, wait = 0, written } = await (ahead ?? page(checkpoint.pageFrom));
        ahead = next && wait === 0 && !semaphore.contended ? page(next) : undefined;
        ahead?.catch(() => undefined);
        await run.write(collection, records, { events: checkpoint.complete, remember: false }, signal);
        if (written) standing.count(written.records, written);
        const done = checkpoint.done + records.length + (written?.records ?? 0);
        checkpoint = { ...checkpoint, pageFrom: next, done };
        if (!next) checkpoint = afterBackfill(run, collection, checkpoint);
        await run.save(checkpoint, signal);
        standing.worked();
        return wait;
      });
      standing.report();
      if (wait > 0) await pause(wait, signal);
    }
  } finally {
    await ahead?.catch(() => undefined);
    await history?.end();
  }
}

function hostOf({ options, standing }: Run, collection: Collection): HistoryHost {
  return {
    fence: options.fence,
    read: collection.read && ((ids, signal) => collection.read?.(ids, signal) ?? Promise.resolve([])),
    refused: (id, reason) => standing.refuse(id, reason),
  };
}

function afterBackfill({ options }: Run, { compareEvery }: Collection, checkpoint: Checkpoint): Checkpoint {
  const { liveIds, collection, log } = options;
  const reconciled = compareEvery !== undefined && { reconciled: Date.now() };
  if (!checkpoint.reconcile) return { ...checkpoint, phase: 'live', ...reconciled };
  if (liveIds) return { ...checkpoint, phase: 'reconcile' };
  log(
    say`${collection} was read anew, but records deleted in the meantime can't be found: the NATS user may not read the stream`,
  );
  return { ...checkpoint, phase: 'live', complete: true };
}
