import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Connection } from 'jsforce';
import { connect, rawClient } from '../connect';
import { startOrg, type Org } from '../org';

let org: Org;
let sf: Connection;
let raw: Awaited<ReturnType<typeof rawClient>>;

before(async () => {
  org = await startOrg();
  sf = await connect(org);
  raw = await rawClient(org);
});
after(() => org.close());

const codeOf = (json: unknown): unknown => (json as { errorCode: string }[])[0]?.errorCode;

describe('single records', () => {
  test('are created with 201, read, changed and deleted with 204', async () => {
    const created = await raw('POST', '/sobjects/Account', { Name: 'One' });
    const { id } = created.json as { id: string };
    assert.deepEqual([created.status, created.json], [201, { id, success: true, errors: [] }]);
    assert.equal(created.headers.get('location'), `/services/data/v65.0/sobjects/Account/${id}`);
    assert.equal((await raw('PATCH', `/sobjects/Account/${id}`, { Phone: '1' })).status, 204);
    assert.deepEqual((await raw('GET', `/sobjects/Account/${id}?fields=Phone`)).json, {
      attributes: { type: 'Account', url: `/services/data/v65.0/sobjects/Account/${id}` },
      Phone: '1',
      Id: id,
    });
    assert.equal((await raw('DELETE', `/sobjects/Account/${id}`)).status, 204);
    const again = await raw('DELETE', `/sobjects/Account/${id}`);
    assert.deepEqual([again.status, codeOf(again.json)], [404, 'ENTITY_IS_DELETED']);
    assert.equal((await raw('GET', '/sobjects/Account/001000000000000AAA')).status, 404);
  });

  test('a failure is a top-level error with errorCode', async () => {
    const reply = await raw('POST', '/sobjects/Contact', { FirstName: 'x' });
    assert.deepEqual(
      [reply.status, reply.json],
      [
        400,
        [
          {
            message: 'Required fields are missing: [LastName]',
            errorCode: 'REQUIRED_FIELD_MISSING',
            fields: ['LastName'],
          },
        ],
      ],
    );
  });

  test('upsert by external id: 201 created, then 200 with created false; several matches are 300', async () => {
    const first = await raw('PATCH', '/sobjects/Contact/ExternalId__c/E%2F1', { LastName: 'A' });
    const second = await raw('PATCH', '/sobjects/Contact/ExternalId__c/E%2F1', { LastName: 'B' });
    assert.deepEqual([first.status, second.status], [201, 200]);
    assert.equal((second.json as { created: boolean }).created, false);
    assert.equal(org.records('Contact')[0]?.ExternalId__c, 'E/1');
    org.write('Contact', { LastName: 'X', LegacyId__c: 'same' }, { LastName: 'Y', LegacyId__c: 'same' });
    const several = await raw('PATCH', '/sobjects/Contact/LegacyId__c/same', { LastName: 'Z' });
    assert.deepEqual([several.status, (several.json as string[]).length], [300, 2]);
    assert.equal((await raw('PATCH', '/sobjects/Contact/LastName/x', { Title: 'Z' })).status, 404);
  });

  test('jsforce creates, retrieves, updates and destroys them', async () => {
    const created = await sf.sobject('Account').create({ Name: 'J' });
    assert.ok(created.success);
    await sf.sobject('Account').update({ Id: created.id, Name: 'K' });
    assert.equal((await sf.sobject('Account').retrieve(created.id)).Name, 'K');
    assert.ok((await sf.sobject('Account').destroy(created.id)).success);
  });
});

