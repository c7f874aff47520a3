/** Incremental exports: by cursor (tickets, users), and by time (all). */
import { seconds } from '../frame/clock';
import { type Row } from '../frame/simulation';
import { type Reply } from '../../support/simulated/exchange';
import { invalid } from './errors';
import { size } from './lists';
import { type Shelf, type Stored } from './store';
import { type Switches } from './switches';

export interface Exporting {
  shelf: Shelf;
  switches: Switches;
  query: URLSearchParams;
  /** Epoch ms. */
  now: number;
  /** Of the simulation. */
  url: string;
  render: (record: Stored) => Row;
}

const MAX = 1_000;
const TYPE_SCOPES = ['agent', 'ai_agent', 'all'];

export function byCursor(exporting: Exporting): Reply {
  const { shelf, switches, query, now, render } = exporting;
  const perPage = size(query, 'per_page', MAX, switches);
  const scope = query.get('support_type_scope');
  if (scope !== null && !TYPE_SCOPES.includes(scope))
    throw invalid(`support_type_scope must be one of ${TYPE_SCOPES.join(', ')}`);
  const place = placeOf(exporting);
  const { items } = shelf.byExport;
  const start = shelf.byExport.search(
    ({ exported, id }) => exported > place.time || (exported === place.time && id > place.id),
  );
  const end = endOf(exporting);
  const page = items.slice(start, Math.min(end, start + perPage));
  const last = page.at(-1);
  const given = query.get('cursor');
  const after = last ? cursorOf(last, now) : switches.emptyCursor === 'kept' ? given : null;
  const [first] = page;
  const before = given !== null && first ? cursorOf(first, now) : null;
  const shows =
    query.get('exclude_deleted') === 'true' ? page.filter(({ deleted }) => deleted === undefined) : page;
  return {
    status: 200,
    body: {
      [shelf.kind]: shows.map(render),
      after_cursor: after,
      after_url: link(exporting, after),
      before_cursor: before,
      before_url: link(exporting, before),
      end_of_stream: start + perPage >= end,
    },
  };
}

interface Place {
  time: number;
  id: number;
}

function placeOf({ query, switches, now }: Exporting): Place {
  const cursor = query.get('cursor');
  const startTime = query.get('start_time');
  if (cursor === null) return { time: startOf(startTime, now, switches), id: 0 };
  if (startTime !== null && switches.bothStarts === 'refuse')
    throw invalid('start_time and cursor cannot be used together');
  const [, time, id, given] =
    /^([\d.]+)\|\|(\d+)\|\|(\d+)$/.exec(Buffer.from(cursor, 'base64').toString('latin1')) ?? [];
  if (time === undefined) throw invalid('Invalid cursor');
  if (switches.cursorLivesMs > 0 && Number(given) + switches.cursorLivesMs < now)
    throw invalid('The cursor has expired');
  return { time: Number(time), id: Number(id) };
}

function cursorOf({ exported, id }: Stored, now: number): string {
  return Buffer.from(`${exported}.0||${id}||${now}`).toString('base64');
}

function link({ shelf, query, url }: Exporting, cursor: string | null): string | null {
  if (cursor === null) return null;
  const params = new URLSearchParams(query);
  params.delete('start_time');
  params.set('cursor', cursor);
  return `${url}/api/v2/incremental/${shelf.kind}/cursor.json?${params}`;
}

/** `start_time` is within; so is `end_time`, where the next page begins. */
export function byTime(exporting: Exporting): Reply {
  const { shelf, switches, query, now, url, render } = exporting;
  const perPage = size(query, 'per_page', MAX, switches);
  const from = startOf(query.get('start_time'), now, switches);
  const { items } = shelf.byExport;
  const start = shelf.byExport.search(({ exported }) => exported >= from);
  const end = endOf(exporting);
  const cut = Math.min(end, start + perPage);
  const lastTime = items[cut - 1]?.exported ?? 0;
  const until =
    switches.ties === 'cut' || cut === start
      ? cut
      : Math.min(
          end,
          shelf.byExport.search(({ exported }) => exported > lastTime),
        );
  const page = items.slice(start, until);
  const end_time = page.at(-1)?.exported ?? null;
  const params = new URLSearchParams(query);
  params.set('start_time', String(end_time));
  return {
    status: 200,
    body: {
      [shelf.kind]: page.map(render),
      count: page.length,
      end_time,
      next_page: end_time === null ? null : `${url}/api/v2/incremental/${shelf.kind}.json?${params}`,
      end_of_stream: until >= end,
    },
  };
}

function startOf(text: string | null, now: number, { recentMs }: Switches): number {
  if (text === null || !/^\d+$/.test(text)) throw invalid('start_time must be a Unix epoch time', 400);
  if (Number(text) > seconds(now - recentMs))
    throw invalid(
      `Too recent start_time. Use a start_time older than ${Math.round(recentMs / 60_000)} minutes`,
      422,
    );
  return Number(text);
}

/** Index of the first row that is too new to be exported. A second is exported once it is over: nothing joins it behind a cursor. */
function endOf({ shelf, switches, now }: Exporting): number {
  const until = seconds(now - switches.recentMs);
  return shelf.byExport.search(({ exported }) => exported >= until);
}
