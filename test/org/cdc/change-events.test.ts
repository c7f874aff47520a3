/** Change Data Capture from the org's own writes. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { bitmap, bitmaps, fieldNames } from './bitmap';
import { textDiff } from './diff';
import { connect, orgFor, rawClient } from '../connect';
import { type Org, type OrgOptions } from '../org';
import { control } from '../pubsub/client';

const start = (t: TestContext, options: OrgOptions = {}): Promise<Org> =>
  orgFor(t, { ...options, pubsub: true });

type Header = Record<string, unknown>;
type Payload = Record<string, unknown> & { ChangeEventHeader: Header };

function changes(org: Org, topic = '/data/ChangeEvents'): Payload[] {
  return org.events(topic).map(({ payload }) => payload as Payload);
}

const headers = (org: Org): Header[] => changes(org).map(({ ChangeEventHeader }) => ChangeEventHeader);

/** The header's lists as they are on the wire. */
function wire(org: Org, index: number): { header: Record<string, string[]>; fields: string[] } {
  const event = org.bus().log.list(() => true)[index]?.event?.event;
  const schema = org.bus().schemas.byId(event?.schemaId ?? '');
  const decoded = schema?.codec.fromBuffer(event?.payload as Buffer) as {
    ChangeEventHeader: Record<string, string[]>;
  };
  const { fields } = JSON.parse(schema?.json ?? '') as { fields: { name: string }[] };
  return { header: decoded.ChangeEventHeader, fields: fields.map(({ name }) => name) };
}

describe('an update', () => {
  test('has the values of what changed, null for the rest, and tells by bitmaps over the schema’s fields', async (t) => {
    const org = await start(t);
    const [contact] = org.write('Contact', { LastName: 'A', Phone: '1', Title: 'Dr', Score__c: 2.5 });
    org.write('Contact', { Id: contact?.id, Phone: '2', Title: null });
    const [, update] = changes(org);
    assert.deepEqual([update?.Phone, update?.Title, update?.Score__c, update?.Name], ['2', null, null, null]);
    assert.deepEqual(update?.ChangeEventHeader.changedFields, ['LastModifiedDate', 'Phone', 'Title']);
    assert.deepEqual(update?.ChangeEventHeader.nulledFields, ['Title']);

    const { header, fields } = wire(org, 1);
    const bit = (name: string): bigint => 1n << BigInt(fields.indexOf(name));
    assert.equal(
      BigInt(header.changedFields?.[0] ?? ''),
      bit('LastModifiedDate') | bit('Phone') | bit('Title'),
    );
    assert.deepEqual(header.nulledFields, [bitmap([fields.indexOf('Title')])]);
    assert.equal(fields[0], 'ChangeEventHeader');
  });

  test('names parts of compound fields by the position of the whole: 1-0x04', async (t) => {
    const org = await start(t);
    const [contact] = org.write('Contact', {
      FirstName: 'F',
      LastName: 'A',
      MailingStreet: 'S',
      MailingCity: 'C',
    });
    org.write('Contact', { Id: contact?.id, LastName: 'B', MailingStreet: null });
    const { header, fields } = wire(org, 1);
    const [name, address] = [fields.indexOf('Name'), fields.indexOf('MailingAddress')];
    assert.deepEqual(header.changedFields?.slice(1), [`${name}-0x04`, `${address}-0x01`]);
    assert.deepEqual(header.nulledFields, [`${address}-0x01`]);
    const [, update] = changes(org);
    assert.deepEqual(update?.Name, { Salutation: null, FirstName: null, LastName: 'B' });
    assert.equal(update?.MailingAddress, null);
    assert.equal(fields.includes('FirstName') || fields.includes('MailingStreet'), false);
  });

  test('has whole bytes in its bitmaps, however many fields there are', async (t) => {
    const many = Array.from({ length: 70 }, (_, i) => ({ name: `F${i}__c` }));
    const org = await start(t, { schema: [{ name: 'Wide__c', fields: many }] });
    const [record] = org.write('Wide__c', { F0__c: 'x' });
    org.write('Wide__c', { Id: record?.id, F69__c: 'y' });
    assert.match(wire(org, 1).header.changedFields?.[0] ?? '', /^0x(?:[0-9A-F]{2})+$/);
    assert.deepEqual(headers(org)[1]?.changedFields, ['LastModifiedDate', 'F69__c']);
  });

  test('of a long text is sent as a unified diff with the hash of the new text, where that is shorter', async (t) => {
    const org = await start(t);
    const lines = Array.from({ length: 30 }, (_, i) => `Line ${i}: ${'x'.repeat(50)}`);
    const [contact] = org.write('Contact', { LastName: 'A', Description: lines.join('\n') });
    lines[4] = 'Another line';
    org.write('Contact', { Id: contact?.id, Description: lines.join('\n') });
    const [, update] = changes(org);
    const hash = createHash('sha256').update(lines.join('\n')).digest('hex');
    assert.equal(
      update?.Description,
      `--- \n+++ ${hash}\n@@ -5,1 +5,1 @@\n-Line 4: ${'x'.repeat(50)}\n+Another line\n`,
    );
    assert.deepEqual(update?.ChangeEventHeader.diffFields, ['Description']);
    assert.ok((update?.ChangeEventHeader.changedFields as string[]).includes('Description'));

    org.switches.textDiffs = false;
    lines[4] = 'Once more';
    org.write('Contact', { Id: contact?.id, Description: lines.join('\n') });
    const [, , whole] = changes(org);
    assert.deepEqual([whole?.Description, whole?.ChangeEventHeader.diffFields], [lines.join('\n'), []]);
  });
});

