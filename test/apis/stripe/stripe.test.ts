import assert from 'node:assert/strict';
import { test } from 'node:test';
import Stripe from 'stripe';
import { type Api } from '../api';
import { apiFor, call } from '../support';

function clientOf(api: Api, key = api.token, maxNetworkRetries = 0): Stripe {
  const { hostname: host, port } = new URL(api.baseUrl);
  return new Stripe(key, { host, port: Number(port), protocol: 'http', maxNetworkRetries, telemetry: false });
}

const day = 86_400_000;

test('the client pages through all customers, newest first', async (t) => {
  const api = await apiFor(t, 'stripe', { seed: { customers: 250 } });
  const ids: string[] = [];
  const created: number[] = [];
  for await (const customer of clientOf(api).customers.list({ limit: 100 })) {
    ids.push(customer.id);
    created.push(customer.created);
  }
  assert.equal(new Set(ids).size, 250);
  assert.deepEqual(
    created,
    [...created].sort((a, b) => b - a),
  );
  assert.deepEqual(
    api.requests().map(({ status, records }) => [status, records]),
    [
      [200, 100],
      [200, 100],
      [200, 50],
    ],
  );
});

test('ending_before goes the other way, and created bounds a list', async (t) => {
  const api = await apiFor(t, 'stripe');
  const [a, b, c] = [1, 2, 3].map(
    (n) => api.write('products', [{ name: `${n}` }], n * 1_000)[0]?.id as string,
  );
  const stripe = clientOf(api);
  const ids = ({ data }: { data: { id: string }[] }): string[] => data.map(({ id }) => id);
  const newer = await stripe.products.list({ ending_before: a, limit: 1 });
  assert.deepEqual([ids(newer), newer.has_more], [[b], true]);
  assert.deepEqual(ids(await stripe.products.list({ created: { gte: 2, lt: 3 } })), [b]);
  assert.deepEqual(ids(await stripe.products.list({ created: { gt: 1 } })), [c, b]);
});

test('parameters that a call doesn’t know are refused, and so are both ends of a list', async (t) => {
  const api = await apiFor(t, 'stripe');
  const refused: [path: string, code: string | undefined, param: string][] = [
    ['/v1/customers?updated[gte]=1', 'parameter_unknown', 'updated'],
    ['/v1/customers?limit=0', 'parameter_invalid_integer', 'limit'],
    ['/v1/customers?limit=101', undefined, 'limit'],
    ['/v1/customers?starting_after=cus_x&ending_before=cus_y', undefined, 'starting_after'],
    ['/v1/subscriptions?status=gone', undefined, 'status'],
    ['/v1/events?type=charge.*&types[]=charge.failed', undefined, 'type'],
    [`/v1/events?${Array.from({ length: 21 }, (_, n) => `types[]=t${n}`).join('&')}`, undefined, 'types'],
    ['/v1/events?types[]=charge.*', undefined, 'types'],
    ['/v1/invoices?expand[]=data.nothing', undefined, 'expand'],
  ];
  for (const [path, code, param] of refused) {
    const { status, json } = await call(api, path);
    const { error } = json as { error: { type: string; code?: string; param?: string } };
    assert.deepEqual(
      [path, status, error.type, error.code, error.param],
      [path, 400, 'invalid_request_error', code, param],
    );
  }
});

test('by a switch a limit over the highest is taken as the highest', async (t) => {
  const api = await apiFor(t, 'stripe', { seed: { prices: 120 }, switches: { overLimit: 'clamp' } });
  const { json } = await call(api, '/v1/prices?limit=200');
  assert.equal((json as { data: unknown[] }).data.length, 100);
});

