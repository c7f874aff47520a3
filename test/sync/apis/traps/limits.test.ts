import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Position } from '../../../../nodes/sync/engine/provider';
import type { SourceRecord } from '../../../../nodes/sync/engine/record';
import type { ApiName } from '../../../apis/catalog';
import type { Row } from '../../../apis/frame/simulation';
import type { FaultAction } from '../../../support/simulated/faults';
import { start } from '../../providers/rest/drain';
import { distinct, ids, longAgo, many, reading } from './reading';

const never = new AbortController().signal;
const soon = { headers: { 'Retry-After': '0' } };
const MAX = { max: 10_000 };

/** How each API says that there were too many calls. */
const LIMITED: readonly [ApiName, string, number, Row, readonly FaultAction[]][] = [
  [
    'hubspot',
    'contacts',
    350,
    { properties: { lastname: 'x' } },
    [
      { status: 429, errorCode: 'tenSecondly' },
      { status: 429, errorCode: 'secondly' },
      { status: 429, errorCode: 'daily' },
    ],
  ],
  [
    'stripe',
    'customers',
    350,
    { email: 'x@ex.test' },
    [{ status: 429 }, { status: 429, errorCode: 'lock_timeout' }],
  ],
  [
    'zendesk',
    'tickets',
    2_500,
    { subject: 'x' },
    [{ status: 429 }, { status: 429, errorCode: 'general' }, { status: 503 }],
  ],
  [
    'jira',
    'issues',
    350,
    { summary: 'x' },
    [{ status: 429, errorCode: 'points' }, { status: 429, errorCode: 'burst' }, { status: 503 }],
  ],
  [
    'github',
    'acme/api:issues',
    350,
    { title: 'x' },
    [
      { status: 403, errorCode: 'secondary' },
      { status: 429, errorCode: 'secondary' },
      { status: 403, errorCode: 'primary' },
    ],
  ],
];

for (const [name, of, count, row, actions] of LIMITED)
  test(`G4: no answer of ${name} that limits calls loses a page, or skips one`, async (t) => {
    const { api, collection, rows } = await reading(t, name, of, {
      switches: name === 'jira' ? { indexLagMs: 0 } : {},
    });
    api.limits(Object.fromEntries(Object.keys(api.limits()).map((limit) => [limit, MAX])));
    api.write(
      of,
      many(count, () => row),
      longAgo(),
    );
    const found: SourceRecord[] = [];
    let from: Position | undefined;
    for (let page = 0; page === 0 || from; page++) {
      api.faults.add({ action: { ...soon, ...actions[page % actions.length] }, times: 1 });
      const read = await collection.page(from, never);
      found.push(...read.records);
      from = read.next;
    }
    assert.equal(distinct(found).length, count);
    assert.deepEqual(distinct(found), ids(rows()));
    assert.ok(api.requests().filter(({ status }) => status >= 400).length >= actions.length);
  });

for (const [name, of, count, row, actions] of LIMITED)
  test(`G4: no answer of ${name} that limits calls loses a change, or an id in a comparison`, async (t) => {
    const { api, collection, rows } = await reading(t, name, of, {
      switches: name === 'jira' || name === 'hubspot' ? { indexLagMs: 0 } : {},
    });
    api.limits(Object.fromEntries(Object.keys(api.limits()).map((limit) => [limit, MAX])));
    let refusals = 0;
    /** The next call is refused once. */
    const limit = (): void => {
      // A step that asked nothing has left the one before.
      api.faults.clear();
      api.faults.add({ action: { ...soon, ...actions[refusals++ % actions.length] }, times: 1 });
    };
    let position = await start(collection);
    api.write(
      of,
      many(count, () => row),
    );
    // Zendesk withholds what has just changed.
    api.clock.advance(400_000);
    const found: SourceRecord[] = [];
    for (let more = true; more;) {
      limit();
      const changes = await collection.changes(position, never);
      found.push(...changes.records);
      ({ position, more } = changes);
    }
    assert.deepEqual(distinct(found), ids(rows()));

    const listed = new Set<string>();
    limit();
    for await (const page of collection.ids?.(never) ?? []) {
      for (const id of page) listed.add(id);
      limit();
    }
    assert.deepEqual([...listed].sort(), ids(rows()));
    assert.ok(api.requests().filter(({ status }) => status >= 400).length >= actions.length);
  });
