import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { Client } from '@hubspot/api-client';
import {
  FilterOperatorEnum,
  type PublicObjectSearchRequest,
} from '@hubspot/api-client/lib/codegen/crm/contacts';
import { type Api } from '../api';
import { apiFor, call } from '../support';

const clientOf = (api: Api, numberOfApiCallRetries = 0): Client =>
  new Client({ accessToken: api.token, basePath: api.baseUrl, numberOfApiCallRetries });

const CONTACTS = '/crm/v3/objects/contacts';
const day = 86_400_000;

/** Contacts changed since, oldest change first. */
function changedSince(ms: number, after?: string): PublicObjectSearchRequest {
  return {
    filterGroups: [
      {
        filters: [{ propertyName: 'lastmodifieddate', operator: FilterOperatorEnum.Gte, value: String(ms) }],
      },
    ],
    sorts: ['lastmodifieddate'],
    properties: ['email'],
    limit: 200,
    after,
  };
}

interface Page {
  total?: number;
  results: {
    id: string;
    properties: Record<string, string | null>;
    updatedAt: string;
    archivedAt?: string;
  }[];
  paging?: { next: { after: string; link: string } };
}

async function pageOf(api: Api, path: string, body?: unknown): Promise<Page> {
  const { status, json, text } = await call(api, path, { method: body === undefined ? 'GET' : 'POST', body });
  assert.equal(status, 200, text);
  return json as Page;
}

const ids = ({ results }: { results: { id: string }[] }): string[] => results.map(({ id }) => id);

const bulk = (count: number): { email: string }[] =>
  Array.from({ length: count }, (_, n) => ({ email: `${n}@example.test` }));

test('the client pages through all records of a type, in the order of their ids', async (t) => {
  const api = await apiFor(t, 'hubspot', { seed: { companies: 250 } });
  const all = await clientOf(api).crm.companies.getAll();
  const found = all.map(({ id }) => Number(id));
  assert.equal(found.length, 250);
  assert.deepEqual(
    found,
    [...found].sort((a, b) => a - b),
  );
  assert.deepEqual(
    api.requests().map(({ records }) => records),
    [100, 100, 50],
  );
});

test('properties that aren’t asked for aren’t returned; what isn’t set is null, what isn’t there is left out', async (t) => {
  const api = await apiFor(t, 'hubspot', { seed: { contacts: [{ email: 'ana@example.test', phone: '1' }] } });
  const { results } = await pageOf(api, `${CONTACTS}?properties=email,company&properties=nothing`);
  assert.deepEqual(Object.keys(results[0]?.properties ?? {}).sort(), [
    'company',
    'createdate',
    'email',
    'hs_object_id',
    'lastmodifieddate',
  ]);
  assert.equal(results[0]?.properties.company, null);
  const dated = await pageOf(api, '/crm/objects/2026-03/contacts?properties=email');
  assert.deepEqual(ids(dated), ids({ results }));
});

test('what is wrong is refused in HubSpot’s words', async (t) => {
  const api = await apiFor(t, 'hubspot', { seed: { contacts: 3 } });
  const filter = { propertyName: 'email', operator: 'EQ', value: 'x' };
  const search = `${CONTACTS}/search`;
  const many = Array.from({ length: 101 }, (_, n) => ({ id: String(n) }));
  const refused: [path: string, body?: unknown][] = [
    [`${CONTACTS}?limit=101`],
    [`${CONTACTS}?limit=51&propertiesWithHistory=email`],
    [`${CONTACTS}?limit=x`],
    [`${CONTACTS}?after=x`],
    [`${CONTACTS}?archived=maybe`],
    [search, { limit: 201 }],
    [search, { after: 'x' }],
    [search, { sorts: ['email', 'phone'] }],
    [search, { sorts: ['nothing'] }],
    [search, { filterGroups: [{ filters: [{ ...filter, operator: 'LIKE' }] }] }],
    [search, { filterGroups: [{ filters: [{ ...filter, propertyName: 'nothing' }] }] }],
    [search, { filterGroups: Array.from({ length: 6 }, () => ({ filters: [filter] })) }],
    [search, { filterGroups: [{ filters: Array.from({ length: 7 }, () => filter) }] }],
    [
      search,
      { filterGroups: [{ filters: [{ propertyName: 'lastmodifieddate', operator: 'GTE', value: 'soon' }] }] },
    ],
    [`${CONTACTS}/batch/read`, { inputs: many }],
    [`${CONTACTS}/batch/read`, {}],
    ['/crm/v3/objects/nothings'],
  ];
  // Search allows five calls a second.
  api.limits({ secondly: { max: 1_000 } });
  for (const [path, body] of refused) {
    const { status, json } = await call(api, path, { method: body === undefined ? 'GET' : 'POST', body });
    const { status: word, category, correlationId } = json as Record<string, string>;
    assert.deepEqual([path, body, status, word, category], [path, body, 400, 'error', 'VALIDATION_ERROR']);
    assert.ok(correlationId);
  }
  assert.equal((await call(api, `${CONTACTS}/1`)).status, 404);
  assert.equal((await call(api, '/crm/v3/nothing')).status, 404);
});

