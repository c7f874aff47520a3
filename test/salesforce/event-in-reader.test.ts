import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Change } from '../../nodes/salesforce/pubsub/change-events';
import { EventReader, type Replay, type ReplayGap } from '../../nodes/salesforce/events/reader';
import {
  SETTLEMENT,
  type EventAttempt,
  type SettlementSettings,
} from '../../nodes/salesforce/events/settlement';
import { PubSub } from '../../nodes/salesforce/pubsub/client';
import type { ReceivedEvent } from '../../nodes/salesforce/pubsub/subscription';
import { FlowError } from '../../nodes/shared/errors';
import { startOrg, type Org, type OrgOptions } from '../org/org';
import { until } from '../support/until';
import { Kept } from './events/kept';
import { TOPIC, orders } from './pubsub/rig';
import { QUICK, sessionWith } from './rig';

interface Reading {
  reader: EventReader;
  pubsub: PubSub;
  /** Deliveries in order, each with its event. */
  attempts: EventAttempt[];
  events: ReceivedEvent[];
  seen: () => string[];
  /** Their payloads as those of changes. */
  changes: () => Change[];
  /** Which delivery each was. */
  deliveries: number[];
  log: { level: string; text: string }[];
  lost: { error: FlowError; gap: ReplayGap }[];
  stop: () => Promise<void>;
}

const QUICKLY: Partial<SettlementSettings> = { backoff: [10, 20], maxDeliver: 3 };

function read(
  org: Org,
  options: {
    topic?: string;
    replay?: Replay;
    store?: Kept;
    settings?: Partial<SettlementSettings>;
    /** What the flow does; default: it finishes each event in the next turn. */
    flow?: (attempt: EventAttempt, event: ReceivedEvent, deliveries: number) => void;
  } = {},
): Reading {
  const session = sessionWith(org);
  const pubsub = new PubSub(session, org.pubsub ?? '', { ...QUICK });
  const attempts: EventAttempt[] = [];
  const events: ReceivedEvent[] = [];
  const payloads: Record<string, unknown>[] = [];
  const deliveries: number[] = [];
  const log: Reading['log'] = [];
  const lost: Reading['lost'] = [];
  const flow =
    options.flow ?? ((attempt: EventAttempt) => void setImmediate(() => attempt.finished(undefined)));
  const reader = new EventReader(
    pubsub,
    options.topic ?? TOPIC,
    options.store,
    {
      deliver: (attempt, event, nth) => {
        attempts.push(attempt);
        events.push(event);
        deliveries.push(nth);
        payloads.push(event.payload ?? {});
        flow(attempt, event, nth);
      },
      changed: () => undefined,
      positionLost: (error, gap) => lost.push({ error, gap }),
      log: (level, text) => log.push({ level, text }),
    },
    { ...SETTLEMENT, ...QUICKLY, ...options.settings },
  );
  reader.start(options.replay ?? (options.store ? 'stored' : 'earliest'));
  let stopped: Promise<void> | undefined;
  return {
    reader,
    pubsub,
    attempts,
    events,
    seen: () => payloads.map((payload) => String(payload.Order_ID__c)),
    changes: () => payloads as Change[],
    deliveries,
    log,
    lost,
    stop: () =>
      (stopped ??= reader.stop(200).finally(() => {
        pubsub.close();
        session.close();
      })),
  };
}

async function orgFor(t: TestContext, options: OrgOptions = {}): Promise<Org> {
  const org = await startOrg({ pubsub: true, ...options });
  t.after(() => org.close());
  return org;
}

function reading(t: TestContext, org: Org, options: Parameters<typeof read>[1] = {}): Reading {
  const result = read(org, options);
  t.after(() => result.stop());
  return result;
}

const publish = (org: Org, count: number, from = 0) => org.bus().publish(TOPIC, ...orders(count, from));
const ids = (count: number, from = 0) => Array.from({ length: count }, (_, i) => `O-${from + i}`);
const replayIds = (org: Org) => org.events(TOPIC).map(({ replayId }) => replayId);

test('every event comes, in order, with its ids', async (t) => {
  const org = await orgFor(t);
  publish(org, 500);
  const { seen, events, deliveries } = reading(t, org);
  await until(() => seen().length === 500);
  assert.deepEqual(seen(), ids(500));
  const [listed] = org.events(TOPIC);
  const [first] = events as [ReceivedEvent];
  assert.deepEqual([first.replayId, deliveries[499]], [listed?.replayId, 1]);
});

