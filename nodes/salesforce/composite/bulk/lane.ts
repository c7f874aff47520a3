import { setImmediate as turn } from 'node:timers/promises';
import { pause } from '../../../shared/async/pause';
import { withTimeout } from '../../../shared/async/timeout';
import { messageOf } from '../../../shared/errors';
import { isTurnLost } from '../../../shared/flow/delivery';
import { OrgOutage } from '../../org/outage';
import type { Endpoint, Write } from '../operations';
import { Backlog, LOOK, MOST_ROWS } from './backlog';
import { Stopped, type BulkOrg } from './desk';
import { fileOf, fitsATable, isForBulk, type JobFile } from './file';
import {
  abortJob,
  closeJob,
  createJob,
  endOf,
  Pace,
  resultsOf,
  upload,
  type Answers,
  type JobState,
  type RowAnswer,
} from './job';
import { leftJobsOf } from './left-jobs';
import { say } from '../../../shared/say';

export interface BulkOptions {
  /** Rows of one endpoint from which on they go as a job. */
  from: number;
  log: (level: 'info' | 'warn', text: string) => void;
  /** Milliseconds to the first look at a job at least; for tests. */
  soonest?: number | undefined;
}

/** What a lane does to the writes of its writer. */
export interface BulkQueue {
  readonly waiting: number;
  waitingForBulk(): Map<string, { endpoint: Endpoint; rows: number }>;
  takeForBulk(endpoint: Endpoint, most: number): Write[];
  /** They were taken, and nothing has become of them. */
  putBack(writes: readonly Write[]): void;
  /** Throws TURN_LOST where another instance may have any of them by now. */
  mustHold(writes: readonly Write[]): void;
  /** They are over, or written again by collections where there is no answer. */
  settleRows(rows: readonly (readonly [Write, RowAnswer | undefined])[]): void;
  giveUpClosed(writes: readonly Write[]): void;
  /** Their messages' clocks stand still until the returned function is called. */
  pause(writes: readonly Write[]): () => void;
  wake(): void;
}

export interface BulkState {
  /** Rows of the job that is under way. */
  rows: number;
  /** Rows are being gathered for the next one. */
  gathering: boolean;
}

/** Where jobs don't help they are not tried again for so long. */
const OFF_MS = 3_600_000;
/** Failures in a row after which that is so. */
const FAILURES = 3;
const SLICE = 1_000;
/** Milliseconds after a fault of our own. */
const LATER = 5_000;

interface Running {
  endpoint: Endpoint;
  writes: readonly Write[];
  id: string | undefined;
  /** It may be working. */
  begun: boolean;
  done: Promise<void>;
}

/** Of this process: those that gather share what its memory has room for. */
const lanes = new Set<BulkLane>();

/**
 * Writes what piles up for one object and operation as Bulk API 2.0 jobs, one at a time: some calls for a hundred
 * thousand rows. A row is over when the job's own results say so. Whatever they don't tell is written once more, by
 * collections: only what can be repeated goes this way. While a job works, its records wait, all others don't.
 */
export class BulkLane {
  private readonly backlog: Backlog;
  private readonly left;
  private settling = false;
  private readonly off = new Map<string, number>();
  private failures = 0;
  private msARow: number | undefined;
  private running: Running | undefined;
  private due = false;
  /** Something has come that a job may write. */
  private used = false;
  private timer: NodeJS.Timeout | undefined;
  /** Nothing new is begun, and nothing that takes long is waited for; then, nothing at all. */
  private readonly closing = new AbortController();
  private readonly closed = new AbortController();

  constructor(
    private readonly org: BulkOrg,
    private readonly queue: BulkQueue,
    private readonly options: BulkOptions,
  ) {
    this.backlog = new Backlog(options.from);
    this.left = leftJobsOf(org);
    lanes.add(this);
  }

  get state(): BulkState {
    return { rows: this.running?.writes.length ?? 0, gathering: this.backlog.holding };
  }

  /** Records that are better held than left with their source. */
  get room(): number {
    if (!this.gathers) return 0;
    let sharers = 0;
    for (const { gathers } of lanes) if (gathers) sharers++;
    return Math.floor(MOST_ROWS / sharers);
  }

