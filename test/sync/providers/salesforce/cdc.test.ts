import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { PubSub } from '../../../../nodes/salesforce/pubsub/client';
import { CdcFeed, changeTopic, type CdcPosition } from '../../../../nodes/sync/providers/salesforce/cdc';
import type { SourceRecord } from '../../../../nodes/sync/engine/record';
import { QUICK } from '../../../salesforce/rig';
import { until } from '../../../support/until';
import { LOOKBACK, MINUTE, NOON, names, startPoll, withoutDeletions } from './poll-rig';

const { signal } = new AbortController();
const TOPIC = '/data/ContactChangeEvent';
const HOUR = 60 * MINUTE;

/** A feed whose clock stands still, and that polls of its own accord once an hour. */
async function startFeed(t: TestContext) {
  const rig = await startPoll(t, { pubsub: true });
  const { org, reader, sobject } = rig;
  const pubsub = new PubSub(reader.session, org.pubsub ?? '', { ...QUICK });
  const log: string[] = [];
  const settings = { pollInterval: HOUR, lookback: LOOKBACK, log: (line: string) => void log.push(line) };
  const feeds: CdcFeed[] = [];
  const feed = (): CdcFeed => {
    const one = new CdcFeed(reader, pubsub, TOPIC, settings);
    feeds.push(one);
    return one;
  };
  t.after(async () => {
    await Promise.all(feeds.map((one) => one.close()));
    pubsub.close();
  });
  /** The next changes, once it makes sense to ask. */
  const next = async (from: CdcFeed, position: CdcPosition) => {
    await from.ready(position, signal);
    const changes = await from.changes(position, sobject, signal);
    return { ...changes, position: JSON.parse(JSON.stringify(changes.position)) as CdcPosition };
  };
  /** Until it has come to rely on events, with a replay id to go on from. */
  const settle = async (from: CdcFeed): Promise<CdcPosition> => {
    let position = from.start();
    for (let minute = 1; minute < 60; minute++) {
      rig.at(NOON + minute * MINUTE);
      org.write('Contact', ...names(1));
      ({ position } = await next(from, position));
      if (position.replay !== undefined && position.pollTo === undefined) return position;
    }
    throw new Error('events are never relied on');
  };
  return { ...rig, feed, next, settle, log };
}

/** Names of three digits: what came before is read once more at times. */
const late = (records: SourceRecord[]): string[] =>
  records.map(({ data }) => String(data.LastName)).filter((name) => /\d{3}$/.test(name));

test('the topic of an object', () => {
  assert.equal(changeTopic('Contact'), TOPIC);
  assert.equal(changeTopic('Order__c'), '/data/Order__ChangeEvent');
});