test('a flow that holds its events stops the org at its window, and goes on with as many as it finishes', async (t) => {
  const org = await orgFor(t);
  publish(org, 300);
  const { attempts, reader } = reading(t, org, { settings: { window: 100 }, flow: () => undefined });
  await until(() => attempts.length === 100);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(attempts.length, 100);
  for (const attempt of attempts.slice(0, 40)) attempt.finished(undefined);
  await until(() => attempts.length === 140);
  assert.equal(reader.inFlow, 100);
});

test('a stream that was let go while the flow held its events is opened again when there is room', async (t) => {
  const org = await orgFor(t, { switches: { fetchIdleMs: 50 } });
  publish(org, 150);
  const { attempts, log } = reading(t, org, { settings: { window: 100 }, flow: () => undefined });
  await until(() => attempts.length === 100);
  await until(
    () => org.requests().some(({ path, status }) => path.endsWith('/Subscribe') && status !== undefined),
    {
      what: 'the end of the stream',
    },
  );
  for (const attempt of [...attempts]) attempt.finished(undefined);
  await until(() => attempts.length === 150);
  assert.deepEqual(
    log.filter(({ level }) => level !== 'info'),
    [],
  );
});

test('the position moves on only behind events that are finished with all before them', async (t) => {
  const org = await orgFor(t);
  publish(org, 5);
  const store = new Kept();
  const { attempts } = reading(t, org, { store, flow: () => undefined });
  await until(() => attempts.length === 5);
  attempts[1]?.finished(undefined);
  attempts[2]?.finished(undefined);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(store.saved, undefined);
  attempts[0]?.finished(undefined);
  await until(() => store.replayId === replayIds(org)[2]);
  attempts[4]?.finished(undefined);
  attempts[3]?.finished(undefined);
  await until(() => store.replayId === replayIds(org)[4]);
});

test('after a restart it goes on behind the position, and what was not finished comes again', async (t) => {
  const org = await orgFor(t);
  const store = new Kept();
  publish(org, 4);
  const before = reading(t, org, { store, flow: () => undefined });
  await until(() => before.attempts.length === 4);
  before.attempts[0]?.finished(undefined);
  before.attempts[2]?.finished(undefined);
  await until(() => store.saved !== undefined);
  await before.stop();
  publish(org, 2, 4);
  const after = reading(t, org, { store });
  await until(() => after.seen().length === 5);
  assert.deepEqual(after.seen(), ['O-1', 'O-2', 'O-3', 'O-4', 'O-5']);
});

test('without a stored position it begins with the earliest event, so that a crash before the first loses none', async (t) => {
  const org = await orgFor(t);
  publish(org, 2);
  const { seen, log } = reading(t, org, { store: new Kept() });
  await until(() => seen().length === 2);
  assert.match(log[0]?.text ?? '', /No position is stored/);
});

test('latest begins with what is published from now on', async (t) => {
  const org = await orgFor(t);
  publish(org, 3);
  const { seen } = reading(t, org, { replay: 'latest' });
  await until(() => org.requests().some(({ path }) => path.endsWith('/Subscribe')));
  await until(
    () => {
      publish(org, 1, 3);
      return seen().length > 0;
    },
    { interval: 50 },
  );
  assert.ok(seen().every((id) => id === 'O-3'));
});

for (const [name, other] of [
  ['org', { organizationId: '00DOTHER' }],
  ['topic', { topic: '/event/Other__e' }],
] as const) {
  test(`a position of another ${name} is none`, async (t) => {
    const org = await orgFor(t);
    publish(org, 3);
    const store = new Kept();
    const right = { organizationId: org.orgId, topic: TOPIC, replayId: replayIds(org)[1], at: Date.now() };
    store.saved = JSON.stringify({ ...right, ...other });
    const { seen } = reading(t, org, { store });
    await until(() => seen().length === 3);
  });
}

