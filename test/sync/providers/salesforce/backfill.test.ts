import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backfill, type BackfillPosition } from '../../../../nodes/sync/providers/salesforce/backfill';
import type { Page } from '../../../../nodes/sync/engine/provider';
import { MINUTE, NOON, names, startPoll, type PollRig } from './poll-rig';

const { signal } = new AbortController();

/** All pages from a position on, each as it is kept. */
async function all(
  { reader, sobject }: PollRig,
  log: string[] = [],
  from?: BackfillPosition,
): Promise<Page[]> {
  const backfill = new Backfill(reader, sobject, (line) => void log.push(line));
  const pages: Page[] = [];
  let next: unknown = from;
  do {
    pages.push(await backfill.page(next as BackfillPosition | undefined, signal));
    next = pages.at(-1)?.next && JSON.parse(JSON.stringify(pages.at(-1)?.next));
  } while (next !== undefined);
  return pages;
}
const idsOf = (pages: Page[]): string[] => pages.flatMap(({ records }) => records.map(({ id }) => id));

test('a small object comes by queries, in order of Id, each record once', async (t) => {
  const rig = await startPoll(t);
  const ids = rig.org.write('Contact', ...names(4_100)).map(({ id }) => String(id));
  rig.org.remove('Contact', ids.slice(0, 100));
  const pages = await all(rig);
  assert.deepEqual(idsOf(pages), ids.slice(100));
  assert.deepEqual(
    pages.map(({ records }) => records.length),
    [2_000, 2_000, 0],
  );
  assert.deepEqual(pages[0]?.next, { after: ids[2_099] });
  assert.ok(!rig.org.requests().some(({ path }) => path.includes('/jobs/')));
});

test('a page from which a record vanished while it was read is not taken for the last', async (t) => {
  const rig = await startPoll(t);
  const { org, reader } = rig;
  org.switches.pageSize = 500;
  const ids = org.write('Contact', ...names(3_000)).map(({ id }) => String(id));
  reader.before = (path) => {
    if (path.includes('q=')) return;
    org.remove('Contact', ids.slice(600, 605), { hard: true });
    reader.before = () => undefined;
  };
  assert.equal(idsOf(await all(rig)).length, 2_995);
});

test('from ten thousand on a Bulk job reads it, and whoever comes later reads its results on', async (t) => {
  const rig = await startPoll(t);
  const ids = rig.org.write('Contact', ...names(10_000)).map(({ id }) => String(id));
  const pages = await all(rig);
  assert.deepEqual(idsOf(pages).sort(), ids.sort());
  const first = pages.find(({ records }) => records.length > 0);
  assert.equal(first?.records.length, 200, 'few rows, until their width is known');
  assert.ok(pages.slice(0, pages.indexOf(first)).every(({ next }) => next && 'job' in next));
  const rest = await all(rig, [], first?.next as BackfillPosition);
  assert.equal(idsOf(rest).length, 9_800);
});

test('a job that isn’t done is asked for again after a pause', async (t) => {
  const rig = await startPoll(t);
  const states = ['UploadComplete', ...Array.from({ length: 6 }, () => 'InProgress')];
  rig.reader.get = <T>() => Promise.resolve({ id: '750', state: states.shift() } as T);
  const backfill = new Backfill(rig.reader, rig.sobject, () => undefined);
  const waits: unknown[] = [];
  for (let i = 0; i < 7; i++) waits.push((await backfill.page({ job: '750' }, signal)).wait);
  assert.deepEqual(waits, [500, 1_000, 2_000, 5_000, 10_000, 10_000, 10_000]);
});

test('what Bulk refuses for good is read by queries, and that is said', async (t) => {
  const rig = await startPoll(t);
  rig.org.write('Contact', ...names(10_000));
  const refuse = (status: number, errorCode: string): void =>
    rig.org.faults.add({
      match: { path: '/jobs/query', method: 'POST' },
      action: { status, errorCode, message: 'Not this object' },
      times: 1,
    });
  refuse(400, 'INVALIDENTITY');
  const log: string[] = [];
  assert.equal(idsOf(await all(rig, log)).length, 10_000);
  assert.match(log.join(), /Contact is read by queries, as Bulk API 2.0 refuses: .*Not this object/);
});

