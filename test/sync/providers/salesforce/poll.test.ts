import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Poll } from '../../../../nodes/sync/providers/salesforce/poll';
import { recordId } from '../../../org/store/ids';
import { LOOKBACK, MINUTE, NOON, names, since, startPoll, withoutDeletions, type PollRig } from './poll-rig';

const DAY = 24 * 60 * MINUTE;
const lastNames = (records: { data: Record<string, unknown> }[]): unknown[] =>
  records.map(({ data }) => data.LastName);

test('a pass has every row since the last one, in the order of their times, the deleted with their data', async (t) => {
  const { org, poll, pass, at } = await startPoll(t);
  const start = poll.start();
  assert.deepEqual(start, { since: NOON, deletedSince: NOON });
  const [a, b] = org.write('Contact', ...names(3)).map(({ id }) => String(id));
  at(NOON + 1_000);
  org.write('Contact', { Id: a, LastName: 'Changed' });
  at(NOON + 2_000);
  org.remove('Contact', [b as string]);
  at(NOON + 3_000);
  const { records, position, answers } = await pass(start);
  assert.deepEqual(lastNames(records), ['Person 2', 'Changed', 'Person 1']);
  assert.deepEqual(
    records.map(({ deleted }) => deleted ?? false),
    [false, false, true],
  );
  assert.deepEqual(position, {
    since: NOON + 3_000,
    deletedSince: NOON,
    shallow: 0,
    deep: { began: NOON + 3_000 },
  });
  assert.equal(answers[0]?.asOf, NOON + 3_000);
});

test('it looks back by the lookback and what the clock may be wrong by, in whole seconds', async (t) => {
  const { poll, pass, at } = await startPoll(t);
  const first = await pass(poll.start());
  assert.deepEqual(since(first.asked), ['SystemModstamp>=2026-01-31T11:54:50Z']);
  assert.match(first.asked[0] ?? '', /queryAll.* ORDER BY SystemModstamp,Id LIMIT 2000$/);
  at(NOON + 30_700);
  const second = await pass({ ...first.position, since: NOON + 30_700, deep: { began: NOON + 30_700 } });
  assert.deepEqual(since(second.asked), ['SystemModstamp>=2026-01-31T11:55:20Z']);
});

test('more than a page of rows with one time all come, each once', async (t) => {
  const { org, poll, pass, at } = await startPoll(t);
  const start = poll.start();
  at(NOON + 1_000);
  org.write('Contact', ...names(4_100));
  at(NOON + 2_000);
  org.write('Contact', ...names(1, 4_100));
  at(NOON + 9_000);
  const { records, answers, position, asked } = await pass(start);
  assert.deepEqual(
    lastNames(records).sort(),
    lastNames(org.records('Contact').map((data) => ({ data }))).sort(),
  );
  assert.equal(records.length, 4_101);
  assert.deepEqual(
    answers.map(({ more, asOf }) => [more, asOf]),
    [
      [true, NOON + 1_000],
      [true, NOON + 1_000],
      [false, NOON + 9_000],
    ],
  );
  assert.equal(position.pass, undefined);
  const last = records[3_999]?.id;
  assert.equal(
    since(asked)[2],
    `SystemModstamp>=2026-01-31T12:00:01Z AND (SystemModstamp>2026-01-31T12:00:01Z OR Id>'${last}')`,
  );
});

test('a page of exactly its size is followed by an empty one', async (t) => {
  const { org, poll, pass } = await startPoll(t);
  org.write('Contact', ...names(2_000));
  const { answers } = await pass(poll.start());
  assert.deepEqual(
    answers.map(({ records }) => records.length),
    [2_000, 0],
  );
});

test('a page from which a record vanished while it was read is not taken for the last', async (t) => {
  const { org, reader, poll, pass } = await startPoll(t);
  org.switches.pageSize = 500;
  const ids = org.write('Contact', ...names(3_000)).map(({ id }) => String(id));
  reader.before = (path) => {
    // The org sends 500 rows at a time.
    if (path.includes('WHERE')) return;
    org.remove('Contact', ids.slice(1_990, 1_995), { hard: true });
    reader.before = () => undefined;
  };
  const { records } = await pass(poll.start());
  assert.equal(new Set(records.map(({ id }) => id)).size, 2_995);
});

