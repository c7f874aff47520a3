import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { MOST_ROWS } from '../../../nodes/salesforce/composite/bulk/backlog';
import type { RowResult } from '../../../nodes/salesforce/composite/operations';
import { Writer, type WriterOptions } from '../../../nodes/salesforce/composite/writer';
import { OrgOutage } from '../../../nodes/salesforce/org/outage';
import { tookOver } from '../../../nodes/shared/flow/takeovers';
import type { OrgSession } from '../../../nodes/salesforce/org/session';
import { startOrg, type OrgOptions } from '../../org/org';
import { watchHeartbeat } from '../../support/heartbeat';
import { stopAtEach } from '../../support/stops';
import { until } from '../../support/until';
import { contact, contacts, sessionWith, startRig, WRITER, type Rig } from '../rig';

watchHeartbeat();

const UPSERT = {
  operation: 'upsert',
  sobject: 'Contact',
  externalIdField: 'ExternalId__c',
  allOrNone: false,
} as const;

interface Bulk extends Rig {
  /** Calls about jobs: method, what of the job, and how it was answered. */
  jobs: () => string[];
  logged: string[];
}

async function bulk(
  t: TestContext,
  org: OrgOptions = {},
  writer: Partial<WriterOptions> = {},
): Promise<Bulk> {
  const logged: string[] = [];
  const rig = await startRig({
    org: { switches: { bulkJobMs: 30, ...org.switches }, ...org },
    writer: { bulkFrom: 20, bulkSoonest: 15, log: (_level, text) => logged.push(text), ...writer },
  });
  t.after(() => rig.close());
  const jobs = () =>
    rig.org
      .requests()
      .filter(({ path }) => path.includes('/jobs/ingest'))
      .map(
        ({ method, path, status }) => `${method} ${path.split('/').slice(7).join('/') || 'jobs'} ${status}`,
      );
  return Object.assign(rig, { jobs, logged });
}

const nothing = () => () => undefined;

const each = (rig: Rig, payloads: unknown[], more: object = {}) =>
  Promise.all(payloads.map((payload) => rig.write({ payload, ...more })));

