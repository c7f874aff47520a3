import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import jetstreamServer from '../../nodes/jetstream/jetstream-server';
import sfdcOrg from '../../nodes/salesforce/sfdc-org';
import apiSource from '../../nodes/sync/api-source';
import apiSyncOut from '../../nodes/sync/api-sync-out';
import { openRoom, type Room } from '../jetstream/room';
import { until } from '../support/until';
import { answeringApi, type Reply, type Seen } from '../sync/providers/rest/server';
import { readTable } from '../sync/table';
import { catcher, stage } from './helper';

/** A user's flow, as it is imported, that reads an API which nobody here knows. */

const red = stage(jetstreamServer, sfdcOrg, apiSource, apiSyncOut);
let room: Room;
before(async () => void (room = await openRoom()));
after(() => room.stop());

const KEY = 'the-key-of-parcels';
const DEFINITION = `{
  "label": "Parcels",
  "base": "/v2",
  "auth": [{ "kind": "query", "name": "api_key", "value": "{token}" }],
  "login": { "token": { "label": "API key", "required": true } },
  "conditional": true,
  "errors": [{ "status": 420, "do": "wait", "wait": "100ms" }],
  "collections": {
    "parcels": {
      "label": "Parcels",
      "id": "number",
      "updated": "moved|ms",
      "list": {
        "get": "/parcels",
        "query": { "offset": "{next}", "limit": "{size}" },
        "records": "items",
        "paging": { "by": "offset", "path": "limit", "while": "more" },
        "size": 50
      },
      "changes": {
        "by": "since",
        "list": {
          "get": "/feed",
          "query": { "after": "{since|ms}", "offset": "{next}", "limit": "{size}" },
          "records": "events",
          "paging": { "by": "offset", "while": "more" },
          "size": 50,
          "order": "at|ms"
        },
        "events": {
          "object": "parcel",
          "where": { "parcel.number": "*" },
          "deleted": { "what": ["lost", "delivered"] }
        }
      },
      "read": { "get": "/parcels/{id}", "records": "", "size": 1 },
      "compare": { "every": "1d" }
    }
  }
}`;

interface Parcel {
  number: number;
  moved: number;
  place: string;
}

/** Gives 20 a page at most, refuses now and then, and knows what was asked before. */
class Parcels {
  readonly all = new Map<number, Parcel>();
  readonly events: { id: number; at: number; what: string; parcel: Parcel }[] = [];
  private calls = 0;

  move(number: number, place: string): void {
    const parcel = { number, place, moved: Date.now() };
    this.all.set(number, parcel);
    this.events.push({ id: this.events.length, at: parcel.moved, what: 'moved', parcel });
  }

  lose(number: number): void {
    const parcel = this.all.get(number) as Parcel;
    this.all.delete(number);
    this.events.push({ id: this.events.length, at: Date.now(), what: 'lost', parcel });
  }

  answer({ path, query, headers }: Seen): Reply {
    if (query.get('api_key') !== KEY) return { status: 401, body: { message: 'Who are you?' } };
    if (++this.calls % 7 === 0) return { status: 420, body: { message: 'Calm down' } };
    const one = /^\/v2\/parcels\/(\d+)$/.exec(path)?.[1];
    if (one !== undefined) {
      const parcel = this.all.get(Number(one));
      return parcel ? { body: parcel } : { status: 404, body: { message: 'No such parcel' } };
    }
    const [from, size] = [Number(query.get('offset') ?? 0), Math.min(20, Number(query.get('limit')))];
    const page = <T>(name: string, rows: T[]): object => ({
      [name]: rows.slice(from, from + size),
      limit: size,
      more: from + size < rows.length,
    });
    const since = Number(query.get('after'));
    const body =
      path === '/v2/parcels'
        ? page('items', [...this.all.values()])
        : page(
            'events',
            this.events.filter(({ at }) => at >= since),
          );
    const etag = `"${JSON.stringify(body).length}-${this.events.length}"`;
    return headers['if-none-match'] === etag ? { status: 304 } : { headers: { etag }, body };
  }
}

// It gives fewer records at once than it is asked for, and says so in one of the two lists only.
test('an API by a definition in the flow: key in the query, offsets, a feed with deletions, 304', async (t) => {
  const parcels = new Parcels();
  for (let number = 1; number <= 130; number++) parcels.move(number, 'Bonn');
  let unchanged = 0;
  const { baseUrl, seen } = await answeringApi(t, (request) => {
    const reply = parcels.answer(request);
    if (reply.status === 304) unchanged++;
    return reply;
  });
  await red.load(
    { id: 'server', type: 'jetstream-server', servers: room.nats.url },
    {
      id: 'source',
      type: 'api-source',
      provider: 'custom',
      baseUrl,
      definition: DEFINITION,
      collections: ['custom:parcels'],
      pollInterval: '100ms',
      lookback: '1s',
      apiBudget: 100,
      syncId: 'parcels',
      credentials: { token: KEY },
    },
    { id: 'sync', type: 'api-sync-out', server: 'server', source: 'source', wires: [[]] },
    ...catcher(),
  );
  const wrong = async (): Promise<string> => {
    const table = await readTable(room.nc, 'custom:parcels');
    const living = [...table.values()].flatMap(({ deleted, data }) =>
      deleted ? [] : [`${String(data.number)} ${String(data.place)}`],
    );
    const expected = [...parcels.all.values()].map(({ number, place }) => `${number} ${place}`);
    return living.sort().join() === expected.sort().join() ? '' : living.join();
  };
  const right = (): Promise<unknown> =>
    until(async () => (await wrong()) === '', { timeout: 20_000, what: 'the stream to be right' });
  await red.waitForStatus('sync', 'status.live');
  await right();

  for (const number of [1, 70, 131]) parcels.move(number, 'Köln');
  for (const number of [2, 130]) parcels.lose(number);
  await right();
  const table = await readTable(room.nc, 'custom:parcels');
  assert.deepEqual([table.get('2')?.deleted, table.get('131')?.data.place], [true, 'Köln']);

  // Nothing happens: what is asked costs nothing.
  await until(() => unchanged > 5, { timeout: 10_000, what: 'answers that nothing has changed' });
  assert.ok(seen.every(({ query }) => query.get('api_key') === KEY));
  const shown = [...red.logged('ERROR'), ...red.logged('WARN'), ...red.logged('INFO')].join('\n');
  assert.equal(shown.includes(KEY), false);
});