test('H1: search ends at 10,000 hits, and goes on from the last value', async (t) => {
  const api = await apiFor(t, 'hubspot', {
    seed: { contacts: 10_400 },
    limits: { secondly: { max: 1_000 } },
  });
  const last = await pageOf(api, `${CONTACTS}/search`, changedSince(0, '9800'));
  assert.deepEqual([last.total, last.results.length, last.paging?.next.after], [10_400, 200, '10000']);
  const beyond = await call(api, `${CONTACTS}/search`, { method: 'POST', body: changedSince(0, '10000') });
  assert.equal(beyond.status, 400);
  const anchor = Date.parse(last.results.at(-1)?.updatedAt ?? '');
  const rest = await pageOf(api, `${CONTACTS}/search`, changedSince(anchor));
  assert.ok(ids(rest).includes(last.results.at(-1)?.id ?? ''));
  assert.equal(rest.total, 401);
});

for (const idOrder of ['numeric', 'text'] as const)
  test(`H2: more rows than a query gives share one millisecond; they page by id (${idOrder} order)`, async (t) => {
    const api = await apiFor(t, 'hubspot', {
      limits: { secondly: { max: 1_000 } },
      switches: { indexLagMs: 0, idOrder },
    });
    api.write('contacts', bulk(10_100), 1_767_225_600_000);
    const at = { propertyName: 'lastmodifieddate', operator: 'EQ', value: '1767225600000' };
    const found = new Set<string>();
    let last: string | undefined;
    for (let pages = 0; pages < 60; pages++) {
      const beyond =
        last === undefined ? [] : [{ propertyName: 'hs_object_id', operator: 'GT', value: last }];
      const page = await pageOf(api, `${CONTACTS}/search`, {
        filterGroups: [{ filters: [at, ...beyond] }],
        sorts: ['hs_object_id'],
        limit: 200,
      });
      if (page.results.length === 0) break;
      for (const id of ids(page)) found.add(id);
      last = ids(page).at(-1);
    }
    assert.equal(found.size, 10_100);
  });

test('H3: pages come short, or empty, and go on', async (t) => {
  const api = await apiFor(t, 'hubspot', { seed: { contacts: 30 }, switches: { indexLagMs: 0 } });
  const all = api.records('contacts').map(({ id }) => String(id as string));
  api.remove('contacts', all.slice(10, 20));
  const first = await pageOf(api, `${CONTACTS}?limit=10`);
  const second = await pageOf(api, `${CONTACTS}?limit=10&after=${first.paging?.next.after}`);
  assert.deepEqual([ids(second), second.paging?.next.after], [[], all[20]]);
  assert.equal((await clientOf(api).crm.contacts.getAll(10)).length, 20);
  api.switches({ shortPages: false });
  assert.equal(ids(await pageOf(api, `${CONTACTS}?limit=10&after=${first.paging?.next.after}`)).length, 10);
});