describe('a backlog of one object and operation', () => {
  test('may gather what the memory has room for, by halves beside another', async (t) => {
    const rigs = [
      await bulk(t, { switches: { bulkJobMs: 300 } }),
      await bulk(t, { switches: { bulkJobMs: 300 } }),
    ];
    const [one, other] = rigs.map(({ writer }) => writer) as [Writer, Writer];
    const answers = [];
    assert.deepEqual([one.room, other.room], [0, 0]);
    for (const [rig, room] of [
      [rigs[0], MOST_ROWS],
      [rigs[1], Math.floor(MOST_ROWS / 2)],
    ] as const) {
      answers.push(each(rig as Bulk, contacts(40)));
      await until(() => (rig?.writer.state.bulk?.rows ?? 0) > 0);
      assert.equal(rig?.writer.room, room);
    }
    assert.equal(one.room, other.room);
    await Promise.all(answers);
    await until(() => one.room + other.room === 0);
  });

  test('goes as one job, each row’s own result settling its own message', async (t) => {
    const rig = await bulk(t);
    const { org } = rig;
    org.write('Contact', { LastName: 'Old', ExternalId__c: 'K7', Title: 'Dr', Phone: '1' });
    const results = await each(rig, [
      ...contacts(7),
      contact(7, { Title: null, Phone: undefined }),
      ...contacts(40, 8),
      { ExternalId__c: 'none' },
    ]);
    const records = new Map(org.records('Contact').map((row) => [row.ExternalId__c, row]));
    assert.equal(records.size, 48);
    assert.deepEqual([records.get('K7')?.Title, records.get('K7')?.Phone], [null, '1']);
    results.slice(0, 48).forEach(([result], n) => {
      const { Id } = records.get(`K${n}`) ?? {};
      assert.deepEqual([result?.id, result?.success, result?.created], [Id, true, n !== 7]);
    });
    const [failed] = results[48] ?? [];
    assert.equal(failed?.errors[0]?.statusCode, 'REQUIRED_FIELD_MISSING');
    assert.deepEqual(failed.errors[0].fields, ['LastName']);
    assert.equal(rig.calls().length, 0);
    assert.match(rig.logged.join(), /49 rows, 1 of them refused/);
  });

  test('while it works its records wait, in their order, and all others don’t', async (t) => {
    const rig = await bulk(t, { switches: { bulkJobMs: 60_000 } }, { bulkSoonest: 20 });
    const first = each(rig, contacts(30));
    await until(
      () =>
        rig.jobs().includes('PATCH jobs 200') || rig.jobs().filter((job) => job.startsWith('PATCH')).length,
      { what: 'the job to work' },
    );
    const order: string[] = [];
    const later = ['two', 'three'].map((Title) =>
      rig.write({ payload: contact(3, { Title }) }).then(() => order.push(Title)),
    );
    await rig.write({ payload: contact('other') });
    assert.deepEqual(
      rig.org.records('Contact').map(({ ExternalId__c }) => ExternalId__c),
      ['Kother'],
    );
    rig.org.store.clockOffset += 60_000;
    await first.then(() => order.push('one'));
    await Promise.all(later);
    assert.deepEqual(order, ['one', 'two', 'three']);
    const found = rig.org.records('Contact').filter(({ ExternalId__c }) => ExternalId__c === 'K3');
    assert.deepEqual(
      found.map(({ Title }) => Title),
      ['three'],
    );
  });

  test('has each record once: later versions of it come behind', async (t) => {
    const rig = await bulk(t);
    const versions = Array.from({ length: 25 }, (_, n) => contact(n));
    await each(
      rig,
      versions.flatMap((record) => [
        { ...record, Title: '1' },
        { ...record, Title: '2' },
      ]),
    );
    assert.deepEqual(
      rig.org.records('Contact').map(({ Title }) => Title),
      versions.map(() => '2'),
    );
    assert.equal(rig.jobs().filter((job) => job.startsWith('POST')).length, 2);
  });

  test('updates and deletes go by their ids', async (t) => {
    const rig = await bulk(t);
    const ids = rig.org.write('Contact', ...contacts(60)).map(({ id }) => String(id));
    const updates = ids.slice(0, 30).map((Id) => ({ Id, Title: 'Dr' }));
    const results = await each(rig, updates, { operation: 'update' });
    assert.deepEqual(
      results.map(([result]) => [result?.id, result?.success]),
      ids.slice(0, 30).map((id) => [id, true]),
    );
    await each(rig, ids.slice(30), { operation: 'delete' });
    assert.deepEqual(
      rig.org.records('Contact').map(({ Title }) => Title),
      updates.map(() => 'Dr'),
    );
    assert.equal(rig.calls().length, 0);
  });

  test('below the size, with creates, trees, all or none, and what is to be saved in spite of duplicate rules there is none', async (t) => {
    const rig = await bulk(t);
    await each(rig, contacts(19));
    await each(rig, contacts(60, 100), { operation: 'create', externalIdField: undefined });
    await rig.write({ payload: contacts(40, 200), allOrNone: true });
    assert.deepEqual(rig.jobs(), ['GET jobs 200']);
    const saving = await bulk(t, {}, { allowDuplicateSave: true });
    await each(saving, contacts(30));
    assert.deepEqual(saving.jobs(), []);
  });

  test('what a table has no word for goes beside it by collections, and means what it means', async (t) => {
    const rig = await bulk(t);
    rig.org.write('Account', { Name: 'Acme', ExternalId__c: 'HQ' });
    const odd = ['#N/A', 'a\r\nb', ' ', 'x'.repeat(40_000)].map((Description, n) =>
      contact(`odd${n}`, { Description: n === 3 ? 'ok' : Description }),
    );
    const plain = ['a "b"', 'a`b', 'a\nb', 'ä€😀', ' a', ''].map((Description, n) =>
      contact(`plain${n}`, { Description }),
    );
    const parent = contact('parent', { Account: { ExternalId__c: 'HQ' } });
    await each(rig, [...odd, ...plain, parent, ...contacts(30)]);
    const records = new Map(rig.org.records('Contact').map((row) => [row.ExternalId__c, row]));
    const written = (name: string) => records.get(`K${name}`)?.Description;
    assert.deepEqual(
      [0, 1, 2].map((n) => written(`odd${n}`)),
      ['#N/A', 'a\r\nb', null],
    );
    assert.deepEqual(
      [0, 1, 2, 3, 4, 5].map((n) => written(`plain${n}`)),
      ['a "b"', 'a`b', 'a\nb', 'ä€😀', 'a', null],
    );
    assert.equal(records.get('Kparent')?.AccountId, rig.org.records('Account')[0]?.Id);
  });

  test('a locked row is retried alone', async (t) => {
    const rig = await bulk(t);
    rig.org.faults.add({
      match: { record: { ExternalId__c: 'K5' } },
      action: { rowError: 'UNABLE_TO_LOCK_ROW' },
      times: 2,
    });
    const results = await each(rig, contacts(30));
    assert.ok(results.every(([result]) => result?.success));
    assert.equal(rig.org.records('Contact').length, 30);
  });
});