/** A pass of three pages, after which two don't look back. */
async function heavy({ org, poll, pass, at }: PollRig) {
  const start = poll.start();
  org.write('Contact', ...names(4_500));
  at(NOON + 20_000);
  const { position } = await pass(start);
  assert.equal(position.shallow, 2);
  return position;
}

test('a pass of many pages is followed by as many that don’t look back, then by one that does', async (t) => {
  const rig = await startPoll(t);
  const { pass, at } = rig;
  let position = await heavy(rig);
  const asked: string[] = [];
  for (let i = 1; i <= 4; i++) {
    at(NOON + 20_000 + i * MINUTE);
    const next = await pass(position);
    asked.push(...since(next.asked).slice(0, 1));
    ({ position } = next);
  }
  assert.deepEqual(asked, [
    'SystemModstamp>=2026-01-31T12:00:10Z',
    'SystemModstamp>=2026-01-31T12:01:10Z',
    // From where the one of 12:00:20 looked back.
    'SystemModstamp>=2026-01-31T11:55:10Z',
    'SystemModstamp>=2026-01-31T12:03:10Z',
  ]);
});

test('a row that came late while passes didn’t look back is found by the one that does', async (t) => {
  const rig = await startPoll(t);
  const { pass, at, open } = rig;
  at(NOON);
  const late = open();
  let position = await heavy(rig);
  at(NOON + 4 * MINUTE);
  const second = await pass(position);
  late.commit('Late');
  at(NOON + 8 * MINUTE);
  const third = await pass(second.position);
  assert.ok(!lastNames(third.records).includes('Late'));
  at(NOON + 12 * MINUTE);
  const fourth = await pass(third.position);
  assert.ok(lastNames(fourth.records).includes('Late'));
  ({ position } = fourth);
  assert.equal(position.deep?.began, NOON + 12 * MINUTE);
});

test('it looks back again when that was four lookbacks ago, however many pages it had', async (t) => {
  const rig = await startPoll(t);
  const { pass } = rig;
  const position = { ...(await heavy(rig)), shallow: 100, covered: undefined };
  const looksBack = async (ago: number): Promise<boolean> => {
    const { asked, position: next } = await pass({ ...position, deep: { began: position.since - ago } });
    assert.equal(next.shallow, since(asked)[0]?.includes('11:') ? 2 : 99);
    return since(asked)[0]?.includes('11:') ?? false;
  };
  assert.equal(await looksBack(4 * LOOKBACK - 1), false);
  assert.equal(await looksBack(4 * LOOKBACK), true);
});

test('a transaction older than the lookback is found, however long it takes', async (t) => {
  const { poll, pass, at, open } = await startPoll(t);
  let { position } = await pass(poll.start());
  const late = open();
  for (let minute = 1; minute < 30; minute++) {
    at(NOON + minute * MINUTE);
    ({ position } = await pass(position));
    assert.equal(position.covered, NOON);
    assert.equal(position.deletedSince, NOON, 'nor are its deletions passed over');
  }
  late.commit('Late');
  const { records, asked } = await pass(position);
  assert.deepEqual(lastNames(records), ['Late']);
  assert.deepEqual(since(asked), ['SystemModstamp>=2026-01-31T11:59:50Z']);
});

test('a transaction that commits between the query and the org’s word is found', async (t) => {
  const { reader, poll, pass, at, open } = await startPoll(t);
  let { position } = await pass(poll.start());
  const late = open();
  for (let minute = 1; minute < 30; minute++) {
    at(NOON + minute * MINUTE);
    ({ position } = await pass(position));
  }
  at(NOON + 30 * MINUTE);
  reader.before = (path) => {
    if (!path.includes('/deleted')) return;
    late.commit('Late');
    reader.before = () => undefined;
  };
  const missed = await pass(position);
  assert.deepEqual(lastNames(missed.records), []);
  at(NOON + 31 * MINUTE);
  const next = await pass(missed.position);
  assert.deepEqual(lastNames(next.records), ['Late']);
  at(NOON + 32 * MINUTE);
  const settled = await pass(next.position);
  assert.deepEqual(since(settled.asked), ['SystemModstamp>=2026-01-31T12:25:50Z'], 'and that was that');
});

