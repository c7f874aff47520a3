/** Records of the account, and the events that their changes make. */
import { type Clock, seconds } from '../frame/clock';
import { ControlError, type Row } from '../frame/simulation';
import { SortedList } from '../frame/sorted-list';
import { isResourceName, RESOURCES, type ResourceName } from './resources';
import { type Switches } from './switches';

/** One object, replaced as a whole at each change; `created` in epoch seconds. */
export interface Item {
  readonly id: string;
  readonly created: number;
  /** Tells apart what has the same second. */
  readonly order: number;
  readonly row: Row;
}

export interface EventItem extends Item {
  /** Epoch ms from which it is to be seen. */
  readonly visibleAt: number;
  readonly object: Row;
  readonly type: string;
}

export const EVENTS_KEPT_S = 30 * 86_400;

export class Shelf<T extends Item = Item> {
  /** Oldest first. */
  readonly list = new SortedList<T>((a, b) => a.created - b.created || a.order - b.order);
  readonly #byId = new Map<string, T>();

  get(id: string): T | undefined {
    return this.#byId.get(id);
  }

  put(item: T): void {
    const before = this.#byId.get(item.id);
    if (before) this.list.delete(before);
    this.#byId.set(item.id, item);
    this.list.add(item);
  }

  putAll(items: readonly T[]): void {
    for (const item of items) this.#byId.set(item.id, item);
    this.list.addAll(items);
  }

  delete(item: T): void {
    this.#byId.delete(item.id);
    this.list.delete(item);
  }
}

export class AccountStore {
  readonly shelves: Record<ResourceName, Shelf>;
  readonly events = new Shelf<EventItem>();
  /** Customers that were deleted and are still readable as such. */
  readonly deletedCustomers = new Set<string>();
  #count = 0;

  constructor(
    private readonly clock: Clock,
    private readonly switches: Switches,
  ) {
    const names = Object.keys(RESOURCES) as ResourceName[];
    this.shelves = Object.fromEntries(names.map((name) => [name, new Shelf()])) as Record<
      ResourceName,
      Shelf
    >;
  }

  write(name: ResourceName, row: Row, at: number): Item {
    const { id, ...changes } = row;
    const before = typeof id === 'string' ? this.shelves[name].get(id) : undefined;
    const { defaults, object, prefix } = RESOURCES[name];
    const order = before?.order ?? ++this.#count;
    const identity = { id: typeof id === 'string' ? id : `${prefix}_${scattered(order)}`, object };
    const created = before?.created ?? (typeof changes.created === 'number' ? changes.created : seconds(at));
    const after: Row = {
      ...identity,
      ...(before ? before.row : defaults),
      ...changes,
      ...identity,
      created,
      livemode: false,
    };
    const previous = before && changed(before.row, after);
    const item = { id: identity.id, created, order, row: after };
    if (previous && Object.keys(previous).length === 0) return item;
    this.shelves[name].put(item);
    for (const type of RESOURCES[name].events(before?.row, after)) this.emit(type, after, at, previous);
    return item;
  }

  remove(name: ResourceName, id: string, at: number): void {
    const item = this.shelves[name].get(id);
    if (!item) throw new ControlError(`no ${name} ${id}`);
    if (name === 'subscriptions')
      return void this.write(name, { id, status: 'canceled', canceled_at: seconds(at) }, at);
    if (name === 'charges') throw new ControlError('a charge can’t be deleted');
    if (name === 'invoices' && item.row.status !== 'draft')
      throw new ControlError('only a draft invoice can be deleted');
    this.shelves[name].delete(item);
    if (name === 'customers') this.deletedCustomers.add(id);
    for (const type of RESOURCES[name].events(item.row, undefined)) this.emit(type, item.row, at);
  }

  emit(type: string, object: Row, at: number, previous?: Row): EventItem {
    const order = ++this.#count;
    const id = `evt_${scattered(order)}`;
    const created = seconds(at);
    const row = {
      id,
      object: 'event',
      api_version: this.switches.apiVersion,
      created,
      data: { object, ...(previous && { previous_attributes: previous }) },
      livemode: false,
      pending_webhooks: 0,
      request: { id: null, idempotency_key: null },
      type,
    };
    // Events of one second are in no order that ids or anything else would show.
    const item = {
      id,
      created,
      order: hash(order * 7919),
      row,
      object,
      type,
      visibleAt: this.clock.now() + this.switches.eventLagMs,
    };
    this.events.put(item);
    return item;
  }

  /** Old objects, without events. */
  generate(name: ResourceName, count: number): void {
    const { defaults, object, prefix } = RESOURCES[name];
    const first = seconds(this.clock.now()) - 400 * 86_400;
    const items: Item[] = [];
    for (let n = 0; n < count; n++) {
      const order = ++this.#count;
      const id = `${prefix}_${scattered(order)}`;
      const created = first + Math.floor((n * 300 * 86_400) / count);
      const own: Row =
        name === 'customers'
          ? { email: `person${order}@example.test` }
          : name === 'subscriptions' && n % 10 === 9
            ? { status: 'canceled' }
            : {};
      items.push({ id, created, order, row: { id, object, ...defaults, ...own, created, livemode: false } });
    }
    this.shelves[name].putAll(items);
  }
}

/** What the fields that differ were before. */
function changed(before: Row, after: Row): Row {
  const names = Object.keys(after).filter(
    (name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]),
  );
  return Object.fromEntries(names.map((name) => [name, before[name] ?? null]));
}

function hash(n: number): number {
  return Math.imul(n ^ 0x9e3779b9, 0x85ebca6b) >>> 0;
}

/** Ids are unique and in no order. */
function scattered(n: number): string {
  return `1${hash(n).toString(36).padStart(7, '0')}${n.toString(36).padStart(6, '0')}`;
}

export function resourceNamed(name: string): ResourceName {
  if (!isResourceName(name)) throw new ControlError(`no collection ${name}`);
  return name;
}
