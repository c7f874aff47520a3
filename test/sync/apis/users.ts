/** What users of each API do to its records, at random: its own rules of changes and deletions. */
import type { Api, ApiOptions } from '../../apis/api';
import type { ApiName } from '../../apis/catalog';
import type { Row } from '../../apis/frame/simulation';
import { byAncestry, byCursor, bySecond, byTime, type Covers } from './positions';

export interface Chance {
  next: () => number;
  below: (n: number) => number;
}

/** Who acts in an API, and on which records. */
export interface Users {
  provider: ApiName;
  collection: string;
  options: ApiOptions;
  /** What is there before the sync begins. */
  seed: (api: Api) => void;
  rows: (api: Api) => Row[];
  /** A record without what changes in it when others do. */
  own?: (row: Row) => Row;
  /** It is there, and no list shows it: whoever hasn't seen it before never will. */
  hidden?: (row: Row) => boolean;
  /** What a position takes for read of the changes. */
  covers: Covers;
  /** A deletion, and a restore, is told among the changes; otherwise something else finds it, later. */
  deletionsTold?: boolean;
  /** The history is listed newest first, not by ascending ids. */
  newestFirst?: boolean;
  /** Which part of the collection a record is in, where each is read by itself. */
  part?: (api: Api, row: Row) => string;
  actions: (api: Api, chance: Chance) => [name: string, weight: number, act: () => void][];
}

/** Limits that bite in a second, not in a minute. */
const limit = (max: number) => ({ max, windowMs: 1_000 });
let serial = 0;
const text = (): string => `text ${++serial}`;
const many = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make);

/** Some of those that a condition holds for, by id. */
function picker(rows: () => Row[], { below }: Chance, id = 'id') {
  return (most: number, fits: (row: Row) => boolean = () => true): string[] => {
    const found = rows().filter(fits);
    const picked = many(found.length === 0 ? 0 : below(most) + 1, () => found[below(found.length)] as Row);
    return [...new Set(picked.map((row) => String(row[id] as string)))];
  };
}

const hubspot: Users = {
  provider: 'hubspot',
  collection: 'contacts',
  options: { limits: { tenSecondly: limit(60), secondly: limit(8) }, switches: { retryAfter: true } },
  seed: (api) =>
    void api.write(
      'contacts',
      many(420, () => ({ properties: { lastname: text() } })),
    ),
  rows: (api) => api.records('contacts'),
  covers: byTime(500),
  actions: (api, chance) => {
    const some = picker(() => api.records('contacts'), chance);
    const present = (row: Row): boolean => row.archived !== true;
    const write = (id?: string): void =>
      void api.write('contacts', [{ ...(id && { id }), properties: { lastname: text() } }]);
    return [
      ['create', 20, () => many(3, () => write())],
      ['update', 40, () => some(6, present).forEach(write)],
      ['archive', 12, () => api.remove('contacts', some(3, present))],
      [
        'restore',
        8,
        () => void api.act('restore', 'contacts', { ids: some(2, (row) => row.archived === true) }),
      ],
      ['purge', 6, () => api.remove('contacts', some(2, present), { purge: true })],
      [
        'merge',
        6,
        () => {
          const ids = some(3, present);
          if (ids.length > 1) api.act('merge', 'contacts', { ids });
        },
      ],
    ];
  },
};

const stripe: Users = {
  provider: 'stripe',
  collection: 'customers',
  options: { limits: { global: limit(200), endpoint: limit(120) } },
  seed: (api) =>
    void api.write(
      'customers',
      many(420, () => ({ email: text() })),
    ),
  rows: (api) => api.records('customers'),
  // Events are to be seen half a second late: a look back finds them.
  covers: byTime(500),
  deletionsTold: true,
  newestFirst: true,
  actions: (api, chance) => {
    const some = picker(() => api.records('customers'), chance);
    const present = (row: Row): boolean => row.deleted !== true;
    return [
      [
        'create',
        20,
        () =>
          void api.write(
            'customers',
            many(3, () => ({ email: text() })),
          ),
      ],
      [
        'update',
        40,
        () =>
          void api.write(
            'customers',
            some(6, present).map((id) => ({ id, email: text() })),
          ),
      ],
      ['delete', 14, () => api.remove('customers', some(3, present))],
    ];
  },
};

