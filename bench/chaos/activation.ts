import { messageOf } from '../../nodes/shared/errors';
import type { Counts, Fault } from './fault';
import { openStage, STREAM, type Stage, type StageOptions } from './stage';

interface Blow {
  name: string;
  what: string;
  stage?: StageOptions;
  /** At least so many; 500 unless told. */
  events?: number;
  /** Lets it happen while events come in, and makes it good again. */
  strike: (stage: Stage) => Promise<void>;
  /** Looks, when every event is settled, for more than the records. Throws what it finds. */
  afterwards?: (stage: Stage) => Promise<void>;
}

const EVENTS = 500;
const TROUBLE = /unhandled|uncaught|close timed out/i;

/** A fault on the way of events from JetStream into the org. */
export function activation(blow: Blow): Fault {
  return { name: blow.name, what: blow.what, run: () => run(blow) };
}

async function run({ stage: options, events = EVENTS, strike, afterwards }: Blow): Promise<Counts> {
  const stage = await openStage(options);
  const problems: string[] = [];
  try {
    try {
      await underLoad(stage, strike, events);
      await afterwards?.(stage);
    } catch (error) {
      problems.push(messageOf(error));
    }
    const { problems: found, ...verdict } = await stage.verdict();
    problems.push(...found, ...stage.red.log.filter((line) => TROUBLE.test(line)));
    return { events: stage.load.events.length, ...verdict, problems };
  } finally {
    await stage.stop();
  }
}

async function underLoad(stage: Stage, strike: Blow['strike'], events: number): Promise<void> {
  const { load } = stage;
  load.start();
  try {
    await stage.flowing(50);
    await strike(stage);
    await stage.flowing(50);
  } finally {
    await load.stop(events);
  }
  await stage.drained();
  const { consumer_count } = (await stage.jsm.streams.info(STREAM)).state;
  if (consumer_count > 1) throw new Error(`the stream has ${consumer_count} consumers instead of one`);
}
