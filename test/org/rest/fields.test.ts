/** One record with a field of every type, as REST, Bulk and change events show it. */
import assert from 'node:assert/strict';
import { before, after, describe, test } from 'node:test';
import { connect, rawClient, rowCode, type RawReply } from '../connect';
import { startOrg, type Org } from '../org';

let org: Org;
let raw: Awaited<ReturnType<typeof rawClient>>;
let id: string;

const SENT = {
  Name: 'one of each',
  At__c: '09:30:00Z',
  When__c: '2026-01-31T12:00:00Z',
  Day__c: '2026-01-31',
  Share__c: 12.5,
  Price__c: '1999.99',
  Tags__c: 'red;blue',
  Story__c: 'a long\nstory',
  Secret__c: '4111111111111111',
  Anything__c: 42.5,
  File__c: Buffer.from('hello').toString('base64'),
  Place__Latitude__s: 52.5,
  Place__Longitude__s: 13.4,
};

before(async () => {
  org = await startOrg({
    pubsub: true,
    schema: [
      {
        name: 'Sample__c',
        fields: [
          { name: 'At__c', type: 'time' },
          { name: 'When__c', type: 'datetime' },
          { name: 'Day__c', type: 'date' },
          { name: 'Share__c', type: 'percent' },
          { name: 'Price__c', type: 'currency' },
          { name: 'Tags__c', type: 'multipicklist', picklist: ['red', 'blue', 'green'] },
          { name: 'Story__c', type: 'textarea', length: 32_768 },
          { name: 'Secret__c', type: 'encryptedstring' },
          { name: 'Anything__c', type: 'anyType' },
          { name: 'File__c', type: 'base64' },
          { name: 'Place__c', type: 'location' },
          { name: 'BillingAddress', type: 'address' },
        ],
      },
    ],
  });
  raw = await rawClient(org);
  const made = await raw('POST', '/sobjects/Sample__c', { ...SENT, BillingCity: 'Kiel' });
  ({ id } = made.json as { id: string });
});
after(() => org.close());

const code = ({ json }: RawReply): unknown => (json as { errorCode: string }[])[0]?.errorCode;
const PLAIN = Object.keys(SENT).filter((name) => name !== 'File__c');