test('S1: an update is not in a list by created, but in the events', async (t) => {
  const api = await apiFor(t, 'stripe', { seed: { customers: 3 }, switches: { eventLagMs: 0 } });
  const [first] = api.records('customers');
  api.write('customers', [{ id: first?.id, email: 'new@example.test' }]);
  const stripe = clientOf(api);
  const since = Math.floor(Date.now() / 1000) - 60;
  assert.equal((await stripe.customers.list({ created: { gte: since } })).data.length, 0);
  const { data } = await stripe.events.list({ types: ['customer.updated'], created: { gte: since } });
  assert.equal(data.length, 1);
  assert.deepEqual(data[0]?.data.previous_attributes, { email: first?.email });
});

test('a write that changes nothing makes no event', async (t) => {
  const api = await apiFor(t, 'stripe', { switches: { eventLagMs: 0 } });
  const [made] = api.write('products', [{ name: 'Chair' }]);
  api.write('products', [{ id: made?.id, name: 'Chair' }]);
  const { data } = await clientOf(api).events.list({ type: 'product.*' });
  assert.deepEqual(
    data.map(({ type }) => type),
    ['product.created'],
  );
});

test('S2: events are gone after 30 days; one that has gone is no place to start from', async (t) => {
  const api = await apiFor(t, 'stripe', { switches: { eventLagMs: 0 } });
  api.write('customers', [{ email: 'a@example.test' }]);
  const stripe = clientOf(api);
  const [old] = (await stripe.events.list()).data;
  api.clock.advance(30 * day + 2_000);
  api.write('customers', [{ email: 'b@example.test' }]);
  const { data } = await stripe.events.list();
  assert.deepEqual(
    data.map((event) => (event.data.object as Stripe.Customer).email),
    ['b@example.test'],
  );
  await assert.rejects(stripe.events.list({ starting_after: old?.id }), {
    statusCode: 400,
    code: 'resource_missing',
  });
  await assert.rejects(stripe.events.retrieve(old?.id ?? ''), { statusCode: 404 });
});

test('S3: canceled subscriptions are listed with status=all only, and stay readable', async (t) => {
  const api = await apiFor(t, 'stripe', { switches: { eventLagMs: 0 } });
  const [kept, ended] = api.write('subscriptions', [{ customer: 'cus_1' }, { customer: 'cus_1' }]);
  api.remove('subscriptions', [String(ended?.id as string)]);
  const stripe = clientOf(api);
  assert.deepEqual(
    (await stripe.subscriptions.list()).data.map(({ id }) => id),
    [kept?.id],
  );
  assert.equal((await stripe.subscriptions.list({ status: 'all' })).data.length, 2);
  assert.equal((await stripe.subscriptions.list({ status: 'canceled' })).data.length, 1);
  assert.equal((await stripe.subscriptions.retrieve(String(ended?.id as string))).status, 'canceled');
  const [event] = (await stripe.events.list({ types: ['customer.subscription.deleted'] })).data;
  assert.equal((event?.data.object as Stripe.Subscription).id, ended?.id);
});

test('S4: a list can’t go on from an object that was deleted', async (t) => {
  const api = await apiFor(t, 'stripe', { seed: { customers: 20 } });
  const stripe = clientOf(api);
  const last = (await stripe.customers.list({ limit: 10 })).data.at(-1)?.id ?? '';
  api.remove('customers', [last]);
  await assert.rejects(stripe.customers.list({ starting_after: last }), {
    type: 'StripeInvalidRequestError',
    statusCode: 400,
    code: 'resource_missing',
    param: 'starting_after',
  });
});

test('a deleted customer isn’t listed and is read as deleted; an unknown one is a 404', async (t) => {
  const api = await apiFor(t, 'stripe', { switches: { eventLagMs: 0 } });
  const [made] = api.write('customers', [{ email: 'a@example.test' }]);
  const id = String(made?.id as string);
  api.remove('customers', [id]);
  const stripe = clientOf(api);
  assert.deepEqual((await stripe.customers.list()).data, []);
  assert.deepEqual({ ...(await stripe.customers.retrieve(id)) }, { id, object: 'customer', deleted: true });
  await assert.rejects(stripe.customers.retrieve('cus_unknown'), {
    statusCode: 404,
    code: 'resource_missing',
  });
  const [event] = (await stripe.events.list()).data;
  assert.deepEqual(
    [event?.type, (event?.data.object as Stripe.Customer).email],
    ['customer.deleted', 'a@example.test'],
  );
});

