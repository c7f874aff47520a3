/** The process that is fuzzed: a real Node-RED with each of our nodes, and what is done to them. */
import { connect, type NatsConnection } from 'nats';
import { inspect } from 'node:util';
import { embedNodeRed, type EmbeddedNodeRed } from '../support/node-red';
import { fuzzFlow, TARGETS, type Surroundings } from './flow';
import { json, message, name, text } from './hostile';
import { PARSERS } from './parsers';
import { random, type Random } from './random';
import { trouble } from './trouble';

export interface Task extends Surroundings {
  seed: string;
  seconds: number;
  /** Only this one. */
  round?: number;
}

export type Report =
  | { beat: true }
  | { round: number }
  | { spoil: string | undefined }
  | { problem: string }
  | { over: { rounds: number; cases: number } };

/** A message ends within that, whatever the org answers: an answer to a publish is waited for for 60 s. */
const BOUND = 130_000;
const BEAT = 50;
/** Milliseconds of computing in one piece; other processes may take the machine for longer. */
const STANDSTILL = 1_000;
/** What an outage leaves behind (growing pauses) would keep the later rounds from the org. */
const ROUNDS_PER_DEPLOY = 3;

const report = (what: Report): void => void process.send?.(what);
let cases = 0;
const problem = (what: string): void => report({ problem: what });

function watchLoop(): void {
  let at = performance.now();
  let cpu = process.cpuUsage();
  setInterval(() => {
    const [stood, used] = [performance.now() - at - BEAT, process.cpuUsage(cpu)];
    const worked = (used.user + used.system) / 1_000;
    if (Math.min(stood, worked) > STANDSTILL)
      problem(`the event loop stood still for ${Math.round(worked)} ms of computing`);
    at = performance.now();
    cpu = process.cpuUsage();
    report({ beat: true });
  }, BEAT);
}

async function main(task: Task): Promise<void> {
  watchLoop();
  const red = await embedNodeRed({ flows: fuzzFlow(task), settings: { functionGlobalContext: { trouble } } });
  const nc = await connect({ servers: task.nats, token: task.token, maxReconnectAttempts: -1 });
  // Nobody's stream: what answers here is none.
  nc.subscribe('stray.>', {
    callback: (_error, msg) => void msg.respond(JSON.stringify(json(random(msg.subject))) ?? ''),
  });
  // Throws where one of them isn't there: nothing would be fuzzed.
  for (const target of [...TARGETS, 'in', 'events', 'sync', 'follow']) red.getNode(target);
  const ends = watchEnds(red);
  const until = performance.now() + task.seconds * 1_000;
  let rounds = 0;
  for (
    let n = task.round ?? 0;
    performance.now() < until && (task.round === undefined || rounds === 0);
    n++, rounds++
  ) {
    report({ round: n });
    const r = random(`${task.seed} ${n}`);
    if (rounds > 0 && rounds % ROUNDS_PER_DEPLOY === 0) {
      report({ spoil: undefined });
      await red.deploy(fuzzFlow(task));
    }
    report({ spoil: r.chance(0.6) ? `${task.seed} ${n}` : undefined });
    await round(r, red, nc, ends, task);
  }
  report({ spoil: undefined });
  await drained(nc, red, task);
  report({ over: { rounds, cases } });
}

/** How often the node that it was given to has ended each message. */
type Ends = WeakMap<object, { target: string; times: number }>;

function watchEnds(red: EmbeddedNodeRed): Ends {
  const ends: Ends = new WeakMap();
  const heard = ({ msg, node }: { msg: object; node: { id: string } }): void => {
    const known = ends.get(msg);
    if (known?.target === node.id && ++known.times > 1)
      problem(`${node.id} ended a message ${known.times} times`);
  };
  (red.RED.hooks as unknown as { add(name: string, hook: typeof heard): void }).add('onComplete.fuzz', heard);
  return ends;
}

async function round(
  r: Random,
  red: EmbeddedNodeRed,
  nc: NatsConnection,
  ends: Ends,
  task: Task,
): Promise<void> {
  for (let left = 60; left > 0; left--) {
    parse(r);
    if (left % 10 === 0) await new Promise(setImmediate);
  }
  const sent = Array.from({ length: 12 }, () => give(r, red, ends));
  for (let left = 5; left > 0; left--) {
    cases++;
    const payload = r.chance(0.7)
      ? { seed: r.next(), LastName: 'In', ExternalId__c: `K${r.below(9)}` }
      : json(r);
    const body = r.chance(0.8) ? (JSON.stringify(payload) ?? '') : text(r);
    nc.publish(`crm.in.${r.below(9)}`, body.slice(0, 200_000));
  }
  const asked = Array.from({ length: 2 }, () => ask(r, red, task));
  await Promise.all([...sent, ...asked]);
  lookForSecrets(red, task);
}

function parse(r: Random): void {
  cases++;
  const parser = r.pick(Object.keys(PARSERS));
  try {
    PARSERS[parser]?.(r);
  } catch (error) {
    if (!(error instanceof Error)) problem(`the parser of ${parser} threw ${typeof error}`);
  }
}

