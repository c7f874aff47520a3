/** Objects as a version of the API shows them. */
import { type Row } from '../frame/simulation';
import { nested } from './lists';

/** From this version on an invoice names its subscription in `parent`. */
const BASIL = '2025-03-31';

export function render(row: Row, version: string): Row {
  if (row.object === 'invoice' && row.id !== undefined) return invoice(row, version);
  if (row.object === 'subscription')
    return {
      ...row,
      items: nested(
        rowsOf(row.items, row, 'si'),
        `/v1/subscription_items?subscription=${String(row.id as string)}`,
      ),
    };
  return row;
}

function invoice(row: Row, version: string): Row {
  const { subscription, ...rest } = row;
  const parent =
    version < BASIL
      ? { subscription }
      : {
          parent:
            subscription === null
              ? null
              : { type: 'subscription_details', subscription_details: { subscription, metadata: {} } },
        };
  return {
    ...rest,
    ...parent,
    lines: nested(linesOf(row), `/v1/invoices/${String(row.id as string)}/lines`),
  };
}

export function linesOf(row: Row): Row[] {
  return rowsOf(row.lines, row, 'il');
}

/** What a nested list holds; each has an id made of the owner's. */
function rowsOf(rows: unknown, owner: Row, prefix: string): Row[] {
  return ((rows ?? []) as Row[]).map((row, at) => ({
    id: `${prefix}_${String(owner.id as string)}_${at}`,
    object: prefix === 'il' ? 'line_item' : 'subscription_item',
    ...row,
  }));
}
