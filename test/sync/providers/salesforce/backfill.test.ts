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

/** More than is handed on together. */
const told = (count: number) => names(count).map((one) => ({ ...one, Description: 'x'.repeat(300) }));
/** What was asked of a job's results. */
const sets = ({ org }: PollRig): string[] =>
  org.requests().flatMap(({ path }) => /\/results\?(.*)$/.exec(path)?.[1] ?? []);

test('from ten thousand on a Bulk job reads it, in one call for its results', async (t) => {
  const rig = await startPoll(t);
  const ids = rig.org.write('Contact', ...told(10_000)).map(({ id }) => String(id));
  rig.org.clearRequests();
  const pages = await all(rig);
  assert.deepEqual(idsOf(pages), ids);
  assert.ok(pages.filter(({ records }) => records.length > 0).length > 1, 'page by page all the same');
  assert.deepEqual(sets(rig), ['maxRecords=100000']);
});

test('whoever comes later reads the results on, behind what was read', async (t) => {
  const rig = await startPoll(t);
  const ids = rig.org.write('Contact', ...told(12_000)).map(({ id }) => String(id));
  const pages = await all(rig);
  const first = pages.findIndex(({ records }) => records.length > 0);
  const read = pages[first]?.records.length ?? 0;
  rig.org.clearRequests();
  const rest = await all(rig, [], pages[first]?.next as BackfillPosition);
  assert.deepEqual(idsOf(rest), ids.slice(read));
  assert.equal(sets(rig)[0], `maxRecords=${read}`, 'which says where the next one begins');
  assert.equal(sets(rig).length, 2);
  assert.deepEqual(
    idsOf(await all(rig, [], { ...pages[first]?.next, rows: 1_000 } as BackfillPosition)),
    ids.slice(read),
  );
});

test('a position of a version that read pages of its own is gone on with', async (t) => {
  const rig = await startPoll(t);
  rig.org.write('Contact', ...names(10_000));
  const pages = await all(rig);
  const { job } = pages.find(({ next }) => next && 'job' in next)?.next as { job: string };
  const locator = Buffer.from('6000').toString('base64url');
  const before = { job, locator, rows: 1_500, read: 6_000, total: 10_000 };
  assert.equal(idsOf(await all(rig, [], before)).length, 4_000);
});

test('results that break off again and again come whole, none of them twice, with fewer rows a call', async (t) => {
  const rig = await startPoll(t);
  const ids = rig.org.write('Contact', ...told(12_000)).map(({ id }) => String(id));
  rig.org.clearRequests();
  rig.org.faults.add({ match: { path: '/results?maxRecords=1' }, action: { reset: 'body' }, times: 1 });
  rig.org.faults.add({
    match: { path: '/results?maxRecords=*&locator' },
    action: { reset: 'body' },
    times: 2,
  });
  assert.deepEqual(idsOf(await all(rig)), ids);
  const asked = sets(rig).map((query) => Number(/maxRecords=(\d+)/.exec(query)?.[1]));
  assert.ok(asked.length <= 10, String(asked));
  assert.ok(Math.max(...asked.slice(1)) < 12_000, String(asked));
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

test('results without their headers, or with fewer rows than they say, are never the end', async (t) => {
  const rig = await startPoll(t);
  rig.org.write('Contact', ...names(12_000));
  const fault = (action: Record<string, unknown>) =>
    rig.org.faults.add({ match: { path: '/jobs/query/*/results*' }, action, times: 1 });
  fault({ status: 204, body: '' });
  fault({ omit: ['Sforce-Locator'] });
  fault({ omit: ['Sforce-NumberOfRecords'] });
  fault({ status: 200, body: 'one moment', headers: { 'content-type': 'text/csv' } });
  fault({ loseRows: 3 });
  rig.org.clearRequests();
  const pages = await all(rig);
  assert.ok(sets(rig).length > 6, String(sets(rig)));
  assert.equal(new Set(idsOf(pages)).size, 12_000);
  assert.equal(idsOf(pages).length, 12_000);
});

test('results that stay incomplete lead to a new job, and that to queries', async (t) => {
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
  assert.ok(Math.max(...bulk.slice(bulk.findIndex((size) => size > 0) + 1)) <= 31, String(bulk));
});

for (const word of ['', 'NULL'])
  test(`a locator "${word}" behind the last set is the end, too`, async (t) => {
    const rig = await startPoll(t);
    rig.org.write('Contact', ...names(10_000));
    const ask = rig.reader.ask.bind(rig.reader);
    rig.reader.ask = async (...args) => {
      const answer = await ask(...args);
      const locator = answer.headers['sforce-locator'] === 'null' ? word : answer.headers['sforce-locator'];
      return { ...answer, headers: { ...answer.headers, 'sforce-locator': locator } };
    };
    assert.equal(idsOf(await all(rig)).length, 10_000);
    assert.equal(sets(rig).length, 1);
  });

test('a set of results that leads to itself is none: it doesn’t go round', async (t) => {
  const rig = await startPoll(t);
  rig.org.write('Contact', ...names(10_000));
  const ask = rig.reader.ask.bind(rig.reader);
  rig.reader.ask = async (...args) => {
    const answer = await ask(...args);
    const located = answer.headers['sforce-locator'] && { 'sforce-locator': 'again' };
    return { ...answer, headers: { ...answer.headers, ...located } };
  };
  const log: string[] = [];
  const pages = await all(rig, log);
  assert.equal(new Set(idsOf(pages)).size, 10_000);
  assert.match(log.join(), /it is read by queries/);
  assert.ok(sets(rig).length < 30, String(sets(rig).length));
});

test('a table without ids is no table of records', async (t) => {
  const rig = await startPoll(t);
  rig.org.write('Contact', ...names(10_000));
  rig.org.faults.add({
    match: { path: '/jobs/query/*/results*' },
    action: {
      status: 200,
      body: '"Ident"\n"x"\n',
      headers: { 'content-type': 'text/csv', 'Sforce-Locator': 'null', 'Sforce-NumberOfRecords': '1' },
    },
    times: 1,
  });
  const ids = idsOf(await all(rig));
  assert.equal(new Set(ids).size, 10_000);
  assert.ok(!ids.includes('undefined'));
});

test('jobs that are aborted each time lead to queries, not to ever more jobs', async (t) => {
  const rig = await startPoll(t);
  rig.org.write('Contact', ...names(10_000));
  const get = rig.reader.get.bind(rig.reader);
  rig.reader.get = async <T>(...args: Parameters<typeof get>): Promise<T> => {
    const answer = await get<T>(...args);
    return /jobs\/query\/\w+$/.test(args[0]) ? { ...answer, state: 'Aborted' } : answer;
  };
  const log: string[] = [];
  assert.equal(idsOf(await all(rig, log)).length, 10_000);
  assert.equal(log.length, 3);
  assert.match(log[2] ?? '', /somebody aborted the job\); it is read by queries/);
});

test('a job in a state that nobody knows is under way', async (t) => {
  const rig = await startPoll(t);
  rig.org.write('Contact', ...names(10_000));
  const get = rig.reader.get.bind(rig.reader);
  let looks = 0;
  rig.reader.get = async <T>(...args: Parameters<typeof get>): Promise<T> => {
    const answer = await get<T>(...args);
    return /jobs\/query\/\w+$/.test(args[0]) && looks++ < 3 ? { ...answer, state: 'Queued' } : answer;
  };
  assert.equal(idsOf(await all(rig)).length, 10_000);
});
