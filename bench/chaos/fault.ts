import { performance } from 'node:perf_hooks';
import { messageOf } from '../../nodes/shared/errors';

/** What has become of the events of one run. */
export interface Counts {
  /** Published; of a sync the records that the stream has to hold. */
  events: number;
  /** Events all records of which are where they belong, as they must be. */
  right: number;
  deadLetters: number;
  /** Records that are there twice. */
  duplicates: number;
  /** What is not as it must be, in words. */
  problems: string[];
}

export interface Fault {
  name: string;
  /** What goes wrong. */
  what: string;
  run: () => Promise<Counts>;
}

/** One line of the fault table. */
export interface Row extends Counts {
  name: string;
  what: string;
  result: 'ok' | 'FAILED';
  seconds: number;
}

const PROBLEMS = 20;

export async function measure({ name, what, run }: Fault): Promise<Row> {
  const began = performance.now();
  const failed = (error: unknown): Counts => ({
    ...{ events: 0, right: 0, deadLetters: 0, duplicates: 0 },
    problems: [messageOf(error)],
  });
  const counts = await run().catch(failed);
  const { events, right, deadLetters, duplicates, problems } = counts;
  const ok = events > 0 && right + deadLetters === events && duplicates === 0 && problems.length === 0;
  return {
    name,
    what,
    ...counts,
    result: ok ? 'ok' : 'FAILED',
    seconds: Math.round((performance.now() - began) / 100) / 10,
    problems: problems.slice(0, PROBLEMS),
  };
}