test('an event that failed comes again after a while, the others go on, and the position waits for it', async (t) => {
  const org = await orgFor(t);
  publish(org, 3);
  const store = new Kept();
  const { deliveries, seen, log } = reading(t, org, {
    store,
    settings: { backoff: [200] },
    flow: (attempt, { payload }, nth) => {
      const fails = payload?.Order_ID__c === 'O-0' && nth === 1;
      setImmediate(() => attempt.finished(fails ? { error: new Error('not yet') } : undefined));
    },
  });
  await until(() => seen().length === 3);
  assert.equal(store.saved, undefined);
  await until(() => seen().length === 4);
  assert.equal(deliveries[3], 2);
  await until(() => store.replayId === replayIds(org)[2]);
  assert.match(log.find(({ level }) => level === 'warn')?.text ?? '', /^not yet\. .* comes again in 200ms$/);
});

test('an event that keeps failing while others succeed is passed over, and the log names it', async (t) => {
  const org = await orgFor(t);
  publish(org, 3);
  const store = new Kept();
  const { seen, log } = reading(t, org, {
    store,
    flow: (attempt, { payload }) => {
      const bad = payload?.Order_ID__c === 'O-1';
      setImmediate(() => attempt.finished(bad ? { error: new Error('poison') } : undefined));
    },
  });
  await until(() => store.replayId === replayIds(org)[2]);
  assert.equal(seen().filter((id) => id === 'O-1').length, 3);
  const { text } = log.find(({ level }) => level === 'error') ?? { text: '' };
  assert.ok(text.includes(replayIds(org)[1] ?? '?'));
  assert.match(text, /^poison\. .* is passed over$/);
});

test('where everything fails nothing is passed over, however often: it is not the events’ fault', async (t) => {
  const org = await orgFor(t);
  publish(org, 3);
  const store = new Kept();
  let down = true;
  const { attempts, log } = reading(t, org, {
    store,
    flow: (attempt) =>
      void setImmediate(() => attempt.finished(down ? { error: new Error('down') } : undefined)),
  });
  await until(() => attempts.length > 30);
  assert.deepEqual(
    log.filter(({ level }) => level === 'error'),
    [],
  );
  down = false;
  await until(() => store.replayId === replayIds(org)[2]);
});

test('an error that repeating can’t mend passes the event over at once', async (t) => {
  const org = await orgFor(t);
  publish(org, 2);
  const store = new Kept();
  const { attempts } = reading(t, org, {
    store,
    flow: (attempt) =>
      void setImmediate(() => attempt.finished({ error: new FlowError('UNREADABLE_EVENT', 'never', false) })),
  });
  await until(() => store.replayId === replayIds(org)[1]);
  assert.equal(attempts.length, 2);
});

test('a node stopped by a deploy fails no event: it comes again at once, and that does not count', async (t) => {
  const org = await orgFor(t);
  publish(org, 1);
  const { deliveries } = reading(t, org, {
    settings: { backoff: [60_000] },
    flow: (attempt) =>
      void setImmediate(() => attempt.finished({ error: new FlowError('NODE_CLOSED', 'deployed') })),
  });
  await until(() => deliveries.length > 5);
  assert.ok(deliveries.every((delivery) => delivery === 1));
});

test('an event that the flow never finishes fails at the processing limit, naming what holds it', async (t) => {
  const org = await orgFor(t);
  publish(org, 1);
  const { attempts, log } = reading(t, org, {
    settings: { processingLimit: 50 },
    flow: (attempt) => {
      const begun = Date.now();
      attempt.progress = {
        processingTime: () => Date.now() - begun,
        unfinishedNodes: () => ['function "stuck"'],
        abandon: () => undefined,
      };
    },
  });
  await until(() => attempts.length >= 2);
  assert.match(
    log.find(({ level }) => level === 'warn')?.text ?? '',
    /within 50ms; not finished: function "stuck"/,
  );
});

test('jetstream-ack can ask for it again, or have done with it', async (t) => {
  const org = await orgFor(t);
  publish(org, 3);
  const store = new Kept();
  const { attempts, seen } = reading(t, org, {
    store,
    flow: () => undefined,
    settings: { backoff: [60_000] },
  });
  await until(() => attempts.length === 3);
  attempts[0]?.command({ action: 'progress' });
  attempts[0]?.command({ action: 'ack' });
  attempts[1]?.command({ action: 'nak', delay: 10 });
  attempts[2]?.command({ action: 'term' });
  await until(() => seen().length === 4);
  assert.equal(seen()[3], 'O-1');
  attempts[3]?.command({ action: 'ack' });
  await until(() => store.replayId === replayIds(org)[2]);
});

