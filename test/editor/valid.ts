import { contract } from './contract';
import { type Editor } from './editor';

/** Config nodes that others refer to. */
export const nodes = {
  server: { id: 'server', type: 'jetstream-server', ...contract['jetstream-server']?.properties },
  org: {
    id: 'org',
    type: 'sfdc-org',
    ...contract['sfdc-org']?.properties,
    loginUrl: 'https://example.my.salesforce.com',
    credentials: { clientId: 'id', clientSecret: 'secret' },
  },
};
export const SYNC_ID = 'e39875af-cd83-4406-8d46-3b30e0b5b624';

/** A node of that type with everything it needs to be valid. */
export function valid(type: string): Record<string, unknown> {
  const needed: Record<string, Record<string, unknown>> = {
    'jetstream-in': { server: 'server', stream: 'crm', durable: 'd', deadLetter: 'dead.crm' },
    'jetstream-out': { server: 'server', subject: 'crm.a' },
    'sfdc-composite': { org: 'org', sobject: 'Contact', externalIdField: 'Key__c' },
    'sfdc-platform-event': { org: 'org', topic: '/event/OrderStatus__e' },
    'sfdc-event-in': { org: 'org', topic: '/data/ContactChangeEvent' },
    'api-source': { org: 'org', syncId: SYNC_ID, collections: ['salesforce:contact'] },
    'api-sync-out': { server: 'server' },
  };
  return { id: 'x', type, ...contract[type]?.properties, ...needed[type] };
}

/** What the editor finds wrong with a node. */
export const invalid = (editor: Editor, id: string) =>
  editor.run<string[]>(
    `RED.editor.validateNode(RED.nodes.node('${id}')), RED.nodes.node('${id}').validationErrors`,
  );
