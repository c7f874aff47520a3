/** Records of one object type: lists, the archive, merges, and what search has indexed of them so far. */
import { type Clock } from '../frame/clock';
import { SearchIndex } from '../frame/search-index';
import { ControlError, type Row } from '../frame/simulation';
import { type Switches } from './switches';
import { TYPES, type Property, type TypeName } from './types';

export type Values = Readonly<Record<string, string | null>>;

/** Replaced as a whole at each change. Times are epoch ms. */
export interface Stored {
  readonly id: number;
  readonly properties: Values;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly archivedAt?: number;
}

const BIN_MS = 90 * 86_400_000;

export class TypeStore {
  /** Every id there ever was, ascending. */
  readonly ids: number[] = [];
  readonly properties: Map<string, Property>;
  readonly index: SearchIndex<Stored>;
  readonly #records = new Map<number, Stored>();
  readonly #mergedInto = new Map<number, number>();

  constructor(
    readonly type: TypeName,
    private readonly nextId: () => number,
    private readonly clock: Clock,
    private readonly switches: Switches,
  ) {
    this.properties = new Map(TYPES[type].properties.map((property) => [property.name, property]));
    this.index = new SearchIndex(clock, () => switches.indexLagMs);
  }

  /** A record that is there, in the bin or not; an id that was merged away leads to who has it now. */
  find(id: number): Stored | undefined {
    let at = id;
    for (let into = this.#mergedInto.get(at); into !== undefined; into = this.#mergedInto.get(at)) at = into;
    return this.get(at);
  }

  /** The same without following merges. */
  get(id: number): Stored | undefined {
    const record = this.#records.get(id);
    const gone = record?.archivedAt !== undefined && record.archivedAt <= this.clock.now() - BIN_MS;
    return gone ? undefined : record;
  }

  all(): Stored[] {
    return this.ids.map((id) => this.get(id)).filter((record) => record !== undefined);
  }

  write(row: Row, at: number): Stored {
    const { id, ...given } = row;
    const fields = (given.properties ?? given) as Record<string, unknown>;
    const changes = this.#valuesOf(fields);
    if (id === undefined) return this.#put(this.nextId(), changes, at, at);
    const before = this.find(Number(id));
    if (!before || before.archivedAt !== undefined)
      throw new ControlError(`no ${this.type} ${JSON.stringify(id)}`);
    return this.#put(before.id, { ...before.properties, ...changes }, before.createdAt, at);
  }

  /** Old records, a moment apart from each other, which search knows. */
  generate(count: number): void {
    const first = this.clock.now() - 300 * 86_400_000;
    const apart = Math.max(1, Math.floor((200 * 86_400_000) / count));
    const made: Stored[] = [];
    for (let n = 0; n < count; n++) {
      const id = this.nextId();
      const createdAt = first + n * apart;
      const values: Record<string, string | null> = {};
      for (const name of TYPES[this.type].defaults)
        values[name] = computed(this.properties.get(name), name, id);
      const record = { id, properties: values, createdAt, updatedAt: createdAt + (n % 7) };
      this.ids.push(id);
      this.#records.set(id, record);
      made.push(record);
    }
    this.index.addAll(made);
  }

  archive(id: number, at: number): void {
    const record = this.#present(id);
    this.#records.set(id, { ...record, archivedAt: at });
    this.index.note(id, undefined);
  }

  /** Nothing but `archivedAt` tells: the record is as it was. */
  restore(id: number): Stored {
    const binned = this.get(id);
    if (binned?.archivedAt === undefined) throw new ControlError(`no archived ${this.type} ${id}`);
    const { archivedAt: _, ...record } = binned;
    this.#records.set(id, record);
    this.index.note(id, record);
    return record;
  }

  purge(id: number): void {
    if (!this.#records.delete(id)) throw new ControlError(`no ${this.type} ${id}`);
    this.index.note(id, undefined);
  }

  /** A new record with a new id has what the first of these had, and of the others what it lacked. */
  merge(ids: readonly number[], at: number): Stored {
    const records = ids.map((id) => this.#present(id));
    const [primary, ...others] = records;
    if (!primary || others.length === 0) throw new ControlError('merge wants {"ids": [primary, other, …]}');
    const olds = records.flatMap((record) => [
      ...(record.properties.hs_merged_object_ids?.split(';') ?? []),
      String(record.id),
    ]);
    const properties = Object.assign(
      {},
      ...records.map(({ properties: values }) => values).reverse(),
    ) as Values;
    const id = this.nextId();
    for (const old of ids) {
      this.#records.delete(old);
      this.#mergedInto.set(old, id);
      this.index.note(old, undefined);
    }
    return this.#put(id, { ...properties, hs_merged_object_ids: olds.join(';') }, primary.createdAt, at);
  }

  define(properties: readonly Property[]): void {
    for (const property of properties) this.properties.set(property.name, property);
  }

  /** A value as the API shows it, with those that are computed. */
  value(record: Stored, name: string): string | null {
    if (name === 'hs_object_id') return String(record.id);
    if (name === 'createdate') return new Date(record.createdAt).toISOString();
    if (name === TYPES[this.type].modified) return new Date(record.updatedAt).toISOString();
    return record.properties[name] ?? null;
  }

  #present(id: number): Stored {
    const record = this.get(id);
    if (!record || record.archivedAt !== undefined) throw new ControlError(`no ${this.type} ${id}`);
    return record;
  }

  #put(id: number, properties: Values, createdAt: number, updatedAt: number): Stored {
    const record = { id, properties, createdAt, updatedAt };
    if (!this.#records.has(id)) this.ids.push(id);
    this.#records.set(id, record);
    this.index.note(id, record);
    return record;
  }

  #valuesOf(fields: Readonly<Record<string, unknown>>): Record<string, string | null> {
    const values: Record<string, string | null> = {};
    for (const [name, value] of Object.entries(fields)) {
      if (!this.properties.has(name)) throw new ControlError(`Property "${name}" does not exist`);
      values[name] = value === null || value === undefined ? this.switches.cleared : asText(value);
    }
    return values;
  }
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function computed(property: Property | undefined, name: string, id: number): string {
  if (property?.type === 'number') return String(id);
  if (property?.type === 'datetime') return '2026-01-01T00:00:00.000Z';
  return name === 'email' ? `person${id}@example.test` : `${name} ${id}`;
}