test('deletions that leave nothing behind are asked for once a minute, up to the minute', async (t) => {
  const { org, poll, pass, at } = await startPoll(t);
  const [a, b] = org.write('Contact', ...names(3)).map(({ id }) => String(id));
  at(NOON + 50_000);
  const first = await pass({ ...poll.start(), deletedSince: NOON + 10_000 });
  assert.ok(!first.asked.some((path) => path.includes('/deleted')), 'the minute isn’t over');
  org.remove('Contact', [a as string], { hard: true });
  at(NOON + MINUTE);
  const second = await pass(first.position);
  assert.deepEqual(
    second.asked.filter((path) => path.includes('/deleted')).map((path) => path.split('/sobjects/')[1]),
    ['Contact/deleted?start=2026-01-31T12:00:00Z&end=2026-01-31T12:01:00Z'],
  );
  const { records } = second;
  assert.deepEqual(
    records.filter(({ deleted }) => deleted),
    [{ id: a, data: {}, updatedAt: '2026-01-31T12:01:00Z', deleted: true, gone: true }],
  );
  assert.equal(second.position.deletedSince, NOON + MINUTE);
  assert.equal(second.position.covered, NOON + MINUTE);
  org.remove('Contact', [b as string], { hard: true });
  at(NOON + MINUTE + 59_999);
  const third = await pass(second.position);
  assert.ok(!third.asked.some((path) => path.includes('/deleted')));
  at(NOON + 5 * MINUTE);
  const fourth = await pass(third.position);
  assert.deepEqual(
    fourth.records.filter(({ deleted }) => deleted).map(({ id }) => id),
    [b],
  );
});

test('what the pass has shown as deleted isn’t read by its id once more', async (t) => {
  const { org, poll, pass, at } = await startPoll(t);
  const [a] = org.write('Contact', ...names(2)).map(({ id }) => String(id));
  const start = poll.start();
  org.remove('Contact', [a as string]);
  at(NOON + MINUTE);
  const first = await pass(start);
  assert.equal(first.records.filter(({ id }) => id === a).length, 1);
  assert.ok(!first.asked.some((path) => path.includes('/composite')));
  org.undelete('Contact', [a as string]);
  at(NOON + 2 * MINUTE);
  const second = await pass(first.position);
  assert.equal(second.records.find(({ id }) => id === a)?.deleted, undefined);
  org.remove('Contact', [a as string], { hard: true });
  at(NOON + 3 * MINUTE);
  const third = await pass(second.position);
  assert.equal(third.records.at(-1)?.gone, true, 'it was only the pass before that has shown it');
});

test('a record that the pass has shown as deleted, brought back, and gone for good is deleted', async (t) => {
  const { org, reader, poll, pass, at } = await startPoll(t);
  const [a] = org.write('Contact', ...names(1)).map(({ id }) => String(id));
  const start = poll.start();
  org.remove('Contact', [a as string]);
  at(NOON + 1_000);
  org.write('Contact', ...names(3_998, 1));
  at(NOON + 30_000);
  let pages = 0;
  reader.before = () => {
    pages++;
    if (pages === 2) org.undelete('Contact', [a as string]);
    if (pages !== 3) return;
    org.remove('Contact', [a as string], { hard: true });
    at(NOON + MINUTE);
  };
  const { records } = await pass(start);
  assert.deepEqual(
    records.filter(({ id }) => id === a).map(({ deleted, gone }) => [deleted, gone]),
    [
      [true, undefined],
      [undefined, undefined],
      [true, true],
    ],
  );
});