test('a settled feed reads what events name, and polls where they name nothing', async (t) => {
  const { org, feed, next, settle, log } = await startFeed(t);
  const one = feed();
  let position = await settle(one);
  org.clearRequests();
  org.write('Contact', ...names(2, 100));
  const read: unknown[] = [];
  while (read.length < 2) {
    const changes = await next(one, position);
    ({ position } = changes);
    read.push(...late(changes.records));
  }
  assert.deepEqual(read.sort(), ['Person 100', 'Person 101']);
  assert.ok(!org.requests().some(({ path }) => path.includes('queryAll')), 'without polling');
  org.bus().changeEvent('Contact', 'GAP_OVERFLOW');
  await next(one, position);
  assert.ok(
    org.requests().some(({ path }) => path.includes('queryAll')),
    'it is polled at once',
  );
  assert.match(log.join(), /doesn't tell which records have changed .*GAP_OVERFLOW/);
});

test('an event that names nothing and comes during a pass leads to another one', async (t) => {
  const { org, reader, sobject, feed, settle, log } = await startFeed(t);
  const one = feed();
  const position = await settle(one);
  // Nothing but the rows is asked for, so that nothing else leads to a pass.
  const rows = withoutDeletions(sobject);
  org.bus().changeEvent('Contact', 'GAP_OVERFLOW');
  await until(() => log.some((line) => line.includes('GAP_OVERFLOW')), { what: 'the event' });
  await one.ready(position, signal);
  const said = log.length;
  // The pass has its answer from the org, but not yet the feed.
  const get = reader.get.bind(reader);
  let held = false;
  reader.get = async (...args) => {
    const answer = await get(...args);
    if (!held && String(args[0]).includes('ORDER')) {
      held = true;
      org.write('Contact', { LastName: 'Unnamed' });
      org.bus().changeEvent('Contact', 'GAP_OVERFLOW');
      await until(() => log.length > said, { what: 'the event' });
    }
    return answer as never;
  };
  let changes = await one.changes(position, rows, signal);
  // What was told before may come first.
  while (!held) {
    await one.ready(changes.position as CdcPosition, signal);
    changes = await one.changes(changes.position as CdcPosition, rows, signal);
  }
  assert.ok(!changes.records.some(({ data }) => data.LastName === 'Unnamed'));
  org.clearRequests();
  const stop = AbortSignal.timeout(5_000);
  while (!stop.aborted && !org.requests().some(({ path }) => path.includes('ORDER'))) {
    await one.ready(changes.position as CdcPosition, stop);
    changes = await one.changes(changes.position as CdcPosition, rows, signal);
  }
  assert.ok(changes.records.some(({ data }) => data.LastName === 'Unnamed'));
});

test('a feed goes on behind its position, and closes at any time', async (t) => {
  const { org, feed, next, settle } = await startFeed(t);
  const one = feed();
  let position = await settle(one);
  await one.close();
  org.write('Contact', ...names(3, 200));
  org.clearRequests();
  const two = feed();
  const read: unknown[] = [];
  while (read.length < 3) {
    const changes = await next(two, position);
    ({ position } = changes);
    read.push(...late(changes.records));
  }
  assert.deepEqual(read.sort(), ['Person 200', 'Person 201', 'Person 202']);
  assert.ok(!org.requests().some(({ path }) => path.includes('queryAll')));
  const stop = new AbortController();
  const waiting = two.ready(position, stop.signal);
  stop.abort();
  await waiting;
  await feed().close();
});

test('events that never come are made up for by polling every quarter of an hour', async (t) => {
  const { org, at, feed, next, settle } = await startFeed(t);
  const one = feed();
  let position = await settle(one);
  // For a while the object is none of Change Data Capture's.
  const { changeDataCapture } = org.switches;
  org.switches.changeDataCapture = [];
  org.write('Contact', ...names(1, 300));
  org.switches.changeDataCapture = changeDataCapture;
  const began = position.poll.since;
  org.clearRequests();
  org.write('Contact', ...names(1, 400));
  const read: unknown[] = [];
  while (!read.includes('Person 400')) {
    const changes = await next(one, position);
    ({ position } = changes);
    read.push(...late(changes.records));
  }
  assert.ok(!read.includes('Person 300'));
  assert.equal(position.poll.since, began, 'what events tell vouches for nothing else');
  assert.ok(!org.requests().some(({ path }) => path.includes('queryAll')));
  at(began + 15 * MINUTE);
  const changes = await next(one, position);
  assert.ok(late(changes.records).includes('Person 300'));
  assert.equal(changes.position.poll.since, began + 15 * MINUTE);
});

test('what an event tells of and nobody can read is no deletion, and is read when it can be', async (t) => {
  const { org, feed, next, settle, log } = await startFeed(t);
  const [hidden, removed] = org.write('Contact', ...names(2, 500)).map(({ id }) => String(id));
  const one = feed();
  let position = await settle(one);
  org.switches.unshared = { Contact: [hidden as string, removed as string] };
  org.write('Contact', { Id: hidden, LastName: 'Person 777' });
  org.remove('Contact', [removed as string]);
  const read: SourceRecord[] = [];
  const stop = AbortSignal.timeout(20_000);
  while (
    !stop.aborted &&
    !(position.unread?.includes(hidden as string) && read.some(({ deleted }) => deleted))
  ) {
    const changes = await next(one, position);
    ({ position } = changes);
    read.push(...changes.records);
  }
  assert.deepEqual(position.unread, [hidden]);
  assert.deepEqual(
    read.filter(({ deleted }) => deleted).map(({ id }) => id),
    [removed],
    'the event of its deletion is evidence',
  );
  assert.ok(read.every(({ unproven }) => !unproven));
  assert.match(log.join(), /records that this user can't read/);
  org.switches.unshared = {};
  t.mock.method(performance, 'now', () => 1e9);
  const healed = await next(one, position);
  assert.deepEqual(late(healed.records), ['Person 777']);
  assert.equal(healed.position.unread, undefined);
});
