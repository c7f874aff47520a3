/** How a stream is split: which of its subjects, into how many partitions. */
export interface Layout {
  partitions: number;
  filters: string[];
}

/**
 * Who owns which partition of a durable: one record in the bucket, changed by compare and set only. A partition is read
 * by its owner alone; one without an owner ('') may be claimed.
 */
export interface Table {
  /** Counted up with each layout; 0: nobody has split the stream yet. */
  generation: number;
  layout: Layout;
  /** What comes as soon as nobody owns a partition any more: until then all give theirs up, and none is claimed. */
  next?: Layout | undefined;
  /** Ids of the instances that take part. */
  members: string[];
  /** By partition. One that is leaving owns what its flow has not finished. */
  owners: string[];
  /** By partition: which process owned it last. */
  last: string[];
}

export function isSameLayout(a: Layout, b: Layout): boolean {
  const key = ({ partitions, filters }: Layout): string =>
    `${partitions} ${[...new Set(filters)].sort().join(' ')}`;
  return key(a) === key(b);
}

export function emptyTable(layout: Layout): Table {
  return {
    ...{ generation: 0, layout, next: layout, members: [] },
    owners: free(layout.partitions),
    last: free(layout.partitions),
  };
}

function free(partitions: number): string[] {
  return Array.from({ length: partitions }, () => '');
}

/** All that may be alive: those that take part, and those that are leaving. */
export function instancesOf({ members, owners }: Table): string[] {
  return [...new Set([...members, ...owners])].filter((id) => id !== '');
}

/**
 * Who shall own which partition: the same for all who know the same table. Each gets as many as the others or one more
 * (so P of them among n instances are at most ⌈P/n⌉ each), and keeps what it has as far as that goes.
 */
export function planned({ members, owners, next }: Table): string[] {
  const plan = free(owners.length);
  if (next || members.length === 0) return plan;
  const held = new Map<string, number[]>([...new Set(members)].sort().map((id) => [id, []]));
  owners.forEach((owner, partition) => held.get(owner)?.push(partition));
  const most = [...held].sort(([, a], [, b]) => b.length - a.length);
  const share = Math.floor(owners.length / most.length);
  const more = owners.length % most.length;
  const quotas = most.map(([id, partitions], rank) => ({
    id,
    partitions,
    quota: share + (rank < more ? 1 : 0),
  }));
  for (const { id, partitions, quota } of quotas)
    for (const one of partitions.slice(0, quota)) plan[one] = id;
  // Those that anybody can claim at once go first to whoever has the fewest.
  const open = plan.flatMap((id, partition) => (id === '' ? partition : []));
  open.sort((a, b) => Number(owners[a] !== '') - Number(owners[b] !== ''));
  for (const { id, partitions, quota } of quotas.reverse())
    for (const one of open.splice(0, Math.max(0, quota - partitions.length))) plan[one] = id;
  return plan;
}

export function partitionsOf({ owners }: Table, id: string): number[] {
  return owners.flatMap((owner, partition) => (owner === id ? partition : []));
}

/** Those of its partitions that are another's by the plan: to be given up in order. */
export function surplusOf(table: Table, id: string): number[] {
  const plan = planned(table);
  return partitionsOf(table, id).filter((partition) => plan[partition] !== id);
}

/** With all that is free and its own by the plan. `process`: which one claims, under whatever id. */
export function claimed(table: Table, id: string, process: string): Table {
  const plan = planned(table);
  const mine = (partition: number): boolean => table.owners[partition] === '' && plan[partition] === id;
  return {
    ...table,
    owners: table.owners.map((owner, partition) => (mine(partition) ? id : owner)),
    last: table.last.map((last, partition) => (mine(partition) ? process : last)),
  };
}

export function joined(table: Table, id: string): Table {
  return table.members.includes(id) ? table : { ...table, members: [...table.members, id] };
}

/** It gets nothing more; what it owns it gives up one by one. */
export function leaving(table: Table, id: string): Table {
  return { ...table, members: table.members.filter((member) => member !== id) };
}

/** Of one that is gone nothing is left. */
export function buried(table: Table, id: string): Table {
  return released(leaving(table, id), id, partitionsOf(table, id));
}

export function released(table: Table, id: string, partitions: readonly number[]): Table {
  const given = new Set(partitions);
  const owners = table.owners.map((owner, partition) => (owner === id && given.has(partition) ? '' : owner));
  return { ...table, owners };
}

/** Another layout comes next, unless it is there already. */
export function asked(table: Table, layout: Layout): Table {
  return { ...table, next: layout };
}

/** The next layout may be laid out: nobody reads. */
export function isVacant({ owners }: Table): boolean {
  return owners.every((owner) => owner === '');
}

export function moved(table: Table): Table {
  const { next = table.layout, generation, members } = table;
  const { owners, last } = emptyTable(next);
  return { generation: generation + 1, layout: next, members, owners, last };
}

/** Undefined for what is none: whoever has the right may write into the bucket. */
export function readTable(text: string): Table | undefined {
  try {
    const said = JSON.parse(text) as Partial<Table> | null;
    const { generation, layout, next, members, owners, last } = said ?? {};
    const sound =
      Number.isSafeInteger(generation) &&
      isLayout(layout) &&
      (next === undefined || isLayout(next)) &&
      [members, owners, last].every(areTexts) &&
      owners?.length === layout.partitions &&
      last?.length === layout.partitions;
    return sound ? (said as Table) : undefined;
  } catch {
    return undefined;
  }
}

function isLayout(value: unknown): value is Layout {
  const { partitions, filters } = (value ?? {}) as Partial<Layout>;
  return Number.isSafeInteger(partitions) && Number(partitions) > 0 && areTexts(filters);
}

function areTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}