test('H4: associations of v3 never leave their first page; v4 gives all, 500 a page', async (t) => {
  const api = await apiFor(t, 'hubspot', { seed: { companies: [{ name: 'Acme' }], contacts: 620 } });
  const [company] = api.records('companies');
  const id = String(company?.id as string);
  api.act(
    'associate',
    'companies',
    api.records('contacts').map((contact) => ({ id, to: 'contacts', toId: contact.id })),
  );
  const v3 = '/crm/v3/associations/companies/contacts/batch/read';
  type Associated = {
    results: { to: { id: string; toObjectId: number }[]; paging?: { next: { after: string } } }[];
  };
  const read = async (path: string, after?: string): Promise<Associated['results'][number] | undefined> =>
    ((await call(api, path, { method: 'POST', body: { inputs: [{ id, after }] } })).json as Associated)
      .results[0];
  const [first, again] = [await read(v3), await read(v3, '101')];
  assert.deepEqual([first?.to.length, again], [100, first]);
  const v4 = '/crm/v4/associations/companies/contacts/batch/read';
  const page = await read(v4);
  const rest = await read(v4, page?.paging?.next.after);
  assert.deepEqual([page?.to.length, rest?.to.length, rest?.paging], [500, 120, undefined]);
  const batch = await clientOf(api).crm.associations.v4.batchApi.getPage('companies', 'contacts', {
    inputs: [{ id, after: page?.paging?.next.after }],
  });
  assert.deepEqual([batch.results[0]?._from.id, batch.results[0]?.to.length], [id, 120]);
  const one = await clientOf(api).crm.associations.v4.basicApi.getPage(
    'companies',
    id,
    'contacts',
    undefined,
    500,
  );
  assert.deepEqual([one.results.length, one.paging?.next?.after], [500, page?.paging?.next.after]);
});

test('H5: archiving moves nothing but archivedAt; the bin is a list of its own, for 90 days', async (t) => {
  const api = await apiFor(t, 'hubspot', { switches: { indexLagMs: 0 } });
  const [kept, binned] = api.write('contacts', bulk(2), Date.now() - day);
  const id = String(binned?.id as string);
  api.act('archive', 'contacts', { ids: [id] });
  assert.deepEqual(ids(await pageOf(api, CONTACTS)), [kept?.id]);
  assert.equal((await pageOf(api, `${CONTACTS}/search`, changedSince(0))).total, 1);
  const [shown] = (await pageOf(api, `${CONTACTS}?archived=true`)).results;
  assert.deepEqual([shown?.id, shown?.updatedAt], [id, binned?.updatedAt]);
  assert.ok(shown?.archivedAt);
  assert.equal((await call(api, `${CONTACTS}/${id}`)).status, 404);
  assert.equal((await call(api, `${CONTACTS}/${id}?archived=true`)).status, 200);
  api.clock.advance(91 * day);
  assert.deepEqual(ids(await pageOf(api, `${CONTACTS}?archived=true`)), []);
});

test('a restored record is listed again as it was', async (t) => {
  const api = await apiFor(t, 'hubspot', { switches: { indexLagMs: 0 } });
  const [made] = api.write('deals', [{ dealname: 'Big' }], Date.now() - day);
  api.remove('deals', [String(made?.id as string)]);
  api.act('restore', 'deals', { ids: [made?.id] });
  const { results } = await pageOf(api, '/crm/v3/objects/deals');
  assert.deepEqual([results[0]?.id, results[0]?.updatedAt], [made?.id, made?.updatedAt]);
  assert.deepEqual(ids(await pageOf(api, '/crm/v3/objects/deals?archived=true')), []);
});

test('a purge leaves nothing', async (t) => {
  const api = await apiFor(t, 'hubspot', { switches: { indexLagMs: 0 } });
  const [made] = api.write('contacts', bulk(1));
  const id = String(made?.id as string);
  api.remove('contacts', [id], { purge: true });
  assert.deepEqual(ids(await pageOf(api, CONTACTS)), []);
  assert.deepEqual(ids(await pageOf(api, `${CONTACTS}?archived=true`)), []);
  assert.equal((await call(api, `${CONTACTS}/${id}?archived=true`)).status, 404);
});

test('a merge makes a new id; the old ones answer the merged record and are in no list', async (t) => {
  const api = await apiFor(t, 'hubspot', { switches: { indexLagMs: 0 } });
  const [a, b, c] = api
    .write('contacts', [{ email: 'a@example.test' }, { phone: '1' }, { phone: '2' }])
    .map(({ id }) => String(id as string));
  const merged = api.act('merge', 'contacts', { ids: [a, b] }) as { id: string };
  const again = api.act('merge', 'contacts', { ids: [merged.id, c] }) as { id: string };
  assert.deepEqual(ids(await pageOf(api, CONTACTS)), [again.id]);
  assert.deepEqual(ids(await pageOf(api, `${CONTACTS}?archived=true`)), []);
  const { json } = await call(api, `${CONTACTS}/${a}?properties=email,phone,hs_merged_object_ids`);
  const { id, properties } = json as Page['results'][number];
  assert.deepEqual(
    [id, properties.email, properties.phone, properties.hs_merged_object_ids],
    [again.id, 'a@example.test', '1', `${a};${b};${merged.id};${c}`],
  );
  const batch = await clientOf(api).crm.contacts.batchApi.read({
    inputs: [{ id: b ?? '' }],
    properties: ['email'],
    propertiesWithHistory: [],
  });
  assert.deepEqual(ids(batch), [again.id]);
});

