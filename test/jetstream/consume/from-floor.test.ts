import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ConsumerInfo } from 'nats';
import { beginAtFloor, finishBeginning } from '../../../nodes/jetstream/consume/from-floor';
import { ensureDurable } from '../../../nodes/jetstream/consume/durable';
import { TURNS_BUCKET } from '../../../nodes/jetstream/consume/turn';
import { Connection } from '../../../nodes/jetstream/server/connection';
import { Bucket } from '../../../nodes/jetstream/streams/kv';
import { openRoom, type Room } from '../room';
import { SETTINGS } from './rig';

/** A server that can't do it itself. */
describe('a durable that is made anew at its acknowledgement floor', () => {
  const { signal } = new AbortController();
  let room: Room;
  let connection: Connection;
  let release: () => Promise<void>;
  let store: Bucket;
  let serial = 0;
  before(async () => {
    room = await openRoom({ version: '2.10' });
    connection = new Connection({ servers: room.nats.url, auth: 'none' });
    release = connection.use({});
    await connection.ready(signal);
    store = new Bucket(connection, TURNS_BUCKET);
    for (let n = 1; n <= 5; n++) await room.publish('crm.contacts.x', n);
  });
  after(async () => {
    await release();
    await room.stop();
  });

  /** A durable of which two of five messages are acknowledged, and a third is not. */
  async function read() {
    const durable = `floor${++serial}`;
    const nc = await connection.ready(signal);
    await ensureDurable(nc, undefined, { ...SETTINGS, durable });
    const consumer = await room.nc.jetstream().consumers.get('crm', durable);
    const next = async () => (await consumer.next()) ?? assert.fail('there is none');
    for (let n = 1; n <= 2; n++) await (await next()).ackAck();
    await next();
    const notes = { store, key: `crm.${durable}`, signal };
    const noted = async () => (await store.get(`${notes.key}.from`, signal))?.value ?? '';
    const note = async (value: object) => {
      const there = await store.get(`${notes.key}.from`, signal);
      await store.put(`${notes.key}.from`, JSON.stringify(value), there?.revision ?? 0, signal);
    };
    return {
      place: { nc, domain: undefined, stream: 'crm', durable },
      ...{ notes, noted, note },
      info: (): Promise<ConsumerInfo> => room.jsm.consumers.info('crm', durable),
    };
  }

  test('begins behind what was acknowledged, and leaves no note', async () => {
    const { place, notes, noted, info } = await read();
    const { created } = await info();
    await beginAtFloor(place, notes);
    const anew = await info();
    assert.notEqual(anew.created, created);
    assert.deepEqual([anew.config.opt_start_seq, anew.num_pending], [3, 3]);
    assert.equal(await noted(), '');
  });

  test('is made anew before anybody reads where its deletion may still be carried out, at its floor of now', async () => {
    const { place, notes, noted, note, info } = await read();
    const { config, created } = await info();
    await note({ ...config, deliver_policy: 'by_start_sequence', opt_start_seq: 2, replaces: created });
    await finishBeginning(place, notes);
    const anew = await info();
    assert.notEqual(anew.created, created);
    assert.deepEqual([anew.config.opt_start_seq, anew.num_pending], [3, 3]);
    assert.equal(await noted(), '');
  });

  test('stays where it was made anew already: only the note was left', async () => {
    const { place, notes, noted, note, info } = await read();
    const { config, created } = await info();
    await note({
      ...config,
      opt_start_seq: 2,
      replaces: new Date(Date.parse(created) - 1_000).toISOString(),
    });
    await finishBeginning(place, notes);
    assert.equal((await info()).created, created);
    assert.equal(await noted(), '');
  });

  test('is made where the note says when it is gone', async () => {
    const { place, notes, noted, note, info } = await read();
    const { config, created } = await info();
    await note({ ...config, deliver_policy: 'by_start_sequence', opt_start_seq: 4, replaces: created });
    await room.jsm.consumers.delete('crm', place.durable);
    await finishBeginning(place, notes);
    const anew = await info();
    assert.deepEqual([anew.config.opt_start_seq, anew.num_pending], [4, 2]);
    assert.equal(await noted(), '');
  });
});