describe('other changes', () => {
  test('create and undelete have all fields and no lists, delete has none', async (t) => {
    const org = await start(t);
    const [contact] = org.write('Contact', {
      LastName: 'A',
      Birthdate: '2001-02-03',
      LastSeen__c: '2026-01-02T03:04:05Z',
    });
    const ids = [String(contact?.id)];
    org.remove('Contact', ids);
    org.undelete('Contact', ids);
    const [create, remove, undelete] = changes(org);
    for (const [change, type] of [
      [create, 'CREATE'],
      [remove, 'DELETE'],
      [undelete, 'UNDELETE'],
    ] as const) {
      const { changeType, recordIds, changedFields, nulledFields, diffFields } =
        change?.ChangeEventHeader ?? {};
      assert.deepEqual(
        [changeType, recordIds, changedFields, nulledFields, diffFields],
        [type, ids, [], [], []],
      );
    }
    assert.deepEqual(
      [create?.Birthdate, create?.LastSeen__c],
      [Date.UTC(2001, 1, 3), Date.UTC(2026, 0, 2, 3, 4, 5)],
    );
    assert.deepEqual(
      Object.values({ ...remove, ChangeEventHeader: null }).filter((value) => value !== null),
      [],
    );
    assert.equal(undelete?.Birthdate, create?.Birthdate);
  });

  test('a hard delete of what is deleted already, and a rolled back write, make none', async (t) => {
    const org = await start(t);
    const [contact] = org.write('Contact', { LastName: 'A' });
    org.remove('Contact', [String(contact?.id)]);
    org.remove('Contact', [String(contact?.id)], { hard: true });
    assert.throws(() => org.write('Contact', { LastName: 'B' }, { Phone: 'without a name' }));
    assert.deepEqual(
      headers(org).map(({ changeType }) => changeType),
      ['CREATE', 'DELETE'],
    );
  });

  test('objects that aren’t selected make none, and events of the org are no changes', async (t) => {
    const org = await start(t, { switches: { changeDataCapture: ['Account'] } });
    org.write('Contact', { LastName: 'A' });
    org.write('OrderStatus__e', { Order_ID__c: '1' });
    org.write('Account', { Name: 'Acme' });
    assert.deepEqual(
      changes(org).map(({ Name, ChangeEventHeader }) => [ChangeEventHeader.entityName, Name]),
      [['Account', 'Acme']],
    );
    assert.equal(org.events().length, 2);
  });
});

