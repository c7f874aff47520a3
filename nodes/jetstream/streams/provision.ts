import { FlowError } from '../../shared/errors';
import { jsApi } from '../server/api';
import { ApiCode, JetStreamError } from '../server/errors';
import type { NatsConnection } from '../server/nats';
import { serverAtLeast, streamInfo, type StreamConfig } from './stream';
import {
  planStream,
  SETTING_OF,
  type Difference,
  type StreamOption,
  type StreamPlan,
} from './stream-changes';
import { labelOf, say } from '../../shared/say';

export interface Provisioned {
  outcome: 'created' | 'updated' | 'unchanged';
  /** Sentences for the log: what was done, option by option. */
  changes: string[];
  /** What was asked for and not done, with the way out. */
  warnings: string[];
}

const calledInForm = (option: StreamOption): string => labelOf('stream', SETTING_OF[option]);

/** Others may change the stream at the same time: so often it is looked at again. */
const ROUNDS = 5;

/** The last provisioning of each stream: two nodes that read and write at once would undo each other. */
const latest = new Map<string, Promise<unknown>>();

/**
 * Creates the stream, or widens it to what is wanted: subjects are added, limits raised, and nothing is taken from
 * those who use it, unless `narrow` asks for it to be exactly so. Throws FlowError with the way out where the
 * server can't.
 */
export async function provisionStream(
  nc: NatsConnection,
  domain: string | undefined,
  wanted: StreamConfig,
  narrow = false,
): Promise<Provisioned> {
  // Nodes may reach one system over several connections, and at several servers of its cluster.
  const key = `${nc.info?.cluster ?? nc.info?.server_id} ${wanted.name}`;
  const provisioned = (latest.get(key) ?? Promise.resolve()).then(() =>
    provision(nc, domain, wanted, narrow),
  );
  const settled = provisioned.catch(() => undefined);
  latest.set(key, settled);
  try {
    return await provisioned;
  } finally {
    if (latest.get(key) === settled) latest.delete(key);
  }
}

async function provision(
  nc: NatsConnection,
  domain: string | undefined,
  wanted: StreamConfig,
  narrow: boolean,
): Promise<Provisioned> {
  checkFeatures(nc, wanted);
  const { name } = wanted;
  const done: Provisioned = { outcome: 'unchanged', changes: [], warnings: [] };
  const changes = new Set<string>();
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const existing = await streamInfo(nc, domain, name);
      if (!existing) {
        if (!(await create(nc, domain, wanted))) continue;
        return { outcome: 'created', changes: [say`The stream "${name}" was created`], warnings: [] };
      }
      const plan = planUpdate(existing.config, wanted, narrow);
      done.warnings = plan.kept.map((kept) => keptSentence(name, kept));
      if (plan.changes.length === 0) break;
      await jsApi(nc, domain, `STREAM.UPDATE.${name}`, { ...existing.config, ...plan.update });
      done.outcome = 'updated';
      for (const change of plan.changes) changes.add(changeSentence(name, change));
    }
    return { ...done, changes: [...changes] };
  } catch (error) {
    throw explainStreamError(error, wanted);
  }
}

/** What provisioning would do to the stream. Throws FlowError with the way out where no server does it. */
export function planUpdate(existing: StreamConfig, wanted: StreamConfig, narrow: boolean): StreamPlan {
  const plan = planStream(existing, wanted, narrow);
  checkUpdate(existing, plan);
  return plan;
}

/** False where another was quicker. 2.10 servers want the choices spelled out that newer ones default. */
async function create(
  nc: NatsConnection,
  domain: string | undefined,
  wanted: StreamConfig,
): Promise<boolean> {
  const config: StreamConfig = {
    retention: 'limits',
    discard: 'old',
    storage: 'file',
    num_replicas: 1,
    ...wanted,
    subjects: wanted.subjects ?? [wanted.name],
  };
  try {
    await jsApi(nc, domain, `STREAM.CREATE.${wanted.name}`, config);
    return true;
  } catch (error) {
    if (error instanceof JetStreamError && error.apiCode === ApiCode.streamNameInUse) return false;
    throw error;
  }
}