const subscriptions: Users = {
  ...stripe,
  collection: 'subscriptions',
  seed: (api) =>
    void api.write(
      'subscriptions',
      many(230, () => ({ metadata: { note: text() } })),
    ),
  rows: (api) => api.records('subscriptions'),
  actions: (api, chance) => {
    const some = picker(() => api.records('subscriptions'), chance);
    const active = (row: Row): boolean => row.status !== 'canceled';
    const metadata = () => ({ metadata: { note: text() } });
    return [
      ['create', 20, () => void api.write('subscriptions', many(2, metadata))],
      [
        'update',
        40,
        () =>
          void api.write(
            'subscriptions',
            some(5, active).map((id) => ({ id, ...metadata() })),
          ),
      ],
      ['cancel', 14, () => api.remove('subscriptions', some(2, active))],
    ];
  },
};

function zendesk(collection: 'tickets' | 'users' | 'organizations'): Users {
  const isDeleted = (row: Row): boolean =>
    row.status === 'deleted' || row.active === false || (row.deleted_at ?? null) !== null;
  const field = collection === 'tickets' ? 'subject' : 'name';
  return {
    provider: 'zendesk',
    collection,
    options: {
      switches: { recentMs: 1_500 },
      limits: { general: limit(60), incremental: limit(20), usersCursor: limit(20) },
    },
    seed: (api) =>
      void api.write(
        collection,
        many(420, () => ({ [field]: text() })),
        Date.now() - 86_400_000,
      ),
    rows: (api) => api.records(collection),
    covers: collection === 'organizations' ? bySecond : byCursor,
    deletionsTold: true,
    actions: (api, chance) => {
      const some = picker(() => api.records(collection), chance);
      const present = (row: Row): boolean => !isDeleted(row);
      const scrubbed = (row: Row): boolean => row.permanently_deleted === true || row.subject === 'SCRUBBED';
      const actions: ReturnType<Users['actions']> = [
        [
          'create',
          20,
          () =>
            void api.write(
              collection,
              many(3, () => ({ [field]: text() })),
            ),
        ],
        [
          'update',
          40,
          () =>
            void api.write(
              collection,
              some(6, present).map((id) => ({ id, [field]: text() })),
            ),
        ],
        ['delete', 12, () => api.remove(collection, some(3, present))],
      ];
      if (collection === 'organizations') return actions;
      const act = (name: string, ids: string[]): void =>
        void (ids.length > 0 && api.act(name, collection, { ids }));
      actions.push(
        [
          'restore',
          8,
          () =>
            act(
              'restore',
              some(2, (row) => isDeleted(row) && !scrubbed(row)),
            ),
        ],
        ['purge', 6, () => api.remove(collection, some(2, present), { purge: true })],
        [
          'merge',
          6,
          () => {
            const ids = some(3, (row) => present(row) && row.status !== 'closed');
            if (ids.length > 1) act('merge', ids);
          },
        ],
      );
      if (collection === 'tickets') actions.push(['touch', 6, () => act('touch', some(3, present))]);
      return actions;
    },
  };
}

const jira: Users = {
  provider: 'jira',
  collection: 'issues',
  options: { limits: { burst: limit(25) }, switches: { unevenLag: true } },
  seed: (api) =>
    void api.write(
      'issues',
      many(420, () => ({ summary: text() })),
      Date.now() - 86_400_000,
    ),
  rows: (api) => api.records('issues'),
  hidden: ({ fields }) => 'archiveddate' in (fields as Row),
  covers: byTime(500),
  actions: (api, chance) => {
    const some = picker(() => api.records('issues'), chance);
    return [
      [
        'create',
        20,
        () =>
          void api.write(
            'issues',
            many(3, () => ({ summary: text() })),
          ),
      ],
      [
        'update',
        40,
        () =>
          void api.write(
            'issues',
            some(6).map((id) => ({ id, summary: text() })),
          ),
      ],
      ['delete', 12, () => api.remove('issues', some(3))],
      [
        'move',
        6,
        () => void api.act('move', 'issues', { ids: some(2), to: chance.below(2) === 0 ? 'PAY' : 'OPS' }),
      ],
      ['archive', 4, () => void api.act('archive', 'issues', { ids: some(2) })],
    ];
  },
};

const REPOSITORIES = ['website', 'api'];
const GITHUB = { limits: { secondary: limit(40) } };

