import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import type { WriteRequest } from '../../../nodes/salesforce/composite/operations';
import {
  failed,
  locked,
  outage,
  record,
  records,
  startWriting,
  stopClock,
  turns,
  type WaitingCall,
} from '../fake-org';

const ID = (n: number) => `003${String(n).padStart(12, '0')}`;
const update = { operation: 'update' } as const;
const create = { operation: 'create' } as const;
const remove = { operation: 'delete' } as const;
const people = (ids: number[]) => ids.map((n) => ({ Id: ID(n), LastName: String(n) }));
const lost = outage('unreachable', true);
const unavailable = [{ errorCode: 'SERVER_UNAVAILABLE', message: 'maintenance' }];

describe('natural batching', () => {
  test('an idle writer sends at once; messages of one moment go together', async () => {
    const { org, write, writer } = startWriting();
    write(record(1));
    write(record(2));
    assert.deepEqual(writer.state, { calls: 0, records: 0, waiting: 2 });
    assert.deepEqual((await org.next()).names, ['1', '2']);
    assert.deepEqual(writer.state, { calls: 1, records: 2, waiting: 0 });
  });

  test('while a call is under way messages gather, and the next one takes them all', async () => {
    const { org, write, writer } = startWriting();
    write(record(0));
    const first = await org.next();
    for (const one of records(999, 1)) write(one);
    await turns();
    assert.equal(org.calls.length, 1);
    assert.deepEqual(writer.state, { calls: 1, records: 1, waiting: 999 });
    await first.answer();
    assert.equal((await org.next()).names.length, 999);
  });

  test('another call starts beside it when it would be full', async () => {
    const { org, write } = startWriting();
    write(record(0));
    await org.next();
    for (const one of records(1_001, 1)) write(one);
    await turns();
    assert.deepEqual(
      org.calls.map(({ names }) => names.length),
      [1, 1_000],
    );
  });

  test('no more calls at once than maxRequests', async () => {
    const { org, write, writer } = startWriting({ records: 2, maxRequests: 3 });
    write(records(12));
    await turns();
    assert.deepEqual(
      org.calls.map(({ names }) => names),
      [
        ['0', '1'],
        ['2', '3'],
        ['4', '5'],
      ],
    );
    assert.deepEqual(writer.state, { calls: 3, records: 6, waiting: 6 });
    await org.calls[1]?.answer();
    assert.deepEqual(org.calls.at(-1)?.names, ['6', '7']);
  });

  test('an idle writer waits for more as long as linger says, from the first of them on', async (t) => {
    const clock = stopClock(t);
    const { org, write } = startWriting({ linger: 100 });
    write(record(1));
    await clock.pass(60);
    write(record(2));
    await clock.pass(39);
    assert.equal(org.made, 0);
    await clock.pass(1);
    const call = await org.next();
    assert.deepEqual(call.names, ['1', '2']);
    await call.answer();
    write(record(3));
    await clock.pass(99);
    assert.equal(org.made, 1, 'the next ones are waited for anew');
    await clock.pass(1);
    assert.equal(org.made, 2);
  });

  test('a full call waits for nobody', async (t) => {
    stopClock(t);
    const { org, write } = startWriting({ linger: 100, records: 2 });
    write(records(3));
    await turns();
    assert.deepEqual(
      org.calls.map(({ names }) => names),
      [['0', '1']],
    );
  });

  test('tells whenever its state has changed', async () => {
    const { org, write, changes } = startWriting();
    write(record(1));
    const call = await org.next();
    const before = changes();
    assert.ok(before > 0, 'a call has begun');
    await call.answer();
    assert.ok(changes() > before, 'and ended');
  });

  test('a call that takes longer than 10 s makes the next ones smaller', async (t) => {
    const clock = stopClock(t);
    const { org, write } = startWriting({ maxRequests: 1 });
    write(records(1_500));
    const first = await org.next();
    await clock.pass(10_001);
    await first.answer();
    assert.equal((await org.next()).names.length, 500);
    await org.calls[0]?.answer();
    write(records(1_000, 2_000));
    assert.equal((await org.next()).names.length, 1_000, 'a quick one lets them grow again');
  });
});

