/** Which records belong together: v4 pages them, v3 gives its first page for ever. */
import { type Reply } from '../../support/simulated/exchange';
import { invalid } from './errors';
import { type Switches } from './switches';

const V4_PAGE = 500;
const V3_PAGE = 100;
const V4_INPUTS = 1000;

export class Associations {
  readonly #to = new Map<string, Set<number>>();

  constructor(private readonly switches: Switches) {}

  link(from: string, fromId: number, to: string, toId: number): void {
    this.#of(from, fromId, to).add(toId);
    this.#of(to, toId, from).add(fromId);
  }

  unlink(from: string, fromId: number, to: string, toId: number): void {
    this.#of(from, fromId, to).delete(toId);
    this.#of(to, toId, from).delete(fromId);
  }

  list(from: string, id: number, to: string): number[] {
    return [...(this.#to.get(`${from} ${id} ${to}`) ?? [])];
  }

  /** What one record had belongs to another now. */
  move(from: string, id: number, into: number, types: readonly string[]): void {
    for (const to of types)
      for (const toId of this.list(from, id, to)) {
        this.unlink(from, id, to, toId);
        this.link(from, into, to, toId);
      }
  }

  #of(from: string, id: number, to: string): Set<number> {
    const key = `${from} ${id} ${to}`;
    let ids = this.#to.get(key);
    if (!ids) this.#to.set(key, (ids = new Set()));
    return ids;
  }

  /** POST /crm/v4/associations/{from}/{to}/batch/read */
  readV4(from: string, to: string, body: unknown, url: string): Reply {
    const inputs = inputsOf(body, V4_INPUTS);
    const found = inputs.filter(({ id }) => this.list(from, Number(id), to).length > 0);
    const results = found.map(({ id, after }) => {
      const { rows, next } = this.page(from, Number(id), to, V4_PAGE, Number(after ?? 0));
      return {
        from: { id },
        to: rows,
        ...paging(next, `${url}/crm/v4/objects/${from}/${id}/associations/${to}`),
      };
    });
    const errors = inputs
      .filter((input) => !found.includes(input))
      .map(({ id }) => ({
        status: 'error',
        category: 'OBJECT_NOT_FOUND',
        subCategory: 'crm.associations.NO_ASSOCIATIONS_FOUND',
        message: `No ${to} is associated with ${from} ${id}.`,
        context: { fromObjectId: [id] },
      }));
    return errors.length === 0
      ? { status: 200, body: { status: 'COMPLETE', results } }
      : { status: 207, body: { status: 'COMPLETE', results, numErrors: errors.length, errors } };
  }

  /** A page of what belongs to a record, as v4 shows it, from one id on. */
  page(
    from: string,
    id: number,
    to: string,
    limit: number,
    after: number,
  ): { rows: object[]; next?: number } {
    const rest = this.list(from, id, to)
      .filter((other) => other >= after)
      .sort((a, b) => a - b);
    const page = rest.slice(0, limit);
    if (this.switches.associationsShuffled) page.sort(() => Math.random() - 0.5);
    const rows = page.map((toObjectId) => ({
      toObjectId,
      associationTypes: [{ category: 'HUBSPOT_DEFINED', typeId: 1, label: null }],
    }));
    return { rows, next: rest[limit] };
  }

  /** POST /crm/v3/associations/{from}/{to}/batch/read: `after` isn't looked at. */
  readV3(from: string, to: string, body: unknown): Reply {
    const results = inputsOf(body, 100).map(({ id }) => {
      const ids = this.list(from, Number(id), to);
      const next = ids[V3_PAGE];
      return {
        from: { id },
        to: ids.slice(0, V3_PAGE).map((other) => ({ id: String(other), type: `${from}_to_${to}` })),
        ...(next === undefined ? {} : { paging: { next: { after: String(next) } } }),
      };
    });
    return { status: 200, body: { status: 'COMPLETE', results } };
  }
}

/** The `paging` of an answer that goes on. */
export function paging(next: number | undefined, link: string): object {
  if (next === undefined) return {};
  return { paging: { next: { after: String(next), link: `${link}?after=${next}` } } };
}

export function inputsOf(body: unknown, max: number): { id: string; after?: string }[] {
  const inputs = (body as { inputs?: unknown } | undefined)?.inputs;
  if (!Array.isArray(inputs)) throw invalid('Invalid input JSON: inputs is required');
  if (inputs.length > max) throw invalid(`The maximum number of inputs is ${max}, not ${inputs.length}`);
  return (inputs as { id?: unknown; after?: string }[]).map(({ id, after }) => {
    if (typeof id !== 'string' && typeof id !== 'number') throw invalid('Invalid input JSON: id is required');
    return { id: String(id), after };
  });
}