test('connections that break under load lose nothing, and hand nothing out twice', async (t) => {
  const org = await orgFor(t);
  const { seen } = reading(t, org);
  for (let i = 0; i < 10; i++) {
    publish(org, 100, i * 100);
    await until(() => seen().length > i * 100, { interval: 1 });
    org.bus().dropConnections();
  }
  await until(() => seen().length >= 1000);
  assert.deepEqual(seen(), ids(1000));
});

test('a session that ends is renewed once, without a gap', async (t) => {
  const org = await orgFor(t);
  const { seen, log } = reading(t, org);
  publish(org, 50);
  await until(() => seen().length === 50);
  const logins = () => org.requests().filter(({ path }) => path.endsWith('/token')).length;
  assert.equal(logins(), 1);
  org.expireSessions();
  publish(org, 50, 50);
  await until(() => seen().length === 100);
  assert.deepEqual(seen(), ids(100));
  assert.equal(logins(), 2);
  assert.deepEqual(
    log.filter(({ level }) => level === 'error'),
    [],
  );
});

test('while the org is out of reach it waits, and goes on where it was', async (t) => {
  const org = await orgFor(t);
  const { seen, pubsub } = reading(t, org);
  publish(org, 10);
  await until(() => seen().length === 10);
  org.faults.add({ match: { topic: TOPIC }, action: { grpc: { code: 'UNAVAILABLE' } } });
  org.bus().dropConnections();
  await until(() => pubsub.availability.current?.reason === 'unreachable');
  publish(org, 10, 10);
  org.faults.clear();
  await until(() => seen().length === 20);
  assert.deepEqual(seen(), ids(20));
});

test('over the org’s limit of delivered events it waits', async (t) => {
  const org = await orgFor(t);
  org.limits({ DailyDeliveredPlatformEvents: { Max: 5, Remaining: 5 } });
  const { seen, pubsub } = reading(t, org);
  publish(org, 3);
  await until(() => seen().length === 3);
  publish(org, 7, 3);
  await until(() => pubsub.availability.current?.reason === 'limit');
  org.limits({ DailyDeliveredPlatformEvents: { Max: 50, Remaining: 50 } });
  await until(() => seen().length === 10);
});

test('on a quiet topic the position moves on with the org’s keepalives, so that it does not grow too old', async (t) => {
  const org = await orgFor(t, { switches: { keepAliveMs: 30 } });
  const store = new Kept();
  publish(org, 1);
  const { seen } = reading(t, org, { store });
  await until(() => store.replayId !== undefined && store.replayId !== replayIds(org)[0]);
  publish(org, 1, 1);
  await until(() => seen().length === 2);
});

test('a keepalive does not move the position past events that the flow still holds', async (t) => {
  const org = await orgFor(t, { switches: { keepAliveMs: 30 } });
  const store = new Kept();
  publish(org, 1);
  const { attempts } = reading(t, org, { store, flow: () => undefined });
  await until(() => attempts.length === 1);
  await new Promise((resolve) => setTimeout(resolve, 150));
  assert.equal(store.saved, undefined);
  attempts[0]?.finished(undefined);
  await until(() => store.saved);
});

test('a lost position is an error with the size of the gap, and then the earliest event, never a silent jump', async (t) => {
  const org = await orgFor(t);
  const store = new Kept();
  publish(org, 3);
  const before = reading(t, org, { store });
  await until(() => store.replayId === replayIds(org)[2]);
  await before.stop();
  const ago = 5 * 24 * 3_600_000;
  store.saved = JSON.stringify({ ...(JSON.parse(store.saved ?? '') as object), at: Date.now() - ago });
  org.bus().log.forget();
  publish(org, 2, 3);
  const after = reading(t, org, { store });
  await until(() => after.seen().length === 2);
  assert.deepEqual(after.seen(), ['O-3', 'O-4']);
  const [{ error, gap } = assert.fail('nobody was told')] = after.lost;
  assert.equal(after.lost.length, 1);
  assert.equal(error.code, 'REPLAY_POSITION_LOST');
  assert.match(error.message, /a gap of at most 120h/);
  assert.ok(gap.ms >= ago && gap.ms < ago + 60_000);
  assert.equal(Date.parse(gap.to) - Date.parse(gap.from), gap.ms);
});