describe('values', () => {
  async function store(fields: Record<string, unknown>): Promise<unknown> {
    const reply = await raw('POST', '/sobjects/Contact', { LastName: 'V', ...fields });
    if (reply.status !== 201) return codeOf(reply.json);
    const { id } = reply.json as { id: string };
    const [name = ''] = Object.keys(fields);
    return org.records('Contact').find((row) => row.Id === id)?.[name];
  }

  const cases: [string, Record<string, unknown>, unknown][] = [
    [
      'a date-time is kept in UTC and to the second',
      { LastSeen__c: '2026-03-01T12:00:00.789+02:00' },
      '2026-03-01T10:00:00.000+0000',
    ],
    ['a date-time without a zone is not one', { LastSeen__c: '2026-03-01 12:00:00' }, 'JSON_PARSER_ERROR'],
    ['a date must be a day of the calendar', { Birthdate: '2026-02-30' }, 'JSON_PARSER_ERROR'],
    ['a number may come as text', { Score__c: '1.5' }, 1.5],
    ['a number has its scale', { Score__c: 1.239 }, 1.24],
    ['a number has its range', { Score__c: 1e9 }, 'NUMBER_OUTSIDE_VALID_RANGE'],
    ['words are no number', { Score__c: 'many' }, 'JSON_PARSER_ERROR'],
    ['a checkbox is never null', { DoNotCall: null }, 'JSON_PARSER_ERROR'],
    ['text has its length', { Title: 'x'.repeat(129) }, 'STRING_TOO_LONG'],
    ['an object is no text', { Title: { a: 1 } }, 'JSON_PARSER_ERROR'],
    ['an e-mail address looks like one', { Email: 'nobody' }, 'INVALID_EMAIL_ADDRESS'],
    ['empty text is null', { Title: '' }, null],
    ['a parent is an id of the right kind', { AccountId: '003000000000000AAA' }, 'MALFORMED_ID'],
    ['a parent exists', { AccountId: '001000000000000AAA' }, 'INVALID_CROSS_REFERENCE_KEY'],
    ['a parent may be named by its external id', { Account: { ExternalId__c: 'nobody' } }, 'INVALID_FIELD'],
    [
      'system fields are not written',
      { CreatedDate: '2026-01-01T00:00:00Z' },
      'INVALID_FIELD_FOR_INSERT_UPDATE',
    ],
  ];
  for (const [name, fields, expected] of cases)
    test(name, async () => assert.deepEqual(await store(fields), expected));

  test('a restricted picklist takes its own values only', async () => {
    const reply = await raw('POST', '/sobjects/Order__c', { Status__c: 'Lost' });
    assert.equal(codeOf(reply.json), 'INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST');
  });

  test('a unique value that another record has is DUPLICATE_VALUE', async () => {
    org.write('Contact', { LastName: 'U', ExternalId__c: 'unique' });
    assert.equal(await store({ ExternalId__c: 'UNIQUE' }), 'DUPLICATE_VALUE');
  });

  test('15 characters of an id name the same record as 18', async () => {
    const [account] = org.write('Account', { Name: 'Id' });
    assert.equal(await store({ AccountId: String(account?.id).slice(0, 15) }), account?.id);
  });
});

test('describe tells types, external ids, references and child relationships', async () => {
  const { fields, childRelationships, keyPrefix } = await sf.describe('Account');
  assert.equal(keyPrefix, '001');
  const external = fields.find(({ name }) => name === 'ExternalId__c');
  assert.deepEqual(
    [external?.externalId, external?.idLookup, external?.unique, external?.type],
    [true, true, true, 'string'],
  );
  assert.equal(fields.find(({ name }) => name === 'Name')?.nillable, false);
  assert.ok(
    childRelationships.some(
      ({ childSObject, relationshipName }) => childSObject === 'Contact' && relationshipName === 'Contacts',
    ),
  );
  const { sobjects } = await sf.describeGlobal();
  assert.ok(sobjects.some(({ name, queryable }) => name === 'OrderStatus__e' && !queryable));
});

test('limits as jsforce reads them, and api-usage on every answer', async () => {
  org.limits({ DailyApiRequests: { Max: 15_000, Remaining: 14_990 } });
  const { DailyApiRequests } = await sf.limits();
  assert.deepEqual(DailyApiRequests, { Max: 15_000, Remaining: 14_989 });
  assert.deepEqual(sf.limitInfo.apiUsage, { used: 11, limit: 15_000 });
});

test('a spent daily limit is 403 REQUEST_LIMIT_EXCEEDED until it is raised', async () => {
  org.limits({ DailyApiRequests: { Max: 15_000, Remaining: 0 } });
  const reply = await raw('GET', '/sobjects');
  assert.deepEqual(
    [reply.status, codeOf(reply.json), reply.headers.get('sforce-limit-info')],
    [403, 'REQUEST_LIMIT_EXCEEDED', 'api-usage=15000/15000'],
  );
  org.limits({ DailyApiRequests: { Max: 15_000, Remaining: 100 } });
  assert.equal((await raw('GET', '/sobjects')).status, 200);
});

