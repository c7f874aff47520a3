import { pause } from '../async/pause';
import { Waker } from '../async/waker';
import { withTimeout } from '../async/timeout';
import { headerOf, type DeadLetter, type DeadLetters, type StoredLetter } from '../dead-letters';
import { codeOf, FlowError, messageOf } from '../errors';
import type { Level, Log } from '../log';
import type { ReplayState } from '../operations/states';
import { describeNode, type Failure } from './delivery';
import type { ReplayTurn } from './replay-turn';
import { Attempt, reasonFirst, watch, where, type RetryPolicy, type Settler, type Tries } from './settlement';
import { say } from '../say';

/** A dead letter in the flow. */
export interface ReplayedLetter {
  letter: StoredLetter;
  attempt: Attempt<ReplayedLetter> | undefined;
  extendedAt: number;
}

export interface ReplayHandler {
  /** Whether the letter is one of this node's. */
  isOwn(letter: StoredLetter): boolean;
  /** Puts it into the flow of this node, and no other; what is thrown is its failure. */
  deliver(attempt: Attempt<ReplayedLetter>, letter: StoredLetter, deliveries: number): void;
  log: Log;
}

/** Letters in the flow at the same time. */
const WINDOW = 20;
/** Letters that are looked at for one answer, and shown by it. */
const LOOKED_AT = 2_000;
const SHOWN = 200;
const REMOVING = { first: 1_000, longest: 30_000 };
const PREVIEW = 2_000;

/** Once: whoever replays looks at what becomes of it. */
const POLICY: RetryPolicy = { maxDeliver: 1, backoff: [], pause: 0 };

/** A letter as it is listed. */
export interface ListedLetter {
  sequence: number;
  at: string;
  headers: Record<string, string>;
  /** The beginning of the payload as text. */
  payload: string;
}

/**
 * Brings dead letters of one node back into its flow, in their order. A letter is removed after the flow has finished
 * it, and stored anew, with one more delivery, where it fails again; the old one goes after that. What is interrupted (a
 * crash, a deploy) leaves the letter as it was: it may have had its effect all the same, as at least once means. Of several
 * instances one at a time does so.
 */
export class Replay implements Settler<ReplayedLetter> {
  get noun(): string {
    return say`dead letter`;
  }
  private readonly stopping = new AbortController();
  private readonly waiting = new Set<number>();
  private readonly inFlow = new Map<number, ReplayedLetter>();
  /** Those whose work is done, while their removal fails. */
  private readonly removing = new Set<number>();
  private readonly waker = new Waker();
  private running: Promise<void> | undefined;
  /** Calls that need the turn. */
  private asking = 0;
  private readonly unwatch: () => void;
  private counts = { succeeded: 0, failed: 0, postponed: 0 };

  constructor(
    private readonly letters: DeadLetters,
    private readonly handler: ReplayHandler,
    processingLimit: number,
    private readonly turn?: ReplayTurn,
  ) {
    this.unwatch = watch(this, () => this.inFlow.values(), {
      processingLimit,
      extendAfter: Infinity,
      shortest: processingLimit,
    });
  }

  get state(): ReplayState {
    return { waiting: this.waiting.size, inFlow: this.inFlow.size, ...this.counts };
  }

  /** Own letters from a sequence on; `next`: where to go on, undefined where there are no more. */
  async list(from: number): Promise<{ letters: ListedLetter[]; next?: number }> {
    const letters: ListedLetter[] = [];
    let at = from;
    for (let looked = 0; looked < LOOKED_AT && letters.length < SHOWN; looked++) {
      const letter = await this.letters.next(at);
      if (!letter) return { letters };
      at = letter.sequence + 1;
      if (this.isWorth(letter)) letters.push(listed(letter));
    }
    return { letters, next: at };
  }

  /** Begins with these, or with all there are now; resolves with how many that are. Throws FlowError. */
  async begin(which: readonly number[] | 'all'): Promise<number> {
    return this.inTurn(async () => {
      const sequences = which === 'all' ? await this.all() : which;
      const fresh = sequences.filter((one) => !this.isBusy(one));
      if (this.waiting.size + this.inFlow.size === 0) this.counts = { succeeded: 0, failed: 0, postponed: 0 };
      for (const sequence of fresh) this.waiting.add(sequence);
      this.running ??= this.run().finally(() => {
        this.running = undefined;
        this.rest();
      });
      return fresh.length;
    });
  }