test('a topic that is not there is said once, and read as soon as it is', async (t) => {
  const org = await orgFor(t);
  const { reader, attempts, log } = reading(t, org, { topic: '/event/Later__e' });
  await until(() => reader.state.phase === 'failing');
  org.declare({ name: 'Later__e', fields: [{ name: 'A__c' }] });
  org.bus().publish('/event/Later__e', { A__c: 'x' });
  await until(() => attempts.length === 1);
  const errors = log.filter(({ level }) => level === 'error');
  assert.equal(errors.length, 1);
  assert.match(errors[0]?.text ?? '', /no topic \/event\/Later__e/);
});

test('events of different definitions are each read by their own', async (t) => {
  const org = await orgFor(t);
  const { events, seen } = reading(t, org);
  for (let i = 0; i < 5; i++) {
    publish(org, 40, i * 40);
    org.declare({ name: 'OrderStatus__e', fields: [{ name: `Field${i}__c`, defaultValue: null }] });
  }
  await until(() => seen().length === 200);
  assert.deepEqual(seen(), ids(200));
  assert.equal(new Set(events.map(({ schemaId }) => schemaId ?? '')).size >= 1, true);
});

test('an event that can’t be read is passed over, and the log names it', async (t) => {
  const org = await orgFor(t);
  const [entry] = publish(org, 1);
  const schemaId = entry?.event?.event.schemaId ?? '';
  const { log } = org.bus();
  log.publish(TOPIC, [{ id: 'cut', schemaId, payload: Buffer.from([2, 200, 1, 65]) }]);
  log.publish(TOPIC, [{ id: 'blank', schemaId: '', payload: Buffer.from([2]) }]);
  publish(org, 1, 1);
  const { seen, log: said } = reading(t, org);
  await until(() => seen().length === 2);
  assert.deepEqual(seen(), ids(2));
  const errors = said.filter(({ level }) => level === 'error').map(({ text }) => text);
  assert.equal(errors.length, 2);
  for (const error of errors) assert.match(error, /can't be read/);
});

test('an event whose schema the org does not give holds those behind it, said once, until it does', async (t) => {
  const org = await orgFor(t);
  const [entry] = publish(org, 1);
  org
    .bus()
    .log.publish(TOPIC, [
      { id: 'unknown', schemaId: 'no-such-schema', payload: Buffer.from([2]) },
      ...[entry?.event?.event].flatMap((event) => (event ? [{ ...event, id: 'behind' }] : [])),
    ]);
  const store = new Kept();
  const { seen, log: said, reader } = reading(t, org, { store });
  await until(() => reader.state.phase === 'failing');
  assert.deepEqual(seen(), ids(1));
  assert.equal(store.replayId, replayIds(org)[0]);
  await until(() => org.requests().filter(({ path }) => path.endsWith('/GetSchema')).length > 2, {
    timeout: 20_000,
  });
  const errors = said.filter(({ level }) => level === 'error').map(({ text }) => text);
  assert.deepEqual(errors.slice(1), []);
  assert.match(errors[0] ?? '', /^Reading \/event\/.* waits at an event: .*no-such-schema/);
});

for (const replayIdBytes of [8, 10]) {
  test(`replay ids of ${replayIdBytes} bytes are kept whole`, async (t) => {
    const org = await orgFor(t, { switches: { replayIdBytes } });
    const store = new Kept();
    publish(org, 3);
    const before = reading(t, org, { store });
    await until(() => store.replayId === replayIds(org)[2]);
    assert.equal(Buffer.from(store.replayId ?? '', 'base64').length, replayIdBytes);
    await before.stop();
    publish(org, 1, 3);
    const after = reading(t, org, { store });
    await until(() => after.seen().length === 1);
    assert.deepEqual(after.seen(), ['O-3']);
  });
}

test('a position that can’t be stored is said, and reading goes on', async (t) => {
  const org = await orgFor(t);
  const store = new Kept();
  store.onPut = () => Promise.reject(new Error('disk full'));
  publish(org, 2);
  const { seen, log } = reading(t, org, { store });
  await until(() => seen().length === 2);
  await until(() =>
    log.some(({ level, text }) => level === 'error' && /can't be stored: disk full/.test(text)),
  );
});

test('a position that can’t be read stops it from jumping: it reads when the store is back', async (t) => {
  const org = await orgFor(t);
  const store = new Kept();
  publish(org, 3);
  store.saved = JSON.stringify({
    organizationId: org.orgId,
    topic: TOPIC,
    replayId: replayIds(org)[1],
    at: 0,
  });
  store.onGet = () => Promise.reject(new Error('no server'));
  const { reader, seen, log } = reading(t, org, { store });
  await until(() => reader.state.phase === 'failing');
  assert.match(log[0]?.text ?? '', /can't be read, so nothing is: no server/);
  store.onGet = () => undefined;
  await until(() => seen().length === 1);
  assert.deepEqual(seen(), ['O-2']);
});

test('stopping gives the flow time to finish, and stores how far it came', async (t) => {
  const org = await orgFor(t);
  const store = new Kept();
  publish(org, 3);
  const { attempts, stop } = reading(t, org, { store, flow: () => undefined });
  await until(() => attempts.length === 3);
  const stopping = stop();
  attempts[0]?.finished(undefined);
  attempts[1]?.finished(undefined);
  await stopping;
  assert.equal(store.replayId, replayIds(org)[1]);
  attempts[2]?.finished(undefined);
  assert.equal(store.replayId, replayIds(org)[1], 'what is finished too late comes again');
});

test('when it is stopped nothing is handed out any more, whatever has come', async (t) => {
  const org = await orgFor(t);
  publish(org, 5);
  org.faults.add({ match: { path: '/GetSchema' }, action: { grpc: { delayMs: 200 } } });
  const { attempts, stop } = reading(t, org);
  await until(() => org.requests().some(({ path }) => path.endsWith('/GetSchema')));
  await stop();
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(attempts.length, 0);
});

test('changes of records come with names for their bitmaps, and without the fields they say nothing of', async (t) => {
  const org = await orgFor(t);
  org.write('Contact', { LastName: 'Doe', FirstName: 'Ann', Email: 'ann@example.com', ExternalId__c: 'k' });
  const id = String(org.records('Contact')[0]?.Id);
  org.write('Contact', { Id: id, FirstName: null, Email: 'doe@example.com' });
  org.remove('Contact', [id]);
  const { changes } = reading(t, org, { topic: '/data/ContactChangeEvent' });
  await until(() => changes().length === 3);
  const [created, updated, deleted] = changes() as [Change, Change, Change];
  assert.deepEqual(created.Name, { FirstName: 'Ann', LastName: 'Doe' });
  assert.equal('Phone' in created, false);
  const { ChangeEventHeader: header, LastModifiedDate, ...changed } = updated;
  assert.deepEqual(changed, { Name: { FirstName: null }, Email: 'doe@example.com' });
  assert.equal(typeof LastModifiedDate, 'number');
  assert.deepEqual([header.entityName, header.recordIds, header.changeType], ['Contact', [id], 'UPDATE']);
  assert.deepEqual(new Set(header.changedFields), new Set(['Email', 'Name.FirstName', 'LastModifiedDate']));
  assert.deepEqual(header.nulledFields, ['Name.FirstName']);
  assert.deepEqual(Object.keys(deleted), ['ChangeEventHeader']);
});

test('all changes, and channels of one’s own, bring events of several objects', async (t) => {
  const org = await orgFor(t);
  org.bus().topics.channels.set('/data/Sales__chn', ['/data/ContactChangeEvent', '/data/AccountChangeEvent']);
  org.write('Contact', { LastName: 'Doe' });
  org.write('Account', { Name: 'ACME' });
  for (const topic of ['/data/ChangeEvents', '/data/Sales__chn']) {
    const { changes } = reading(t, org, { topic });
    await until(() => changes().length === 2);
    const entities = changes().map(({ ChangeEventHeader }) => ChangeEventHeader.entityName);
    assert.deepEqual(entities, ['Contact', 'Account']);
  }
});

test('gap events and updates of any record are marked: their records are to be read again', async (t) => {
  const org = await orgFor(t);
  org.write('Contact', { LastName: 'Doe' });
  org.bus().changeEvent('Contact', 'GAP_UPDATE');
  org.bus().changeEvent('Contact', 'UPDATE', ['003*']);
  const { changes } = reading(t, org, { topic: '/data/ContactChangeEvent' });
  await until(() => changes().length === 3);
  const marks = changes().map(({ ChangeEventHeader: { gap, wildcard } }) => ({ gap, wildcard }));
  assert.deepEqual(marks, [
    { gap: false, wildcard: false },
    { gap: true, wildcard: false },
    { gap: false, wildcard: true },
  ]);
});