const issues: Users = {
  provider: 'github',
  collection: 'acme:issues',
  options: GITHUB,
  seed: (api) =>
    REPOSITORIES.forEach((name) =>
      api.write(
        `acme/${name}:issues`,
        many(210, () => ({ title: text() })),
        Date.now() - 86_400_000,
      ),
    ),
  rows: (api) => repositories(api).flatMap((name) => api.records(`acme/${name}:issues`)),
  covers: byTime(),
  part: (api, { repository_url: url }) =>
    String(api.records('acme:repositories').find((one) => one.url === url)?.id as number),
  actions: (api, { next, below }) => {
    const one = (): string => {
      const names = repositories(api);
      return `acme/${names[below(names.length)]}:issues`;
    };
    const act = (how: (collection: string, ids: string[]) => void) => () => {
      const collection = one();
      const some = picker(() => api.records(collection), { next, below });
      how(
        collection,
        some(5, (row) => row.pull_request === undefined),
      );
    };
    const elsewhere = (collection: string): string =>
      repositories(api)
        .map((name) => `acme/${name}`)
        .find((name) => !collection.startsWith(`${name}:`)) ?? '';
    return [
      [
        'create',
        20,
        () =>
          void api.write(
            one(),
            many(3, () => ({ title: text() })),
          ),
      ],
      [
        'update',
        40,
        act(
          (collection, ids) =>
            void api.write(
              collection,
              ids.map((id) => ({ id, title: text() })),
            ),
        ),
      ],
      ['delete', 8, act((collection, ids) => api.remove(collection, ids.slice(0, 2)))],
      [
        'transfer',
        6,
        act(
          (collection, ids) =>
            void api.act('transfer', collection, { ids: ids.slice(0, 1), to: elsewhere(collection) }),
        ),
      ],
      [
        'pull request',
        6,
        () => void api.write(one().replace('issues', 'pull_requests'), [{ title: text() }]),
      ],
      [
        'new repository',
        3,
        () => {
          const name = `new-${++serial}`;
          api.write('acme:repositories', [{ name }]);
          api.write(
            `acme/${name}:issues`,
            many(5, () => ({ title: text() })),
          );
        },
      ],
      ['deleted repository', 2, () => removeRepository(api)],
    ];
  },
};

const repositories = (api: Api): string[] =>
  api.records('acme:repositories').map(({ name }) => String(name as string));

function removeRepository(api: Api): void {
  const found = api
    .records('acme:repositories')
    .find(({ name }) => String(name as string).startsWith('new-'));
  if (found) api.remove('acme:repositories', [String(found.id as number)]);
}

const pullRequests: Users = {
  provider: 'github',
  collection: 'acme/api:pull_requests',
  options: GITHUB,
  seed: (api) =>
    void api.write(
      'acme/api:pull_requests',
      many(330, () => ({ title: text() })),
      Date.now() - 86_400_000,
    ),
  rows: (api) => api.records('acme/api:pull_requests'),
  // The repository's own counts and times.
  own: ({ base: _base, head: _head, ...row }) => row,
  covers: byTime(),
  actions: (api, chance) => {
    const some = picker(() => api.records('acme/api:pull_requests'), chance);
    return [
      [
        'create',
        20,
        () =>
          void api.write(
            'acme/api:pull_requests',
            many(3, () => ({ title: text() })),
          ),
      ],
      [
        'update',
        40,
        () =>
          void api.write(
            'acme/api:pull_requests',
            some(6).map((id) => ({ id, title: text() })),
          ),
      ],
    ];
  },
};

const commits: Users = {
  provider: 'github',
  collection: 'acme/api:commits',
  options: GITHUB,
  seed: (api) =>
    void api.write(
      'acme/api:commits',
      many(330, () => ({ message: text() })),
      Date.now() - 86_400_000,
    ),
  rows: (api) => api.records('acme/api:commits'),
  covers: byAncestry(({ parents }) => (parents as { sha: string }[]).map(({ sha }) => sha)),
  newestFirst: true,
  actions: (api, { below }) => [
    [
      'push',
      20,
      () =>
        void api.write(
          'acme/api:commits',
          many(3, () => ({ message: text() })),
        ),
    ],
    [
      'push of old ones',
      5,
      () => void api.write('acme/api:commits', [{ message: text(), date: '2020-01-01T00:00:00Z' }]),
    ],
    [
      'force-push',
      4,
      () => {
        const shas = api.records('acme/api:commits').map(({ sha }) => String(sha as string));
        const last = shas.slice(-8);
        api.act('force-push', 'acme/api:commits', { ids: [last[below(last.length)]] });
      },
    ],
  ],
};

export const USERS: readonly Users[] = [
  hubspot,
  stripe,
  subscriptions,
  zendesk('tickets'),
  zendesk('users'),
  zendesk('organizations'),
  jira,
  issues,
  pullRequests,
  commits,
];