async function give(r: Random, red: EmbeddedNodeRed, ends: Ends): Promise<void> {
  cases++;
  const target = r.pick(TARGETS);
  const msg = message(r);
  const end = { target, times: 0 };
  ends.set(msg, end);
  try {
    red.send(target, msg);
  } catch {
    // The runtime's own: nothing of ours has seen the message.
    return;
  }
  const from = performance.now();
  while (end.times === 0 && performance.now() - from < BOUND)
    await new Promise((next) => setTimeout(next, 10));
  if (end.times === 0) problem(`${target} never ended a message: ${shown(msg)}`);
}

/** A form's question, with what no form would send. */
async function ask(r: Random, red: EmbeddedNodeRed, task: Task): Promise<void> {
  cases++;
  const type = r.pick(['jetstream-server', 'sfdc-org', 'api-source']);
  const id = { 'jetstream-server': 'server', 'sfdc-org': 'org', 'api-source': 'read' }[type];
  const action = r.chance(0.9) ? r.pick(ACTIONS[type] ?? []) : text(r).slice(0, 20);
  const good = {
    id,
    config: { auth: 'token', servers: task.nats, loginUrl: task.front },
    credentials: {},
    params: { stream: 'crm', sobject: 'Contact' },
  };
  const part = r.pick(['id', 'config', 'credentials', 'params', 'references']);
  const odd = r.chance(0.3)
    ? json(r)
    : {
        ...good,
        [part]: r.chance(0.5) ? json(r) : { [name(r)]: r.chance(0.5) ? json(r) : text(r).slice(0, 500) },
      };
  const body = r.chance(0.1) ? text(r) : (JSON.stringify(r.chance(0.3) ? good : odd) ?? '');
  const headers = { 'content-type': r.pick(['application/json', 'application/json', 'text/plain']) };
  try {
    const url = `${red.url}/jetforce/${type}/${encodeURIComponent(action.replace(/\p{Surrogate}/gu, ''))}`;
    const answer = await fetch(url, { method: 'POST', headers, body, signal: AbortSignal.timeout(BOUND) });
    said.push(await answer.text());
    if (answer.status >= 500)
      problem(`a form was answered ${answer.status}: POST ${url} ${body.slice(0, 300)}`);
  } catch (error) {
    problem(`a form had no answer: POST ${type}/${action} ${body.slice(0, 300)}: ${String(error)}`);
  }
}

const ACTIONS: Record<string, string[]> = {
  'jetstream-server': ['test', 'streams', 'consumers', 'outlook', 'subjects'],
  'sfdc-org': ['test', 'sobjects', 'external-id-fields', 'fields', 'topics', 'topic-fields'],
  'api-source': ['test', 'collections'],
};

/** Answers to forms that nobody has looked through. */
const said: string[] = [];
/** Those that the org has granted, as the process that plays it has seen them. */
const granted = new Set<string>();
process.on('message', ({ secrets = [] }: { secrets?: string[] }) =>
  secrets.forEach((secret) => granted.add(secret)),
);

function lookForSecrets(red: EmbeddedNodeRed, { token, clientSecret }: Task): void {
  const texts = [
    ...red.log.map(({ text }) => text),
    ...red.statuses.map(({ status }) => inspect(status)),
    ...red.received('caught').map(({ error }) => inspect(error, { depth: 6, maxStringLength: 1_000_000 })),
    ...said.splice(0),
  ];
  // Hours of hostile messages would fill the process with what nobody looks at again.
  red.forget();
  for (const secret of [token, clientSecret, ...granted]) {
    const found = texts.find((one) => one?.includes(secret));
    if (found)
      problem(
        `a secret showed: ${found.slice(Math.max(0, found.indexOf(secret) - 300), found.indexOf(secret) + 50)}`,
      );
  }
}

/** Each message of the stream is settled in the end: acknowledged, or a dead letter. */
async function drained(nc: NatsConnection, red: EmbeddedNodeRed, task: Task): Promise<void> {
  await red.deploy(fuzzFlow(task));
  const manager = await nc.jetstreamManager();
  const from = performance.now();
  for (;;) {
    const { num_pending, num_ack_pending } = await manager.consumers.info('crm', 'fuzz');
    if (num_pending + num_ack_pending === 0) return;
    if (performance.now() - from > BOUND)
      return problem(`${num_pending + num_ack_pending} messages of jetstream-in were never settled`);
    await new Promise((next) => setTimeout(next, 100));
  }
}

function shown(msg: unknown): string {
  try {
    return inspect(msg, { depth: 3, maxStringLength: 200, customInspect: false }).slice(0, 2_000);
  } catch {
    return 'one that can not be shown';
  }
}

main(JSON.parse(process.argv[2] ?? '') as Task).then(
  () => process.exit(0),
  (error: unknown) => {
    problem(`the stage failed: ${inspect(error)}`);
    process.exit(1);
  },
);