test('a job that was lost gives way to a new one', async (t) => {
  const rig = await startPoll(t);
  rig.org.write('Contact', ...names(10_000));
  const log: string[] = [];
  assert.equal(idsOf(await all(rig, log, { job: '750000000000000AAA' })).length, 10_000);
  assert.match(log.join(), /The bulk job 750000000000000AAA of Contact can't be read on .* a new one begins/);
  const again: string[] = [];
  const located = { job: '750000000000000AAA', locator: 'x' };
  assert.equal(idsOf(await all(rig, again, located)).length, 10_000);
  assert.match(again.join(), /a new one begins/);
});

test('whoever is stopped begins no new job', async (t) => {
  const { org, reader, sobject } = await startPoll(t);
  const backfill = new Backfill(reader, sobject, () => undefined);
  org.clearRequests();
  for (const position of [undefined, { job: '750' }, { job: '750', locator: 'x' }, { after: '' }])
    await assert.rejects(backfill.page(position, AbortSignal.abort()), { code: 'CLOSED' });
  assert.deepEqual(org.requests(), []);
});

test('a count that the org refuses is no reason not to begin', async (t) => {
  const rig = await startPoll(t);
  const fault = (errorCode: string) =>
    rig.org.faults.add({
      match: { path: '/query*' },
      action: { status: 400, errorCode, message: 'Your query request was running for too long' },
      times: 1,
    });
  const backfill = new Backfill(rig.reader, rig.sobject, () => undefined);
  fault('QUERY_TIMEOUT');
  assert.equal(await backfill.count(signal), undefined);
  fault('OPERATION_TOO_LARGE');
  assert.equal(await backfill.count(signal), undefined);
  await assert.rejects(backfill.count(AbortSignal.abort()), { code: 'CLOSED' });
  assert.equal(await backfill.count(signal), 0);
});

test('a page without its headers, or with fewer rows than it says, is read again; it is never the end', async (t) => {
  const rig = await startPoll(t);
  rig.org.write('Contact', ...names(12_000));
  const ask = rig.reader.ask.bind(rig.reader);
  let broken = 0;
  rig.reader.ask = async (...args) => {
    const answer = await ask(...args);
    if (!args[1].includes('/results') || !args[1].includes('locator') || broken > 2) return answer;
    broken++;
    const text = String(answer.body);
    if (broken === 1) return { status: 204, headers: {}, body: undefined };
    if (broken === 2) return { ...answer, body: text.slice(0, text.lastIndexOf('\n', text.length - 2) + 1) };
    return { ...answer, body: `${text.slice(0, -20)}"` };
  };
  const pages = await all(rig);
  assert.equal(broken, 3);
  assert.equal(new Set(idsOf(pages)).size, 12_000);
  assert.equal(idsOf(pages).length, 12_000);
});

test('a page that stays incomplete leads to a new job, and that to queries', async (t) => {
  const rig = await startPoll(t);
  rig.org.write('Contact', ...names(10_500));
  rig.org.faults.add({ match: { path: '/jobs/query/*/results*' }, action: { status: 204, body: '' } });
  const log: string[] = [];
  const pages = await all(rig, log);
  assert.equal(new Set(idsOf(pages)).size, 10_500);
  assert.match(log.join('\n'), /are incomplete .* a new one begins[^]* it is read by queries/);
});

test('results with fewer rows than the job has records are not taken for all of them', async (t) => {
  const rig = await startPoll(t);
  rig.org.write('Contact', ...names(10_000));
  const get = rig.reader.get.bind(rig.reader);
  rig.reader.get = async <T>(...args: Parameters<typeof get>): Promise<T> => {
    const answer = await get<T>(...args);
    const first = args[0].includes('/jobs/query/') && log.length === 0;
    return first ? { ...answer, numberRecordsProcessed: 12_345 } : answer;
  };
  const log: string[] = [];
  const pages = await all(rig, log);
  assert.equal(new Set(idsOf(pages)).size, 10_000);
  assert.equal(log.length, 1);
  assert.match(log[0] ?? '', /it has 12345 records, and its results 10000/);
});

test('a job that stands still for a quarter of an hour is given up, and its object read by queries', async (t) => {
  const rig = await startPoll(t);
  rig.org.switches.bulkJobMs = 60 * MINUTE;
  rig.org.write('Contact', ...names(10_000));
  const log: string[] = [];
  const backfill = new Backfill(rig.reader, rig.sobject, (line) => void log.push(line));
  let position = (await backfill.page(undefined, signal)).next as BackfillPosition;
  for (let minute = 0; minute <= 16 && 'job' in position; minute++) {
    rig.at(NOON + minute * MINUTE);
    position = (await backfill.page(position, signal)).next as BackfillPosition;
    assert.equal('job' in position, minute < 16, `after ${minute}`);
  }
  assert.deepEqual(position, { after: '' });
  assert.match(log.join(), /has stood still \(InProgress\) for 15 minutes/);
  assert.ok(
    rig.org.requests().some(({ method }) => method === 'PATCH'),
    'it is aborted',
  );
});

test('a query that takes the org too long asks for fewer rows', async (t) => {
  const rig = await startPoll(t);
  rig.org.write('Contact', ...names(1_500));
  rig.reader.before = (path) => {
    if (!path.includes('LIMIT%202000')) return;
    rig.org.faults.add({
      match: { path: '/query*' },
      action: {
        status: 400,
        errorCode: 'QUERY_TIMEOUT',
        message: 'Your query request was running for too long.',
      },
      times: 1,
    });
  };
  const pages = await all(rig);
  assert.equal(new Set(idsOf(pages)).size, 1_500);
  assert.equal(pages[0]?.records.length, 500);
});

test('of wide rows few are read at once, by Bulk and by queries', async (t) => {
  const wide = await startPoll(t, {
    schema: [{ name: 'Contact', fields: [{ name: 'Story__c', type: 'textarea', length: 131_072 }] }],
  });
  const Story__c = 'x'.repeat(100_000);
  wide.org.write('Contact', ...names(700).map((one) => ({ ...one, Story__c })));
  const sizes = (pages: Page[]) => pages.map(({ records }) => records.length);
  const queried = sizes(await all(wide));
  assert.equal(
    queried.reduce((sum, size) => sum + size),
    700,
  );
  assert.ok(Math.max(...queried.slice(1)) * 100_000 <= 8_000_000, String(queried));
  assert.ok((queried[0] ?? 0) * 100_000 <= 20_000_000, 'the org sends few of them at once');
  const job = await wide.reader.ask('POST', '/jobs/query', signal, {
    body: { operation: 'query', query: `SELECT ${wide.sobject.fields.join(',')} FROM Contact` },
  });
  const bulk = sizes(await all(wide, [], { job: (job.body as { id: string }).id }));
  assert.equal(
    bulk.reduce((sum, size) => sum + size),
    700,
  );
  assert.ok(Math.max(...bulk.slice(bulk.findIndex((size) => size > 0) + 1)) <= 30, String(bulk));
});
