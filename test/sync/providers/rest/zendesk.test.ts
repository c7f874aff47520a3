import assert from 'node:assert/strict';
import { test } from 'node:test';
import { zendesk } from '../../../../nodes/sync/providers/zendesk';
import { changes, history, idsOf, opened, start } from './drain';
import { answeringApi, type Reply, type Seen } from './server';

interface Ticket {
  id: number;
  status: string;
  updated_at: string;
  generated_timestamp: number;
}

const ticket = (id: number, more: Partial<Ticket> = {}): Ticket => ({
  id,
  status: 'open',
  updated_at: '2026-01-03T00:00:00Z',
  generated_timestamp: 1_767_398_400 + id,
  ...more,
});

/** The cursor is the place in the order of changes. */
function exported(tickets: Ticket[], pageSize: number) {
  return ({ path, query }: Seen): Reply => {
    if (path !== '/api/v2/incremental/tickets/cursor')
      return { status: 404, body: { error: 'InvalidEndpoint' } };
    if (query.has('cursor') === query.has('start_time'))
      return { status: 400, body: { error: 'either of them' } };
    if (Number(query.get('start_time') ?? 0) > Date.now() / 1_000 - 300)
      return { status: 422, body: { error: 'InvalidValue', description: 'Too recent start_time' } };
    const ordered = [...tickets].sort((a, b) => a.generated_timestamp - b.generated_timestamp);
    const from = query.has('cursor')
      ? Number(query.get('cursor'))
      : ordered.findIndex((each) => each.generated_timestamp >= Number(query.get('start_time')));
    const begin = from < 0 ? ordered.length : from;
    const page = ordered.slice(begin, begin + pageSize);
    const end = begin + page.length;
    const over = end >= ordered.length;
    return { body: { tickets: page, after_cursor: String(end), after_url: 'x', end_of_stream: over } };
  };
}

test('tickets: the export is history, and its cursor goes on for ever (Z1, Z3, Z4)', async (t) => {
  const tickets = Array.from({ length: 25 }, (_, i) => ticket(i));
  const { baseUrl, seen } = await answeringApi(t, exported(tickets, 10));
  const collection = await opened(t, zendesk, baseUrl, 'tickets');
  const from = await start(collection);
  assert.deepEqual(
    idsOf(await history(collection)),
    tickets.map(({ id }) => String(id)),
  );
  const calls = seen.length;
  const first = await changes(collection, from);
  assert.deepEqual(first.records, []);
  assert.equal(seen.length, calls + 1, 'a quiet poll is one call');
  // Moves without its updated_at, and one is deleted: all the export says counts.
  tickets.push(ticket(3, { generated_timestamp: 1_999_999_999 }));
  tickets.push(ticket(4, { status: 'deleted', generated_timestamp: 1_999_999_999 }));
  const second = await changes(collection, first.position);
  assert.deepEqual(
    second.records.map(({ id, deleted }) => [id, deleted]),
    [
      ['3', undefined],
      ['4', true],
    ],
  );
  assert.deepEqual((await changes(collection, second.position)).records, []);
});

test('organizations of one second that are more than a page are a gap, read by the list, and then passed (Z2)', async (t) => {
  const page = Array.from({ length: 5 }, (_, id) => ({
    id,
    updated_at: '2026-01-03T00:00:00Z',
    deleted_at: null,
  }));
  const { baseUrl } = await answeringApi(t, ({ path, query }) => {
    if (path === '/api/v2/organizations') return { body: { organizations: page, meta: { has_more: false } } };
    const begins = Number(query.get('start_time'));
    if (begins > 2_000_000_000) return { body: { organizations: [], end_time: begins, end_of_stream: true } };
    return { body: { organizations: page, end_time: 2_000_000_000, end_of_stream: false } };
  });
  const collection = await opened(t, zendesk, baseUrl, 'organizations');
  const stuck = await changes(collection, await start(collection));
  assert.match(stuck.gap ?? '', /in one second/);
  assert.equal((await history(collection)).length, 5);
  const after = await changes(collection, stuck.position);
  assert.equal(after.gap, undefined);
});

test('organizations of one second that come whole, in a larger page, are no gap', async (t) => {
  const many = Array.from({ length: 1_200 }, (_, id) => ({
    id,
    updated_at: '2026-01-03T00:00:00Z',
    deleted_at: null,
  }));
  const later = { id: 5_000, updated_at: '2026-01-04T00:00:00Z', deleted_at: null };
  const { baseUrl } = await answeringApi(t, ({ path, query }) => {
    if (path === '/api/v2/organizations') return { body: { organizations: [], meta: { has_more: false } } };
    if (Number(query.get('start_time')) > 2_000_000_000)
      return { body: { organizations: [later], end_time: 2_000_000_001, end_of_stream: true } };
    return { body: { organizations: many, end_time: 2_000_000_000, end_of_stream: false } };
  });
  const collection = await opened(t, zendesk, baseUrl, 'organizations');
  const { records, gap } = await changes(collection, await start(collection));
  assert.equal(gap, undefined);
  assert.equal(new Set(records.map(({ id }) => id)).size, 1_201);
});