  /** Removes letters that nobody wants; resolves with how many there were. Throws FlowError. */
  async discard(which: readonly number[] | 'all'): Promise<number> {
    let count = 0;
    await this.inTurn(async () => {
      for (const sequence of which === 'all' ? await this.all() : which) {
        if (this.isBusy(sequence)) continue;
        const letter = await this.letters.next(sequence);
        if (letter?.sequence !== sequence || !this.handler.isOwn(letter)) continue;
        await this.letters.remove(sequence);
        count++;
      }
    });
    if (count > 0)
      this.handler.log('warn', say`${count} dead letters of "${this.letters.subject}" were discarded`);
    return count;
  }

  /** Gives the flow `grace` ms to finish what it has; the rest stays a dead letter. */
  async stop(grace: number): Promise<void> {
    this.stopping.abort();
    this.waiting.clear();
    this.waker.wake();
    const idle = async (): Promise<void> => {
      while (this.inFlow.size > 0 && !over.signal.aborted) await this.waker.wait(undefined, over.signal);
    };
    const over = new AbortController();
    await withTimeout(grace, idle());
    over.abort();
    this.unwatch();
    for (const { attempt } of this.inFlow.values()) attempt?.withdraw();
    this.inFlow.clear();
    await this.running;
    await this.turn?.release();
  }

  private async inTurn<R>(work: () => Promise<R>): Promise<R> {
    this.asking++;
    try {
      await this.turn?.take(this.stopping.signal);
      return await work();
    } finally {
      this.asking--;
      this.rest();
    }
  }

  /** Nothing needs the turn any more. */
  private rest(): void {
    if (!this.running && this.asking + this.inFlow.size + this.removing.size === 0) void this.turn?.release();
  }

  private async all(): Promise<number[]> {
    const found: number[] = [];
    for (let at = 1; !this.stopping.signal.aborted;) {
      const letter = await this.letters.next(at);
      if (!letter) break;
      at = letter.sequence + 1;
      if (this.isWorth(letter)) found.push(letter.sequence);
    }
    return found;
  }

  private isWorth(letter: StoredLetter): boolean {
    return this.handler.isOwn(letter) && !this.removing.has(letter.sequence);
  }

  private isBusy(sequence: number): boolean {
    return this.waiting.has(sequence) || this.inFlow.has(sequence) || this.removing.has(sequence);
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    for (const sequence of [...this.waiting].sort((a, b) => a - b)) {
      while (this.inFlow.size >= WINDOW && !signal.aborted) await this.waker.wait(undefined, signal);
      if (signal.aborted) return;
      this.waiting.delete(sequence);
      try {
        // An outage of the store may have taken it away.
        await this.turn?.take(signal);
        const letter = await this.letters.next(sequence);
        if (signal.aborted) return;
        if (letter?.sequence === sequence && this.isWorth(letter)) this.deliver(letter);
      } catch (error) {
        this.counts.postponed += this.waiting.size + 1;
        this.waiting.clear();
        this.log('error', say`Dead letters can't be replayed: ${messageOf(error)}`);
        return;
      }
    }
    if (this.waiting.size > 0) await this.run();
  }

  private deliver(letter: StoredLetter): void {
    const item: ReplayedLetter = { letter, attempt: undefined, extendedAt: 0 };
    const attempt = (item.attempt = new Attempt([item], this));
    this.inFlow.set(letter.sequence, item);
    try {
      this.handler.deliver(attempt, letter, deliveriesOf(letter) + 1);
    } catch (error) {
      attempt.failed({ error });
    }
  }

  describe({ letter }: ReplayedLetter): string {
    return say`The dead letter ${letter.sequence} of "${this.letters.subject}"`;
  }

  log(level: Level, text: string): void {
    this.handler.log(level, text);
  }

  tries(): Tries {
    return { failures: 1, innocent: 0 };
  }

  policy(): RetryPolicy {
    return POLICY;
  }

  extend(): void {
    // A stored letter waits as long as it takes.
  }

  ack(item: ReplayedLetter): void {
    this.counts.succeeded++;
    void this.removeAfter(item);
  }

  /** Nothing has happened to it. */
  giveBack(item: ReplayedLetter): void {
    this.counts.postponed++;
    this.leave(item);
  }