test('S5: events may carry another object than their name says, or one without an id', async (t) => {
  const api = await apiFor(t, 'stripe', { switches: { eventLagMs: 0 } });
  api.act('event', 'charges', [
    { type: 'charge.dispute.created', object: { id: 'dp_1', object: 'dispute' } },
  ]);
  api.act('event', 'invoices', [{ type: 'invoice.upcoming', object: { object: 'invoice' } }]);
  const { data } = await clientOf(api).events.list();
  const objects = data.map((event) => event.data.object as { id?: string; object: string });
  assert.deepEqual(objects.map(({ id, object }) => [object, id]).sort(), [
    ['dispute', 'dp_1'],
    ['invoice', undefined],
  ]);
});

test('S6: events of one second tie, their ids are in no order, and paging still gives each once', async (t) => {
  const api = await apiFor(t, 'stripe', { switches: { eventLagMs: 0 } });
  api.write(
    'customers',
    Array.from({ length: 60 }, (_, n) => ({ email: `${n}@example.test` })),
    1_000 * Math.floor(Date.now() / 1000),
  );
  const ids: string[] = [];
  for await (const event of clientOf(api).events.list({ limit: 7 })) ids.push(event.id);
  assert.equal(new Set(ids).size, 60);
  assert.notDeepEqual(ids, [...ids].sort());
  assert.notDeepEqual(ids, [...ids].sort().reverse());
});

test('events are to be seen a moment after they happened', async (t) => {
  const api = await apiFor(t, 'stripe', { switches: { eventLagMs: 60_000 } });
  api.write('customers', [{}]);
  const stripe = clientOf(api);
  assert.equal((await stripe.events.list()).data.length, 0);
  api.clock.advance(60_000);
  assert.equal((await stripe.events.list()).data.length, 1);
});

test('an event stays in the version of its time; a read is in the version that is asked for', async (t) => {
  const api = await apiFor(t, 'stripe', { switches: { eventLagMs: 0, apiVersion: '2024-06-20' } });
  const [made] = api.write('invoices', [{ subscription: 'sub_1' }]);
  const stripe = clientOf(api);
  const [event] = (await stripe.events.list()).data;
  assert.deepEqual(
    [event?.api_version, (event?.data.object as unknown as { subscription: string }).subscription],
    ['2024-06-20', 'sub_1'],
  );
  const now = await stripe.invoices.retrieve(String(made?.id as string));
  assert.equal(now.parent?.subscription_details?.subscription, 'sub_1');
  const { status } = await call(api, '/v1/invoices', { headers: { 'Stripe-Version': 'newest' } });
  assert.equal(status, 400);
});

test('lists within an object hold ten; the rest is paged', async (t) => {
  const api = await apiFor(t, 'stripe');
  const [made] = api.write('invoices', [{ lines: Array.from({ length: 25 }, (_, n) => ({ amount: n })) }]);
  const stripe = clientOf(api);
  const invoice = await stripe.invoices.retrieve(String(made?.id as string));
  assert.deepEqual([invoice.lines.data.length, invoice.lines.has_more], [10, true]);
  const amounts: number[] = [];
  for await (const line of stripe.invoices.listLineItems(invoice.id ?? '', { limit: 10 }))
    amounts.push(line.amount);
  assert.deepEqual(
    amounts,
    Array.from({ length: 25 }, (_, n) => n),
  );
});

