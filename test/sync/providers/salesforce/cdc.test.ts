import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { PubSub } from '../../../../nodes/salesforce/pubsub/client';
import { CdcFeed, changeTopic, type CdcPosition } from '../../../../nodes/sync/providers/salesforce/cdc';
import type { SourceRecord } from '../../../../nodes/sync/engine/record';
import { untilGathered } from '../../../../nodes/sync/providers/salesforce/pace';
import type { Org } from '../../../org/org';
import { QUICK } from '../../../salesforce/rig';
import { until } from '../../../support/until';
import { LOOKBACK, MINUTE, NOON, names, startPoll, withoutDeletions } from './poll-rig';

const { signal } = new AbortController();
const TOPIC = '/data/ContactChangeEvent';
const HOUR = 60 * MINUTE;

/** A feed whose clock stands still, and that polls of its own accord once an hour. */
async function startFeed(t: TestContext, pollInterval = HOUR) {
  const rig = await startPoll(t, { pubsub: true });
  const { org, reader, sobject } = rig;
  const pubsub = new PubSub(reader.session, org.pubsub ?? '', { ...QUICK });
  const log: string[] = [];
  const settings = { pollInterval, lookback: LOOKBACK, log: (line: string) => void log.push(line) };
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

const asked = (rig: { org: Org }, part: string): number =>
  rig.org.requests().filter(({ path }) => path.includes(part)).length;

test('from a subscription that was there before a backfill one pass leads to events, and nothing is read twice', async (t) => {
  const rig = await startFeed(t);
  const { org, feed, next } = rig;
  const one = feed();
  let position = one.start();
  await one.listening(signal);
  // A backfill begins, and sees none of these.
  org.write('Contact', ...names(3, 100));
  org.clearRequests();
  const changes = await next(one, position);
  assert.deepEqual(late(changes.records).sort(), ['Person 100', 'Person 101', 'Person 102']);
  assert.equal(changes.position.replay, undefined, 'only what is safe moves the position');
  ({ position } = changes);
  while (position.replay !== org.events(TOPIC).at(-1)?.replayId) {
    const more = await next(one, position);
    assert.deepEqual(late(more.records), []);
    ({ position } = more);
  }
  assert.equal(asked(rig, 'queryAll'), 1);
  assert.equal(asked(rig, '/composite/'), 0);
  org.write('Contact', ...names(1, 200));
  assert.deepEqual(late((await next(one, position)).records), ['Person 200']);
  assert.equal(asked(rig, 'queryAll'), 1);
});

test('what changed again behind a pass that has read it is read again', async (t) => {
  const rig = await startFeed(t);
  const { org, reader, feed, next } = rig;
  const one = feed();
  let position = one.start();
  await one.listening(signal);
  const [{ id } = {}] = org.write('Contact', ...names(1, 100));
  const get = reader.get.bind(reader);
  reader.get = async (...args) => {
    const answer = await get(...args);
    // The pass has its answer from the org, but not yet the feed.
    if (args[0].includes('ORDER')) {
      reader.get = get;
      org.write('Contact', { Id: id, LastName: 'Person 101' });
      await until(() => one['told'].length === 2, { what: 'its event' });
    }
    return answer as never;
  };
  const read: string[] = [];
  while (!read.includes('Person 101')) {
    const changes = await next(one, position);
    ({ position } = changes);
    read.push(...late(changes.records));
  }
  assert.deepEqual(read, ['Person 100', 'Person 101']);
});

test('what an event tells of and the pass does not show is read', async (t) => {
  const rig = await startFeed(t);
  // It commits later than any look back, with the time of its beginning.
  const { commit } = rig.open();
  rig.at(NOON + 20 * MINUTE);
  await rig.reader.get('/limits', signal);
  const one = rig.feed();
  let position = one.start();
  await one.listening(signal);
  commit('Person 100');
  const read: string[] = [];
  while (position.replay === undefined) {
    const changes = await rig.next(one, position);
    ({ position } = changes);
    read.push(...late(changes.records));
  }
  assert.deepEqual(read, ['Person 100']);
  assert.equal(asked(rig, '/composite/'), 1);
});

test('a subscription that nothing proves is believed in for a few minutes only', async (t) => {
  const { org, feed, next } = await startFeed(t);
  const one = feed();
  const position = one.start();
  await one.listening(signal);
  const { changeDataCapture } = org.switches;
  org.switches.changeDataCapture = [];
  org.write('Contact', ...names(1, 100));
  org.switches.changeDataCapture = changeDataCapture;
  const stop = AbortSignal.timeout(200);
  await one.ready(position, stop);
  assert.ok(stop.aborted, 'it waits for the proof');
  const time = performance.now() + 5 * MINUTE;
  t.mock.method(performance, 'now', () => time);
  assert.deepEqual(late((await next(one, position)).records), ['Person 100']);
});

test('a subscription that is not there in time holds nothing up', async (t) => {
  const { org, feed, next } = await startFeed(t);
  org.faults.add({
    match: { topic: TOPIC },
    action: { grpc: { code: 14, errorCode: 'service.unavailable' } },
  });
  const one = feed();
  const position = one.start();
  await one.listening(signal);
  org.write('Contact', ...names(1, 100));
  assert.deepEqual(late((await next(one, position)).records), ['Person 100']);
});

test('the log of deletions is asked when it reaches to the first event, and not before', async (t) => {
  const rig = await startFeed(t, 0);
  const { org, at, feed, next } = rig;
  const ids = org.write('Contact', ...names(2)).map(({ id }) => String(id));
  const one = feed();
  let position = one.start();
  await one.listening(signal);
  org.remove('Contact', [ids[0] as string], { hard: true });
  at(NOON + MINUTE);
  org.write('Contact', ...names(1, 100));
  org.clearRequests();
  ({ position } = await next(one, position));
  assert.equal(asked(rig, '/deleted'), 0);
  at(NOON + 3 * MINUTE);
  const read: SourceRecord[] = [];
  while (position.pollTo !== undefined) {
    const changes = await next(one, position);
    ({ position } = changes);
    read.push(...changes.records);
  }
  assert.equal(asked(rig, '/deleted'), 1);
  assert.deepEqual(
    read.filter(({ deleted }) => deleted).map(({ id }) => id),
    [ids[0]],
  );
});

test('changes that follow each other are read together, and a single one at once', async (t) => {
  const rig = await startFeed(t);
  const { org, feed, next, settle } = rig;
  const one = feed();
  let position = await settle(one);
  org.clearRequests();
  const read = new Set<string>();
  for (let i = 0; i < 40; i++) org.write('Contact', ...names(1, 100 + i));
  while (read.size < 40) {
    const changes = await next(one, position);
    ({ position } = changes);
    for (const name of late(changes.records)) read.add(name);
  }
  assert.ok(asked(rig, '/composite/') <= 4, `${asked(rig, '/composite/')} calls`);
  let time = 1_000_000;
  t.mock.method(performance, 'now', () => time);
  assert.equal(untilGathered({ before: time - 501, first: time, last: time }), 0);
  assert.equal(untilGathered({ before: time - 499, first: time, last: time }), 500);
  assert.equal(untilGathered({ before: -Infinity, first: time - 100, last: time }), 500);
  // A row that never ends.
  assert.equal(untilGathered({ before: -Infinity, first: time - 4_900, last: time }), 100);
  time += 100;
  assert.equal(untilGathered({ before: -Infinity, first: time - 5_000, last: time }), 0);
});
