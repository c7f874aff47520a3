import { setTimeout as pause } from 'node:timers/promises';
import { connect } from 'nats';
import type { ConsumerSettings } from '../../../nodes/jetstream/consume/consumer-settings';
import type { Reader } from '../../../nodes/jetstream/consume/reader';
import { readerOf } from '../../../nodes/jetstream/consume/reader-of';
import { Connection } from '../../../nodes/jetstream/server/connection';
import { FlowError } from '../../../nodes/shared/errors';

/** What a message may ask of the flow; each but the good ones is said on standard output when it happens. */
export interface Order {
  n: number;
  /** What is written under the number; default: nothing. */
  state?: number;
  does?: 'end the process' | 'fail';
}

/** How the process is started: its argument, as JSON. */
export interface FlowProcess {
  url: string;
  login?: { user: string; password: string };
  settings: ConsumerSettings;
  /** Milliseconds that the flow works on each. */
  work: number;
  /** What the flow writes to is away. */
  outage?: boolean;
}

// A process with one consumer, whose flow writes to the stream "done" under the number of the message.
async function main({ url, login, settings, work, outage }: FlowProcess): Promise<void> {
  const user = login && { user: login.user, credentials: { password: login.password } };
  const server = { servers: url, auth: login ? 'userpass' : 'none', ...user } as const;
  const nc = await connect({ servers: url, ...(login && { user: login.user, pass: login.password }) });
  const js = nc.jetstream();
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  let phase = '';
  const consumer: Reader = readerOf(new Connection(server), settings, {
    deliver: (batch, payloads) => {
      const [order] = payloads as Order[];
      const run = async (): Promise<void> => {
        await pause(work);
        const { n, state, does }: Order = order ?? { n: 0 };
        if (outage) throw new FlowError('DISCONNECTED', 'away');
        if (does === 'fail') {
          say(`failed ${n}`);
          throw new Error('not this one');
        }
        if (does === 'end the process') {
          say(`ends with ${consumer.inFlow} in the flow`);
          await pause(1);
          process.kill(process.pid, 'SIGKILL');
          return;
        }
        await js.publish(`done.${n}`, String(state ?? ''));
      };
      run().then(
        () => batch.finished(undefined),
        (error: unknown) => batch.finished({ error }),
      );
    },
    state: (state) => {
      if (state.phase !== phase) say(`is ${(phase = state.phase)}`);
    },
    log: (level, text) => say(`${level}: ${text}`),
  });
  consumer.start();
  process.once('SIGTERM', () => {
    void consumer
      .stop(3_000)
      .then(() => consumer.finished)
      .then(() => nc.close())
      .then(() => process.exit(0));
  });
}

void main(JSON.parse(process.argv[2] ?? '') as FlowProcess);