test('a batch answers 207 with those that there are', async (t) => {
  const api = await apiFor(t, 'hubspot', { seed: { tickets: 1 } });
  const [ticket] = api.records('tickets');
  const { status, json } = await call(api, '/crm/v3/objects/tickets/batch/read', {
    method: 'POST',
    body: { inputs: [{ id: ticket?.id }, { id: '1' }], properties: ['subject'] },
  });
  const { results, numErrors, errors } = json as Page & { numErrors: number; errors: { context: object }[] };
  assert.deepEqual([status, results.length, numErrors, errors[0]?.context], [207, 1, 1, { ids: ['1'] }]);
});

test('H6: an address that is too long is a 414', async (t) => {
  const api = await apiFor(t, 'hubspot');
  const properties = Array.from({ length: 500 }, (_, n) => ({
    name: `a_long_property_name_${n}`,
    type: 'string',
  }));
  api.act('define', 'contacts', properties);
  const { json } = await call(api, '/crm/v3/properties/contacts');
  const names = (json as { results: { name: string }[] }).results.map(({ name }) => name);
  assert.ok(names.includes('a_long_property_name_499'));
  assert.equal((await call(api, `${CONTACTS}?properties=${names.join(',')}`)).status, 414);
  assert.equal((await call(api, `${CONTACTS}?properties=${names.slice(0, 50).join(',')}`)).status, 200);
});

test('H7: search is behind the records, lists are not', async (t) => {
  const api = await apiFor(t, 'hubspot', { switches: { indexLagMs: 60_000 } });
  const [made] = api.write('contacts', bulk(1));
  assert.equal((await pageOf(api, CONTACTS)).results.length, 1);
  assert.equal((await pageOf(api, `${CONTACTS}/search`, changedSince(0))).total, 0);
  api.clock.advance(60_000);
  api.write('contacts', [{ id: made?.id, email: 'new@example.test' }]);
  const [stale] = (await pageOf(api, `${CONTACTS}/search`, changedSince(0))).results;
  assert.equal(stale?.properties.email, '0@example.test');
});

test('offsets shift while records change: one that moves to the end makes another be skipped', async (t) => {
  const api = await apiFor(t, 'hubspot', { seed: { contacts: 400 }, switches: { indexLagMs: 0 } });
  const first = await pageOf(api, `${CONTACTS}/search`, changedSince(0));
  const [moved] = ids(first);
  api.write('contacts', [{ id: moved, phone: '1' }]);
  const second = await pageOf(api, `${CONTACTS}/search`, changedSince(0, first.paging?.next.after));
  assert.equal(ids(second).at(-1), moved);
  assert.equal(new Set([...ids(first), ...ids(second)]).size, 399);
});

test('filters: bounds, lists, presence, words, groups that are alternatives', async (t) => {
  const api = await apiFor(t, 'hubspot', {
    switches: { indexLagMs: 0 },
    limits: { secondly: { max: 1_000 } },
  });
  api.write('deals', [
    { dealname: 'Small chair', amount: '9' },
    { dealname: 'Big table', amount: '100' },
    { dealname: 'Bench' },
  ]);
  const find = async (...groups: object[][]): Promise<(string | null | undefined)[]> => {
    const body = {
      filterGroups: groups.map((filters) => ({ filters })),
      sorts: ['hs_object_id'],
      properties: ['dealname'],
    };
    return (await pageOf(api, '/crm/v3/objects/deals/search', body)).results.map(
      ({ properties }) => properties.dealname,
    );
  };
  const amount = (operator: string, more: object = {}): object => ({
    propertyName: 'amount',
    operator,
    ...more,
  });
  assert.deepEqual(await find([amount('GT', { value: '10' })]), ['Big table']);
  assert.deepEqual(await find([amount('BETWEEN', { value: '9', highValue: '10' })]), ['Small chair']);
  assert.deepEqual(await find([amount('IN', { values: ['9', '100'] })]), ['Small chair', 'Big table']);
  assert.deepEqual(await find([amount('NOT_HAS_PROPERTY')]), ['Bench']);
  const word = { propertyName: 'dealname', operator: 'CONTAINS_TOKEN', value: 'chair' };
  assert.deepEqual(await find([word], [amount('EQ', { value: '100' })]), ['Small chair', 'Big table']);
  assert.deepEqual(await find([word, amount('EQ', { value: '100' })]), []);
});