/** All rows were written as they were to be, each once. */
function isRight(rig: Rig, results: RowResult[][], count: number): void {
  assert.deepEqual(
    results.map(([result]) => result?.errors),
    results.map(() => []),
  );
  const records = rig.org.records('Contact');
  const ids = new Map(records.map((row) => [row.ExternalId__c, row.Id]));
  assert.deepEqual([records.length, ids.size], [count, count]);
  results.forEach(([result], n) => assert.equal(result?.id, ids.get(`K${n}`)));
}

describe('a job whose end is not plain', () => {
  const made = { path: '/jobs/ingest', method: 'POST' };
  const uploaded = { path: '/batches', method: 'PUT' };
  const closed = { path: '/jobs/ingest', method: 'PATCH' };
  const asked = { path: '/jobs/ingest/750', method: 'GET' };
  const results = { path: '/successfulResults' };

  for (const [phase, match] of Object.entries({ made, uploaded, closed, asked, results }))
    for (const [how, action] of Object.entries({
      'reset before': { reset: 'before' },
      'reset after': { reset: 'after' },
      'cut off': { reset: 'body' },
      '500 before': { status: 500 },
      '500 after': { status: 500, after: true },
      '503': { status: 503 },
      'a page': { status: 200, body: '<html>login</html>', headers: { 'content-type': 'text/html' } },
      '401': { status: 401 },
      'the limit': { status: 403, errorCode: 'REQUEST_LIMIT_EXCEEDED' },
    } as const))
      test(`${phase}, answered by ${how}: each row is written once and has its result`, async (t) => {
        const rig = await bulk(t);
        rig.org.faults.add({ match, action, times: 1 });
        isRight(rig, await each(rig, contacts(30)), 30);
        assert.equal(rig.paused(), 0);
        if (phase === 'closed' || phase === 'asked' || phase === 'results')
          assert.equal(rig.jobs().filter((job) => job.startsWith('POST')).length, 1);
      });

  test('a session that ends in the middle', async (t) => {
    const rig = await bulk(t, { switches: { bulkJobMs: 100 } });
    const written = each(rig, contacts(30));
    await until(() => rig.jobs().some((job) => job.startsWith('PATCH')), { what: 'the job to work' });
    rig.org.expireSessions();
    isRight(rig, await written, 30);
  });

  test('aborted by an admin: what it has not written goes by collections', async (t) => {
    const rig = await bulk(t, { switches: { bulkJobMs: 60_000 } });
    const written = each(rig, contacts(30));
    await until(() => rig.jobs().some((job) => job.startsWith('PATCH')), { what: 'the job to work' });
    const [list] = [await rig.session.get<{ records: { id: string }[] }>('/jobs/ingest')];
    await rig.session.request('PATCH', `/jobs/ingest/${list.records[0]?.id}`, { body: { state: 'Aborted' } });
    isRight(rig, await written, 30);
    assert.match(rig.logged.join(), /Aborted; 30 rows without a result are written again.*For an hour/);
    await each(rig, contacts(30, 30));
    assert.equal(rig.jobs().filter((job) => job.startsWith('POST')).length, 1, 'no other job');
  });

  test('failed as a whole by one wrong field: only the row that has it fails', async (t) => {
    const rig = await bulk(t);
    const wrong = rig.write({ payload: contact('wrong', { Nope__c: 1 }) });
    const right = await each(rig, contacts(30));
    isRight(rig, right, 30);
    const [result] = await wrong.catch(() => []);
    assert.match(String(result?.errors[0]?.statusCode), /^INVALID_FIELD/);
    assert.equal(rig.jobs().filter((job) => job.startsWith('POST')).length, 2);
  });

  test('results that are there only in part: the others are written again, by collections', async (t) => {
    const rig = await bulk(t);
    rig.org.faults.add({ match: results, action: { loseRows: 7 }, times: 1 });
    isRight(rig, await each(rig, contacts(30)), 30);
    assert.deepEqual(
      rig.calls().map(({ records }) => records),
      [7],
    );
  });

  test('results that can’t be had: all are written again, by collections', async (t) => {
    const rig = await bulk(t);
    rig.org.faults.add({ match: results, action: { status: 404, errorCode: 'NOT_FOUND' } });
    isRight(rig, await each(rig, contacts(30)), 30);
  });

  test('a job that is gone: all are written again, by collections', async (t) => {
    const rig = await bulk(t);
    rig.org.faults.add({ match: asked, action: { status: 404, errorCode: 'NOT_FOUND' } });
    isRight(rig, await each(rig, contacts(30)), 30);
  });

  test('an org that takes no jobs: it is said once, and all go by collections', async (t) => {
    const rig = await bulk(t);
    rig.org.faults.add({ match: made, action: { status: 400, errorCode: 'FEATURENOTENABLED' } });
    isRight(rig, await each(rig, contacts(30)), 30);
    await each(rig, contacts(30, 30));
    assert.equal(rig.jobs().filter((job) => job.startsWith('POST')).length, 1);
    assert.equal(rig.logged.length, 1);
    assert.match(rig.logged[0] ?? '', /takes no Bulk job.*FEATURENOTENABLED/);
  });

  test('deleted twice, as the results were lost: gone is what was wanted', async (t) => {
    const rig = await bulk(t);
    const ids = rig.org.write('Contact', ...contacts(30)).map(({ id }) => String(id));
    rig.org.faults.add({ match: results, action: { status: 404, errorCode: 'NOT_FOUND' } });
    const deleted = await each(rig, ids, { operation: 'delete' });
    assert.ok(deleted.every(([result]) => result?.success));
  });
});