test('the status of an invoice makes its events', async (t) => {
  const api = await apiFor(t, 'stripe', { switches: { eventLagMs: 0 } });
  const [made] = api.write('invoices', [{ customer: 'cus_1' }]);
  api.write('invoices', [{ id: made?.id, status: 'open' }]);
  api.write('invoices', [{ id: made?.id, status: 'paid' }]);
  const { data } = await clientOf(api).events.list({ type: 'invoice.*' });
  assert.deepEqual(data.map(({ type }) => type).sort(), [
    'invoice.created',
    'invoice.finalized',
    'invoice.paid',
    'invoice.payment_succeeded',
    'invoice.updated',
    'invoice.updated',
  ]);
  assert.throws(() => api.remove('invoices', [String(made?.id as string)]), /draft/);
});

test('limits refuse with a reason: all calls, one endpoint, calls at one time', async (t) => {
  const api = await apiFor(t, 'stripe', {
    limits: { endpoint: { max: 2, windowMs: 60_000 }, global: { max: 3, windowMs: 60_000 } },
  });
  const stripe = clientOf(api);
  const reason = async (made: Promise<unknown>): Promise<unknown> =>
    made.then(
      () => undefined,
      (thrown: Stripe.errors.StripeError) => [
        thrown.type,
        thrown.statusCode,
        thrown.headers?.['stripe-rate-limited-reason'],
      ],
    );
  assert.equal(await reason(stripe.customers.list()), undefined);
  assert.equal(await reason(stripe.customers.list()), undefined);
  assert.deepEqual(await reason(stripe.customers.list()), ['StripeRateLimitError', 429, 'endpoint-rate']);
  assert.deepEqual(await reason(stripe.prices.list()), ['StripeRateLimitError', 429, 'global-rate']);
  api.clock.advance(60_000);
  assert.equal(await reason(stripe.customers.list()), undefined);
  api.switches({ maxConcurrent: 0 });
  assert.deepEqual(await reason(stripe.customers.list()), [
    'StripeRateLimitError',
    429,
    'global-concurrency',
  ]);
});

test('a lock is a 429 without a reason', async (t) => {
  const api = await apiFor(t, 'stripe');
  api.faults.add({ action: { status: 429, errorCode: 'lock_timeout' }, times: 1 });
  const answer = await call(api, '/v1/customers');
  assert.equal((answer.json as { error: { code: string } }).error.code, 'lock_timeout');
  assert.equal(answer.headers.get('stripe-rate-limited-reason'), null);
});

test('the client repeats a 500 and a cut connection, and doesn’t repeat a plain 429', async (t) => {
  const api = await apiFor(t, 'stripe');
  const stripe = clientOf(api, api.token, 1);
  api.faults.add({ action: { status: 500 }, times: 1 });
  await stripe.customers.list();
  api.faults.add({ action: { reset: 'before' }, times: 1 });
  await stripe.customers.list();
  api.faults.add({ action: { status: 429 }, times: 1 });
  await assert.rejects(stripe.customers.list(), { statusCode: 429 });
  api.faults.add({ action: { status: 409, headers: { 'Stripe-Should-Retry': 'false' } }, times: 1 });
  await assert.rejects(stripe.customers.list(), { statusCode: 409 });
});

test('keys: none, a wrong one, one without the right, Basic', async (t) => {
  const api = await apiFor(t, 'stripe', { switches: { forbidden: ['invoices'] } });
  await assert.rejects(clientOf(api, 'sk_test_wrong').customers.list(), {
    type: 'StripeAuthenticationError',
  });
  assert.equal((await fetch(`${api.baseUrl}/v1/customers`)).status, 401);
  await assert.rejects(clientOf(api).invoices.list(), { type: 'StripePermissionError', statusCode: 403 });
  const basic = `Basic ${Buffer.from(`${api.token}:`).toString('base64')}`;
  assert.equal((await call(api, '/v1/account', { headers: { Authorization: basic } })).status, 200);
  assert.equal((await call(api, '/v1/nothing')).status, 404);
});
