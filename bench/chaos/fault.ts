import { performance } from 'node:perf_hooks';
import { openStage, STREAM, type Stage, type StageOptions } from './stage';

export interface Fault {
  name: string;
  /** What goes wrong. */
  what: string;
  stage?: StageOptions;
  /** Lets it happen while events come in, and makes it good again. */
  strike: (stage: Stage) => Promise<void>;
  /** Looks, when every event is settled, for more than the records. Throws what it finds. */
  afterwards?: (stage: Stage) => Promise<void>;
}

/** One line of the fault table. */
export interface Row {
  name: string;
  what: string;
  /** Published. */
  events: number;
  /** Events all records of which are in the org as they must be. */
  right: number;
  deadLetters: number;
  /** Records that are in the org twice. */
  duplicates: number;
  result: 'ok' | 'FAILED';
  seconds: number;
  /** Why it failed; the first of many. */
  problems: string[];
}

const EVENTS = 500;
const PROBLEMS = 20;
const TROUBLE = /unhandled|uncaught|close timed out/i;

export async function run({ name, what, stage: options, strike, afterwards }: Fault): Promise<Row> {
  const began = performance.now();
  const row = { name, what, events: 0, right: 0, deadLetters: 0, duplicates: 0 };
  const problems: string[] = [];
  let stage: Stage | undefined;
  try {
    stage = await openStage(options);
    await underLoad(stage, strike);
    await afterwards?.(stage);
  } catch (error) {
    problems.push((error as Error).message);
  }
  try {
    if (stage) {
      const { problems: found, ...verdict } = await stage.verdict();
      problems.push(...found, ...stage.red.log.filter((line) => TROUBLE.test(line)));
      Object.assign(row, verdict, { events: stage.load.events.length });
    }
    await stage?.stop();
  } catch (error) {
    problems.push((error as Error).message);
  }
  const balanced = row.events > 0 && row.right + row.deadLetters === row.events;
  return {
    ...row,
    result: balanced && row.duplicates === 0 && problems.length === 0 ? 'ok' : 'FAILED',
    seconds: Math.round((performance.now() - began) / 100) / 10,
    problems: problems.slice(0, PROBLEMS),
  };
}

async function underLoad(stage: Stage, strike: Fault['strike']): Promise<void> {
  const { load } = stage;
  load.start();
  try {
    await stage.flowing(50);
    await strike(stage);
    await stage.flowing(50);
  } finally {
    await load.stop(EVENTS);
  }
  await stage.drained();
  const { consumer_count } = (await stage.jsm.streams.info(STREAM)).state;
  if (consumer_count !== 1) throw new Error(`the stream has ${consumer_count} consumers instead of one`);
}
