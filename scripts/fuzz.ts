/** `npm run fuzz`: hostile values through every parser, node and answer; ends with 1 if the process died or a secret showed. */
import { fork } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { connect } from 'nats';
import { startFront, type Front } from '../test/fuzz/front';
import { startOddPubSub, type OddPubSub } from '../test/fuzz/pubsub';
import type { Report, Task } from '../test/fuzz/stage';
import { startOrg } from '../test/org/org';
import { startNats } from '../test/support/nats';

const HELP = `npm run fuzz [-- --seconds N --seed S --round N]

  --seconds  how long; 60
  --seed     what everything odd is made from; another one each time, and printed
  --round    only this round of the seed

Ends with 1 if the process died, a message ended twice or never, the event loop stood still, or a secret showed.`;

/** No turn of the event loop for so long is an endless loop, however busy the machine is. */
const SILENCE = 90_000;
const TOKEN = 'nats-token-0f1e2d3c4b';

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      seed: { type: 'string', default: String(Date.now()) },
      round: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return void process.stdout.write(`${HELP}\n`);
  console.log(`seed ${values.seed}`);
  const nats = await startNats({ config: `authorization { token: "${TOKEN}" }` });
  const nc = await connect({ servers: nats.url, token: TOKEN });
  const manager = await nc.jetstreamManager();
  await manager.streams.add({ name: 'crm', subjects: ['crm.>'], max_bytes: 256 * 1_048_576 });
  await manager.streams.add({ name: 'dead', subjects: ['dead.>'], max_bytes: 256 * 1_048_576 });
  await nc.close();
  const org = await startOrg({
    seed: { Contact: Array.from({ length: 50 }, (_, i) => ({ LastName: `P${i}`, ExternalId__c: `K${i}` })) },
  });
  const front = await startFront(org.url);
  const pubsub = await startOddPubSub();
  const { clientId, clientSecret } = org;
  const task: Task = {
    seed: values.seed,
    seconds: Number(values.seconds),
    ...(values.round !== undefined && { round: Number(values.round) }),
    nats: nats.url,
    token: TOKEN,
    front: front.url,
    pubsub: pubsub.endpoint,
    clientId,
    clientSecret,
  };
  const { problems, summary } = await run(task, front, pubsub);
  pubsub.close();
  await Promise.all([front.close(), org.close(), nats.stop()]);
  console.log(summary);
  for (const problem of problems) console.log(problem);
  process.exit(problems.length === 0 ? 0 : 1);
}

/** The fuzzed process, until it is over or dead. */
function run(task: Task, front: Front, pubsub: OddPubSub): Promise<{ problems: string[]; summary: string }> {
  const child = fork(join(__dirname, '../test/fuzz/stage.ts'), [JSON.stringify(task)], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const problems: string[] = [];
  const lines: string[] = [];
  let round = 0;
  let summary = 'it did not come to an end';
  const add = (problem: string): void =>
    void problems.push(
      `round ${round}: ${problem}\n  again: npm run fuzz -- --seed ${task.seed} --round ${round}`,
    );
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text) => lines.push(String(text)));
  return new Promise((resolve) => {
    const silent = setTimeout(() => {
      add(`the event loop has not turned for ${SILENCE / 1_000} s`);
      child.kill('SIGKILL');
    }, SILENCE);
    child.on('message', (report: Report) => {
      silent.refresh();
      if ('round' in report) round = report.round;
      else if ('spoil' in report) for (const one of [front, pubsub]) one.spoil(report.spoil);
      else if ('problem' in report) add(report.problem);
      else if ('over' in report) summary = `${report.over.rounds} rounds, ${report.over.cases} cases`;
      if ('round' in report) child.send({ secrets: front.secrets() });
    });
    child.once('exit', (code, signal) => {
      clearTimeout(silent);
      if (code !== 0)
        add(`the process ended (${signal ?? code}):\n${lines.join('').split('\n').slice(-40).join('\n')}`);
      resolve({ problems, summary });
    });
  });
}

void main();