  retry(item: ReplayedLetter): void {
    this.giveBack(item);
  }

  giveUp(item: ReplayedLetter, failure: Failure): void {
    this.counts.failed++;
    const what = say`${this.describe(item)} failed again${where(failure)} and stays one`;
    this.log('warn', reasonFirst(failure.error, what));
    this.letters.put(again(item.letter, failure), this.stopping.signal).then(
      () => this.removeAfter(item),
      (error: unknown) => {
        this.log(
          'warn',
          say`${this.describe(item)} could not be stored anew, so it stays as it was: ${messageOf(error)}`,
        );
        this.leave(item);
      },
    );
  }

  /** Until it is gone, or this stops: then it is there after the next start, although its work is done. */
  private async removeAfter(item: ReplayedLetter): Promise<void> {
    const { sequence } = item.letter;
    this.removing.add(sequence);
    for (let failures = 0; ; failures++) {
      try {
        await this.letters.remove(sequence);
        break;
      } catch (error) {
        if (failures === 0)
          this.log('error', say`${this.describe(item)} can't be removed: ${messageOf(error)}`);
        this.leave(item);
        if (this.stopping.signal.aborted) return;
        await pause(Math.min(REMOVING.longest, REMOVING.first * 2 ** failures), this.stopping.signal);
        if (this.stopping.signal.aborted) return;
      }
    }
    this.removing.delete(sequence);
    this.leave(item);
  }

  private leave({ letter }: ReplayedLetter): void {
    this.inFlow.delete(letter.sequence);
    this.waker.wake();
    this.rest();
  }
}

/** Whole numbers, each once; 'all' where nothing is named. Throws BAD_REQUEST. */
export function whichLetters({ sequences, all }: Record<string, unknown>): number[] | 'all' {
  if (all === true) return 'all';
  if (Array.isArray(sequences) && sequences.length > 0 && sequences.every((one) => Number.isSafeInteger(one)))
    return [...new Set(sequences as number[])];
  throw new FlowError('BAD_REQUEST', say`No dead letters are named`, false);
}

export function deliveriesOf(letter: StoredLetter): number {
  return countIn(letter, 'Jetforce-Deliveries');
}

/** The sender's own headers: what isn't of this pack or for the server. */
export function ownHeadersOf({ headers }: StoredLetter): [name: string, values: string[]][] {
  return [...headers].filter(([name]) => !/^(nats|jetforce)-/i.test(name));
}

function countIn(letter: StoredLetter, name: string): number {
  const count = Number(headerOf(letter, name));
  return Number.isSafeInteger(count) && count > 0 ? count : 0;
}

/** The letter with its history, one failure longer. Its id is the same however often that is tried. */
function again(letter: StoredLetter, { error, node }: Failure): DeadLetter {
  const changed: [string, string][] = [
    ['Jetforce-Code', codeOf(error)],
    ['Jetforce-Deliveries', String(deliveriesOf(letter) + 1)],
    ['Jetforce-Replays', String(countIn(letter, 'Jetforce-Replays') + 1)],
    [
      'Jetforce-First-Failed-At',
      headerOf(letter, 'Jetforce-First-Failed-At') || headerOf(letter, 'Jetforce-Failed-At'),
    ],
    ['Jetforce-Failed-At', new Date().toISOString()],
    ['Jetforce-Error', node ? `${describeNode(node)}: ${messageOf(error)}` : messageOf(error)],
  ];
  const names = new Set(changed.map(([name]) => name));
  const kept = [...letter.headers]
    .filter(([name]) => /^jetforce-/i.test(name) && !names.has(name))
    .map(([name, values]): [string, string] => [name, values[0] ?? '']);
  const [first = ''] = headerOf(letter, 'Nats-Msg-Id').split('.again.');
  return {
    id: `${first}.again.${letter.sequence}`,
    payload: letter.payload,
    headers: [...kept, ...changed],
    others: ownHeadersOf(letter),
  };
}

function listed(letter: StoredLetter): ListedLetter {
  const headers = [...letter.headers].map(([name, values]) => [name, values.join(', ')]);
  const { sequence, at, payload } = letter;
  const text = Buffer.from(payload.subarray(0, PREVIEW)).toString('utf8');
  return {
    ...{ sequence, at, headers: Object.fromEntries(headers) as Record<string, string> },
    payload: payload.length > PREVIEW ? `${text}…` : text,
  };
}