test('deletions up to where the org vouches for them, and never back', async (t) => {
  const { org, poll, pass, at, open } = await startPoll(t);
  const [a] = org.write('Contact', ...names(1)).map(({ id }) => String(id));
  const start = poll.start();
  at(NOON + 90_000);
  const { commit } = open();
  org.remove('Contact', [a as string], { hard: true });
  at(NOON + 5 * MINUTE);
  const { position } = await pass(start);
  assert.equal(position.covered, NOON + 90_000);
  assert.equal(position.deletedSince, NOON + 90_000);
  const again = await pass({ ...position, deletedSince: NOON + 3 * MINUTE });
  assert.equal(again.position.deletedSince, NOON + 3 * MINUTE);
  commit('Late');
  const { records } = await pass(position);
  assert.equal(records.at(-1)?.gone, true, 'the minute it stood in is asked again');
});

test('a window with too many deletions is halved until it has fewer, and then the rest is had', async (t) => {
  const { org, poll, pass, at } = await startPoll(t);
  const { deletions } = org.store.table(org.schema.type('Contact') as never);
  const start = poll.start();
  for (let n = 0; n < 5_001; n++)
    deletions.push({ id: recordId('003', 1_000 + n), at: NOON + (n % 4) * MINUTE });
  at(NOON + 4 * MINUTE);
  const { answers, asked, position } = await pass(start);
  const ids = new Set(answers.flatMap(({ records }) => records.map(({ id }) => id)));
  assert.equal(ids.size, 5_001);
  assert.deepEqual(
    asked.filter((path) => path.includes('/deleted')).map((path) => path.replace(/^.*start=/, '')),
    [
      '2026-01-31T12:00:00Z&end=2026-01-31T12:04:00Z',
      '2026-01-31T12:00:00Z&end=2026-01-31T12:02:00Z',
      '2026-01-31T12:02:00Z&end=2026-01-31T12:04:00Z',
    ],
  );
  assert.deepEqual(
    answers.map(({ more }) => more),
    [true, false],
  );
  assert.equal(position.deletedSince, NOON + 4 * MINUTE);
});

test('neither a full window nor one minute with too many deletions is halved', async (t) => {
  const { org, poll, pass, at } = await startPoll(t);
  const { deletions } = org.store.table(org.schema.type('Contact') as never);
  const start = poll.start();
  for (let n = 0; n < 5_000; n++)
    deletions.push({ id: recordId('003', 1_000 + n), at: NOON + (n % 2) * MINUTE });
  for (let n = 0; n < 5_002; n++) deletions.push({ id: recordId('003', 9_000 + n), at: NOON + 2 * MINUTE });
  at(NOON + 2 * MINUTE);
  const first = await pass(start);
  assert.equal(first.answers.length, 1);
  assert.equal(first.records.length, 5_000);
  at(NOON + 3 * MINUTE);
  const second = await pass(first.position);
  assert.equal(second.answers.length, 1);
  assert.equal(second.records.length, 5_002);
});

test('a sync that stood still longer than the org remembers deletions says so, and reads the changes on', async (t) => {
  const { org, sobject, poll, pass, at } = await startPoll(t);
  const longest = 15 * DAY - 10 * MINUTE;
  org.write('Contact', ...names(1));
  at(NOON + longest);
  const still = await pass(poll.start());
  assert.equal(still.answers[0]?.gap, undefined);
  const stood = await pass({ since: NOON, deletedSince: NOON - 1_000 });
  assert.match(
    stood.answers[0]?.gap ?? '',
    /stood still since 2026-01-31T11:59:59Z, longer than the org remembers/,
  );
  assert.equal(stood.answers[0]?.lost, 'deletions');
  assert.deepEqual([stood.position.since, stood.position.deletedSince], [NOON + longest, NOON + longest]);
  assert.deepEqual(lastNames(stood.records), ['Person 0'], 'changes are not forgotten');
  assert.ok(!stood.asked.some((path) => path.includes('/deleted')));
  const other = await pass({ since: NOON, deletedSince: NOON - DAY }, poll, withoutDeletions(sobject));
  assert.equal(other.answers[0]?.gap, undefined, 'unless there are none to be remembered');
});