describe('malformed calls', () => {
  const cases: [string, () => Promise<{ status: number; json: unknown }>, number, string | undefined][] = [
    ['unreadable JSON', () => raw('POST', '/sobjects/Account', '{"Name":'), 400, 'JSON_PARSER_ERROR'],
    ['an unknown resource', () => raw('GET', '/nonsense'), 404, 'NOT_FOUND'],
    ['an unknown object', () => raw('POST', '/sobjects/Nope__c', {}), 404, 'NOT_FOUND'],
    ['an unknown version', () => raw('GET', '/services/data/v99.0/limits'), 404, 'NOT_FOUND'],
    [
      'a version that was retired',
      () => raw('GET', '/services/data/v12.0/limits'),
      410,
      'UNSUPPORTED_API_VERSION',
    ],
    ['a wrong method', () => raw('PUT', '/sobjects/Account', {}), 405, 'METHOD_NOT_ALLOWED'],
    [
      'a wrong content type',
      () => raw('POST', '/sobjects/Account', 'Name=x', { 'Content-Type': 'text/plain' }),
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    ],
    [
      'an address above 16,384 bytes',
      () => raw('GET', `/composite/sobjects/Contact?ids=${'003000000000000AAA,'.repeat(900)}&fields=Id`),
      414,
      undefined,
    ],
  ];
  for (const [name, call, status, code] of cases) {
    test(`${name}: ${status} ${code ?? ''}`, async () => {
      const reply = await call();
      assert.deepEqual([reply.status, code === undefined ? undefined : codeOf(reply.json)], [status, code]);
    });
  }

  test('versions are told without a session', async () => {
    const versions = (await (await fetch(`${org.url}/services/data`)).json()) as {
      label: string;
      version: string;
    }[];
    assert.deepEqual(versions.find(({ version }) => version === '65.0')?.label, "Winter '26");
  });
});

test('a schema can be extended, and fields taken away', async () => {
  org.declare({
    name: 'Contact',
    fields: [{ name: 'Extra__c', type: 'double' }],
    removeFields: ['Department'],
  });
  assert.equal((await raw('POST', '/sobjects/Contact', { LastName: 'E', Extra__c: 1 })).status, 201);
  assert.equal(
    codeOf((await raw('POST', '/sobjects/Contact', { LastName: 'E', Department: 'x' })).json),
    'INVALID_FIELD',
  );
  org.declare({ name: 'Thing__c', fields: [{ name: 'Key__c', externalId: true, unique: true }] });
  assert.equal((await raw('PATCH', '/sobjects/Thing__c/Key__c/1', { Name: 'x' })).status, 201);
});

test('deleting a parent takes its details with it and empties lookups', async () => {
  const [order] = org.write('Order__c', { Status__c: 'Draft' });
  org.write('OrderItem__c', { Order__c: order?.id, Sku__c: 's' });
  const [account] = org.write('Account', { Name: 'P' });
  const [contact] = org.write('Contact', { LastName: 'Child', AccountId: account?.id });
  await sf.destroy('Order__c', [String(order?.id)]);
  await sf.destroy('Account', [String(account?.id)]);
  assert.equal(org.records('OrderItem__c').length, 0);
  assert.equal(org.records('Contact').find((row) => row.Id === contact?.id)?.AccountId, null);
});

test('the commit log has every change with what it changed', async () => {
  const start = org.store.commits.length;
  const heard: string[] = [];
  org.store.on('commit', ({ changes }) => heard.push(...changes.map(({ changeType }) => changeType)));
  const [made] = await sf.create('Account', [{ Name: 'Log' }]);
  const id = made?.id ?? '';
  await sf.update('Account', [{ Id: id, Phone: '1' }]);
  await sf.destroy('Account', [id]);
  org.undelete('Account', [id]);
  const commits = org.store.commits.slice(start);
  assert.deepEqual(heard, ['CREATE', 'UPDATE', 'DELETE', 'UNDELETE']);
  assert.deepEqual(
    commits.map(({ changes }) => [changes[0]?.changeType, changes[0]?.recordId]),
    heard.map((type) => [type, id]),
  );
  assert.ok(commits[1]?.changes[0]?.changedFields.includes('Phone'));
  assert.deepEqual(
    [commits[1]?.changes[0]?.before?.Phone, commits[1]?.changes[0]?.after?.Phone],
    [null, '1'],
  );
  assert.deepEqual([commits[0]?.user, commits[3]?.user === org.userId], [org.userId, false]);
  assert.equal(new Set(commits.map(({ transactionKey }) => transactionKey)).size, 4);
});
