/**
 * Which way imports point: what files of a folder may not import, as ESLint configs. Today's flat rooms and those
 * inside them are covered alike. A later config replaces an earlier one for the files of both, so the lists add up.
 */
const OUTSIDE = room('test|bench|scripts|icons|examples', 'nodes/ stands on its own');
const NO_SYNC = room('sync', 'sync uses this room, not the other way round');

/** Each of these packages is imported by one file, which the others use. */
const CLIENTS = [
  client('nats', 'nodes/jetstream/**/nats.ts'),
  client('jsforce', 'nodes/salesforce/**/jsforce.ts'),
  client('@grpc/grpc-js', 'nodes/salesforce/**/{pubsub-,}grpc.ts'),
  client('@grpc/proto-loader', 'nodes/salesforce/**/{pubsub-,}grpc.ts'),
  client('avsc', 'nodes/salesforce/**/avro.ts'),
];

const ROOMS = [
  { files: 'nodes/sync/**/*.ts', bans: [OUTSIDE] },
  { files: 'nodes/shared/**/*.ts', bans: [OUTSIDE, room('jetstream|salesforce|sync', 'all rooms use shared')] },
  { files: 'nodes/jetstream/**/*.ts', bans: [OUTSIDE, NO_SYNC, room('salesforce', 'only sync knows both')] },
  { files: 'nodes/salesforce/**/*.ts', bans: [OUTSIDE, NO_SYNC, room('jetstream', 'only sync knows both')] },
  {
    files: ['nodes/salesforce/{events,pubsub}/**/*.ts', 'nodes/salesforce/sfdc-{platform-event,event-in}*.ts'],
    bans: [
      OUTSIDE,
      NO_SYNC,
      room('jetstream', 'only sync knows both'),
      { regex: '^\\.{1,2}/composite/', why: 'events and records are written apart' },
    ],
  },
];

export const importRules = [
  ...ROOMS.flatMap(({ files, bans }) => [
    config(files, [...bans, ...CLIENTS]),
    // The file that imports a client is held to all the rest.
    ...[...new Set(CLIENTS.map(({ home }) => home))]
      .filter((home) => hallOf(home) === hallOf([files].flat()[0]))
      .map((home) => config(home, [...bans, ...CLIENTS.filter((client) => client.home !== home)])),
  ]),
  config('test/org/**/*.ts', [room('nodes', 'the simulated org knows nothing of what is tested against it')]),
  config('test/apis/**/*.ts', [room('nodes|org', 'the simulated APIs know nothing of what is tested against them')]),
];

/** "nodes/jetstream" of all paths in there. */
function hallOf(path) {
  return path.split('/', 2).join('/');
}

function room(names, why) {
  return { regex: `^(\\.{1,2}/)+(${names})/`, why };
}

function client(name, home) {
  return { regex: `^${name}(/|$)`, why: `one file imports it: ${home}`, home };
}

/** For `import … from`, `export … from`, and the two forms of `import(…)`: of a module, and of a type. */
function config(files, bans) {
  const patterns = bans.map(({ regex, why }) => ({ regex, message: why }));
  const calls = bans.flatMap(({ regex, why }) =>
    ['ImportExpression', 'TSImportType'].map((node) => ({
      selector: `${node}[source.value=/${regex.replaceAll('/', '\\/')}/]`,
      message: why,
    })),
  );
  return {
    files: [files].flat(),
    rules: { 'no-restricted-imports': ['error', { patterns }], 'no-restricted-syntax': ['error', ...calls] },
  };
}