describe('a transaction', () => {
  test('shares key, time, user, origin and commit number; its changes count from 1', async (t) => {
    const org = await start(t);
    const call = await rawClient(org);
    const records = [
      { attributes: { type: 'Account' }, Name: 'Acme' },
      { attributes: { type: 'Contact' }, LastName: 'One' },
      { attributes: { type: 'Contact' }, LastName: 'Two' },
    ];
    await call('POST', '/composite/sobjects', { records }, { 'Sforce-Call-Options': 'client=jetforce' });
    await call('POST', '/composite/sobjects', { records: records.slice(1, 2) });
    const all = headers(org);
    assert.deepEqual(
      all.map(({ entityName, sequenceNumber }) => [entityName, sequenceNumber]),
      [
        ['Account', 1],
        ['Contact', 2],
        ['Contact', 3],
        ['Contact', 1],
      ],
    );
    const keys = all.map(({ transactionKey }) => transactionKey);
    assert.deepEqual([new Set(keys).size, new Set(keys.slice(0, 3)).size], [2, 1]);
    assert.equal(new Set(all.slice(0, 3).map(({ commitNumber }) => commitNumber)).size, 1);
    assert.ok(BigInt(String(all[3]?.commitNumber)) > BigInt(String(all[0]?.commitNumber)));
    assert.equal(all[0]?.changeOrigin, 'com/salesforce/api/rest/65.0;client=jetforce');
    assert.equal(all[3]?.changeOrigin, 'com/salesforce/api/rest/65.0');
    assert.equal(all[0]?.commitUser, org.userId);
    assert.ok(Number(all[0]?.commitTimestamp) % 1000 === 0);
  });

  test('commit numbers are above 2^53, as real ones are', async (t) => {
    const org = await start(t);
    org.write('Contact', { LastName: 'A' });
    assert.ok(BigInt(String(headers(org)[0]?.commitNumber)) > BigInt(Number.MAX_SAFE_INTEGER));
  });

  test('the same change of several records is one event with their ids; switched, one event each', async (t) => {
    const org = await start(t);
    const sf = await connect(org);
    const made = org.write('Contact', ...['A', 'B', 'C'].map((LastName) => ({ LastName })));
    const ids = made.map(({ id }) => String(id));
    const before = org.events().length;
    await sf.update('Contact', [
      { Id: String(ids[0]), Title: 'x' },
      { Id: String(ids[1]), Title: 'x' },
      { Id: String(ids[2]), Title: 'y' },
    ]);
    await sf.destroy('Contact', ids.slice(0, 2));
    const merged = headers(org).slice(before);
    assert.deepEqual(
      merged.map(({ changeType, recordIds, sequenceNumber }) => [changeType, recordIds, sequenceNumber]),
      [
        ['UPDATE', ids.slice(0, 2), 1],
        ['UPDATE', ids.slice(2), 2],
        ['DELETE', ids.slice(0, 2), 1],
      ],
    );
    org.switches.mergeChangeEvents = false;
    org.undelete('Contact', ids.slice(0, 2));
    org.remove('Contact', ids.slice(0, 2));
    assert.deepEqual(
      headers(org)
        .slice(-2)
        .map(({ recordIds }) => recordIds),
      [[ids[0]], [ids[1]]],
    );
  });

  test('several changes of one record come as one, of the first kind with the last values', async (t) => {
    const org = await start(t);
    const call = await rawClient(org);
    const compositeRequest = [
      {
        method: 'POST',
        url: '/services/data/v65.0/sobjects/Contact',
        referenceId: 'made',
        body: { LastName: 'A' },
      },
      {
        method: 'PATCH',
        url: '/services/data/v65.0/sobjects/Contact/@{made.id}',
        referenceId: 'changed',
        body: { LastName: 'B' },
      },
    ];
    await call('POST', '/composite', { allOrNone: true, compositeRequest });
    assert.deepEqual(
      changes(org).map(({ ChangeEventHeader, Name }) => [ChangeEventHeader.changeType, Name]),
      [['CREATE', { Salutation: null, FirstName: null, LastName: 'B' }]],
    );
  });

  test('beyond the limit of changes there is one GAP_OVERFLOW for each object, without a record id', async (t) => {
    const org = await start(t, { switches: { overflowAfter: 2 } });
    org.write('Contact', ...['A', 'B', 'C', 'D'].map((LastName) => ({ LastName })));
    assert.deepEqual(
      headers(org).map(({ changeType, recordIds, sequenceNumber }) => [
        changeType,
        recordIds,
        sequenceNumber,
      ]),
      [
        ['CREATE', [org.records('Contact')[0]?.Id], 1],
        ['CREATE', [org.records('Contact')[1]?.Id], 2],
        ['GAP_OVERFLOW', ['000000000000000AAA'], 3],
      ],
    );
  });
});