describe('results', () => {
  test('each message gets its own, in the order of its records, with the records as they came', async () => {
    const { org, write } = startWriting();
    const one = write([record(1), record(2)]);
    const two = write(record(3));
    await (
      await org.next()
    ).answer(({ LastName }) => (LastName === '2' ? failed('FIELD_INTEGRITY_EXCEPTION') : { created: true }));
    assert.deepEqual(
      (await one.results).map(({ success, created, record: given }) => [success, created, given]),
      [
        [true, true, record(1)],
        [false, undefined, record(2)],
      ],
    );
    assert.equal((await two.results).length, 1);
  });

  test('a message of no records is answered without a call', async () => {
    const { org, write } = startWriting();
    assert.deepEqual(await write([]).results, []);
    await turns();
    assert.equal(org.made, 0);
  });

  test('a message that can never be written is refused, and costs nothing', async () => {
    const { org, write, writer } = startWriting();
    await assert.rejects(write('text').results, { code: 'INVALID_PAYLOAD', retryable: false });
    assert.deepEqual(writer.state, { calls: 0, records: 0, waiting: 0 });
    await turns();
    assert.equal(org.made, 0);
  });

  test('settings travel as headers', async () => {
    const { org, write } = startWriting({ allowDuplicateSave: true, autoAssign: false });
    write(record(1));
    assert.deepEqual((await org.next()).headers, {
      'Sforce-Duplicate-Rule-Header': 'allowSave=true',
      'Sforce-Auto-Assign': 'FALSE',
    });
  });

  test('messages that write one record are answered in the order in which they came', async (t) => {
    const clock = stopClock(t);
    const { org, write } = startWriting();
    const first = write([record(1), record(2)]);
    const second = write([record(1), record(3)]);
    const stranger = write(record(4));
    await (await org.next()).answer(({ LastName }) => (LastName === '2' ? locked() : {}));
    await (await org.next()).answer();
    assert.deepEqual([first.state(), second.state(), stranger.state()], ['waits', 'waits', 'ok']);
    await clock.pass(250);
    await (await org.next()).answer();
    assert.deepEqual([first.state(), second.state()], ['ok ok', 'ok ok']);
  });
});

describe('a row that is refused for a reason that passes', () => {
  test('is sent again alone, after pauses that double up to the longest', async (t) => {
    const clock = stopClock(t);
    const { org, write } = startWriting({ retry: { first: 100, longest: 350, times: 4 } });
    const written = write(records(2));
    await (await org.next()).answer(({ LastName }) => (LastName === '1' ? locked() : {}));
    for (const pause of [100, 200, 350, 350]) {
      await clock.pass(pause - 1);
      assert.equal(org.calls.length, 0, `${pause} ms have not passed`);
      await clock.pass(1);
      const call = await org.next();
      assert.deepEqual(call.names, ['1']);
      await call.answer(locked);
    }
    assert.equal(written.state(), 'ok UNABLE_TO_LOCK_ROW', 'after the last one its error counts');
    await clock.pass(60_000);
    assert.equal(org.made, 5);
  });

  test('pauses differ by half of their length, so that writers do not meet again', async (t) => {
    const clock = stopClock(t);
    for (const [random, pause] of [
      [0, 50],
      [0.999, 150],
    ] as const) {
      t.mock.method(Math, 'random', () => random);
      const { org, write } = startWriting({ retry: { first: 100, longest: 350, times: 4 } });
      write(record(1));
      await (await org.next()).answer(locked);
      await clock.pass(pause - 1);
      assert.equal(org.made, 1);
      await clock.pass(1);
      assert.equal(org.made, 2);
    }
  });

  test('and the wall clock set back 30 s: sfdc-composite goes on', async (t) => {
    const clock = stopClock(t);
    const wall = t.mock.method(Date, 'now', () => 1_000_000);
    let gone = 0;
    t.mock.method(performance, 'now', () => gone);
    const { org, write } = startWriting({ retry: { first: 100, longest: 100, times: 4 } });
    const written = write(record(1));
    await (await org.next()).answer(locked);
    wall.mock.mockImplementation(() => 970_000);
    gone += 100;
    await clock.pass(100);
    await (await org.next()).answer();
    assert.equal(written.state(), 'ok');
  });

  test('is tried eight times within about a minute', async (t) => {
    const clock = stopClock(t);
    const { org, write } = startWriting();
    const written = write(record(1));
    for (const pause of [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 20_000]) {
      await (await org.next()).answer(locked);
      assert.equal(written.state(), 'waits');
      await clock.pass(pause - 1);
      assert.equal(org.calls.length, 0);
      await clock.pass(1);
    }
    await (await org.next()).answer(locked);
    assert.equal(written.state(), 'UNABLE_TO_LOCK_ROW');
  });

  test('keeps what waits for its record waiting, and nobody else', async (t) => {
    const clock = stopClock(t);
    const { org, write } = startWriting();
    write(record(1, { LastName: 'old' }));
    await (await org.next()).answer(locked);
    write(record(1, { LastName: 'new' }));
    write(record(2));
    const other = await org.next();
    assert.deepEqual(other.names, ['2']);
    await other.answer();
    await clock.pass(250);
    assert.deepEqual((await org.next()).names, ['old']);
  });

  test('a call under way does not keep it from being sent once that is over', async (t) => {
    const clock = stopClock(t);
    const { org, write } = startWriting();
    write(record(1));
    await (await org.next()).answer(locked);
    write(record(2));
    const other = await org.next();
    await clock.pass(1_000);
    assert.equal(org.made, 2, 'it is no full call');
    await other.answer();
    assert.deepEqual((await org.next()).names, ['1']);
  });
});