describe('a field of every type', () => {
  test('in REST, read by id and by a query alike', async () => {
    const wanted = {
      ...SENT,
      At__c: '09:30:00.000Z',
      When__c: '2026-01-31T12:00:00.000+0000',
      Price__c: 1999.99,
      Secret__c: '************1111',
      File__c: `/services/data/v65.0/sobjects/Sample__c/${id}/File__c`,
      Place__c: { latitude: 52.5, longitude: 13.4 },
      BillingAddress: {
        city: 'Kiel',
        country: null,
        geocodeAccuracy: null,
        latitude: null,
        longitude: null,
        postalCode: null,
        state: null,
        street: null,
      },
    };
    const names = Object.keys(wanted);
    const query = `/query?q=${encodeURIComponent(`SELECT ${names.join()} FROM Sample__c`)}`;
    const found = ((await raw('GET', query)).json as { records: object[] }).records[0];
    const byId = (await raw('GET', `/composite/sobjects/Sample__c?ids=${id}&fields=${names.join()}`)).json;
    const [collected] = byId as Record<string, unknown>[];
    for (const record of [found, collected, (await raw('GET', `/sobjects/Sample__c/${id}`)).json])
      assert.deepEqual({ ...(record as object), ...wanted }, record);
    assert.equal((await raw('GET', wanted.File__c)).text, 'hello');
  });

  test('in Bulk: times end in Z, compound fields and files are refused', async () => {
    const job = async (query: string): Promise<{ id: string; state: string; errorMessage?: string }> => {
      const made = await raw('POST', '/jobs/query', { operation: 'query', query });
      const read = await raw('GET', `/jobs/query/${(made.json as { id: string }).id}`);
      return read.json as { id: string; state: string; errorMessage?: string };
    };
    const done = await job(`SELECT ${PLAIN.join()} FROM Sample__c`);
    const { text } = await raw('GET', `/jobs/query/${done.id}/results`);
    const values =
      '"one of each","09:30:00.000Z","2026-01-31T12:00:00.000Z","2026-01-31","12.5","1999.99",' +
      '"red;blue","a long\nstory","************1111","42.5","52.5","13.4"';
    assert.equal(text, `${PLAIN.map((name) => `"${name}"`).join()}\n${values}\n`);
    for (const name of ['Place__c', 'BillingAddress'])
      assert.match(
        (await job(`SELECT ${name} FROM Sample__c`)).errorMessage ?? '',
        /Selecting compound data not supported/,
      );
    assert.match(
      (await job('SELECT File__c FROM Sample__c')).errorMessage ?? '',
      /Binary fields not supported/,
    );
  });

  test('in change events: times as milliseconds, compound fields as records, files not at all', () => {
    const { payload } = org.events('/data/Sample__ChangeEvent')[0] ?? {};
    assert.deepEqual(
      { ...payload, ChangeEventHeader: null },
      {
        ChangeEventHeader: null,
        CreatedById: org.userId,
        CreatedDate: payload?.CreatedDate,
        LastModifiedById: org.userId,
        LastModifiedDate: payload?.LastModifiedDate,
        Name: 'one of each',
        At__c: 34_200_000,
        When__c: Date.UTC(2026, 0, 31, 12),
        Day__c: Date.UTC(2026, 0, 31),
        Share__c: 12.5,
        Price__c: 1999.99,
        Tags__c: 'red;blue',
        Story__c: 'a long\nstory',
        Secret__c: '************1111',
        Place__c: { Latitude: 52.5, Longitude: 13.4 },
        BillingAddress: {
          Street: null,
          City: 'Kiel',
          State: null,
          PostalCode: null,
          Country: null,
          StateCode: null,
          CountryCode: null,
          Latitude: null,
          Longitude: null,
          GeocodeAccuracy: null,
        },
      },
    );
  });

  test('a part that changes is named within its compound', async () => {
    await raw('PATCH', `/sobjects/Sample__c/${id}`, { Place__Longitude__s: 13.5 });
    const header = org.events('/data/Sample__ChangeEvent').at(-1)?.payload?.ChangeEventHeader;
    assert.deepEqual((header as { changedFields: string[] }).changedFields, [
      'LastModifiedDate',
      'Place__c.Longitude',
    ]);
  });

  test('describe tells what it is, and what it is a part of', async () => {
    const { fields } = (await raw('GET', '/sobjects/Sample__c/describe')).json as {
      fields: { name: string; type: string; compoundFieldName: string | null; createable: boolean }[];
    };
    const of = (wanted: string): unknown => {
      const { type, compoundFieldName, createable } = fields.find(({ name }) => name === wanted) ?? {};
      return [type, compoundFieldName, createable];
    };
    assert.deepEqual(of('Place__c'), ['location', null, false]);
    assert.deepEqual(of('Place__Latitude__s'), ['double', 'Place__c', true]);
    assert.deepEqual(of('BillingCity'), ['string', 'BillingAddress', true]);
    assert.deepEqual(of('At__c'), ['time', null, true]);
  });

  test('what can’t be one, and what can’t be compared, is refused', async () => {
    const [time, place] = (
      (
        await raw('POST', '/composite/sobjects', {
          records: [{ At__c: '25:00' }, { Place__c: { latitude: 1, longitude: 2 } }].map((record) => ({
            attributes: { type: 'Sample__c' },
            ...record,
          })),
        })
      ).json as { errors: object[] }[]
    ).map(rowCode);
    assert.deepEqual([time, place], ['JSON_PARSER_ERROR', 'INVALID_FIELD_FOR_INSERT_UPDATE']);
    for (const name of ['Place__c', 'File__c', 'Story__c', 'Secret__c'])
      assert.equal(
        code(
          await raw('GET', `/query?q=${encodeURIComponent(`SELECT Id FROM Sample__c WHERE ${name} = 'x'`)}`),
        ),
        'INVALID_FIELD',
        name,
      );
  });
});

test('an upsert goes by an idLookup field, Contact’s Email', async () => {
  const sf = await connect(org);
  const upsert = async (more: object): Promise<unknown> => {
    const [row] = (await sf.upsert('Contact', [{ Email: 'ada@org.example', ...more }], 'Email')) as object[];
    return (row as { created: boolean }).created;
  };
  assert.deepEqual([await upsert({ LastName: 'Ada' }), await upsert({ Title: 'Dr' })], [true, false]);
  assert.deepEqual(
    org.records('Contact').map(({ LastName, Title }) => [LastName, Title]),
    [['Ada', 'Dr']],
  );
});