test('a log of deletions that was purged is said and stood in for by a comparison; changes go on', async (t) => {
  const { org, poll, pass, at } = await startPoll(t);
  const start = poll.start();
  org.write('Contact', ...names(1));
  at(NOON + 10 * MINUTE);
  org.switches.deletionsKeptSince = NOON + 5 * MINUTE;
  const first = await pass(start);
  assert.deepEqual(lastNames(first.records), ['Person 0']);
  assert.match(first.answers[0]?.gap ?? '', /INVALID_REPLICATION_DATE/);
  assert.equal(first.answers[0]?.lost, 'deletions');
  assert.equal(first.position.deletedSince, NOON + 10 * MINUTE);
  // It refuses whatever it is asked: a comparison every minute would cost more than it finds.
  org.switches.deletionsKeptSince = NOON + 300 * MINUTE;
  let { position } = first;
  for (let minute = 11; minute <= 80; minute++) {
    at(NOON + minute * MINUTE);
    const next = await pass(position);
    ({ position } = next);
    assert.equal(next.answers[0]?.gap !== undefined, minute === 70, `at ${minute}`);
  }
  org.switches.deletionsKeptSince = 0;
  at(NOON + 81 * MINUTE);
  assert.equal((await pass(position)).position.deletedSince, NOON + 81 * MINUTE);
});

test('a log of deletions that refuses for whatever reason stops no other changes', async (t) => {
  const { org, poll, pass, at } = await startPoll(t);
  for (const [minute, action] of [
    { status: 403, errorCode: 'INSUFFICIENT_ACCESS' },
    { status: 400, errorCode: 'UNSUPPORTED_OPERATION' },
    { status: 500, errorCode: 'UNKNOWN_EXCEPTION' },
  ].entries()) {
    at(NOON + 10 * minute * MINUTE);
    const start = poll.start();
    org.write('Contact', ...names(1));
    org.faults.clear();
    org.faults.add({ match: { path: '/deleted?' }, action });
    at(NOON + (10 * minute + 2) * MINUTE);
    const { records, answers } = await pass(start);
    assert.deepEqual(lastNames(records).slice(0, 1), ['Person 0'], action.errorCode);
    assert.match(answers[0]?.gap ?? '', new RegExp(action.errorCode));
    assert.equal(answers[0]?.lost, 'deletions');
  }
});

test('a window with more deletions than the org gives is halved', async (t) => {
  const { org, poll, pass, at } = await startPoll(t);
  org.switches.replicationIds = 2;
  const ids = org.write('Contact', ...names(4)).map(({ id }) => String(id));
  const start = poll.start();
  for (const [minute, id] of ids.entries()) {
    at(NOON + minute * MINUTE);
    org.remove('Contact', [id], { hard: true });
  }
  at(NOON + 8 * MINUTE);
  const { records, answers, position } = await pass(start);
  assert.deepEqual(new Set(records.map(({ id }) => id)), new Set(ids));
  assert.ok(
    records.every(({ unproven }) => unproven === undefined),
    'the log is the evidence',
  );
  assert.ok(answers.every(({ gap }) => gap === undefined));
  assert.equal(position.deletedSince, NOON + 8 * MINUTE);
});

test('a query that takes too long asks for less, and comes to the end all the same', async (t) => {
  const { org, poll, pass, at } = await startPoll(t);
  org.switches.queryWindowMs = 10 * MINUTE;
  const start = poll.start();
  for (let minute = 0; minute < 300; minute += 10) {
    at(NOON + minute * MINUTE);
    org.write('Contact', ...names(1, minute));
  }
  at(NOON + 301 * MINUTE);
  const { records, asked, position } = await pass(start);
  assert.equal(new Set(records.map(({ id }) => id)).size, 30);
  assert.equal(records.length, 30, 'each once');
  assert.equal(position.since, NOON + 301 * MINUTE);
  assert.ok(asked.length < 150, String(asked.length));
  at(NOON + 302 * MINUTE);
  org.write('Contact', ...names(1, 999));
  const next = await pass(position);
  assert.ok(lastNames(next.records).includes('Person 999'));
});

