import { pause } from '../../../shared/async/pause';
import type { HistoryHost } from '../../history/thread';
import type { Checkpoint } from '../checkpoint';
import type { Collection, Page, Position } from '../provider';
import type { Run } from '../run';
import { say } from '../../../shared/say';

/**
 * Page by page: while one is being published the next one is read and begun, unless others wait for their turn. A
 * position is saved when its page and all before it are in the stream.
 */
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
  const read = (at?: Position): Promise<Page> => collection.page(at, signal, history);
  let at = checkpoint.pageFrom;
  let ahead: Promise<Page> | undefined;
  let saved: Promise<void> = Promise.resolve();
  let failed = false;

  const publish = async (page: Page, before: Promise<void>): Promise<void> => {
    const { records, next, written, changesFrom = (begin) => begin } = page;
    const publishing = run.write(collection, records, { events, remember: false }, signal);
    publishing.catch(() => undefined);
    await before.finally(() => publishing);
    if (written) standing.count(written.records, written);
    const done = checkpoint.done + records.length + (written?.records ?? 0);
    checkpoint = { ...checkpoint, pageFrom: next, done, changesFrom: changesFrom(checkpoint.changesFrom) };
    if (!next) checkpoint = afterBackfill(run, collection, checkpoint);
    await run.save(checkpoint, signal);
    standing.worked();
    standing.report();
  };

  try {
    while (checkpoint.phase === 'backfill' && !run.isOutdated(checkpoint) && !signal.aborted) {
      const wait = await semaphore.take(async () => {
        const page = await (ahead ?? read(at));
        if (failed) await saved;
        const { next, wait = 0 } = page;
        const alone = !next || wait > 0 || semaphore.contended;
        ahead = alone ? undefined : read(next);
        ahead?.catch(() => undefined);
        const before = saved;
        saved = publish(page, before);
        saved.catch(() => (failed = true));
        at = next;
        await (alone ? saved : before);
        return wait;
      });
      if (wait > 0) await pause(wait, signal);
    }
    await saved;
  } finally {
    await Promise.allSettled([ahead, saved]);
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