  private get gathers(): boolean {
    return this.running !== undefined || this.backlog.holding;
  }

  arrived(writes: readonly Write[], pending: number | undefined): void {
    let rows = 0;
    for (const write of writes) {
      this.used ||= isForBulk(write.endpoint);
      write.bulk = fitsATable(write);
      if (write.bulk && !this.isOff(write.endpoint)) rows++;
    }
    if (rows > 0) this.backlog.arrived(rows, pending);
  }

  /** Nothing may be sent just now: more is awaited, or what an earlier life has left is still at work. */
  holds(): boolean {
    if (this.used && !this.left.settled) {
      void this.settleLeft();
      return true;
    }
    return this.backlog.holding && !this.due && this.queue.waiting < MOST_ROWS;
  }

  /** Begins a job if it is time for one. False where nothing else may be sent either. */
  decide(): boolean {
    this.due = false;
    if (!this.backlog.mayMatter(this.queue.waiting)) return true;
    const largest = [...this.queue.waitingForBulk().values()]
      .filter(({ endpoint }) => !this.isOff(endpoint))
      .reduce<{ endpoint?: Endpoint; rows: number }>((a, b) => (b.rows > a.rows ? b : a), { rows: 0 });
    const verdict = this.backlog.look(largest.rows, this.running !== undefined);
    if (verdict === 'go') return true;
    if (verdict === 'hold' || !largest.endpoint) {
      this.lookLater();
      return false;
    }
    const writes = this.queue.takeForBulk(largest.endpoint, MOST_ROWS);
    // Many versions of few records: one job for each version would not help.
    if (writes.length < this.backlog.from / 2) {
      this.queue.putBack(writes);
      this.turnOff(largest.endpoint, 60_000);
      return true;
    }
    this.begin(largest.endpoint, writes);
    return true;
  }

  /** Begins nothing more. What can't end within `limit` ms is given back; where the org may be working on it, it is remembered. */
  async close(limit: number): Promise<void> {
    clearTimeout(this.timer);
    this.closing.abort();
    const { running } = this;
    if (running) await withTimeout(limit, running.done);
    this.closed.abort();
    if (running && this.running === running) this.leave(running);
    lanes.delete(this);
  }

