import { DiscardPolicy } from 'nats';
import { until } from '../../../test/support/until';
import { activation } from '../activation';
import { DEAD_APART, DEAD_STREAM, type Stage } from '../stage';

const NONE = -1;
/** Little may be in the flow: one that waits for its dead letter must not take a place there. */
const consumer = { prefetch: 10 };

/** The log says once why the dead letters wait; some minutes of them are a flood otherwise. */
function saidOnce({ red }: Stage, why: RegExp): void {
  const lines = red.log.filter((line) => /dead letter could not be written/.test(line));
  const said = lines.filter((line) => why.test(line)).length;
  if (said === 0 || lines.length > 5)
    throw new Error(`${lines.length} lines, ${said} of them ${String(why)}`);
}

export const faults = [
  activation({
    name: 'dead-letter-full',
    what: 'the stream of the dead letters is full, and gets room later',
    stage: { consumer, deadStream: { max_msgs: 5, discard: DiscardPolicy.New } },
    async strike({ jsm, flowing, load }) {
      const full = async (): Promise<boolean> => (await jsm.streams.info(DEAD_STREAM)).state.messages === 5;
      await until(full, { timeout: 60_000, what: 'the stream to be full' });
      await load.more(200);
      await flowing(150);
      await jsm.streams.update(DEAD_STREAM, { max_msgs: NONE });
    },
    afterwards: (stage) => Promise.resolve(saidOnce(stage, /maximum messages exceeded/)),
  }),
  activation({
    name: 'dead-letter-missing',
    what: 'no stream takes the dead letters; it comes, goes and comes back',
    stage: { consumer, deadStream: 'missing' },
    async strike({ jsm, flowing, load }) {
      const config = { name: DEAD_STREAM, subjects: [DEAD_APART] };
      await flowing(150);
      await jsm.streams.add(config);
      await load.more(50);
      await jsm.streams.update(DEAD_STREAM, { subjects: ['dead.other'] });
      await flowing(150);
      await jsm.streams.update(DEAD_STREAM, { subjects: [DEAD_APART] });
    },
    afterwards: (stage) => Promise.resolve(saidOnce(stage, /No stream takes "dead.crm"/)),
  }),
];
