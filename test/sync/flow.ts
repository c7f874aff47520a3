import type { Org } from '../org/org';
import { orgNode } from '../salesforce/event-flows';
import type { FlowNode } from '../support/node-red';

/** A Salesforce into JetStream: an api-sync-out with what it needs; `source` and `sync` are its other settings. */
export function syncFlow(
  servers: string,
  org: Org,
  settings: { source?: object; sync?: object } = {},
): FlowNode[] {
  return [
    { id: 'tab', type: 'tab', label: 'Sync' },
    { id: 'server', type: 'jetstream-server', servers, auth: 'none' },
    orgNode(org),
    {
      id: 'source',
      type: 'api-source',
      provider: 'salesforce',
      collections: ['salesforce:contact'],
      org: 'org',
      ...settings.source,
    },
    {
      id: 'sync',
      type: 'api-sync-out',
      z: 'tab',
      x: 1,
      y: 1,
      server: 'server',
      source: 'source',
      wires: [[]],
      ...settings.sync,
    },
  ];
}

/** Keeps every version, and events, to be looked at in the end, and changes hands quickly. */
export const OBSERVED = { events: true, streamConfig: { maxMsgsPerSubject: 1_000_000 }, lease: '2s' };
/** Quick to see a change, and to find the late ones of a test. */
export const EAGER = { pollInterval: '500ms', lookback: '15s' };