test('a query whose cursor the org has let go of is begun again', async (t) => {
  const { org, reader, poll, pass } = await startPoll(t);
  org.switches.pageSize = 500;
  org.write('Contact', ...names(1_800));
  let lost = 0;
  reader.before = (path) => {
    if (path.includes('q=') || lost++ > 1) return;
    org.faults.add({
      match: { path: '/services/data/*' },
      action: { status: 400, errorCode: 'INVALID_QUERY_LOCATOR', message: 'invalid query locator' },
      times: 1,
    });
  };
  const { records } = await pass(poll.start());
  assert.equal(records.length, 1_800);
  assert.ok(lost > 2);
});

test('from now on, nothing is given that was committed before, and all that is later', async (t) => {
  const { org, sobject, poll, pass, at, open } = await startPoll(t);
  const ids = org.write('Contact', ...names(4)).map(({ id }) => String(id));
  org.remove('Contact', [ids[3] as string]);
  const late = open();
  at(NOON + 2_000);
  org.remove('Contact', [ids[2] as string], { hard: true });
  at(NOON + 3_000);
  org.write('Contact', { Id: ids[0], LastName: 'At once' });
  let position = await poll.startOnly(sobject, new AbortController().signal);
  // Within the same second.
  org.write('Contact', { Id: ids[0], LastName: 'Afterwards' });
  late.commit('Late');
  at(NOON + 20_000);
  const first = await pass(position);
  assert.deepEqual(lastNames(first.records).sort(), ['Afterwards', 'Late']);
  ({ position } = first);
  for (const minute of [1, 3, 7, 12]) {
    at(NOON + minute * MINUTE);
    const next = await pass(position);
    ({ position } = next);
    assert.ok(
      next.records.every(({ id }) => !ids.slice(1).includes(id)),
      `nothing of before at ${minute}`,
    );
  }
  assert.equal(position.known, undefined, 'and is forgotten when nobody looks back to it');
});

test('of an object whose deletions the org doesn’t tell only rows are read', async (t) => {
  const { org, sobject, poll, pass, at } = await startPoll(t);
  org.write('Contact', ...names(1));
  const start = poll.start();
  at(NOON + 10 * MINUTE);
  const { asked, position, records } = await pass(start, poll, withoutDeletions(sobject));
  assert.equal(records.length, 1);
  assert.equal(asked.length, 1);
  assert.match(asked[0] ?? '', /\/query\?q=/);
  assert.equal(position.deletedSince, NOON);
});

test('another process goes on in the middle of a pass', async (t) => {
  const { org, reader, sobject, poll, pass, at } = await startPoll(t);
  org.write('Contact', ...names(2_500));
  const start = poll.start();
  at(NOON + 1_000);
  const first = await poll.changes(start, sobject, new AbortController().signal);
  at(NOON + 20_000);
  const rest = await pass(first.position as never, new Poll(reader, LOOKBACK));
  assert.equal(rest.records.length, 500);
  assert.equal(rest.position.since, NOON + 1_000, 'from when the pass began');
  assert.equal(rest.position.shallow, 1);
});

test('whoever is stopped doesn’t wait for the org', async (t) => {
  const { sobject, poll } = await startPoll(t);
  await assert.rejects(poll.changes(poll.start(), sobject, AbortSignal.abort()), { code: 'CLOSED' });
});

test('a row that changes while the pages of a query are read is no place to go on from', async (t) => {
  const rig = await startPoll(t);
  const { org, reader, poll, pass, at } = rig;
  const start = poll.start();
  org.switches.pageSize = 500;
  const ids = org.write('Contact', ...names(2_500)).map(({ id }) => String(id));
  at(NOON + MINUTE);
  org.write('Contact', { Id: ids[0], LastName: 'Changed before' });
  at(NOON + 2 * MINUTE);
  await reader.get('/limits', new AbortController().signal);
  let pages = 0;
  reader.before = (path) => {
    if (path.includes('/deleted') || path.includes('q=') || ++pages !== 3) return;
    // The last one of the first 2,000, right before its page is read.
    org.write('Contact', { Id: ids[2_000], LastName: 'Changed meanwhile' });
  };
  const { records } = await pass(start);
  assert.ok(pages >= 3);
  assert.ok(records.some(({ data }) => data.LastName === 'Changed before'));
  assert.equal(new Set(records.map(({ id }) => id)).size, 2_500);
});