describe('gap events', () => {
  test('have ids and no data: of objects that are switched to them, and where an event would be above 1 MB', async (t) => {
    const text = Array.from({ length: 40 }, (_, i) => ({
      name: `T${i}__c`,
      type: 'textarea' as const,
      length: 32_000,
    }));
    const org = await start(t, {
      schema: [{ name: 'Huge__c', fields: text }],
      switches: { gapEvents: ['Account'] },
    });
    const [account] = org.write('Account', { Name: 'Acme' });
    org.write('Account', { Id: account?.id, Phone: '1' });
    const [huge] = org.write(
      'Huge__c',
      Object.fromEntries(text.map(({ name }) => [name, 'x'.repeat(31_000)])),
    );
    const found = changes(org);
    assert.deepEqual(
      found.map(({ ChangeEventHeader: { changeType, recordIds } }) => [changeType, recordIds]),
      [
        ['GAP_CREATE', [account?.id]],
        ['GAP_UPDATE', [account?.id]],
        ['GAP_CREATE', [huge?.id]],
      ],
    );
    assert.deepEqual(
      found.map(({ Name, Phone, ChangeEventHeader }) => [Name, Phone, ChangeEventHeader.changedFields]),
      [
        [null, null, []],
        [null, null, []],
        [null, undefined, []],
      ],
    );
  });

  test('by control: gaps, overflows, and an update of all records', async (t) => {
    const org = await start(t);
    const ids = ['003Hs0000000001IAA', '003Hs0000000002IAA'];
    await control(org, 'POST', 'change-events', {
      sobject: 'Contact',
      changeType: 'GAP_UPDATE',
      recordIds: ids,
    });
    await control(org, 'POST', 'change-events', { sobject: 'Contact', changeType: 'GAP_OVERFLOW' });
    await control(org, 'POST', 'change-events', {
      sobject: 'Contact',
      changeType: 'UPDATE',
      recordIds: ['003*'],
    });
    const listed = (await control(org, 'GET', 'events?topic=/data/ContactChangeEvent')) as {
      payload: Payload;
    }[];
    assert.deepEqual(
      listed.map(({ payload: { ChangeEventHeader, Name } }) => [
        ChangeEventHeader.changeType,
        ChangeEventHeader.recordIds,
        Name,
      ]),
      [
        ['GAP_UPDATE', ids, null],
        ['GAP_OVERFLOW', ['000000000000000AAA'], null],
        ['UPDATE', ['003*'], null],
      ],
    );
  });
});

test('a schema that changes between two writes: each event under the schema of its time', async (t) => {
  const org = await start(t);
  const [contact] = org.write('Contact', { LastName: 'A' });
  org.declare({ name: 'Contact', fields: [{ name: 'Note__c' }] });
  org.write('Contact', { Id: contact?.id, Note__c: 'new' });
  const [first, second] = org.events('/data/ContactChangeEvent');
  assert.notEqual(first?.schemaId, second?.schemaId);
  assert.equal(first?.payload && 'Note__c' in first.payload, false);
  assert.equal(second?.payload?.Note__c, 'new');
});

test('bitmaps stand for the fields that were put in', async (t) => {
  const org = await start(t);
  const type = org.schema.type('Contact');
  assert.ok(type);
  const { columns } = org.bus().schemas.of(type);
  const plain = columns.flatMap((column) => ('record' in column ? [] : [column.name]));
  const parts = columns.flatMap((column) =>
    'record' in column
      ? column.parts.flatMap(({ name, field }) =>
          field ? [[field.name, `${column.name}.${name}`] as const] : [],
        )
      : [],
  );
  fc.assert(
    fc.property(fc.subarray(plain), fc.subarray(parts), fc.boolean(), (some, nested, emptyFirst) => {
      const list = bitmaps(columns, new Set([...some, ...nested.map(([field]) => field)]), emptyFirst);
      assert.deepEqual(fieldNames(columns, list), [...some, ...nested.map(([, path]) => path)]);
      assert.ok(list.every((text) => /^(\d+-)?0x([0-9A-F]{2})+$/.test(text)));
    }),
  );
});

test('a diff turns the old text into the new one', () => {
  const line = fc.constantFrom('alpha '.repeat(20), 'beta '.repeat(20), 'gamma', '');
  fc.assert(
    fc.property(
      fc.array(line, { minLength: 20, maxLength: 60 }),
      fc.array(fc.tuple(fc.nat(59), line), { maxLength: 4 }),
      (old, edits) => {
        const now = [...old];
        for (const [at, text] of edits) now.splice(at % now.length, text === '' ? 2 : 1, text);
        const diff = textDiff(old.join('\n'), now.join('\n'));
        if (diff !== undefined) assert.equal(applied(old, diff).join('\n'), now.join('\n'));
      },
    ),
  );
});

/** As `patch` would: each hunk says where in the old text it is, and what stands there instead. */
function applied(old: readonly string[], diff: string): string[] {
  const result: string[] = [];
  let at = 0;
  const lines = diff.split('\n').slice(2, -1);
  for (let i = 0; i < lines.length;) {
    const [, from = '', count = ''] = /^@@ -(\d+),(\d+) \+\d+,\d+ @@$/.exec(lines[i++] ?? '') ?? [];
    const start = Number(count) === 0 ? Number(from) : Number(from) - 1;
    result.push(...old.slice(at, start));
    at = start + Number(count);
    for (; i < lines.length && !lines[i]?.startsWith('@@ '); i++) {
      const text = lines[i] ?? '';
      if (text.startsWith('+')) result.push(text.slice(1));
    }
  }
  return [...result, ...old.slice(at)];
}