function changeSentence(stream: string, { option, from, to }: Difference): string {
  return say`The stream "${stream}" was changed: ${calledInForm(option)}: ${from || say`without limit`} → ${to || say`without limit`}`;
}

function keptSentence(stream: string, { option, from, to }: Difference): string {
  const way =
    option === 'storage'
      ? say`or make a new stream, as no server changes it`
      : say`or tick "${labelOf('jetstream-in', 'narrow')}" to have the stream changed`;
  const [has, asked] = [from || say`no limit`, to || say`no limit`];
  return say`The stream "${stream}" keeps "${calledInForm(option)}" (${has}), though this node asks for ${asked}, as that could take something from those who use it: set ${has} here, ${way}`;
}

/** Refused by the server whatever it says: named here with the way out. (facts: error 10052) */
function checkUpdate(existing: StreamConfig, { update, changes }: StreamPlan): void {
  const refuse = (option: StreamOption, from: unknown, to: unknown): never => {
    throw new FlowError(
      'STREAM_NOT_UPDATABLE',
      say`The stream "${existing.name}" has "${calledInForm(option)}: ${String(from)}", which can't be changed to ${String(to)}: set it to ${String(from)} here, or make a new stream`,
    );
  };
  if (update.storage !== undefined) refuse('storage', existing.storage, update.storage);
  if (update.retention !== undefined && [update.retention, existing.retention].includes('workqueue')) {
    refuse('retention', existing.retention, update.retention);
  }
  const age = update.max_age ?? existing.max_age ?? 0;
  const window = update.duplicate_window ?? existing.duplicate_window ?? 0;
  if (age > 0 && window > age) {
    if (update.duplicate_window !== undefined)
      throw new FlowError(
        'STREAM_NOT_UPDATABLE',
        say`The stream "${existing.name}" can't have a "${calledInForm('duplicate_window')}" longer than its "${calledInForm('max_age')}": make it shorter here`,
      );
    // The window came from the server's default; it follows the shorter age.
    const [change] = planStream(existing, { name: existing.name, duplicate_window: age }, true).changes;
    update.duplicate_window = age;
    if (change) changes.push(change);
  }
}

/** Servers before a feature ignore it silently (2.10) or refuse the whole request (2.12). */
function checkFeatures(nc: NatsConnection, wanted: StreamConfig): void {
  if (wanted.allow_atomic && !serverAtLeast(nc, 2, 12)) {
    throw new FlowError(
      'SERVER_TOO_OLD',
      say`Atomic batches need nats-server 2.12 or newer; this is ${nc.info?.version ?? say`older`}: switch them off for the stream "${wanted.name}"`,
    );
  }
}

function explainStreamError(error: unknown, wanted: StreamConfig): unknown {
  if (!(error instanceof JetStreamError)) return error;
  const { apiCode, description } = error;
  const stream = say`the stream "${wanted.name}"`;
  const refused = (sentence: string): JetStreamError => new JetStreamError(apiCode, description, sentence);
  switch (apiCode) {
    case ApiCode.subjectsOverlap:
      return refused(
        say`${stream} can't have the subjects ${(wanted.subjects ?? []).join(', ')}: another stream of the account already takes some of them; narrow the subjects, or use that stream`,
      );
    case ApiCode.replicasNotSupported:
      return refused(
        say`${stream} can't have ${wanted.num_replicas} replicas: the server is not in a cluster of that many; set replicas to 1`,
      );
    case ApiCode.streamUpdateRefused:
      return refused(
        say`${stream} can't be changed as asked (${description}): set that option back, or make a new stream`,
      );
    default:
      return refused(say`${stream} could not be provisioned: ${description} (${apiCode})`);
  }
}
