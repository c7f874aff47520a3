import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openRoom, type Room } from '../jetstream/room';
import { embedNodeRed, type EmbeddedNodeRed, type FlowNode } from '../support/node-red';
import { until } from '../support/until';

/** What an imported flow says of itself, as exports carry no secrets. */

let room: Room;
let red: EmbeddedNodeRed;
before(async () => {
  room = await openRoom();
  red = await embedNodeRed({ flows: [] });
});
after(async () => {
  await red.stop();
  await room.stop();
});

const PARCELS = {
  label: 'Parcels',
  auth: [{ kind: 'query', name: 'api_key', value: '{token}' }],
  login: { token: { label: 'API key', required: true } },
  collections: {
    parcels: { label: 'Parcels', id: 'id', updated: 'moved', list: { get: '/parcels', records: 'items' } },
  },
};
const baseUrl = 'https://example.test';
const user = 'me@example.test';

for (const [provider, more, lacking] of [
  ['hubspot', { collections: ['hubspot:contacts'] }, 'HubSpot, enter its Access token'],
  ['stripe', { collections: ['stripe:customers'] }, 'Stripe, enter its Restricted key'],
  ['zendesk', { collections: ['zendesk:tickets'], user }, 'Zendesk, enter its API token'],
  ['jira', { collections: ['jira:issues'], user }, 'Jira, enter its API token'],
  ['github', { collections: ['github:acme/api:issues'] }, 'GitHub, enter its Access token'],
  [
    'custom',
    { collections: ['custom:parcels'], definition: JSON.stringify(PARCELS) },
    'Parcels, enter its API key',
  ],
] as const)
  test(`an api-source of ${provider} without its secret: “no credentials”, and the log names it once`, async () => {
    const from = red.log.length;
    await red.deploy([
      { id: 'tab', type: 'tab', label: 'Sync' },
      { id: 'server', type: 'jetstream-server', servers: room.nats.url, auth: 'none' },
      { id: 'source', type: 'api-source', provider, baseUrl, ...more },
      {
        id: 'sync',
        type: 'api-sync-out',
        z: 'tab',
        x: 1,
        y: 1,
        server: 'server',
        source: 'source',
        wires: [[]],
      },
    ] as FlowNode[]);
    const said = () => red.log.slice(from).filter(({ text }) => text.includes(`To log in to ${lacking}`));
    await until(() => said().length > 0 && red.statusOf('sync')?.text === 'no credentials', {
      what: 'the status',
    });
    assert.deepEqual(
      said().map(({ level, id }) => [level, id]),
      [['error', 'sync']],
    );
  });
