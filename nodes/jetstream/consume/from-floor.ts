import { setTimeout as wait } from 'node:timers/promises';
import { FlowError } from '../../shared/errors';
import { readObject, type PositionStore } from '../../shared/positions';
import { jsApi } from '../server/api';
import { ApiCode, JetStreamError } from '../server/errors';
import type { NatsConnection } from '../server/nats';
import { serverAtLeast, streamInfo } from '../streams/stream';
import { consumerInfo, type ConsumerInfo } from './durable';
import { startsOf, type ConsumerConfig } from './durable-config';
import { isSameDurable } from './memory';
import { say } from '../../shared/say';

/** Where a durable is noted while it is being made anew. */
export interface Notes {
  store: PositionStore;
  key: string;
  signal: AbortSignal;
}

/** In the note, beside the configuration: when the durable was made that is to be deleted. */
const REPLACES = 'replaces';
type Noted = ConsumerConfig & { [REPLACES]: string };

interface Place {
  nc: NatsConnection;
  domain: string | undefined;
  stream: string;
  durable: string;
}

/**
 * Whether every message from the acknowledgement floor on can be delivered once more: what was acknowledged above it must
 * still be in the stream. Throws FlowError: SHARING_IMPOSSIBLE, SERVER_TOO_OLD.
 */
export async function checkFromFloor({ nc, domain, stream }: Place): Promise<void> {
  if (!serverAtLeast(nc, 2, 10))
    throw new FlowError(
      'SERVER_TOO_OLD',
      say`"Instances: exclusive" needs nats-server 2.10 or newer; this is ${nc.info?.version ?? say`older`}: use "shared"`,
    );
  const retention = (await streamInfo(nc, domain, stream))?.config.retention;
  if (retention !== undefined && retention !== 'limits')
    throw new FlowError(
      'SHARING_IMPOSSIBLE',
      say`The stream "${stream}" has retention ${String(retention)}, so that messages that are acknowledged are gone and can't be delivered again in order: use "Instances: shared", or a stream with retention limits`,
    );
}

/**
 * Lets the durable begin again behind its acknowledgement floor, so that what somebody else has in flight comes before
 * what is newer, and what was acknowledged above the floor comes once more: records go back, and forward again.
 * From nats-server 2.14 the server does that; an older one has it made anew, and the note says where, in case that
 * this process ends in between.
 */
export async function beginAtFloor(place: Place, notes: Notes): Promise<void> {
  const { nc, domain, stream, durable } = place;
  const info = await consumerInfo(nc, domain, stream, durable);
  if (!info) throw new FlowError('CONSUMER_CHANGING', say`The durable "${durable}" is gone; it is made anew`);
  const { num_ack_pending: pending, ack_floor: floor, delivered } = info;
  if (delivered.consumer_seq === 0 || (pending === 0 && floor.stream_seq >= delivered.stream_seq)) return;
  if (serverAtLeast(nc, 2, 14)) {
    await jsApi(nc, domain, `CONSUMER.RESET.${stream}.${durable}`, {});
    return;
  }
  await remake(place, notes, info);
}

/** Deletes the durable and makes it again at its floor, with a note in between of what is to be. */
async function remake(place: Place, notes: Notes, info: ConsumerInfo): Promise<void> {
  const { config, created } = info;
  const start = startBehind(info);
  // Of the last message nothing tells which it was: it comes again after its ack wait.
  if (!start) return;
  const anew: ConsumerConfig = { ...config, ...start, metadata: { ...config.metadata, ...startsOf(config) } };
  const noted: Noted = { ...anew, [REPLACES]: created };
  await note(notes, JSON.stringify(noted));
  await deleteDurable(place);
  await create(place, anew);
  await note(notes, '');
}

/** Older servers tell no stream sequence of the floor before anything was acknowledged. */
function startBehind({
  ack_floor: floor,
  config,
  created,
}: ConsumerInfo): Partial<ConsumerConfig> | undefined {
  if (floor.consumer_seq > 0)
    return {
      deliver_policy: 'by_start_sequence',
      opt_start_seq: floor.stream_seq + 1,
      opt_start_time: undefined,
    };
  if (config.deliver_policy === 'new') return { deliver_policy: 'by_start_time', opt_start_time: created };
  return config.deliver_policy.startsWith('last') ? undefined : {};
}

/**
 * What another instance, or this one, had begun and not ended: the durable is made at the place that is noted. One that is
 * there all the same may be about to be deleted, by a request that is answered late: it is made anew now, or else it would be
 * gone afterwards, and what is made in its place by the settings begins with the first message.
 */
export async function finishBeginning(place: Place, notes: Notes): Promise<void> {
  const { nc, domain, stream, durable } = place;
  if (serverAtLeast(nc, 2, 14)) return;
  const noted = await notes.store.get(noteOf(notes), notes.signal);
  const found = readObject(noted?.value ?? '');
  if (!found) return;
  const { [REPLACES]: replaces, ...config } = found;
  const there = await consumerInfo(nc, domain, stream, durable);
  if (!there) await create(place, config);
  else if (typeof replaces === 'string' && isSameDurable(Date.parse(there.created), Date.parse(replaces)))
    await remake(place, notes, there);
  await note(notes, '');
}

async function deleteDurable({ nc, domain, stream, durable }: Place): Promise<void> {
  try {
    await jsApi(nc, domain, `CONSUMER.DELETE.${stream}.${durable}`);
  } catch (error) {
    if (!(error instanceof JetStreamError) || error.apiCode !== ApiCode.consumerNotFound) throw error;
  }
}

/** A durable that was deleted a moment ago may still be in the way. */
async function create({ nc, domain, stream, durable }: Place, config: object): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await jsApi(nc, domain, `CONSUMER.CREATE.${stream}.${durable}`, {
        stream_name: stream,
        config,
        action: 'create',
      });
      return;
    } catch (error) {
      const inTheWay = error instanceof JetStreamError && error.apiCode === ApiCode.consumerExists;
      if (!inTheWay || attempt === 5) throw error;
      await wait(50);
    }
  }
}

async function note(notes: Notes, text: string): Promise<void> {
  const key = noteOf(notes);
  const before = await notes.store.get(key, notes.signal);
  if ((before?.value ?? '') === text) return;
  const written = await notes.store.put(key, text, before?.revision ?? 0, notes.signal);
  if (written === undefined)
    throw new FlowError('CONSUMER_CHANGING', say`Another instance makes the durable anew at the same time`);
}

function noteOf({ key }: Notes): string {
  return `${key}.from`;
}