describe('a refusal of the whole collection', () => {
  const refuse = [{ errorCode: 'JSON_PARSER_ERROR', message: 'unexpected' }];

  test('is taken apart until the one that spoilt it is alone', async () => {
    const { org, write } = startWriting();
    const written = records(8).map((one) => write(one));
    const sizes: number[] = [];
    for (let call = await org.next(); call; call = org.calls[0] as typeof call) {
      sizes.push(call.names.length);
      await (call.names.includes('5') ? call.respond(400, refuse) : call.answer());
    }
    assert.deepEqual(sizes, [8, 4, 4, 2, 1, 1, 2]);
    assert.deepEqual(
      written.map((one) => one.state()),
      ['ok', 'ok', 'ok', 'ok', 'ok', 'JSON_PARSER_ERROR', 'ok', 'ok'],
    );
    const [row] = (await written[5]?.results) ?? [];
    assert.deepEqual(
      { ...row },
      {
        id: null,
        success: false,
        errors: [{ statusCode: 'JSON_PARSER_ERROR', message: 'unexpected', fields: [] }],
        record: record(5),
      },
    );
  });

  test('is everybody’s where every record would be refused', async () => {
    const { org, write } = startWriting();
    const written = records(3).map((one) => write(one));
    await (await org.next()).respond(404, [{ errorCode: 'NOT_FOUND', message: 'no such object' }]);
    assert.deepEqual(
      written.map((one) => one.state()),
      ['NOT_FOUND', 'NOT_FOUND', 'NOT_FOUND'],
    );
    await turns();
    assert.equal(org.made, 1);
  });

  test('counts for each row of a message of all or none', async () => {
    const { org, write } = startWriting();
    const written = write(records(2), { allOrNone: true });
    await (await org.next()).respond(400, refuse);
    assert.equal(written.state(), 'JSON_PARSER_ERROR JSON_PARSER_ERROR');
  });

  test('is not looked for where merged messages are written: one call, and each its result', async () => {
    const { org, write } = startWriting({ coalesce: true });
    const written = ['a', 'b', 'c'].map((LastName) => write(record(1, { LastName })));
    const call = await org.next();
    assert.deepEqual(call.names, ['c']);
    await call.answer();
    assert.deepEqual(
      written.map((one) => one.state()),
      ['ok', 'ok', 'ok'],
    );
    await turns();
    assert.equal(org.made, 1);
  });

  test('of merged messages is found out one by one, in their order', async () => {
    for (const spoil of ['refused', 'failed'] as const) {
      const { org, write } = startWriting({ coalesce: true });
      const written = ['good', 'bad', 'last'].map((LastName) => write(record(1, { LastName })));
      const sent: unknown[] = [];
      for (let call = await org.next(); call; call = org.calls[0] as typeof call) {
        const bad = sent.length === 0 || call.names.includes('bad');
        sent.push(...call.names);
        if (!bad) await call.answer();
        else
          await (spoil === 'refused'
            ? call.respond(400, refuse)
            : call.answer(() => failed('FIELD_INTEGRITY_EXCEPTION')));
      }
      assert.deepEqual(
        written.map((one) => one.state()),
        ['ok', spoil === 'refused' ? 'JSON_PARSER_ERROR' : 'FIELD_INTEGRITY_EXCEPTION', 'ok'],
      );
      assert.deepEqual(sent.at(-1), 'last');
    }
  });
});

describe('external ids that may be one record', () => {
  test('are not merged, as nobody knows; one comes after the other', async () => {
    const { org, write } = startWriting({ coalesce: true });
    const written = ['aB', 'Ab', 'aB'].map((Key__c, i) => write({ Key__c, LastName: String(i) }));
    for (const names of [['0'], ['1'], ['2']]) {
      const call = await org.next();
      assert.deepEqual(call.names, names);
      await call.answer();
    }
    assert.deepEqual(
      written.map((one) => one.state()),
      ['ok', 'ok', 'ok'],
    );
  });

  test('and that the org takes for one are sent apart', async () => {
    const { org, write } = startWriting();
    const written = [write(record(1)), write(record(2))];
    const error = {
      statusCode: 'DUPLICATE_VALUE',
      message: 'Duplicate external id specified: x',
      fields: [],
    };
    await (await org.next()).answer(() => ({ success: false, errors: [error] }));
    for (const names of [['1'], ['2']]) {
      const call = await org.next();
      assert.deepEqual(call.names, names);
      await call.answer();
    }
    assert.deepEqual(
      written.map((one) => one.state()),
      ['ok', 'ok'],
    );
  });
});