test('limits: by ten seconds with headers, search by the second without, by the day', async (t) => {
  const api = await apiFor(t, 'hubspot', {
    limits: { tenSecondly: { max: 2 }, secondly: { max: 1, windowMs: 60_000 } },
  });
  const first = await call(api, CONTACTS);
  assert.deepEqual(
    ['Interval-Milliseconds', 'Max', 'Remaining', 'Daily', 'Daily-Remaining'].map((name) =>
      first.headers.get(`x-hubspot-ratelimit-${name}`),
    ),
    ['10000', '2', '1', '625000', '624999'],
  );
  await call(api, CONTACTS);
  const refused = await call(api, CONTACTS);
  const { errorType, policyName } = refused.json as Record<string, string>;
  assert.deepEqual([refused.status, errorType, policyName], [429, 'RATE_LIMIT', 'TEN_SECONDLY_ROLLING']);
  assert.equal(refused.headers.get('retry-after'), null);
  const search = { method: 'POST', body: {} };
  assert.equal((await call(api, `${CONTACTS}/search`, search)).headers.get('x-hubspot-ratelimit-max'), null);
  const busy = await call(api, `${CONTACTS}/search`, search);
  assert.deepEqual([busy.status, (busy.json as Record<string, string>).policyName], [429, 'SECONDLY']);
  api.limits({ daily: { max: 0 } });
  api.clock.advance(10_000);
  api.switches({ rateLimitBody: 'category', retryAfter: true });
  const over = await call(api, CONTACTS);
  const { category, policyName: policy } = over.json as Record<string, string>;
  assert.deepEqual([over.status, category, policy], [429, 'RATE_LIMITS', 'DAILY']);
  assert.ok(Number(over.headers.get('retry-after')) > 0);
});

test('the client waits out a limit of search and a 500, and tells the rest', async (t) => {
  const api = await apiFor(t, 'hubspot', { seed: { contacts: 1 }, limits: { secondly: { max: 1 } } });
  const said = mock.method(console, 'error', () => undefined);
  t.after(() => said.mock.restore());
  const client = clientOf(api, 2);
  await client.crm.contacts.searchApi.doSearch(changedSince(0));
  const again = await client.crm.contacts.searchApi.doSearch(changedSince(0));
  assert.equal(again.total, 1);
  api.faults.add({ action: { status: 502 }, times: 1 });
  await client.crm.contacts.basicApi.getPage();
  assert.deepEqual(
    api
      .requests()
      .map(({ status }) => status)
      .filter((status) => status !== 429),
    [200, 200, 502, 200],
  );
  assert.ok(api.requests().some(({ status }) => status === 429));
});

test('tokens: none, a malformed one, a wrong one, one without the scope', async (t) => {
  const api = await apiFor(t, 'hubspot', { switches: { missingScopes: ['crm.objects.deals.read'] } });
  const as = (Authorization: string): Promise<{ status: number; json: unknown }> =>
    call(api, CONTACTS, { headers: { Authorization } });
  assert.equal((await fetch(api.baseUrl + CONTACTS)).status, 401);
  assert.equal((await as('Bearer not a token!')).status, 530);
  assert.equal(
    ((await as('Bearer pat-na1-wrong')).json as { category: string }).category,
    'INVALID_AUTHENTICATION',
  );
  const { status, json } = await call(api, '/crm/v3/objects/deals');
  assert.deepEqual([status, (json as { category: string }).category], [403, 'MISSING_SCOPES']);
  await assert.rejects(clientOf(api).crm.deals.basicApi.getPage(), { code: 403 });
});

for (const cleared of ['', null] as const)
  test(`a property that was cleared holds ${cleared === null ? 'null' : 'an empty text'}`, async (t) => {
    const api = await apiFor(t, 'hubspot', { switches: { cleared } });
    const [made] = api.write('contacts', [{ email: 'a@example.test' }]);
    api.write('contacts', [{ id: made?.id, email: null }]);
    assert.equal((await pageOf(api, CONTACTS)).results[0]?.properties.email, cleared);
  });
