import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Org } from '../org/org';
import { root, type FlowNode } from '../support/user-dir';
import { TOPIC } from './pubsub/rig';

/** The org's config node. */
export function orgNode(org: Org, more: object = {}): FlowNode {
  return {
    id: 'org',
    type: 'sfdc-org',
    auth: 'client-credentials',
    loginUrl: org.url,
    apiVersion: '65.0',
    pubsubEndpoint: org.pubsub,
    credentials: { clientId: org.clientId, clientSecret: org.clientSecret },
    ...more,
  };
}

export function publishNode(more: object = {}): FlowNode {
  return {
    id: 'publish',
    type: 'sfdc-platform-event',
    z: 'tab',
    org: 'org',
    topic: TOPIC,
    payload: { mode: 'event' },
    maxRequests: 1,
    onOutage: 'hold',
    wires: [['results']],
    ...more,
  };
}

export function receiveNode(more: object = {}): FlowNode {
  return {
    id: 'receive',
    type: 'sfdc-event-in',
    z: 'tab',
    org: 'org',
    topic: TOPIC,
    replay: 'earliest',
    ack: 'flow',
    checkpoint: 'context',
    server: '',
    bucket: '',
    wires: [['next']],
    ...more,
  };
}

/** A tab with these nodes, each at a place: without one Node-RED takes a node for a config node. */
export function tab(...nodes: FlowNode[]): FlowNode[] {
  const placed = nodes.map((node) => (node.z ? { x: 1, y: 1, ...node } : node));
  return [{ id: 'tab', type: 'tab', label: 'Test' }, ...placed];
}

export const sink = (id: string, more: object = {}): FlowNode => ({
  id,
  type: 'debug',
  z: 'tab',
  active: false,
  wires: [],
  ...more,
});

export const code = (id: string, func: string, wires: string[][] = [[]], more: object = {}): FlowNode => ({
  id,
  type: 'function',
  z: 'tab',
  func,
  outputs: wires.length,
  wires,
  ...more,
});

/** An example as it is imported, its config nodes turned to a simulated org and a nats-server of a test. */
export function example(name: string, org: Org, natsUrl: string): FlowNode[] {
  const nodes = JSON.parse(readFileSync(join(root, 'examples', `${name}.json`), 'utf8')) as FlowNode[];
  return nodes.map((node) => {
    if (node.type === 'jetstream-server')
      return { ...node, servers: natsUrl, auth: 'none', credentialsPath: '' };
    return node.type === 'sfdc-org' ? { ...node, ...orgNode(org), id: node.id } : node;
  });
}