  private lookLater(): void {
    if (this.closing.signal.aborted) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.due = true;
      this.queue.wake();
    }, LOOK);
  }

  private async settleLeft(): Promise<void> {
    if (this.settling || this.closing.signal.aborted) return;
    this.settling = true;
    try {
      await this.left.settle(this.org, this.closing.signal, (ids) =>
        this.options.log(
          'warn',
          say`The org still works on Bulk jobs that were begun before (${ids.join(', ')}): writing goes on when they are over, as they would replace what is newer`,
        ),
      );
    } catch (error) {
      if (!(error instanceof Stopped)) this.options.log('warn', messageOf(error));
      await pause(LATER, this.closing.signal);
    }
    this.settling = false;
    this.queue.wake();
  }

  private begin(endpoint: Endpoint, writes: readonly Write[]): void {
    const running: Running = { endpoint, writes, id: undefined, begun: false, done: Promise.resolve() };
    this.running = running;
    const resume = this.queue.pause(writes);
    running.done = this.run(running)
      .catch((error: unknown) => this.failed(running, error))
      .finally(() => {
        resume();
        if (this.running === running) this.running = undefined;
        this.queue.wake();
      });
  }

  private async run(running: Running): Promise<void> {
    const { org } = this;
    const { signal } = this.closing;
    const file = await fileOf(running.endpoint, running.writes);
    const inFile = new Set(file.writes);
    const others = running.writes.filter((write) => !inFile.has(write));
    running.writes = file.writes;
    if (others.length > 0) this.queue.putBack(others);
    if (file.writes.length === 0) return;
    const id = await createJob(org, signal, file);
    running.id = id;
    await upload(org, signal, id, file);
    await closeJob(org, signal, id, () => {
      this.queue.mustHold(file.writes);
      running.begun = true;
    });
    file.csv = '';
    const pace = new Pace(file.writes.length, this.msARow, this.options.soonest);
    const end = await endOf(org, signal, id, pace);
    if (end?.state === 'JobComplete') this.msARow = pace.told;
    const answers = end ? await resultsOf(org, this.closed.signal, end, file) : new Map<Write, RowAnswer>();
    await this.settle(running, file, end, answers);
  }

  private async settle(
    running: Running,
    { writes }: JobFile,
    end: JobState | undefined,
    answers: Answers,
  ): Promise<void> {
    this.judge(running, end, answers);
    if (end?.state === 'Failed' && end.processed === 0) return this.queue.putBack(writes);
    for (let at = 0; at < writes.length; at += SLICE) {
      if (this.running !== running) return;
      this.queue.settleRows(
        writes.slice(at, at + SLICE).map((write) => [write, answers.get(write)] as const),
      );
      await turn();
    }
  }

  /** What the end of a job says for the next ones, and for whoever reads the log. */
  private judge({ id, endpoint, writes }: Running, end: JobState | undefined, answers: Answers): void {
    const what = say`Bulk job ${id} (${endpoint.operation} of ${endpoint.sobject})`;
    const again = writes.length - answers.size;
    const rest = again > 0 ? say`; ${again} rows without a result are written again, without a job` : '';
    if (end?.state === 'JobComplete') {
      this.failures = 0;
      this.backlog.worked();
      const { log } = this.options;
      return log(
        again > 0 ? 'warn' : 'info',
        say`${what}: ${answers.size} rows, ${end.failed} of them refused${rest}`,
      );
    }
    if (!end) return this.refuse(endpoint, say`${what}: the org doesn't tell what became of it${rest}`);
    const { state, errorMessage } = end;
    const text = `${what}: ${state}${errorMessage && ` (${errorMessage})`}${rest}`;
    const field = /Field name not found ?: ?([\w.]+)/i.exec(errorMessage)?.[1];
    if (state !== 'Failed' || field === undefined || ++this.failures >= FAILURES)
      return this.refuse(endpoint, text);
    // One wrong name fails all rows; by collections only its own.
    for (const write of writes) if (hasField(write, field)) write.bulk = false;
    this.options.log('warn', say`${text}; the rows that have the field go without a job`);
  }

  private failed(running: Running, error: unknown): void {
    if (this.running !== running) return;
    if (error instanceof Stopped) return this.leave(running);
    const { id, endpoint, writes } = running;
    const begun = running.begun && !isTurnLost(error);
    if (id !== undefined && !begun) void abortJob(this.org, id);
    const isOutage = error instanceof OrgOutage;
    if (!isTurnLost(error) && (!isOutage || ++this.failures >= FAILURES))
      this.refuse(endpoint, wontDo(endpoint, error));
    if (begun) this.queue.settleRows(writes.map((write) => [write, undefined] as const));
    else this.queue.putBack(writes);
  }

  /** Nobody follows the job any more: its rows come again, after it is over. */
  private leave({ id, begun, writes }: Running): void {
    this.running = undefined;
    if (id !== undefined) {
      if (begun) this.left.add(id);
      else void abortJob(this.org, id);
    }
    this.queue.giveUpClosed(writes);
  }

  private refuse(endpoint: Endpoint, text: string): void {
    this.failures = 0;
    this.turnOff(endpoint, OFF_MS);
    this.options.log('warn', say`${text}. For an hour it goes by collections`);
  }

  private turnOff({ name }: Endpoint, ms: number): void {
    this.off.set(name, performance.now() + ms);
  }

  private isOff({ name }: Endpoint): boolean {
    const until = this.off.get(name);
    if (until === undefined) return false;
    if (until > performance.now()) return true;
    this.off.delete(name);
    return false;
  }
}

function wontDo({ operation, sobject }: Endpoint, error: unknown): string {
  return say`The org takes no Bulk job (${operation} of ${sobject}): ${messageOf(error)}`;
}

function hasField({ rows }: Write, column: string): boolean {
  const [name = ''] = column.toLowerCase().split('.');
  const body = rows[0]?.body;
  return (
    typeof body === 'object' && body !== null && Object.keys(body).some((each) => each.toLowerCase() === name)
  );
}
