import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apiFor, call, controlCall } from '../support';
import { Clock } from './clock';
import { Limits } from './limits';
import { SortedList } from './sorted-list';

test('control: records are written, read and deleted by HTTP, also those of a collection with slashes in its name', async (t) => {
  const api = await apiFor(t, 'github');
  for (const name of ['acme/website:issues', 'acme%2Fwebsite%3Aissues']) {
    const { status, json } = await controlCall(api, 'POST', `records/${name}`, [{ title: 'Broken' }]);
    assert.equal(status, 200);
    const [{ id }] = json as [{ id: number }];
    assert.equal((await controlCall(api, 'DELETE', `records/${name}?ids=${id}`)).status, 200);
    assert.deepEqual((await controlCall(api, 'GET', `records/${name}`)).json, []);
  }
  const hubspot = await apiFor(t, 'hubspot');
  const made = await controlCall(hubspot, 'POST', 'records/contacts?at=2026-01-02T03:04:05.678Z', [
    { email: 'a@example.test' },
  ]);
  const [{ id, updatedAt }] = made.json as [{ id: string; updatedAt: string }];
  assert.equal(updatedAt, '2026-01-02T03:04:05.678Z');
  await controlCall(hubspot, 'POST', 'records/contacts/archive', { ids: [id] });
  assert.deepEqual(
    hubspot.records('contacts').map(({ archived }) => archived),
    [true],
  );
  await controlCall(hubspot, 'DELETE', `records/contacts?ids=${id}&purge=true`);
  assert.deepEqual(hubspot.records('contacts'), []);
});

test('control: what there isn’t is named with what there is', async (t) => {
  const api = await apiFor(t, 'stripe');
  const refused: [method: string, path: string, body: unknown, words: RegExp][] = [
    ['GET', 'records/nothing', undefined, /customers/],
    ['POST', 'records/customers/merge', {}, /event/],
    ['DELETE', 'records/customers', undefined, /\?ids=/],
    ['POST', 'switches', { nothing: 1 }, /apiVersion/],
    ['POST', 'limits', { nothing: { max: 1 } }, /endpoint/],
    ['POST', 'clock', {}, /advance/],
  ];
  for (const [method, path, body, words] of refused) {
    const { status, text } = await controlCall(api, method, path, body);
    assert.equal(status, 400, path);
    assert.match(text, words);
  }
  assert.match((await controlCall(api, 'GET', 'nothing')).text, /GET records/);
});

test('control: faults hit calls, the ledger has them, limits and the clock are set', async (t) => {
  const api = await apiFor(t, 'hubspot');
  const path = '/crm/v3/objects/contacts';
  await controlCall(api, 'POST', 'faults', [
    {
      match: { path: '/contacts' },
      action: {
        status: 429,
        body: 'slow down',
        headers: { 'Content-Type': 'text/plain', 'Retry-After': '7' },
      },
      times: 1,
    },
    { action: { reset: 'body' }, times: 1 },
  ]);
  const refused = await call(api, path);
  assert.deepEqual(
    [refused.status, refused.text, refused.headers.get('retry-after')],
    [429, 'slow down', '7'],
  );
  await assert.rejects(call(api, path));
  assert.equal((await call(api, path)).status, 200);
  const { json } = await controlCall(api, 'GET', 'requests');
  assert.deepEqual(
    (json as { status: number }[]).map(({ status }) => status),
    [429, 200, 200],
  );
  await controlCall(api, 'DELETE', 'requests');
  assert.deepEqual(api.requests(), []);
  await controlCall(api, 'POST', 'limits', { tenSecondly: { max: 0 } });
  assert.equal((await call(api, path)).status, 429);
  const before = api.clock.now();
  await controlCall(api, 'POST', 'clock', { advance: 3_600_000 });
  assert.ok(api.clock.now() - before >= 3_600_000);
  const date = Date.parse((await call(api, path)).headers.get('date') ?? '');
  assert.ok(date >= before + 3_599_000);
});

test('a sorted list holds its order over adds and deletes', () => {
  const list = new SortedList<number>((a, b) => a - b);
  list.addAll([5, 1, 9]);
  for (const item of [3, 10, 0, 7]) list.add(item);
  list.delete(5);
  list.delete(6);
  assert.deepEqual(list.items, [0, 1, 3, 7, 9, 10]);
  assert.equal(
    list.search((item) => item >= 4),
    3,
  );
});

test('a limit counts what it lets through, for each key, and begins anew with its window', () => {
  const clock = new Clock();
  const limits = new Limits({ calls: { max: 2, windowMs: 60_000 } }, clock);
  const outcome = (key = ''): [boolean, number, number] => {
    const { ok, used, remaining } = limits.take('calls', key);
    return [ok, used, remaining];
  };
  assert.deepEqual(
    [outcome(), outcome(), outcome()],
    [
      [true, 1, 1],
      [true, 2, 0],
      [false, 2, 0],
    ],
  );
  assert.deepEqual(outcome('another'), [true, 1, 1]);
  clock.advance(60_000);
  assert.deepEqual(outcome(), [true, 1, 1]);
  limits.set({ calls: { max: 1 } });
  assert.deepEqual(
    [outcome(), outcome()],
    [
      [true, 1, 0],
      [false, 1, 0],
    ],
  );
});

test('a limit by the day ends at midnight', () => {
  const limits = new Limits({ daily: { max: 1, windowMs: 86_400_000, aligned: true } }, new Clock());
  assert.equal(limits.take('daily').resetAt % 86_400_000, 0);
});