test('a value that cannot be sent is the fault of its own message alone', async () => {
  const { org, write } = startWriting();
  const written = [record(1), record(2, { Amount: 10n }), record(3), record(4)].map((one) => write(one));
  for (let i = 0; i < 6; i++) {
    await turns();
    await org.calls[0]?.answer();
  }
  assert.deepEqual(
    written.map((one) => one.state()),
    ['ok', 'INTERNAL', 'ok', 'ok'],
  );
  assert.equal(written[1]?.error().retryable, false);
  assert.ok(written[1]?.error().cause instanceof TypeError);
  assert.match(written[1]?.error().message ?? '', /^The call could not be made: .*BigInt/);
});

describe('an answer that was lost', () => {
  test('upsert, update, delete and get are sent again', async (t) => {
    const clock = stopClock(t);
    const requests: [unknown, Partial<WriteRequest>][] = [
      [record(1), {}],
      [people([1]), update],
      [ID(1), remove],
      [ID(1), { operation: 'get', fields: ['Id'] }],
    ];
    for (const [payload, request] of requests) {
      const { org, write } = startWriting();
      const written = write(payload, request);
      await (await org.next()).fail(lost);
      assert.equal(written.state(), 'waits');
      await clock.pass(2_000);
      await (await org.next()).answer(() => (request.operation === 'get' ? { Id: ID(1) } : {}));
      assert.equal(written.state(), 'ok');
    }
  });

  const unrepeatable: [string, unknown, Partial<WriteRequest>][] = [
    ['a create', record(1), create],
    ['an upsert by Id without an Id', { LastName: 'Ada' }, { externalIdField: 'Id' }],
    [
      'an upsert by Id of which one record has none, all or none',
      [{ Id: ID(1), LastName: 'Ada' }, { LastName: 'Ben' }],
      { externalIdField: 'Id', allOrNone: true },
    ],
    ['a tree', { Name: 'Acme' }, { operation: 'tree', sobject: 'Account' }],
  ];
  for (const [what, payload, request] of unrepeatable)
    for (const [how, lose] of [
      ['a reset', (call) => call.fail(lost)],
      ['a 500', (call) => call.respond(500, 'oops')],
      ['a 503', (call) => call.respond(503, unavailable)],
    ] as [string, (call: WaitingCall) => Promise<void>][])
      test(`${what} is not sent again behind ${how}: AMBIGUOUS_WRITE`, async (t) => {
        const clock = stopClock(t);
        const { org, write } = startWriting();
        const written = write(payload, request);
        await lose(await org.next());
        assert.equal(written.state(), 'AMBIGUOUS_WRITE');
        assert.equal(written.error().retryable, false);
        assert.match(written.error().message, /^The answer to a \w+ of \w+ was lost/);
        await clock.pass(60_000);
        assert.equal(org.made, 1);
      });

  test('a create that has not left is sent again', async (t) => {
    const clock = stopClock(t);
    const { org, write } = startWriting();
    const written = write(record(1), create);
    await (await org.next()).fail(outage('unreachable', false));
    assert.equal(written.state(), 'waits');
    await clock.pass(2_000);
    await (await org.next()).answer();
    assert.equal(written.state(), 'ok');
  });

  for (const [how, lose] of [
    ['a reset', undefined],
    ['a 500', 500],
    ['a 503', 503],
  ] as const)
    test(`a delete whose answer was lost behind ${how} finds its record gone: success`, async (t) => {
      const clock = stopClock(t);
      const { org, write } = startWriting();
      const [removed, late] = [write(ID(1), remove), write(ID(2), remove)];
      const call = await org.next();
      await (lose ? call.respond(lose, unavailable) : call.fail(lost));
      await clock.pass(2_000);
      await (await org.next()).answer((_, index) => (index === 0 ? failed('ENTITY_IS_DELETED') : {}));
      assert.deepEqual([removed.state(), late.state()], ['ok', 'ok']);
      const fresh = write(ID(3), remove);
      await (await org.next()).answer(() => failed('ENTITY_IS_DELETED'));
      assert.equal(fresh.state(), 'ENTITY_IS_DELETED', 'not of one that was sent once only');
    });

  test('rows that were written before are told from those that may be', async () => {
    const { org, write } = startWriting({ records: 2, maxRequests: 1 });
    const written = write(records(4), create);
    await (await org.next()).answer();
    await (await org.next()).fail(lost);
    const error = written.error();
    assert.deepEqual(
      (error.details as { success: boolean }[]).map(({ success }) => success),
      [true, true, false, false],
    );
    assert.match(error.message, /2 of 4 records were written before$/);
  });

  test('creates behind it go in small calls at first', async (t) => {
    const clock = stopClock(t);
    const { org, write } = startWriting({ maxRequests: 1 });
    write(record(0), create);
    const first = await org.next();
    for (const one of records(1_000, 1)) write(one, create);
    await first.fail(lost);
    await clock.pass(2_000);
    const sizes: number[] = [];
    for (let call = await org.next(); call; call = org.calls[0] as typeof call) {
      sizes.push(call.names.length);
      await call.answer();
    }
    assert.deepEqual(sizes, [10, 20, 40, 80, 160, 320, 370]);
  });

  test('upserts behind it go as before', async (t) => {
    const clock = stopClock(t);
    const { org, write } = startWriting({ maxRequests: 1 });
    write(records(500));
    await (await org.next()).fail(lost);
    await clock.pass(2_000);
    assert.equal((await org.next()).names.length, 500);
  });

  for (const [how, lose] of [
    ['a reset', (call) => call.fail(lost)],
    ['a 500', (call) => call.respond(500, 'oops')],
  ] as [string, (call: WaitingCall) => Promise<void>][])
    test(`twice behind ${how}: the call is taken apart until the one that spoils it fails alone`, async (t) => {
      const clock = stopClock(t);
      const { org, write } = startWriting();
      const written = records(200).map((one) => write(one));
      const sizes: number[] = [];
      for (let i = 0; i < 40 && (org.calls.length > 0 || i === 0); i++) {
        const call = await org.next();
        if (call.names.includes('150')) {
          sizes.push(call.names.length);
          await lose(call);
          await clock.pass(100_000);
        } else await call.answer();
      }
      assert.deepEqual(sizes, [200, 200, 100, 50, 25, 13, 7, 4, 2, 1, 1, 1]);
      assert.deepEqual(
        written.map((one) => one.state()).filter((state) => state !== 'ok'),
        ['ORG_FAILED_REPEATEDLY'],
      );
      assert.equal(written[150]?.error().retryable, true);
      assert.match(written[150]?.error().message ?? '', /failed 12 times on this message/);
    });

  test('of the largest call is found the one that spoils it, too', async (t) => {
    const clock = stopClock(t);
    const { org, write } = startWriting();
    const written = records(1_000).map((one) => write(one));
    for (let i = 0; i < 40 && (org.calls.length > 0 || i === 0); i++) {
      const call = await org.next();
      if (call.names.includes('700')) {
        await call.fail(lost);
        await clock.pass(100_000);
      } else await call.answer();
    }
    assert.deepEqual(
      written.flatMap((one, n) => (one.state() === 'ok' ? [] : [n])),
      [700],
    );
  });

  test('takes a call apart as soon as one in it was lost twice', async (t) => {
    const clock = stopClock(t);
    const { org, write } = startWriting();
    write(record(1));
    await (await org.next()).fail(lost);
    write(record(2));
    await clock.pass(2_000);
    const both = await org.next();
    assert.deepEqual(both.names, ['1', '2']);
    await both.fail(lost);
    await clock.pass(4_000);
    assert.deepEqual((await org.next()).names, ['1']);
  });

  test('behind an outage of the org itself nobody is at fault, however often', async (t) => {
    const clock = stopClock(t);
    const { org, write } = startWriting();
    const written = records(2).map((one) => write(one));
    for (let i = 0; i < 20; i++) {
      const call = await org.next();
      assert.equal(call.names.length, 2, 'nothing is taken apart');
      await call.respond(503, unavailable);
      await clock.pass(100_000);
    }
    await (await org.next()).answer();
    assert.deepEqual(
      written.map((one) => one.state()),
      ['ok', 'ok'],
    );
  });

  test('an answer that cannot be read is one', async (t) => {
    const clock = stopClock(t);
    for (const body of [{ not: 'rows' }, [], [{}, {}, {}]]) {
      const { org, write } = startWriting();
      const [upserted, made] = [write(record(1)), write(record(2, { LastName: 'x' }), create)];
      const call = await org.next();
      await call.respond(200, {
        compositeResponse: [
          { httpStatusCode: 200, body },
          { httpStatusCode: 200, body },
        ],
      });
      assert.deepEqual([upserted.state(), made.state()], ['waits', 'AMBIGUOUS_WRITE']);
      assert.equal(org.availability.current?.code, 'UNREADABLE_ANSWER');
      await clock.pass(2_000);
      await (await org.next()).answer();
      assert.equal(upserted.state(), 'ok');
    }
  });

  test('so is one that makes no sense at all', async (t) => {
    stopClock(t);
    const { org, write } = startWriting();
    const [upserted, made] = [write(record(1)), write(record(2), create)];
    await (await org.next()).respond(200, { compositeResponse: [null, null] });
    assert.deepEqual([upserted.state(), made.state()], ['waits', 'AMBIGUOUS_WRITE']);
    assert.equal(org.availability.current?.code, 'UNREADABLE_ANSWER');
    assert.match(org.availability.current?.message ?? '', /^The org failed \(UNREADABLE_ANSWER: /);
  });

  test('of one collection is not one of the others', async (t) => {
    stopClock(t);
    const { org, write } = startWriting();
    const [upserted, made] = [write(record(1)), write(record(2), create)];
    await (
      await org.next()
    ).respond(200, {
      compositeResponse: [
        { httpStatusCode: 200, body: [{ id: ID(1), success: true, errors: [] }] },
        { httpStatusCode: 500, body: [{ errorCode: 'UNKNOWN_EXCEPTION', message: 'oops' }] },
      ],
    });
    assert.deepEqual([upserted.state(), made.state()], ['ok', 'AMBIGUOUS_WRITE']);
    assert.match(org.availability.current?.message ?? '', /^The org failed \(UNKNOWN_EXCEPTION: oops\)$/);
  });
});

describe('while the org cannot be used', () => {
  test('messages wait with their clocks stopped, and nothing is sent', async (t) => {
    const clock = stopClock(t);
    const { org, write, paused, changes } = startWriting();
    const first = write(record(1));
    const call = await org.next();
    assert.equal(paused(), 0);
    const before = changes();
    await call.respond(403, [{ errorCode: 'REQUEST_LIMIT_EXCEEDED', message: 'spent' }]);
    assert.equal(org.availability.current?.reason, 'limit');
    assert.ok(changes() > before);
    const second = write(record(2));
    assert.equal(paused(), 2);
    await clock.pass(1);
    assert.equal(org.calls.length, 0);
    org.probe = () => Promise.reject(outage('login'));
    await clock.pass(5_000);
    assert.equal(org.availability.current?.reason, 'login');
    assert.equal(paused(), 2, 'a clock is stopped once');
    org.probe = () => Promise.resolve();
    await clock.pass(10_000);
    assert.equal(paused(), 0, 'clocks go on');
    await (await org.next()).answer();
    assert.deepEqual([first.state(), second.state(), paused()], ['ok', 'ok', 0]);
  });

  test('a clock that went on stops again at the next outage', async (t) => {
    const clock = stopClock(t);
    const { org, write, paused } = startWriting();
    write(record(1));
    for (let i = 0; i < 3; i++) {
      await (await org.next()).fail(outage());
      assert.equal(paused(), 1);
      await clock.pass(60_000);
      assert.equal(paused(), 0);
    }
  });

  test('calls that are still under way answer their messages, whose clocks go on', async (t) => {
    stopClock(t);
    const { org, write, paused } = startWriting({ records: 1 });
    const [one, two] = [write(record(1)), write(record(2))];
    await turns();
    const [first, second] = org.calls;
    await first?.fail(outage());
    assert.equal(paused(), 2);
    await second?.answer();
    assert.deepEqual([one.state(), two.state(), paused()], ['waits', 'ok', 1]);
  });

  test('several calls that fail together lead to one probe at a time', async (t) => {
    const clock = stopClock(t);
    const { org, write } = startWriting({ records: 1 });
    for (const one of records(4)) write(one);
    await turns();
    let probes = 0;
    org.probe = () => {
      probes++;
      return Promise.reject(outage());
    };
    for (const call of [...org.calls]) await call.fail(outage());
    await clock.pass(1_000);
    assert.equal(probes, 1);
    await clock.pass(2_000);
    assert.equal(probes, 2);
  });

  test('a row that is carried out makes the next outage a short one again', async (t) => {
    const clock = stopClock(t);
    const { org, write } = startWriting();
    write(record(1));
    for (const pause of [1_000, 2_000, 4_000]) {
      await (await org.next()).fail(outage());
      await clock.pass(pause - 1);
      assert.ok(org.availability.current, `${pause} ms`);
      await clock.pass(1);
    }
    await (await org.next()).answer();
    write(record(2));
    await (await org.next()).fail(outage());
    await clock.pass(1_000);
    assert.equal(org.availability.current, undefined);
  });

  test('the calls of the day are not spent beyond the budget, those under way counted', async (t) => {
    const clock = stopClock(t);
    const { org, write, paused } = startWriting({ records: 1 });
    org.budget.usage = { used: 97, max: 100 };
    org.underWay = 1;
    const written = records(4).map((one) => write(one));
    await turns();
    assert.equal(org.calls.length, 2, 'one of somebody else is under way');
    assert.deepEqual([org.availability.current?.reason, paused()], ['budget', 4]);
    org.budget.usage = { used: 0, max: 100 };
    await clock.pass(30_000);
    for (const call of [...org.calls]) await call.answer();
    assert.deepEqual(
      written.map((one) => one.state()),
      ['ok', 'ok', 'ok', 'ok'],
    );
  });

  test('an idle writer does not care for the budget', async () => {
    const { org, write } = startWriting();
    write(record(1));
    const call = await org.next();
    org.budget.usage = { used: 100, max: 100 };
    await call.answer();
    await turns();
    assert.equal(org.availability.current, undefined);
  });

  describe('with onOutage fail', () => {
    test('messages fail at once and may be repeated: those that wait, those under way, and new ones', async (t) => {
      const clock = stopClock(t);
      const { org, write, paused } = startWriting({ onOutage: 'fail', maxRequests: 1 });
      const first = write(record(1));
      const call = await org.next();
      const second = write(record(2));
      await call.fail(outage('login'));
      const third = write(record(3));
      await turns();
      for (const one of [first, second, third]) {
        assert.equal(one.state(), 'CODE_login');
        assert.equal(one.error().retryable, true);
        assert.match(one.error().message, /the org is login/);
      }
      assert.equal(paused(), 0);
      await clock.pass(10_000);
      const fourth = write(record(4));
      await (await org.next()).answer();
      assert.equal(fourth.state(), 'ok');
    });

    test('a create whose answer was lost is ambiguous all the same', async (t) => {
      stopClock(t);
      const { org, write } = startWriting({ onOutage: 'fail' });
      const written = write(record(1), create);
      await (await org.next()).fail(lost);
      assert.equal(written.state(), 'AMBIGUOUS_WRITE');
    });

    test('a call under way may outlive the outage', async (t) => {
      const clock = stopClock(t);
      const { org, write } = startWriting({ onOutage: 'fail' });
      const written = write(record(1));
      const call = await org.next();
      org.availability.begin(outage());
      await clock.pass(1_000);
      assert.equal(org.availability.current, undefined);
      await call.answer();
      assert.equal(written.state(), 'ok');
    });

    test('what another call brings back during an outage fails too', async (t) => {
      stopClock(t);
      for (const bring of ['locked', 'refused'] as const) {
        const { org, write } = startWriting({ onOutage: 'fail', records: 2 });
        const written = records(4).map((one) => write(one));
        await turns();
        const [first, second] = org.calls;
        await first?.fail(outage());
        await (bring === 'locked' ? second?.answer(locked) : second?.respond(400, [{ errorCode: 'JSON' }]));
        for (const one of written) {
          assert.equal(one.state(), 'CODE_unreachable', bring);
          assert.equal(one.error().retryable, true);
        }
      }
    });
  });
});

describe('a message that comes again', () => {
  let orgs = 0;
  const origin = (sequence: number) => ({
    consumer: 'crm flow',
    sequence,
    timestamp: new Date(1_700_000_000_000 + sequence).toISOString(),
  });
  const begin = (known = true) => {
    const writing = startWriting();
    if (known) writing.org.organizationId = `00D${orgs++}`;
    return writing;
  };

  test('leaves the fields that newer ones have written', async () => {
    const { org, write } = begin();
    write(record(1, { LastName: 'new' }), { origin: origin(2) });
    await (await org.next()).answer();
    const again = write(record(1, { LastName: 'old', Title: 'old' }), { origin: origin(1), repeated: true });
    const call = await org.next();
    assert.deepEqual(call.collections[0], [{ Key__c: 'K1', Title: 'old', attributes: { type: 'Contact' } }]);
    await call.answer();
    assert.deepEqual((await again.results)[0]?.superseded, ['LastName']);
  });

  test('costs no call where nothing of it is left, and has its result', async () => {
    const { org, write } = begin();
    write(record(1, { LastName: 'new' }), { origin: origin(2) });
    await (await org.next()).answer();
    const again = write(record(1, { LastName: 'old' }), { origin: origin(1), repeated: true });
    await turns();
    assert.equal(org.calls.length, 0);
    assert.equal(again.state(), 'ok');
  });

  test('waits for the newer one that is under way; where that fails its own state counts', async () => {
    for (const fails of [false, true]) {
      const { org, write } = begin();
      write(record(1, { LastName: 'new' }), { origin: origin(2) });
      const newer = await org.next();
      const again = write(record(1, { LastName: 'old' }), { origin: origin(1), repeated: true });
      await turns();
      assert.equal(again.state(), 'waits');
      await newer.answer(() => (fails ? failed('FIELD_INTEGRITY_EXCEPTION') : {}));
      if (fails) await (await org.next()).answer();
      await turns();
      assert.deepEqual((await again.results)[0]?.superseded, fails ? undefined : ['LastName']);
    }
  });

  test('does not take with it an older one that comes for the first time', async () => {
    const { org, write } = begin();
    write(record(1, { LastName: 'new' }), { origin: origin(9) });
    await (await org.next()).answer();
    const again = write(record(2), { origin: origin(3), repeated: true });
    const late = write(record(1, { LastName: 'late' }), { origin: origin(4) });
    const call = await org.next();
    assert.deepEqual(call.names, ['2', 'late']);
    await call.answer();
    assert.deepEqual([again.state(), late.state()], ['ok', 'ok']);
  });

  test('is written as it is where it is the newest, where it came once, or where the org is not known', async () => {
    const cases: [boolean, number, boolean][] = [
      [true, 3, true],
      [true, 1, false],
      [false, 1, true],
    ];
    for (const [known, sequence, repeated] of cases) {
      const { org, write } = begin(known);
      write(record(1, { LastName: 'new' }), { origin: origin(2) });
      await (await org.next()).answer();
      write(record(1, { LastName: 'mine' }), { origin: origin(sequence), repeated });
      assert.deepEqual((await org.next()).names, ['mine']);
    }
  });
});

describe('closing', () => {
  test('sends nothing more; what was not begun fails and may be repeated', async () => {
    const { org, write, writer } = startWriting();
    const first = write(record(1));
    const call = await org.next();
    const second = write(record(2));
    const closed = writer.close(10_000);
    const third = write(record(3));
    await turns();
    for (const one of [second, third]) {
      assert.equal(one.state(), 'NODE_CLOSED');
      assert.equal(one.error().retryable, true);
    }
    assert.equal(first.state(), 'waits', 'what is under way may finish');
    await call.answer();
    assert.equal(first.state(), 'ok');
    await closed;
    await turns();
    assert.equal(org.made, 1);
  });

  test('is over at once where nothing is under way, and nobody listens any more', async (t) => {
    const clock = stopClock(t);
    const { org, write, writer } = startWriting();
    const waiting = write(record(1));
    await writer.close(10_000);
    assert.equal(waiting.state(), 'NODE_CLOSED');
    assert.equal(org.listeners.size, 0);
    org.availability.begin(outage());
    await clock.pass(60_000);
    assert.equal(org.made, 0);
  });

  test('a pause of a row is not waited for, and no timer is left of it', async (t) => {
    const clock = stopClock(t);
    const { org, write, writer } = startWriting();
    const waiting = write(record(1));
    await (await org.next()).answer(locked);
    await writer.close(10_000);
    await turns();
    assert.equal(waiting.state(), 'NODE_CLOSED');
    await clock.pass(60_000);
    assert.equal(org.made, 1);
  });

  test('a call that outlives the limit is given up: an upsert may be repeated, a create not', async (t) => {
    const clock = stopClock(t);
    const { org, write, writer } = startWriting();
    const [upserted, made] = [write(record(1)), write(record(2), create)];
    const call = await org.next();
    const closed = writer.close(500);
    await clock.pass(499);
    assert.deepEqual([upserted.state(), made.state()], ['waits', 'waits']);
    await clock.pass(1);
    await closed;
    assert.deepEqual([upserted.state(), made.state()], ['NODE_CLOSED', 'AMBIGUOUS_WRITE']);
    assert.deepEqual([upserted.error().retryable, made.error().retryable], [true, false]);
    assert.match(made.error().message, /the node was closed/);
    await call.answer();
    assert.equal(upserted.state(), 'NODE_CLOSED', 'what comes late changes nothing');
  });

  for (const [how, end, upsertCode, createCode] of [
    ['locked', (call) => call.answer(locked), 'NODE_CLOSED', 'NODE_CLOSED'],
    ['refused', (call) => call.respond(400, [{ errorCode: 'JSON' }]), 'NODE_CLOSED', 'NODE_CLOSED'],
    ['not sent', (call) => call.fail(outage()), 'NODE_CLOSED', 'NODE_CLOSED'],
    ['lost', (call) => call.fail(lost), 'NODE_CLOSED', 'AMBIGUOUS_WRITE'],
    ['unavailable', (call) => call.respond(503, unavailable), 'NODE_CLOSED', 'AMBIGUOUS_WRITE'],
  ] as [string, (call: WaitingCall) => Promise<void>, string, string][])
    test(`a call that ends ${how} meanwhile answers each of its messages`, async (t) => {
      stopClock(t);
      const { org, write, writer } = startWriting();
      const written = [
        write(record(1)),
        write(record(2)),
        write(record(3), create),
        write(record(4), create),
      ];
      const call = await org.next();
      const closed = writer.close(10_000);
      await end(call);
      assert.deepEqual(
        written.map((one) => one.state()),
        [upsertCode, upsertCode, createCode, createCode],
      );
      await closed;
      await turns();
      assert.equal(org.made, 1);
    });

  test('a create of which rows were written may not be repeated', async () => {
    const { org, write, writer } = startWriting({ records: 1, maxRequests: 1 });
    const written = write(records(2), create);
    const call = await org.next();
    const closed = writer.close(10_000);
    await call.answer();
    await closed;
    assert.equal(written.state(), 'NODE_CLOSED');
    assert.equal(written.error().retryable, false);
  });

  test('clocks that stood still go on', async (t) => {
    stopClock(t);
    const { org, write, writer, paused } = startWriting();
    write(record(1));
    await (await org.next()).fail(outage());
    assert.equal(paused(), 1);
    await writer.close(10_000);
    assert.equal(paused(), 0);
  });
});
