import { takeovers } from '../../../shared/flow/takeovers';
import { isRecord } from '../limits';
import { ask, Refused, Stopped, type BulkOrg } from './desk';
import { DELIMITER } from './file';
import { endOf, Pace } from './job';

/** Pages of the list of an org's jobs, which goes back seven days. */
const PAGES = 20;

/**
 * Jobs of this pack that nobody follows any more: those of a process that has ended, and of a node that was closed.
 * Their rows come again, and so do newer ones: none of them may be written before such a job is over, as what it writes
 * late would replace them. One list for each session with an org, made anew after a takeover from another instance.
 */
export class LeftJobs {
  private readonly ids = new Set<string>();
  /** How many takeovers there were when it was looked for them. */
  private lookedAt: number | undefined;
  private looking: Promise<void> | undefined;

  /** There is none, as far as anybody can know. */
  get settled(): boolean {
    return this.looked && this.ids.size === 0;
  }

  private get looked(): boolean {
    return this.lookedAt === takeovers();
  }

  add(id: string): void {
    this.ids.add(id);
  }

  /** Resolves when there is none. Throws Stopped. */
  async settle(org: BulkOrg, signal: AbortSignal, told: (ids: readonly string[]) => void): Promise<void> {
    while (!this.looked) {
      this.looking ??= this.look(org, signal).finally(() => (this.looking = undefined));
      // Another node of the org, which looked for all, may have been closed meanwhile.
      await this.looking.catch((error: unknown) => {
        if (!(error instanceof Stopped) || signal.aborted) throw error;
      });
    }
    if (this.ids.size > 0) told([...this.ids]);
    for (const id of this.ids) {
      await endOf(org, signal, id, new Pace(1));
      this.ids.delete(id);
    }
  }

  private async look(org: BulkOrg, signal: AbortSignal): Promise<void> {
    const at = takeovers();
    let path: string | undefined = '/jobs/ingest?jobType=V2Ingest';
    for (let page = 1; path !== undefined && page <= PAGES; page++) {
      const list: unknown = await ask(org, signal, 'GET', path).catch((error: unknown) => {
        // Who may not use jobs has none.
        if (error instanceof Refused) return undefined;
        throw error;
      });
      const { records, nextRecordsUrl }: Record<string, unknown> = isRecord(list) ? list : {};
      for (const job of Array.isArray(records) ? records : []) {
        if (isRecord(job) && typeof job.id === 'string' && isOurs(job, org.userId) && isWorking(job))
          this.ids.add(job.id);
      }
      path = typeof nextRecordsUrl === 'string' && nextRecordsUrl !== '' ? nextRecordsUrl : undefined;
    }
    this.lookedAt = at;
  }
}

function isOurs(
  { createdById, columnDelimiter }: Record<string, unknown>,
  userId: string | undefined,
): boolean {
  const by = typeof createdById === 'string' ? createdById.slice(0, 15) : undefined;
  return columnDelimiter === DELIMITER.name && (!userId || !by || by === userId.slice(0, 15));
}

function isWorking({ state }: Record<string, unknown>): boolean {
  return state === 'UploadComplete' || state === 'InProgress';
}

const lists = new WeakMap<object, LeftJobs>();

export function leftJobsOf(org: BulkOrg): LeftJobs {
  let list = lists.get(org);
  if (!list) lists.set(org, (list = new LeftJobs()));
  return list;
}
