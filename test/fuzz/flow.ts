import type { FlowNode } from '../support/node-red';
import { TOPIC } from './pubsub';

/** Where the fuzzed Node-RED finds what it talks to, and the secrets it is given for that. */
export interface Surroundings {
  nats: string;
  token: string;
  front: string;
  pubsub: string;
  clientId: string;
  clientSecret: string;
}

/** Nodes that take messages from the fuzz itself. */
export const TARGETS = [
  'out',
  'ack',
  'create',
  'update',
  'upsert',
  'delete',
  'get',
  'tree',
  'mapped',
  'event',
  'records',
];

/** Each of our nodes, between nodes of the core that catch, complete and make trouble. */
export function fuzzFlow({ nats, token, front, pubsub, clientId, clientSecret }: Surroundings): FlowNode[] {
  const node = (id: string, type: string, settings: object, ...wires: string[][]): FlowNode => ({
    id,
    type,
    z: 'tab',
    x: 1,
    y: 1,
    ...settings,
    wires,
  });
  const write = (id: string, settings: object) => {
    const common = {
      org: 'org',
      sobject: 'Contact',
      externalIdField: 'ExternalId__c',
      fields: ['Id', 'LastName'],
      onOutage: 'fail',
    };
    return node(
      id,
      'sfdc-composite',
      { ...common, operation: id, ...settings },
      ['end'],
      id === 'create' ? ['end'] : [],
    );
  };
  const trouble = (id: string, ...wires: string[]) =>
    node(id, 'function', { func: `return global.get('trouble')(node, msg)`, outputs: 1 }, wires);
  const source = (id: string, settings: object): FlowNode => ({
    id,
    type: 'api-source',
    // Not the id of a node: Node-RED would take it for a reference.
    syncId: `sync-${id}`,
    ...settings,
  });
  return [
    { id: 'tab', type: 'tab', label: 'Fuzz' },
    { id: 'server', type: 'jetstream-server', servers: nats, auth: 'token', credentials: { token } },
    {
      id: 'org',
      type: 'sfdc-org',
      auth: 'client-credentials',
      loginUrl: front,
      apiVersion: '65.0',
      pubsubEndpoint: pubsub,
      apiBudget: 100,
      credentials: { clientId, clientSecret },
    },
    node(
      'out',
      'jetstream-out',
      { server: 'server', subject: '{{topic}}', msgId: '', headers: [{ name: 'A', value: '{{payload}}' }] },
      ['end', 'end'],
    ),
    node('ack', 'jetstream-ack', { action: 'msg' }, ['end']),
    ...['create', 'update', 'upsert', 'delete', 'get', 'tree'].map((operation) => write(operation, {})),
    write('mapped', {
      operation: 'upsert',
      payload: {
        mode: 'map',
        fields: [
          { name: 'ExternalId__c', type: 'template', value: '{{payload.ExternalId__c}}' },
          { name: 'LastName', type: 'jsonata', value: 'payload.LastName & $string(payload)' },
          { name: 'Email', type: 'msg', value: 'payload.Email' },
        ],
      },
    }),
    node(
      'event',
      'sfdc-platform-event',
      { org: 'org', topic: TOPIC, onOutage: 'fail', payload: { mode: 'event' } },
      ['end'],
    ),
    source('handed', { provider: 'flow' }),
    node(
      'records',
      'api-sync-out',
      {
        server: 'server',
        source: 'handed',
        stream: 'HANDED',
        subjectPrefix: 'handed',
        provision: true,
        events: true,
      },
      ['end'],
    ),
    source('read', {
      provider: 'salesforce',
      org: 'org',
      mode: 'poll',
      pollInterval: '500ms',
      collections: ['salesforce:contact'],
    }),
    node(
      'sync',
      'api-sync-out',
      { server: 'server', source: 'read', stream: 'READ', subjectPrefix: 'read', provision: true },
      ['end'],
    ),
    source('changes', {
      provider: 'salesforce',
      org: 'org',
      mode: 'cdc',
      collections: ['salesforce:contact'],
    }),
    node(
      'follow',
      'api-sync-out',
      { server: 'server', source: 'changes', stream: 'FOLLOWED', subjectPrefix: 'followed', provision: true },
      ['end'],
    ),
    node(
      'in',
      'jetstream-in',
      {
        server: 'server',
        stream: 'crm',
        durable: 'fuzz',
        subject: 'crm.in.>',
        maxDeliver: 2,
        backoff: '20ms',
        deadLetter: 'dead.in',
        processingLimit: '20s',
      },
      ['odd'],
    ),
    trouble('odd', 'passed', 'end', 'second'),
    node('passed', 'jetstream-out', { server: 'server', subject: 'crm.passed' }, ['end']),
    write('second', { operation: 'upsert' }),
    node(
      'events',
      'sfdc-event-in',
      { org: 'org', topic: TOPIC, replay: 'latest', ack: 'flow', checkpoint: 'context' },
      ['odd-event'],
    ),
    trouble('odd-event', 'end'),
    node('catch', 'catch', { scope: null }, ['caught']),
    node('complete', 'complete', { scope: TARGETS }, ['end']),
    node('caught', 'debug', { active: false }),
    node('end', 'debug', { active: true, tosidebar: true, complete: 'true' }),
  ];
}
