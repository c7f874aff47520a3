/** Lists: newest first, from an id on. */
import { type Reply } from '../../support/simulated/exchange';
import { type Row } from '../frame/simulation';
import { invalid, missing } from './errors';
import { type Params } from './params';
import { type Item, type Shelf } from './store';
import { type Switches } from './switches';

export const LIST_PARAMS = ['limit', 'starting_after', 'ending_before', 'created', 'expand'];

export interface Asked<T extends Item> {
  params: Params;
  switches: Switches;
  /** `/v1/customers` */
  url: string;
  /** As errors name one: customer. */
  kind: string;
  shows: (item: T) => boolean;
  render: (item: T) => Row;
}

export function page<T extends Item>(shelf: Shelf<T>, asked: Asked<T>): Reply {
  const { params, url, shows, render } = asked;
  const limit = limitOf(params, asked.switches);
  const [after, before] = [params.text('starting_after'), params.text('ending_before')];
  if (after !== undefined && before !== undefined)
    throw invalid('You cannot parameterize both starting_after and ending_before.', 'starting_after');
  const { from, to } = params.range('created');
  const { items } = shelf.list;
  const first = shelf.list.search(({ created }) => created >= from);
  const end = shelf.list.search(({ created }) => created > to);
  const found: T[] = [];
  const take = (item: T | undefined): void => void (item && shows(item) && found.push(item));
  if (before !== undefined) {
    for (
      let at = Math.max(first, place(shelf, asked, before, 'ending_before') + 1);
      at < end && found.length <= limit;
      at++
    )
      take(items[at]);
  } else {
    const start = after === undefined ? end : Math.min(end, place(shelf, asked, after, 'starting_after'));
    for (let at = start - 1; at >= first && found.length <= limit; at--) take(items[at]);
  }
  const has_more = found.length > limit;
  const here = found.slice(0, limit);
  if (before !== undefined) here.reverse();
  return { status: 200, body: { object: 'list', url, has_more, data: here.map(render) } };
}

/** Index of the object that a page starts from; it has to be there. */
function place<T extends Item>(
  shelf: Shelf<T>,
  { kind, shows }: Asked<T>,
  id: string,
  param: string,
): number {
  const item = shelf.get(id);
  if (!item || (kind === 'event' && !shows(item))) throw missing(400, kind, id, param);
  return shelf.list.search(
    (other) => other.created > item.created || (other.created === item.created && other.order >= item.order),
  );
}

export function limitOf(params: Params, { overLimit }: Switches): number {
  const limit = params.integer('limit') ?? 10;
  if (limit >= 1 && limit <= 100) return limit;
  if (limit > 100 && overLimit === 'clamp') return 100;
  throw invalid(
    limit > 100 ? 'Limit must be at most 100.' : 'This value must be greater than or equal to 1.',
    'limit',
    limit > 100 ? undefined : 'parameter_invalid_integer',
  );
}

/** A list within an object: ten of it, and whether there are more. */
export function nested(rows: readonly Row[], url: string): Row {
  return {
    object: 'list',
    data: rows.slice(0, 10),
    has_more: rows.length > 10,
    total_count: rows.length,
    url,
  };
}

/** The rest of such a list. */
export function nestedPage(rows: readonly Row[], params: Params, switches: Switches, url: string): Reply {
  const after = params.text('starting_after');
  const start = after === undefined ? 0 : rows.findIndex(({ id }) => id === after) + 1;
  if (after !== undefined && start === 0) throw missing(400, 'line item', after, 'starting_after');
  const limit = limitOf(params, switches);
  const has_more = rows.length > start + limit;
  return { status: 200, body: { object: 'list', url, has_more, data: rows.slice(start, start + limit) } };
}