describe('a job that nobody follows any more', () => {
  const working = (rig: Bulk) =>
    until(() => rig.jobs().some((job) => job.startsWith('PATCH')), { what: 'the job to work' });

  for (const session of ['the same', 'another'] as const)
    test(`is waited for by the next writer, with ${session} session: it would replace what is newer`, async (t) => {
      const rig = await bulk(t, { switches: { bulkJobMs: 60_000 } });
      const gone = Promise.allSettled(contacts(30).map((payload) => rig.write({ payload })));
      await working(rig);
      await rig.writer.close(50);
      for (const result of await gone) assert.equal(result.status, 'rejected');
      const next = session === 'another' ? sessionWith(rig.org) : rig.session;
      const logged: string[] = [];
      const writer = new Writer(next, { ...WRITER, bulkFrom: 20, log: (_level, text) => logged.push(text) });
      t.after(async () => {
        await writer.close(50);
        if (session === 'another') next.close();
      });
      const request = UPSERT;
      const newer = writer.write(
        { ...request, payload: contact(3, { Title: 'newer' }) },
        () => () => undefined,
      );
      await until(() => logged.length > 0, { what: 'the job to be seen' });
      assert.deepEqual(rig.org.records('Contact'), []);
      rig.org.store.clockOffset += 60_000;
      await newer;
      const titles = rig.org.records('Contact').map(({ Title }) => Title);
      assert.deepEqual([titles.length, titles.filter((title) => title === 'newer').length], [30, 1]);
    });

  test('of another instance is looked for again when its turn has come to this one', async (t) => {
    const rig = await bulk(t, { switches: { bulkJobMs: 60_000 } });
    const other = sessionWith(rig.org);
    const writer = new Writer(other, { ...WRITER, bulkFrom: 20 });
    t.after(async () => {
      await writer.close(50);
      other.close();
    });
    await rig.write({ payload: contact('before') });
    const theirs = Promise.allSettled(
      contacts(30).map((payload) => writer.write({ ...UPSERT, payload }, nothing)),
    );
    await until(() => rig.jobs().some((job) => job.startsWith('PATCH')), { what: 'the job to work' });
    tookOver();
    const newer = rig.write({ payload: contact(3, { Title: 'newer' }) });
    await until(() => rig.logged.length > 0, { what: 'the job to be seen' });
    rig.org.store.clockOffset += 60_000;
    await newer;
    const found = rig.org.records('Contact').filter(({ Title }) => Title === 'newer');
    assert.deepEqual([found.length, rig.org.records('Contact').length], [1, 31]);
    await theirs;
  });

  for (const [who, action] of Object.entries({
    'an org that has no jobs': { status: 404, errorCode: 'NOT_FOUND' },
    'an org that lets nobody see them': { status: 403, errorCode: 'API_DISABLED_FOR_ORG' },
    'a gateway that lets only other calls pass': { status: 403, body: '<html>no</html>' },
  }))
    test(`${who} stops no write`, async (t) => {
      const rig = await bulk(t);
      rig.org.faults.add({ match: { path: '/jobs/ingest' }, action });
      isRight(rig, await each(rig, contacts(30)), 30);
    });

  test('one of others, with their own delimiter, is none of ours', async (t) => {
    const rig = await bulk(t, { switches: { bulkJobMs: 60_000 } });
    const { body } = await rig.session.request('POST', '/jobs/ingest', {
      body: { object: 'Contact', operation: 'insert' },
    });
    const { id } = body as { id: string };
    const headers = { 'content-type': 'text/csv' };
    await rig.session.request('PUT', `/jobs/ingest/${id}/batches`, { text: 'LastName\nTheirs\n', headers });
    await rig.session.request('PATCH', `/jobs/ingest/${id}`, { body: { state: 'UploadComplete' } });
    await rig.write({ payload: contact(1) });
    assert.equal(rig.org.records('Contact').length, 1);
  });

  test('stopped at each of its calls: every message is answered, and what comes again is right, each record once', async (t) => {
    const org = await startOrg({ switches: { bulkJobMs: 20 } });
    t.after(() => org.close());
    let round = 0;
    const stops = await stopAtEach((gates) => {
      round++;
      const session = sessionWith(org);
      const request: OrgSession['request'] = (...asked) =>
        gates
          .pass(() => session.request(...asked))
          .catch((error: Error) => {
            throw error instanceof OrgOutage
              ? error
              : new OrgOutage('unreachable', 'LOST', error.message, true);
          });
      const gated = new Proxy(session, {
        get: (object, key) => (key === 'request' ? request : (Reflect.get(object, key, object) as unknown)),
      });
      const payloads = contacts(30, round * 1_000);
      let paused = 0;
      const pause = () => {
        paused++;
        return () => void paused--;
      };
      const start = (on: OrgSession) =>
        new Writer(on, { ...WRITER, bulkFrom: 20, bulkSoonest: 5, log: () => undefined });
      const write = (writer: Writer, rows: readonly object[]) =>
        Promise.allSettled(rows.map((payload) => writer.write({ ...UPSERT, payload }, pause)));
      const writer = start(gated);
      const first = write(writer, payloads);
      return async () => {
        await writer.close(50);
        const answers = await first;
        const again = payloads.filter((_, n) => answers[n]?.status === 'rejected');
        for (const answer of answers)
          if (answer.status === 'rejected')
            assert.match((answer.reason as { code: string }).code, /NODE_CLOSED|LOST/);
        const next = start(session);
        for (const answer of await write(next, again)) assert.equal(answer.status, 'fulfilled');
        await next.close(50);
        session.close();
        assert.equal(paused, 0, 'no clock stands still');
        const names = payloads.map(({ LastName }) => LastName);
        const found = org.records('Contact').filter(({ LastName }) => names.includes(String(LastName)));
        assert.equal(found.length, 30);
      };
    });
    assert.ok(stops >= 6, `stopped ${stops} times`);
  });
});
